"""Recorded rooms: what is heard of them, whose they are, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sorigil.audio.augment import WaveAugment
from sorigil.audio.room import room_response
from sorigil.errors import RequestError
from sorigil.fingerprint import fingerprint
from storage import rooms

RATE = 16_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two rooms, one of them below, in stereo and at another rate."""
    place = tmp_path / "rooms"
    (place / "halls").mkdir(parents=True)
    write(place / "kitchen.wav", 0.2, seed=1)
    write(place / "halls/church.flac", 0.4, seed=2, rate=8000, channels=2)
    return place


def write(path: Path, t60: float, seed: int, rate: int = RATE, channels: int = 1) -> None:
    response = np.concatenate([np.zeros(300), 0.5 * room_response(t60, 3.0, rate, np.random.default_rng(seed))])
    columns = np.stack([response * (0.5**channel) for channel in range(channels)], axis=1)
    soundfile.write(path, columns, rate)


def augment(place: Path) -> WaveAugment:
    return WaveAugment(rooms=str(place), room_p=0.5)


def resolved(place: Path) -> WaveAugment:
    found = rooms.resolve(augment(place), RATE)
    assert found is not None
    return found


def test_responses_are_read_at_the_rate_from_the_direct_sound_on(folder: Path) -> None:
    responses = rooms.read(resolved(folder), RATE)
    assert len(responses) == 2
    short, long = sorted(responses, key=len)
    expected = room_response(0.2, 3.0, RATE, np.random.default_rng(1))
    np.testing.assert_allclose(short, expected[: len(short)], atol=1e-3)  # of 16-bit samples
    assert 0.15 * RATE < len(short) <= 0.2 * RATE and 0.3 * RATE < len(long) <= 0.4 * RATE
    assert np.abs(long).max() == pytest.approx(1, abs=1e-6)


def test_identity_is_what_they_hold_and_not_where(folder: Path, tmp_path: Path) -> None:
    first = resolved(folder)
    (folder / "kitchen.wav").rename(folder / "halls/bath.wav")
    folder.rename(tmp_path / "other")
    moved = resolved(tmp_path / "other")
    assert fingerprint(moved) == fingerprint(first) != fingerprint(WaveAugment(room_p=0.5))
    for one, other in zip(rooms.read(first_at(moved, first), RATE), rooms.read(moved, RATE), strict=True):
        assert np.array_equal(one, other)
    write(tmp_path / "other/halls/bath.wav", 0.3, seed=3)
    assert fingerprint(resolved(tmp_path / "other")) != fingerprint(first)
    with pytest.raises(RequestError, match="others than when the run began"):
        rooms.read(moved, RATE)


def first_at(moved: WaveAugment, first: WaveAugment) -> WaveAugment:
    return WaveAugment(rooms=moved.rooms, room_p=0.5, rooms_hash=first.rooms_hash)


def test_a_manifest_names_them(folder: Path) -> None:
    manifest = folder / "some.jsonl"
    manifest.write_text(json.dumps({"audio": "kitchen.wav"}) + "\n")
    assert len(rooms.read(resolved(manifest), RATE)) == 1
    manifest.write_text(json.dumps({"audio": "kitchen.wav", "start": 0.1, "end": 0.2}) + "\n")
    with pytest.raises(RequestError, match="a room response is a whole file"):
        resolved(manifest)


def test_files_that_are_no_rooms_are_named_together(folder: Path) -> None:
    soundfile.write(folder / "silent.wav", np.zeros(100), RATE)
    soundfile.write(folder / "song.wav", np.ones(RATE * 21, np.float32) / 2, RATE)
    (folder / "halls/torn.wav").write_bytes(b"RIFF")
    with pytest.raises(RequestError) as caught:
        resolved(folder)
    said = str(caught.value)
    assert said.startswith(f"{folder}: 3 of 5 room responses cannot be used: ") and said.endswith("; take them away")
    assert "halls/torn.wav: " in said and "silent.wav: is silent" in said
    assert "song.wav: sounds for 21.0 s; a room response for at most 20 s" in said


def test_no_place_and_no_files_are_sentences(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(RequestError, match="nothing: no such folder; `rooms` is a folder of audio files"):
        resolved(tmp_path / "nothing")
    (folder / "m.jsonl").write_text(json.dumps({"audio": "gone.wav"}) + "\n")
    with pytest.raises(RequestError, match=r"1 of 1 room responses cannot be used: gone\.wav: missing_file"):
        resolved(folder / "m.jsonl")


def test_more_than_a_loader_should_hold_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MOST_BYTES", 20_000)  # the two have 13 and 26 kB
    with pytest.raises(RequestError, match="room responses of more than 0 MiB; name fewer of them"):
        resolved(folder)
    monkeypatch.setattr(rooms, "LARGEST_FILE", 1000)
    with pytest.raises(
        RequestError, match=r"2 of 2 .*church\.flac: has [\d,]+ bytes; a room response has at most 1,000"
    ):
        resolved(folder)


def test_without_rooms_nothing_is_read() -> None:
    assert rooms.resolve(None, RATE) is None and rooms.read(None, RATE) == ()
    assert rooms.resolve(WaveAugment(), RATE) == WaveAugment() and rooms.read(WaveAugment(), RATE) == ()
