"""The identity of sound itself: a hash of decoded samples, the same for the same recording in any lossless container."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class PcmHasher:
    """Takes the samples of one channel, or of a mix, block by block. XXH3, 128 bits: ten times faster than decoding."""

    def __init__(self, sample_rate: int) -> None:
        import xxhash

        self._state = xxhash.xxh3_128(sample_rate.to_bytes(4, "little"))

    def add(self, mono: npt.NDArray[np.float32]) -> None:
        """The next samples (num_samples,)."""
        self._state.update(np.ascontiguousarray(mono, dtype="<f4").data)

    def hexdigest(self) -> str:
        """32 hexadecimal digits."""
        return self._state.hexdigest()


def pcm_hash(mono: npt.NDArray[np.float32], sample_rate: int) -> str:
    """The same of samples that are at hand as a whole."""
    hasher = PcmHasher(sample_rate)
    hasher.add(mono)
    return hasher.hexdigest()
