"""Long recordings go through the unit in blocks and come out as if they had gone through whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import LOG_MEL, RATE, World, tone

from sorigil.audio import decode, prepare_long
from sorigil.audio.prepare import decode_flac, to_float
from sorigil.audio.spec import AudioSpec, SilenceTrim
from sorigil.features import LogMel, Spectrogram, compute
from storage.dataset import StoredRows, open_dataset
from storage.streams import Spool
from tasks import featurize, unit_output
from tasks.units import feature_spec_key

SPECS = (
    LOG_MEL,
    LogMel(n_fft=256, win_length=200, hop_length=80, n_mels=20, ref="max", deltas=1),
    Spectrogram(n_fft=128, win_length=None, hop_length=64),
)


@pytest.fixture
def everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "HELD_VALUES", 2000)
    monkeypatch.setattr(decode, "READ_VALUES", 700)
    monkeypatch.setattr(prepare_long, "BLOCK", 900)


def fill(world: World) -> None:
    """A recording of 1.5 s in several spans that overlap and lie in no order, a whole stereo one, and a broken one."""
    world.sound("calls.wav", 1, 1.5, 11025)
    spans = {"late": (0.9, 1.5), "all": (None, None), "early": (0.05, 0.2), "middle": (0.1, 1.0), "rest": (0.4, None)}
    for name, (start, end) in spans.items():
        row = {"id": name, "audio": "calls.wav", "start": start, "end": end, "text": name}
        world.rows.append({key: value for key, value in row.items() if value is not None})
    world.rows.append({"id": "outside", "audio": "calls.wav", "start": 1.4, "end": 2.5})
    world.rows.append({"id": "beyond", "audio": "calls.wav", "channel": 3})
    stereo = np.stack([tone(2, 1.0, RATE), tone(3, 1.0, RATE) * 0.2], axis=1)
    soundfile.write(world.source / "stereo.flac", stereo, RATE, subtype="PCM_16")
    world.rows += [{"id": "mix", "audio": "stereo.flac"}, {"id": "right", "audio": "stereo.flac", "channel": 1}]
    whole = world.sound("cut.wav", 4, 1.0).read_bytes()
    (world.source / "cut.wav").write_bytes(whole[:-4000])
    world.rows += [{"id": "cut", "audio": "cut.wav", "start": 0, "end": 0.3}, {"id": "cut2", "audio": "cut.wav"}]


def contents(world: World, **options: Any) -> dict[str, tuple[Any, ...]]:
    """By id: what the catalogue says but for places in parts, the audio, and each feature."""
    prepared = world.run(features=SPECS, **options)
    kept = world.kept()
    found: dict[str, tuple[Any, ...]] = {}
    for spec in SPECS:
        audio = AudioSpec(sample_rate=RATE) if "audio" not in options else options["audio"]
        table = open_dataset(world.catalog, prepared.version, feature_spec_key(audio, spec))
        features, sounds = StoredRows(world.store, table), StoredRows(world.store, table, audio=True)
        for index, name in enumerate(table.column("id").to_pylist()):
            row = {key: value for key, value in kept[name].items() if not key.startswith(("audio_part", "audio_row"))}
            values = found.setdefault(name, (row, sounds.samples(index), []))
            values[2].append(features.features(index))
    return found


@pytest.mark.parametrize("trim", [False, True])
def test_long_recordings_give_what_short_ones_give(
    trim: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    options = {"audio": AudioSpec(sample_rate=RATE, trim=SilenceTrim(top_db=6.0))} if trim else {}
    short, long = World(tmp_path / "short"), World(tmp_path / "long")
    fill(short)
    expected = contents(short, **options)
    request.getfixturevalue("everything_is_long")
    monkeypatch.setattr(unit_output, "CHUNK_SECONDS", 0.2)
    fill(long)
    found = contents(long, **options)
    assert set(found) == set(expected) == {"late", "all", "early", "middle", "rest", "mix", "right"}
    for name, (row, samples, features) in expected.items():
        other, other_samples, other_features = found[name]
        facts = {
            key: pytest.approx(value, rel=1e-4) if isinstance(value, float) else value for key, value in row.items()
        }
        assert other == {**facts, "stamp": other["stamp"]}
        assert np.array_equal(other_samples, samples)
        for one, two in zip(features, other_features, strict=True):
            np.testing.assert_allclose(two, one, rtol=2e-3, atol=0.07)  # float16 apart by one step
    assert long.quarantine() == short.quarantine() == {
        "outside": "span_outside", "beyond": "bad_channel", "cut": "truncated", "cut2": "truncated",
    }  # fmt: skip
    seconds = [{row["id"]: row["seconds"] for row in world.read("quarantine")} for world in (short, long)]
    assert seconds[0] == seconds[1]


@pytest.mark.usefixtures("everything_is_long")
def test_each_channel_of_a_long_recording(world: World) -> None:
    stereo = np.stack([tone(2, 1.0, RATE), tone(3, 1.0, RATE) * 0.2], axis=1)
    soundfile.write(world.source / "call.flac", stereo, RATE, subtype="PCM_16")
    world.rows.append({"id": "call", "audio": "call.flac"})
    world.run(audio=AudioSpec(sample_rate=RATE, channels="each"))
    kept = world.kept()
    assert {name: (row["channel"], row["header_samples"]) for name, row in kept.items()} == {
        "call#ch0": (0, RATE), "call#ch1": (1, RATE),
    }  # fmt: skip
    assert kept["call#ch0"]["peak"] > 2 * kept["call#ch1"]["peak"]


@pytest.mark.usefixtures("everything_is_long")
def test_a_feature_that_comes_later_is_made_of_long_audio_in_pieces(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_output, "CHUNK_SECONDS", 0.5)
    monkeypatch.setattr(featurize, "LONG_SECONDS", 0.6)
    world.add("long", seconds=1.4)
    world.add("short", seconds=0.3)
    world.run()
    other = LogMel(n_fft=256, win_length=200, hop_length=80, n_mels=9)
    prepared = world.run(features=(LOG_MEL, other))
    assert [report.seconds.keys() >= {"read", "features"} for report in prepared.reports] == [True] * len(
        prepared.reports
    )
    table = open_dataset(world.catalog, prepared.version, feature_spec_key(AudioSpec(sample_rate=RATE), other))
    rows, sounds = StoredRows(world.store, table), StoredRows(world.store, table, audio=True)
    for index in range(2):
        (expected,) = compute([other], sounds.samples(index), RATE)
        np.testing.assert_allclose(rows.features(index), expected, rtol=1e-3, atol=0.05)
    assert decode_flac(sounds.flac(0)).shape == (11200,) and np.array_equal(
        to_float(decode_flac(sounds.flac(0))), sounds.samples(0)
    )


@pytest.mark.usefixtures("everything_is_long")
def test_a_full_disk_is_no_verdict_on_a_long_recording(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    world.add("a", seconds=1.0)
    monkeypatch.setattr(Spool, "append", full)
    unit = world.plan().units[0]
    from tasks.prepare import prepare_unit

    with pytest.raises(OSError, match="No space left"):
        prepare_unit(unit)
    assert not Path(unit.store.path(unit.ledger)).exists()
    assert not list(Path(world.store.root).rglob("*.tmp"))


HOUR = """
import json, re, sys
from pathlib import Path
from conftest import World
from sorigil.audio.spec import AudioSpec
from sorigil.features import LogMel
from tasks.prepare import prepare_unit

world = World(Path(sys.argv[1]))
world.rows.append({"id": "hour", "audio": "hour.flac"})
(unit,) = world.plan(audio=AudioSpec(), features=(LogMel(),)).units
report = prepare_unit(unit)
status = Path("/proc/self/status").read_text()  # ru_maxrss would remember the size of the process that started this one
print(json.dumps([report.audio_seconds, int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) / 1024]))
"""


@pytest.mark.slow
def test_an_hour_takes_no_more_memory_than_a_worker_may(tmp_path: Path) -> None:
    """One hour at 44.1 kHz: 635 MB as samples. In a process of its own, whose peak is what is measured."""
    import json

    (tmp_path / "source").mkdir()
    minute = tone(0, 60.0, 44100)
    with soundfile.SoundFile(tmp_path / "source" / "hour.flac", "w", 44100, 1, "PCM_16") as out:
        for _ in range(60):
            out.write(minute)
    tests = Path(__file__).parents[1]
    made = subprocess.run(
        [sys.executable, "-c", HOUR, str(tmp_path)],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": f"{tests}:{tests.parent}", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    seconds, megabytes = json.loads(made.stdout.splitlines()[-1])
    assert seconds == 3600 and megabytes < 700
