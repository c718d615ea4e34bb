"""The sound of a room: recorded, or made up of a direct path and a diffuse tail that dies away (Polack 1988).

For augmentation on the fly. No walls are modelled: what a network must bear is the smear and its length, and both are
drawn anew for each utterance. Recorded responses are used as they are, from the direct sound on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
DECAY = 3 * np.log(10)  # an amplitude falls by 60 dB in e^-DECAY
LONGEST = 20.0  # seconds, of a recorded response: cathedrals have less
GAP = 0.002  # seconds between the direct sound and the first reflection: 70 cm of detour


def room_response(t60: float, drr_db: float, sample_rate: int, rng: np.random.Generator) -> Floats:
    """Return an impulse response, float32 (num_samples,), that begins with the direct path, 1.

    The tail is Gaussian noise whose envelope falls by 60 dB in `t60` seconds, and is cut there; its energy is `drr_db`
    below that of the direct path (the direct-to-reverberant ratio).
    """
    gap = round(GAP * sample_rate)
    length = max(round(t60 * sample_rate), gap + 1)
    seconds = np.arange(length - gap, dtype=np.float32) / np.float32(sample_rate)
    tail = rng.standard_normal(length - gap, dtype=np.float32) * np.exp(-np.float32(DECAY / t60) * seconds)
    tail *= np.float32(10 ** (-drr_db / 20) / max(float(np.linalg.norm(tail)), 1e-12))
    response = np.zeros(length, np.float32)
    response[0] = 1
    response[gap:] = tail
    return response


def recorded_response(samples: Floats, sample_rate: int) -> Floats:
    """Return the part of a recorded impulse response that is heard, float32 (num_samples,), its largest value 1.

    From the onset, the first sample within 20 dB of the peak (ISO 3382-1), to where 60 dB less energy is left to come.

    Raises:
        ValueError: it is silent, holds values that are no numbers, or is longer than `LONGEST` seconds: no response.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if not 0 < peak < np.inf:
        raise ValueError("is silent" if peak == 0 else "holds values that are no numbers")
    heard = samples[np.argmax(np.abs(samples) >= peak / 10) :]
    left = np.cumsum(np.square(heard[::-1], dtype=np.float64))[::-1]  # energy from each sample on (Schroeder 1965)
    heard = heard[: np.searchsorted(-left, -left[0] * 1e-6)]
    if len(heard) > LONGEST * sample_rate:
        raise ValueError(f"sounds for {len(heard) / sample_rate:.1f} s; a room response for at most {LONGEST:g} s")
    return np.asarray(heard / np.float32(peak), dtype=np.float32)


def in_room(samples: Floats, response: Floats) -> Floats:
    """Return the samples heard through a room response: as many, at the same level, not delayed."""
    from scipy.signal import fftconvolve

    heard = fftconvolve(samples, response)[: len(samples)]
    level, now = (float(np.sqrt(np.mean(np.square(each)))) if len(each) else 0.0 for each in (samples, heard))
    return np.asarray(heard * np.float32(level / max(now, 1e-12)), dtype=np.float32)
