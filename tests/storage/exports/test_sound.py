"""Where an export's sound comes from: what cannot be named, what is not there, and what lies in pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from conftest import RATE, World, tone
from export_world import exported, heard, prepared, read_back

from sorigil.audio.spec import AudioSpec, RawAudio
from sorigil.errors import RequestError, RunError
from storage.exports.place import ExportPlace
from storage.exports.sound import Sound
from storage.sources import HuggingFaceSource, LhotseSource, NemoSource, scan
from tasks import unit_output


def test_audio_that_is_not_kept_cannot_be_written(world: World, tmp_path: Path) -> None:
    world.add("a", text="one")
    world.run(keep_audio=False)
    with pytest.raises(RequestError, match=r"1 of 1 utterances have no prepared audio.*or export with --audio source"):
        exported(world, tmp_path / "out", "huggingface", "flac")
    assert exported(world, tmp_path / "out", "nemo", "source")["rows"] == 1


def test_files_that_other_tools_cannot_open_are_not_named(world: World, tmp_path: Path) -> None:
    pcm = np.round(tone(1) * 30000).astype("<i2")
    (world.source / "a.raw").write_bytes(pcm.tobytes())
    world.rows.append({"id": "a", "audio": "a.raw"})
    world.run(raw=RawAudio(sample_rate=RATE))
    with pytest.raises(RequestError, match=r"a\.raw lies in an archive or has no header.*export with --audio flac"):
        exported(world, tmp_path / "out", "lhotse", "source")
    assert exported(world, tmp_path / "out", "lhotse", "flac")["rows"] == 1


def test_a_recording_that_lies_in_pieces_is_one_clip(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_output, "CHUNK_SECONDS", 1)
    world.add("long", seconds=2.5, text="long")
    world.run()
    assert len(pq.read_table(world.store.path(world.kept()["long"]["audio_part"]))) == 3
    for format, source in (("nemo", NemoSource), ("huggingface", HuggingFaceSource)):
        exported(world, tmp_path / format, format, "flac")
        spec = source(uri=str(tmp_path / format))
        assert np.array_equal(heard(spec.base, read_back(spec)["long"]), prepared(world)["long"])


def test_kaldi_is_told_what_is_no_wav(world: World, tmp_path: Path) -> None:
    soundfile.write(world.source / "a.flac", tone(1), RATE)
    world.rows.append({"id": "a", "audio": "a.flac", "split": "train"})
    world.run()
    (note,) = exported(world, tmp_path / "out", "kaldi", "source")["notes"]
    assert note == "1 utterances are not in WAV files: Kaldi itself opens those only by a command"


def test_a_source_that_is_gone_leaves_lhotse_a_guess(world: World, tmp_path: Path) -> None:
    path = world.add("a", seconds=1.0, start=0.2, end=0.5)
    world.run()
    path.unlink()
    (note,) = exported(world, tmp_path / "out", "lhotse", "source")["notes"]
    assert note.startswith("1 recordings have a header without a length")
    (row,) = scan(LhotseSource(uri=str(tmp_path / "out"))).to_pylist()
    assert row["problem"].startswith("missing_file")


def test_a_part_that_is_gone_stops_the_export_with_a_sentence(world: World, tmp_path: Path) -> None:
    world.add("a", text="one")
    world.run()
    Path(world.store.path(world.kept()["a"]["audio_part"])).unlink()
    with pytest.raises(RunError, match=r"the export stopped \(.*\.parquet.*run it again: it goes on where it was"):
        exported(world, tmp_path / "out", "webdataset", "flac")
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"the export stopped \(.*Not a directory"):
        exported(world, tmp_path / "file/out", "nemo", "source")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")].count("out") == 0


def test_each_channel_is_a_cut_of_the_whole_recording(world: World, tmp_path: Path) -> None:
    soundfile.write(world.source / "call.wav", np.stack([tone(1), tone(2)], axis=1), RATE, subtype="PCM_16")
    world.rows.append({"id": "call", "audio": "call.wav"})
    each = AudioSpec(sample_rate=RATE, channels="each")
    world.run(audio=each)
    exported(world, tmp_path / "out", "lhotse", "source")
    source = LhotseSource(uri=str(tmp_path / "out"))
    rows = read_back(source)
    assert {name: (row["channel"], row["start"]) for name, row in rows.items()} == {
        name: (row["channel"], None) for name, row in world.kept().items()
    }
    assert sorted(row["channel"] for row in rows.values()) == [0, 1]


def test_a_piece_that_is_no_channel_is_a_stretch(tmp_path: Path) -> None:
    """What was cut out of a recording has the recording's place in the source, and is not the whole of it."""
    row = {
        "uri": "a.wav", "place": "a.wav\x1f\x1f\x1f", "piece": "0001", "start": 0, "num_samples": 5, "sample_rate": 10,
        "channel": None, "channels": 1,
    }  # fmt: skip
    with ExportPlace(str(tmp_path / "out"), {"dataset": "d", "format": "nemo"}) as place:
        sound = Sound(place, "/source", None)
        assert not sound.clip(row).whole
        assert sound.clip({**row, "piece": None}).whole and sound.clip({**row, "piece": "ch1"}).whole
