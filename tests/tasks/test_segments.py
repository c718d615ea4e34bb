"""Recordings that become an utterance for each stretch of speech, whole or in blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import RATE, World

from sorigil.audio import decode, speech
from sorigil.audio.spec import AudioSpec, PauseSegment, SpeechSegment
from storage.dataset import StoredRows, open_dataset

AUDIO = AudioSpec(sample_rate=RATE, segment=SpeechSegment(padding_seconds=0.0, min_silence_seconds=0.1))


class Loudness:
    """In place of the network: whatever is loud is speech."""

    def __init__(self, sample_rate: int) -> None:
        self._size = round(0.032 * sample_rate)
        self._held = np.zeros(0, np.float32)

    def add(self, samples: Any) -> Any:
        held = np.concatenate([self._held, samples])
        frames = len(held) // self._size
        self._held = held[frames * self._size :]
        return (np.abs(held[: frames * self._size]).reshape(frames, self._size).max(axis=1) > 0.1).astype(np.float32)

    def finish(self) -> Any:
        return np.zeros(0, np.float32)


@pytest.fixture(autouse=True)
def _loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "SpeechProbability", Loudness)


def bursts(*places: tuple[float, float], seconds: float = 3.0, seed: int = 0) -> Any:
    """Noise at these times (multiples of 0.032 s), all but silence elsewhere."""
    rng = np.random.default_rng(seed)
    sound = rng.standard_normal(round(seconds * RATE)) * 1e-3
    for start, end in places:
        at = slice(round(start * RATE), round(end * RATE))
        sound[at] += rng.uniform(-0.8, 0.8, len(sound[at]))
    return sound.astype(np.float32)


def fill(world: World) -> None:
    soundfile.write(world.source / "talk.wav", bursts((0.32, 0.96), (1.6, 2.56)), RATE, subtype="PCM_16")
    soundfile.write(world.source / "once.wav", bursts((0.64, 1.28), seed=1), RATE, subtype="PCM_16")
    soundfile.write(world.source / "quiet.wav", bursts(seed=2), RATE, subtype="PCM_16")
    world.rows += [
        {"id": "talk", "audio": "talk.wav", "text": "two things", "speaker": "s", "label": "l"},
        {"id": "once", "audio": "once.wav", "text": "one thing"},
        {"id": "quiet", "audio": "quiet.wav", "text": "nothing"},
        {"id": "given", "audio": "talk.wav", "start": 0.5, "end": 1.0, "text": "as given"},
    ]


@pytest.mark.parametrize("long", [False, True])
def test_stretches_of_speech_are_utterances(long: bool, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    if long:
        monkeypatch.setattr(decode, "HELD_VALUES", 2000)
        monkeypatch.setattr(decode, "READ_VALUES", 700)
    fill(world)
    prepared = world.run(audio=AUDIO)
    kept = world.kept()
    assert {name: (row["start"], row["num_samples"]) for name, row in kept.items()} == {
        "talk#0001": (2560, 5120), "talk#0002": (12800, 7680), "once": (5120, 5120), "given": (4000, 4000),
    }  # fmt: skip
    assert {name: row["left_out_samples"] for name, row in kept.items()} == {
        "talk#0001": 24000 - 12800, "talk#0002": None, "once": 24000 - 5120, "given": None,
    }  # fmt: skip
    assert world.quarantine() == {"quiet": "no_speech"}
    assert world.texts() == {"once": "one thing", "given": "as given"}
    assert world.texts(tier="label") == {"talk#0001": "l", "talk#0002": "l"} and kept["talk#0002"]["speaker"] == "s"
    books = prepared.version.books
    assert books["scanned"] == {"items": 5, "seconds": 1.6 + 0.64 + 3.0 + 0.5}
    assert books["kept"] == {"items": 4, "seconds": 1.6 + 0.64 + 0.5}
    assert books["trimmed"] == {"items": 2, "seconds": 1.4 + 2.36}
    rows = StoredRows(world.store, open_dataset(world.catalog, prepared.version), audio=True)
    assert [len(rows.samples(index)) for index in range(4)] == [4000, 5120, 5120, 7680]
    assert world.plan(audio=AUDIO).units == []  # a second run finds every piece


def test_a_segment_is_the_same_utterance_as_the_same_span_given_by_hand(tmp_path: Path) -> None:
    cut, given = World(tmp_path / "cut"), World(tmp_path / "given")
    fill(cut)
    fill(given)
    cut.run(audio=AUDIO)
    given.rows = [{"id": "x", "audio": "talk.wav", "start": 0.32, "end": 0.96}]
    given.run(audio=AudioSpec(sample_rate=RATE))
    one, other = cut.kept()["talk#0001"], given.kept()["x"]
    assert one["key"] == other["key"] and one["rms"] == other["rms"] and one["audio_key"] != other["audio_key"]


def test_each_channel_has_segments_of_its_own(world: World) -> None:
    import dataclasses

    stereo = np.stack([bursts((0.32, 0.96), (1.6, 2.56)), bursts(seed=4)], axis=1)
    soundfile.write(world.source / "call.wav", stereo, RATE, subtype="PCM_16")
    world.rows.append({"id": "call", "audio": "call.wav"})
    audio = dataclasses.replace(AUDIO, channels="each")
    world.run(audio=audio)
    assert sorted(world.kept()) == ["call#ch0-0001", "call#ch0-0002"] and world.quarantine() == {
        "call#ch1-0001": "no_speech"
    }
    assert world.plan(audio=audio).units == []


def test_what_cannot_be_searched_is_refused_for_what_is_wrong_with_it(world: World) -> None:
    sound = bursts((0.32, 0.96))
    sound[3000] = np.nan
    soundfile.write(world.source / "nan.wav", sound, RATE, subtype="FLOAT")
    world.rows += [{"id": "nan", "audio": "nan.wav"}, {"id": "third", "audio": "nan.wav", "channel": 2}]
    world.run(audio=AUDIO)
    assert world.quarantine() == {"nan": "not_finite", "third": "bad_channel"}


@pytest.mark.parametrize("long", [False, True])
def test_a_recording_is_cut_at_pauses_and_nothing_is_left_out(
    long: bool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if long:
        monkeypatch.setattr(decode, "HELD_VALUES", 2000)
        monkeypatch.setattr(decode, "READ_VALUES", 700)
    fill(world)
    audio = AudioSpec(sample_rate=RATE, segment=PauseSegment(max_seconds=2.0, min_seconds=0.5))
    world.run(audio=audio)
    pieces = [row for name, row in sorted(world.kept().items()) if name.startswith("talk#")]
    assert len(pieces) > 1 and all(row["num_samples"] <= 2 * RATE for row in pieces)
    assert pieces[0]["start"] == 0 and sum(row["num_samples"] for row in pieces) == 24000
    assert [row["start"] for row in pieces[1:]] == [row["start"] + row["num_samples"] for row in pieces[:-1]]
    assert 0.96 * RATE < pieces[1]["start"] < 1.6 * RATE and pieces[0]["left_out_samples"] == 0
    assert world.plan(audio=audio).units == []
