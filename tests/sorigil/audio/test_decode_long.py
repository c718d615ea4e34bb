"""Long recordings are decoded as they are read: the same samples and the same refusals, from memory and from disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decode import RATE, encoded, tone

from sorigil.audio import decode as decode_module
from sorigil.audio import ffmpeg
from sorigil.audio.decode import Decoded, LongRecording, decode, open_audio
from sorigil.audio.headers import FileBytes
from sorigil.audio.spec import RawAudio
from sorigil.errors import AudioError


@pytest.fixture(autouse=True)
def _everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "HELD_VALUES", 3000)
    monkeypatch.setattr(decode_module, "READ_VALUES", 1300)
    monkeypatch.setattr(ffmpeg, "_GATHER", 2)


def opened(path: Path, data: bytes, **options: Any) -> LongRecording:
    path.write_bytes(data)
    found = open_audio(path.open("rb"), **options)
    assert isinstance(found, LongRecording)
    return found


def whole(data: bytes, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Decoded:
    with monkeypatch.context() as patched:
        patched.undo()
        patched.setattr(decode_module, "HELD_VALUES", 1 << 24)
        found = open_audio(io.BytesIO(data), **options)
    assert isinstance(found, Decoded)
    return found


def aac(samples: np.ndarray[Any, Any]) -> bytes:
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("container", ["WAV", "RF64", "AIFF", "FLAC", "OGG", "MP3", "NIST", "mp4", "raw"])
def test_the_same_samples_come_in_blocks(container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = tone(channels=2)
    options: dict[str, Any] = {}
    if container == "mp4":
        data = aac(samples)
    elif container == "raw":
        data = (samples * 32767).astype("<i2").tobytes()
        options = {"raw": RawAudio(sample_rate=RATE, channels=2)}
    else:
        data = encoded(container, samples=samples)
    expected = whole(data, monkeypatch, **options)
    long = opened(tmp_path / "a", data, **options)
    assert (long.sample_rate, long.channels, long.container) == (RATE, 2, expected.container)
    blocks = list(long)
    assert len(blocks) > 3 and all(block.dtype == np.float32 for block in blocks)
    assert np.array_equal(np.concatenate(blocks), expected.samples)
    assert (long.num_samples, long.header_samples) == (expected.num_samples, expected.header_samples)
    again = decode(data, **options)  # is whole whatever the length
    assert np.array_equal(again.samples, expected.samples) and again.header_samples == expected.header_samples


@pytest.mark.parametrize("container", ["WAV", "AIFF", "NIST", "OGG"])
def test_a_long_recording_that_was_cut_is_refused_at_its_end(container: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (80_000, 1)).astype(np.float32)
    data = encoded(container, samples=noise)
    long = opened(tmp_path / "a", data[: len(data) * 8 // 10 + 7], name="calls/7")
    with pytest.raises(AudioError, match="calls/7") as caught:
        list(long)
    assert caught.value.reason == "truncated"


def test_a_long_flac_with_a_damaged_end_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = bytearray(encoded("FLAC", samples=rng.uniform(-0.5, 0.5, (20_000, 1)).astype(np.float32)))
    data[len(data) * 3 // 4 :] = bytes(len(data) - len(data) * 3 // 4)
    long = opened(tmp_path / "a", bytes(data))
    with pytest.raises(AudioError) as caught:
        list(long)
    assert caught.value.reason in ("decode_failed", "truncated")


def test_a_short_recording_comes_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(encoded("FLAC", samples=tone(2900)))
    with (tmp_path / "a").open("rb") as file:
        found = open_audio(file)
    assert isinstance(found, Decoded) and found.num_samples == found.header_samples == 2900


@given(st.binary(max_size=300), st.integers(-5, 320), st.integers(-5, 320))
@settings(max_examples=100)
def test_a_file_can_be_looked_into_like_bytes(data: bytes, first: int, last: int) -> None:
    found = FileBytes(io.BytesIO(data))
    assert len(found) == len(data) and found[first:last] == data[first:last] and found[:4] == data[:4]
    if 0 <= first < len(data):
        assert found[first] == data[first]
