"""From the synthesiser's dry samples to what a microphone might have caught: rate, silence, noise, level, channels.

Everything is float64 and every random number comes from the generator given, so that rounding to 16 bits hides the last
bits in which one machine's arithmetic may differ from another's. This is for making the demo corpus only: the
augmentation of training data is elsewhere.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from sorigil.demo.corpus import Acoustics

Samples = NDArray[np.float64]


def record(dry: NDArray[np.int16], dry_rate: int, acoustics: Acoustics, rng: np.random.Generator) -> Samples:
    """Place dry speech [N] at `dry_rate` into silence, noise and level: samples [M, channels] below 1 in magnitude."""
    rate = acoustics.sample_rate
    speech = resample(dry, dry_rate, rate)
    padded = np.concatenate([np.zeros(round(acoustics.lead * rate)), speech, np.zeros(round(acoustics.tail * rate))])
    return finish(padded, rms(speech), acoustics, rng)


def finish(samples: Samples, speech_rms: float, acoustics: Acoustics, rng: np.random.Generator) -> Samples:
    """Add noise to samples [N] relative to the speech's level, set the peak, spread over channels: [N, channels]."""
    if acoustics.snr_db is not None:
        noise = white(len(samples), rng) if acoustics.noise == "white" else pink(len(samples), rng)
        samples = samples + noise * (speech_rms / rms(noise) * 10 ** (-acoustics.snr_db / 20))
    scaled = samples * (10 ** (acoustics.peak_db / 20) / np.abs(samples).max())
    gains = [1.0] if acoustics.channels == 1 else [1.0, float(rng.uniform(0.5, 1))]
    return np.outer(scaled, gains)


def resample(dry: NDArray[np.int16], dry_rate: int, rate: int) -> Samples:
    """Bring 16-bit samples [N] to float64 [M] at `rate`, full scale 1."""
    samples: Samples = soxr.resample(dry.astype(np.float64) / 32768, dry_rate, rate, quality="VHQ")
    return samples


def rms(samples: Samples) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(samples))))


def white(length: int, rng: np.random.Generator) -> Samples:
    """Noise with the same power in every hertz: [length]."""
    return rng.standard_normal(length)


def pink(length: int, rng: np.random.Generator) -> Samples:
    """Noise with the same power in every octave (power ~ 1/f, nothing at 0 Hz): [length]."""
    size = (
        1 << max(1, length - 1).bit_length()
    )  # a power of two: the transform of a prime length takes ten times as long
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return np.fft.irfft(spectrum, size)[:length]
