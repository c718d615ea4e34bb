"""A canary: fixed input, fixed values. It notices when a library changes what we compute and would store.

If it fails after an upgrade, look at what changed before touching the numbers: features of a new kind under an old
fingerprint would mix silently with the stored ones (raise the spec's FORMAT if the change is meant to stay).
"""

from __future__ import annotations

import numpy as np

from sorigil.audio.decode import Decoded
from sorigil.audio.prepare import prepare, to_float
from sorigil.audio.spec import AudioSpec
from sorigil.features import LogMel, Mfcc, Spectrogram, compute

PCM = [-16387, 0, -16385]
LOG_MEL = [17.739, 22.4578, 15.8559]  # on the chirp, where rounding to int16 does not matter
MFCC = [-450.6028, 1.0479, -79.8284, -2.7134]
SPECTROGRAM = [45.7787, 91.7872, 46.0257]


def test_from_recording_to_features() -> None:
    time = np.arange(44100) / 44100
    chirp = 0.4 * np.sin(2 * np.pi * (200 * time + 1500 * time**2)) * np.hanning(44100)
    stereo = np.stack([chirp, 0.5 * chirp], axis=1).astype(np.float32)
    prepared = prepare(Decoded(samples=stereo, sample_rate=44100, container="WAV/FLOAT"), AudioSpec())
    assert len(prepared.pcm) == 16000
    log_mel, mfcc, spectrogram = compute([LogMel(), Mfcc(), Spectrogram()], to_float(prepared.pcm), 16000)
    np.testing.assert_allclose(prepared.pcm[[4000, 8000, 12000]], PCM, atol=1)
    np.testing.assert_allclose(log_mel[[25, 50, 75], [25, 40, 49]], LOG_MEL, rtol=1e-4)
    np.testing.assert_allclose(mfcc[50, :4], MFCC, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(spectrogram[[25, 50, 75], [30, 54, 78]], SPECTROGRAM, rtol=1e-3)
