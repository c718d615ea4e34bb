"""One unit of alignment: the files of each recording, long sounds put together from windows, and what is refused."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from numpy.typing import NDArray

from sorigil.text.tokenizer import SymbolTokens, Tokenizer
from storage import erased
from storage.layout import Store
from tasks import align
from tasks.align import UTTERANCE, AlignUnit, align_unit, found_alignment
from tasks.breadcrumb import Deadline
from tasks.by_recording import found_rejection
from tasks.recogniser import quiet_windows

RATE = 8000
STEP = 400  # samples of a frame: 50 ms
TONES = {"a": 400.0, "b": 1600.0}


class Ear:
    """In place of a recogniser: it knows the two tones by their pitch, frame by frame, and silence as a blank or a space."""

    def __init__(self, padded: bool = True) -> None:
        from sorigil.audio.spec import AudioSpec

        self.audio = AudioSpec(sample_rate=RATE)
        self.tokenizer = Tokenizer.train(SymbolTokens(), ["a b"])
        self.normalizer = "basic"
        self.by_speaker = False
        self.samples_per_frame, self.seconds_per_frame = STEP, STEP / RATE
        self.heard: list[int] = []  # the lengths of what it was given
        self._padded = padded

    def log_probs(self, samples: NDArray[np.float32], speaker: Any = None) -> NDArray[np.float32]:
        self.heard.append(len(samples))
        frames = -(-len(samples) // STEP) if self._padded else len(samples) // STEP - 1
        best = [self._token(samples[t * STEP : (t + 1) * STEP]) for t in range(frames)]
        probabilities = np.full((frames, len(self.tokenizer)), 0.02, np.float32)
        probabilities[np.arange(frames), best] = 0.94
        silent = np.asarray(best, int) == 0
        probabilities[silent] = [
            0.58 if name == "<blank>" else 0.38 if name == " " else 0.02 for name in self.tokenizer.tokens
        ]
        return np.log(probabilities)

    def _token(self, frame: NDArray[np.float32]) -> int:
        if np.abs(frame).mean() < 0.05:
            return 0
        crossings = np.count_nonzero(np.diff(np.signbit(frame))) * RATE / (2 * len(frame))
        return self.tokenizer.tokens.index("a" if crossings < 900 else "b")


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Ear:
    made = Ear()
    monkeypatch.setattr(align, "recogniser", lambda store, key: made)
    return made


def sound(said: str) -> NDArray[np.float32]:
    """Half a second for each sign: a tone, or silence."""
    time = np.arange(RATE // 2) / RATE
    noise = np.random.default_rng(0).normal(0, 0.001, len(time))
    return np.concatenate([0.4 * np.sin(2 * np.pi * TONES[sign] * time) if sign in TONES else noise for sign in said])


def unit_of(folder: Path, *items: dict[str, Any], **changes: Any) -> AlignUnit:
    rows = [{"id": item["uri"], "stamp": "s", "size": 1000, **item} for item in items]
    texts = [(name, pa.string()) for name in ("id", "uri", "stamp")]
    schema = pa.schema([*texts, ("size", pa.int64()), ("utterances", pa.list_(UTTERANCE))])
    root = str(folder / "store")
    given = {
        "store": Store(root=root, catalog=f"sqlite:///{root}/c.db", mlflow=f"sqlite:///{root}/m.db"),
        "base": str(folder), "unit": "u", "model_key": "m", "output": str(folder / "out"),
        "formats": ("json", "TextGrid", "ctm"), "max_seconds": 30.0, "overlap_seconds": 0.5, "raw": None,
        "items": pa.Table.from_pylist(rows, schema=schema), "deadline": Deadline(),
    }  # fmt: skip
    return AlignUnit(**{**given, **changes})


def said(text: str, **span: Any) -> dict[str, Any]:
    return {"id": span.pop("id", "u1"), "start": None, "seconds": None, "channel": None, "text": text, **span}


def words_of(folder: Path, uri: str) -> dict[str, list[tuple[str, float, float]]]:
    written = json.loads((folder / f"out/{uri}.json").read_text())
    return {
        each["id"]: [(word["text"], word["start"], word["end"]) for word in each["words"]]
        for each in written["utterances"]
    }


def test_each_recording_has_its_files(tmp_path: Path, ear: Ear) -> None:
    soundfile.write(tmp_path / "x.wav", sound("-a-b-"), RATE)
    unit = unit_of(tmp_path, {"uri": "x.wav", "utterances": [said("A, b!")]})
    report = align_unit(unit)
    found = {"u1": [("A,", 0.49, 1.01), ("b!", 1.49, 2.01)]}  # 10 ms each way: loudness is smoothed over 30 ms
    assert words_of(tmp_path, "x.wav") == found
    assert (tmp_path / "out/x.wav.ctm").read_text().splitlines()[1] == "x.wav 1 1.490 0.520 b! 0.9400"
    assert 'text = "A,"' in (tmp_path / "out/x.wav.TextGrid").read_text()
    (row,) = report.rows
    assert (row["utterances"], row["words"], row["confidence"], row["reused"]) == (1, 2, 0.94, False)
    assert report.audio_seconds == 2.5


def test_what_is_done_is_found_until_the_text_changes(tmp_path: Path, ear: Ear) -> None:
    soundfile.write(tmp_path / "x.wav", sound("-a-b-"), RATE)
    unit = unit_of(tmp_path, {"uri": "x.wav", "utterances": [said("a b")]})
    (item,) = unit.items.to_pylist()
    assert found_alignment(unit, item) is None
    (row,) = align_unit(unit).rows
    assert found_alignment(unit, item) == {**row, "reused": True}
    assert found_alignment(unit, {**item, "utterances": [said("a a b")]}) is None
    assert found_alignment(unit, {**item, "stamp": "later"}) is None
    (tmp_path / "out/x.wav.ctm").unlink()
    assert found_alignment(unit, item) is None


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("overlap", [0.0, 0.7])
def test_windows_make_one_grid_of_frames(tmp_path: Path, ear: Ear, padded: bool, overlap: float) -> None:
    """A minute without a quiet point in windows of at most two seconds: each tone is where it is."""
    ear._padded = padded
    text = "".join(np.random.default_rng(3).choice(["a", "b"], 120).tolist())
    runs = [(sign, start) for start, sign in enumerate(text) if start == 0 or text[start - 1] != sign]
    soundfile.write(tmp_path / "long.wav", sound(text + "--"), RATE)
    spelled = " ".join(sign for sign, _ in runs)
    unit = unit_of(
        tmp_path, {"uri": "long.wav", "utterances": [said(spelled)]}, max_seconds=2.0, overlap_seconds=overlap
    )
    align_unit(unit)
    assert max(ear.heard) <= (2.0 + 2 * overlap + 0.2) * RATE
    found = words_of(tmp_path, "long.wav")["u1"]
    assert [word for word, _, _ in found] == [sign for sign, _ in runs]
    for (_, start, _), (_, place) in zip(found, runs, strict=True):
        assert start == pytest.approx(place / 2, abs=0.101)  # the space before it takes a frame


def test_stretches_and_channels_have_their_own_text(tmp_path: Path, ear: Ear) -> None:
    left, right = sound("-a-b--"), sound("--b--a")
    soundfile.write(tmp_path / "call.wav", np.stack([left, right], axis=1), RATE)
    utterances = [
        said("b", id="l2", start=1.2, seconds=1.3, channel=0),
        said("a", id="l1", start=0.2, seconds=1.0, channel=0),
        said("b a", id="r", channel=1),
    ]
    align_unit(unit_of(tmp_path, {"uri": "call.wav", "utterances": utterances}))
    found = words_of(tmp_path, "call.wav")
    assert list(found) == ["r", "l1", "l2"]
    assert [found[name][0][1] for name in ("l1", "l2", "r")] == [
        pytest.approx(0.5, abs=0.051), pytest.approx(1.5, abs=0.051), pytest.approx(1.0, abs=0.051),
    ]  # fmt: skip
    assert "words, channel 1" in (tmp_path / "out/call.wav.TextGrid").read_text()


def test_a_bad_text_costs_its_utterance_and_a_bad_file_its_recording(tmp_path: Path, ear: Ear) -> None:
    soundfile.write(tmp_path / "x.wav", sound("-a-b-"), RATE)
    (tmp_path / "torn.wav").write_bytes(b"RIFF")
    utterances = [
        said("a b"), said("a c", id="odd"), said("a" * 99, id="long"), said("…", id="mute"),
        said("a", id="out", start=2.0, seconds=9.0),
    ]  # fmt: skip
    items = [{"uri": "x.wav", "utterances": utterances}, {"uri": "torn.wav", "utterances": [said("a")]}]
    unit = unit_of(tmp_path, *items)
    report = align_unit(unit)
    (row,) = report.rows
    assert {each["id"]: each["reason"] for each in row["rejections"]} == {
        "odd": "symbol_not_in_train", "long": "text_longer_than_input", "mute": "no_text", "out": "span_outside",
    }  # fmt: skip
    assert row["utterances"] == 1
    assert "'c'" in row["rejections"][0]["detail"]
    (torn,) = report.rejections
    assert (torn.uri, torn.stage) == ("torn.wav", "align")
    assert found_rejection(unit, "torn.wav", "s") == torn
    found = found_alignment(unit, unit.items.to_pylist()[0])
    assert found is not None
    assert found["rejections"] == row["rejections"]


def test_a_recording_that_is_not_there_is_looked_for_again(tmp_path: Path, ear: Ear) -> None:
    unit = unit_of(tmp_path, {"uri": "gone.wav", "utterances": [said("a")]})
    assert [rejection.reason for rejection in align_unit(unit).rejections] == ["missing_file"]
    assert found_rejection(unit, "gone.wav", "s") is None


def test_windows_of_a_stretch_tile_it() -> None:
    from tasks.listening import HeldSound

    samples = sound("-ab-a-b-ab-ab--")
    held = HeldSound(samples.astype(np.float32), len(samples) / RATE)
    windows = quiet_windows(held, RATE, max_seconds=1.6, overlap_seconds=0.2, start=1234, end=50_000)
    assert windows[0].core_start == windows[0].start == 1234
    assert windows[-1].core_end == windows[-1].end == 50_000
    assert all(one.core_end == two.core_start for one, two in pairwise(windows))


def test_an_erased_recording_is_refused(tmp_path: Path, ear: Ear) -> None:
    soundfile.write(tmp_path / "x.wav", sound("-a-"), RATE)
    sha256 = hashlib.sha256((tmp_path / "x.wav").read_bytes()).hexdigest()
    marks = frozenset(erased.marks("recording", [sha256]))
    unit = unit_of(tmp_path, {"uri": "x.wav", "utterances": [said("a")]}, erased=marks)
    report = align_unit(unit)
    assert [rejection.reason for rejection in report.rejections] == ["erased"]
    assert not (tmp_path / "out").exists()
