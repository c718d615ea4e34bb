"""Voice activity: the official model's probabilities, and what stretches are made of probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.spec import SpeechSegment
from sorigil.audio.speech import SpeechFinder, speech_frames
from sorigil.audio.vad import SpeechProbability

# Made once from `voice` below by `torch.jit.load("silero_vad.jit")` of the wheel silero-vad 6.2.3, frame by frame from a
# reset state, the last frame filled up with zeros.
GOLDEN = json.loads((Path(__file__).parent / "silero_golden.json").read_text())


def voice(rate: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """6.3 s of vowel-like syllables in three groups, with pauses and a little noise."""
    time = np.arange(int(6.3 * rate)) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time)
    sound = np.zeros(len(time))
    for harmonic in range(1, 25):
        wave = np.sin(2 * np.pi * np.cumsum(harmonic * pitch) / rate)
        for centre, width in ((600, 200), (1200, 250), (2500, 350)):
            sound += wave * np.exp(-(((harmonic * pitch - centre) / width) ** 2))
    gate = (np.sin(2 * np.pi * 4 * time) > -0.3) * ((time % 2.1) < 1.4)
    noise = np.random.default_rng(0).standard_normal(len(time)) * 0.003
    return (sound * gate * 0.05 + noise).astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 8000])
def test_the_probabilities_are_the_official_models(rate: int) -> None:
    network = SpeechProbability(rate)
    found = np.concatenate([network.add(voice(rate)), network.finish()])
    golden = np.array(GOLDEN[str(rate)])
    assert golden.max() > 0.9 and golden.min() < 0.01
    np.testing.assert_allclose(found, golden, atol=1e-5)


@pytest.mark.parametrize("cuts", [[1, 2, 700], [512, 5000], [30_001, 30_002]])
def test_blocks_of_any_size_give_the_same(cuts: list[int]) -> None:
    network = SpeechProbability(8000)
    found = [network.add(block) for block in np.split(voice(8000), cuts)] + [network.finish()]
    np.testing.assert_allclose(np.concatenate(found), GOLDEN["8000"], atol=1e-5)


def test_other_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="11025"):
        SpeechProbability(11025)


_probabilities = st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(1, 60)), min_size=0, max_size=25)


@given(
    _probabilities,
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(1, 10),
    st.floats(0, 1),
    st.sampled_from([0.3, 0.5, 0.9]),
)
@settings(max_examples=200)
def test_stretches_keep_what_is_promised(
    runs: list[tuple[float, int]], silence: float, shortest: float, longest: float, padding: float, threshold: float
) -> None:
    probability = np.repeat([value for value, _ in runs], [length for _, length in runs]).astype(np.float32)
    spec = SpeechSegment(
        threshold=threshold,
        min_silence_seconds=silence,
        min_seconds=shortest,
        max_seconds=longest,
        padding_seconds=padding,
    )
    padded = speech_frames(probability, spec)
    assert padded.shape[1] == 2 and (padded[:, 0] < padded[:, 1]).all() and (padded[1:, 0] >= padded[:-1, 1]).all()
    assert not len(padded) or (padded[0, 0] >= 0 and padded[-1, 1] <= len(probability))
    bare = speech_frames(probability, SpeechSegment(**{**_fields(spec), "padding_seconds": 0.0}))
    assert len(bare) == len(padded) and (bare[:, 1] - bare[:, 0] <= int(longest / 0.032)).all()
    uncut = speech_frames(probability, SpeechSegment(**{**_fields(spec), "padding_seconds": 0.0, "max_seconds": 1e6}))
    assert (uncut[:, 1] - uncut[:, 0] >= shortest / 0.032).all()
    assert (uncut[1:, 0] - uncut[:-1, 1] >= silence / 0.032).all()
    inside = np.zeros(len(probability), bool)
    for start, end in bare.astype(int):
        inside[start:end] = True
    if shortest == 0:
        assert inside[probability >= np.float32(threshold)].all()


def _fields(spec: SpeechSegment) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in ("threshold", "min_silence_seconds", "min_seconds", "max_seconds")}


def test_a_stretch_that_is_too_long_is_cut_where_speech_is_least_likely() -> None:
    probability = np.full(100, 0.9, np.float32)
    probability[[40, 70]] = 0.6  # the second is beyond the largest length
    found = speech_frames(probability, SpeechSegment(max_seconds=52 * 0.032, padding_seconds=0.0))
    assert found.tolist()[0] == [0, 40] and found.tolist()[1][0] == 40


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_stretches_of_a_recording_are_found_at_any_rate(rate: int) -> None:
    sound = voice(rate) if rate != 16000 else voice(rate)[: 6 * rate]
    finder = SpeechFinder(SpeechSegment(threshold=0.3, min_silence_seconds=0.4), rate)
    for block in np.array_split(sound, 7):
        finder.add(block)
    spans = finder.spans(len(sound))
    assert spans and all(0 <= start < end <= len(sound) for start, end in spans)
    speech = np.zeros(len(sound), bool)
    for start, end in spans:
        speech[start:end] = True
    pause = (np.arange(len(sound)) / rate % 2.1) > 1.75
    assert speech[pause].mean() < 0.2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"threshold": 0.0}, "threshold is 0.0"),
        ({"min_seconds": -1.0}, "min_seconds is -1.0"),
        ({"max_seconds": 0.5}, "max_seconds is 0.5"),
        ({"max_seconds": 2.0, "min_seconds": 3.0}, "must be at least 3"),
    ],
)
def test_ranges(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SpeechSegment(**wrong)
