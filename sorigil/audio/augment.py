"""Changes to a waveform that keep what is said: speed, pitch, room, colour of the channel, noise, silence around, gain.

For the on-the-fly road: training rows only, after the split. Every draw comes from the generator given, and `rng_for`
makes it from (seed, epoch, key), so an utterance is changed in the same way however many workers there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sorigil.audio.room import in_room, room_response
from sorigil.fingerprint import digest

FILTER_TAPS = 11  # about 0.7 ms at 16 kHz: colours the spectrum as another microphone would, adds no echo
NOISE_SLOPES = (0.0, 2.0)  # power falls as 1/f^slope: white (0), pink (1), brown (2)
MIN_SPEED, MAX_SPEED = 0.25, 4.0
PITCH_WINDOW = 0.05  # seconds, about: of the phase vocoder

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveAugment:
    """How strongly and how often each change is made; a probability of 0 turns one off."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    FORMAT: ClassVar[int] = 1

    speed: tuple[float, float] = (0.78, 1.28)  # played this much faster: shifts pitch and tempo together
    speed_p: float = 1.0
    filter: float = 0.3  # standard deviation of the random taps beside the centre one; 0 = off
    filter_p: float = 0.7
    tilt: float = (
        0.0  # largest second tap of 1 + c/z: darker or brighter by up to 20·log10((1 + c)/(1 - c)) dB; 0 = off
    )
    gain_db: tuple[float, float] = (-6.0, 6.0)
    gain_p: float = 0.5
    silence: tuple[float, float] = (0.0, 0.2)  # seconds put before and, drawn again, after
    silence_p: float = 0.7
    noise_db: tuple[float, float] = (3.0, 35.0)  # signal to noise ratio; the silence around gets the noise too
    noise_p: float = 0.8
    crop: tuple[float, float] = (0.0, 0.12)  # seconds cut off the beginning and, drawn again, off the end
    crop_p: float = 0.0  # for recordings that others cut too close: words must be known without their first sound

    pitch: tuple[float, float] = (-2.0, 2.0)  # semitones, at the same tempo
    pitch_p: float = 0.0  # costs several times what all others cost together
    room_t60: tuple[float, float] = (0.1, 0.6)  # seconds in which the room's echo falls by 60 dB
    room_drr_db: tuple[float, float] = (0.0, 15.0)  # direct to reverberant energy: how near the speaker is
    room_p: float = 0.0
    rooms: str = field(default="", metadata={"identity": False})  # where recorded responses are; "": made-up ones
    rooms_hash: str = field(default="", metadata={"hidden": True})  # of what they hold; storage.rooms fills it in

    def __post_init__(self) -> None:
        for name in ("speed_p", "filter_p", "gain_p", "silence_p", "noise_p", "crop_p", "pitch_p", "room_p"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a probability lies between 0 and 1")
        for name in ("speed", "gain_db", "silence", "noise_db", "crop", "pitch", "room_t60", "room_drr_db"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name} is {low} to {high}; the first must not be above the second")
        if not MIN_SPEED <= self.speed[0] <= self.speed[1] <= MAX_SPEED:
            raise ValueError(f"speed is {self.speed}; it must lie between {MIN_SPEED} and {MAX_SPEED}")
        if not -24 <= self.pitch[0] <= self.pitch[1] <= 24:
            raise ValueError(f"pitch is {self.pitch}; it must lie between -24 and 24 semitones")
        if not 0 < self.room_t60[0] <= self.room_t60[1] <= 10:
            raise ValueError(f"room_t60 is {self.room_t60}; it must be above 0 and at most 10 seconds")
        if self.rooms and self.room_p == 0:
            raise ValueError(f"rooms is {self.rooms} but room_p is 0; say how often they are heard")
        if not 0 <= self.tilt < 1:
            raise ValueError(f"tilt is {self.tilt}; it must be at least 0 and below 1")
        if self.silence[0] < 0 or self.crop[0] < 0 or self.filter < 0:
            seen = f"silence is {self.silence}, crop {self.crop} and filter {self.filter}"
            raise ValueError(f"{seen}; they must be 0 or above")


def rng_for(seed: int, epoch: int, key: str, replica: int = 0) -> np.random.Generator:
    """The generator of one utterance in one epoch; the same on every machine and in any order."""
    return np.random.Generator(np.random.PCG64(int(digest("augment", seed, epoch, key, replica), 16)))


def augment(
    samples: Floats, sample_rate: int, spec: WaveAugment, rng: np.random.Generator, rooms: Sequence[Floats] = ()
) -> Floats:
    """Change one utterance, float32 (num_samples,) → float32 of another length; never beyond full scale.

    `rooms` are the responses at `spec.rooms` (`room.recorded_response`); ValueError where they are named but not given.
    """
    if spec.rooms and not rooms:
        raise ValueError(f"the recorded rooms of {spec.rooms} are to be heard, but none are given")
    chances = rng.random(5)  # drawn first, so that switching one change off leaves the others' choices alone
    changed = samples
    if spec.crop_p > 0 and rng.random() < spec.crop_p:
        changed = _crop(changed, spec.crop, sample_rate, rng)
    if chances[0] < spec.speed_p:
        changed = respeed(changed, rng.uniform(*spec.speed))
    if spec.pitch_p > 0 or spec.room_p > 0:  # with generators of their own: the others' draws stay as they are
        pitch_rng, room_rng = rng.spawn(2)
        if pitch_rng.random() < spec.pitch_p:
            changed = _shift_pitch(changed, pitch_rng.uniform(*spec.pitch), sample_rate)
        if room_rng.random() < spec.room_p:
            changed = in_room(changed, _room(spec, sample_rate, room_rng, rooms))
    if chances[1] < spec.filter_p and spec.filter > 0:
        changed = _filter(changed, spec.filter, rng)
    if spec.tilt > 0:
        changed = _tilt(changed, rng.uniform(-spec.tilt, spec.tilt))
    if chances[2] < spec.gain_p:
        changed = changed * np.float32(10 ** (rng.uniform(*spec.gain_db) / 20))
    level = _rms(changed)  # of the speech alone: silence around must not make the noise quieter
    if chances[3] < spec.silence_p:
        changed = np.pad(changed, [int(rng.uniform(*spec.silence) * sample_rate) for _ in range(2)])
    if chances[4] < spec.noise_p:
        snr_db = rng.uniform(*spec.noise_db)
        changed = changed + _noise(len(changed), level * 10 ** (-snr_db / 20), rng)
    peak = float(np.abs(changed).max(initial=0.0))
    return np.asarray(changed / peak if peak > 1 else changed, dtype=np.float32)


def _room(spec: WaveAugment, sample_rate: int, rng: np.random.Generator, rooms: Sequence[Floats]) -> Floats:
    if spec.rooms:
        return rooms[int(rng.integers(len(rooms)))]
    t60, drr_db = rng.uniform(*spec.room_t60), rng.uniform(*spec.room_drr_db)
    return room_response(t60, drr_db, sample_rate, rng)


def _crop(samples: Floats, seconds: tuple[float, float], sample_rate: int, rng: np.random.Generator) -> Floats:
    """Cut both ends, but never more than half of the utterance."""
    most = len(samples) // 4
    start, end = (min(int(rng.uniform(*seconds) * sample_rate), most) for _ in range(2))
    return samples[start : len(samples) - end]


def respeed(samples: Floats, speed: float) -> Floats:
    """Played `speed` times as fast: pitch and tempo together. float32 (num_samples,) -> (num_samples / speed,)."""
    import soxr

    changed: Floats = soxr.resample(samples, speed, 1.0, quality="LQ")
    return changed if len(changed) else samples


def _shift_pitch(samples: Floats, semitones: float, sample_rate: int) -> Floats:
    """The same tempo and length at another pitch, the formants moved with it; by librosa's phase vocoder."""
    from librosa.effects import pitch_shift

    window = 1 << round(np.log2(PITCH_WINDOW * sample_rate))
    if len(samples) < window:
        return samples
    return np.asarray(pitch_shift(samples, sr=sample_rate, n_steps=semitones, n_fft=window), dtype=np.float32)


def _filter(samples: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """A random short filter around an impulse, at an unchanged level and length."""
    taps = rng.standard_normal(FILTER_TAPS, dtype=np.float32) * np.float32(strength)
    taps[FILTER_TAPS // 2] += 1
    half = FILTER_TAPS // 2
    changed = np.convolve(samples, taps)[half : half + len(samples)]
    return np.asarray(changed * np.float32(_rms(samples) / max(_rms(changed), 1e-12)), dtype=np.float32)


def _tilt(samples: Floats, tap: float) -> Floats:
    """The first-order filter 1 + tap/z, at an unchanged level: microphones and mouths differ in spectral slope."""
    changed = samples.copy()
    changed[1:] += np.float32(tap) * samples[:-1]
    return np.asarray(changed * np.float32(_rms(samples) / max(_rms(changed), 1e-12)), dtype=np.float32)


def _noise(length: int, level: float, rng: np.random.Generator) -> Floats:
    """Gaussian noise of a random spectral slope and the given RMS, made in the frequency domain."""
    from scipy import fft

    size = fft.next_fast_len(max(2, length), real=True)
    bins = size // 2 + 1
    spectrum = rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64)
    slope = rng.uniform(*NOISE_SLOPES)
    spectrum *= np.arange(1, bins + 1, dtype=np.float32) ** np.float32(-slope / 2)
    noise = fft.irfft(spectrum, size)[:length]
    return np.asarray(noise * np.float32(level / max(_rms(noise), 1e-12)), dtype=np.float32)


def _rms(samples: Floats) -> float:
    return float(np.sqrt(np.dot(samples, samples) / max(1, len(samples))))
