"""Features of long recordings equal those of the whole, whatever the blocks that the samples come in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.errors import AudioError
from sorigil.features import LogMel, Mfcc, Spectrogram, compute, dim, long
from sorigil.features.long import compute_long
from sorigil.features.stft import Framer, StftSpec, framed
from storage.streams import Spool

SMALL: dict[str, Any] = {"n_fft": 64, "win_length": 50, "hop_length": 20}
SPECS = (
    LogMel(**SMALL, n_mels=8),
    LogMel(**SMALL, n_mels=8, ref="max", top_db=30.0, scale="ln"),
    LogMel(**SMALL, n_mels=8, top_db=None, power=1.0, deltas=2),
    Mfcc(**SMALL, n_mels=10, n_mfcc=5, deltas=1, delta_width=5),
    Spectrogram(**SMALL),
    Spectrogram(**SMALL, scale="db", ref="max", top_db=20.0),
    Spectrogram(n_fft=64, hop_length=100, center=False, win_length=64, power=2),
)


def samples(length: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(length) * np.geomspace(1e-4, 0.3, length)).astype(np.float32)


@given(
    n_fft=st.integers(2, 40),
    hop=st.integers(1, 60),
    center=st.booleans(),
    pad_mode=st.sampled_from(["constant", "edge", "reflect", "symmetric"]),
    length=st.integers(1, 300),
    data=st.data(),
)
@settings(max_examples=300)
def test_frames_are_those_of_the_whole(
    n_fft: int, hop: int, center: bool, pad_mode: Any, length: int, data: Any
) -> None:
    spec = StftSpec(n_fft=n_fft, win_length=None, hop_length=hop, center=center, pad_mode=pad_mode)
    whole = samples(length)
    cuts = data.draw(st.lists(st.integers(0, length), max_size=6).map(sorted))
    framer = Framer(spec)
    found = np.concatenate([*(framer.add(block) for block in np.split(whole, cuts)), framer.finish()])
    expected = framed(spec, whole) if center or length >= n_fft else np.zeros((0, n_fft), np.float32)
    assert np.array_equal(found, expected)


@given(st.integers(70, 3000), st.lists(st.integers(0, 3000), max_size=5), st.integers(11, 60))
@settings(max_examples=40)
def test_every_feature_is_that_of_the_whole(length: int, cuts: list[int], frames: int) -> None:
    whole = samples(length, seed=length)
    blocks = np.split(whole, sorted(min(cut, length) for cut in cuts))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(long, "FRAMES", frames)
        found = {
            index: list(rows) for index, rows in compute_long(SPECS, blocks, 16000, lambda width: Spool(width=width))
        }
    assert sorted(found) == list(range(len(SPECS)))
    for index, (spec, expected) in enumerate(zip(SPECS, compute(SPECS, whole, 16000), strict=True)):
        assert all(rows.dtype == np.float32 and rows.shape[1] == dim(spec) for rows in found[index])
        assert all(len(rows) == frames for rows in found[index][:-1])
        np.testing.assert_allclose(np.concatenate(found[index]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("length", "reason"), [(0, "no_samples"), (63, "too_short")])
def test_what_is_too_short_is_refused_as_compute_refuses_it(length: int, reason: str) -> None:
    for run in (
        lambda: compute(SPECS[-1:], samples(length), 16000),
        lambda: list(compute_long(SPECS[-1:], [samples(length)], 16000, lambda width: Spool(width=width))),
    ):
        with pytest.raises(AudioError) as caught:
            run()
        assert caught.value.reason == reason


def test_what_was_set_aside_is_closed_also_when_nobody_reads_on() -> None:
    spools: list[Spool] = []

    def set_aside(width: int) -> Spool:
        spools.append(Spool(width=width))
        return spools[-1]

    features = compute_long(SPECS, [samples(2000)], 16000, set_aside)
    next(features)
    features.close()  # type: ignore[attr-defined]
    assert spools and all(spool._file.closed for spool in spools)
