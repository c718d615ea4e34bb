"""What a network hears of an utterance: one of the features, or the samples of the prepared audio themselves.

`Waveform` stands for raw audio wherever a feature spec is expected after the configuration (training, bundles,
transcription), so that the roads differ here only. It is never stored: the prepared audio is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sorigil.errors import AudioError
from sorigil.features import FeatureSpec, compute, dim, num_frames
from sorigil.features.cmvn import utterance_cmvn

Floats = npt.NDArray[np.float32]
VARIANCE_FLOOR = 1e-7  # as in the feature extractor of wav2vec 2.0: silence stays near silence


@dataclass(frozen=True, kw_only=True, slots=True)
class Waveform:
    """Raw audio: each sample is a frame of one column."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["waveform"] = "waveform"


InputSpec = FeatureSpec | Waveform


def compute_input(spec: InputSpec, samples: Floats, sample_rate: int) -> Floats:
    """Samples of one utterance, float32 (num_samples,), as frames: float32 (T, F).

    Raises AudioError where there is not one frame in them.
    """
    if not isinstance(spec, Waveform):
        return compute([spec], samples, sample_rate)[0]
    if not len(samples):
        raise AudioError("no_samples", "there are no samples to listen to")
    return np.ascontiguousarray(samples, dtype=np.float32)[:, None]


def input_dim(spec: InputSpec) -> int:
    """Columns of a frame."""
    return 1 if isinstance(spec, Waveform) else dim(spec)


def input_frames(spec: InputSpec, num_samples: int) -> int:
    """Frames of an utterance of `num_samples`."""
    return num_samples if isinstance(spec, Waveform) else num_frames(spec, num_samples)


def hop_length(spec: InputSpec) -> int:
    """Samples from one frame to the next."""
    return 1 if isinstance(spec, Waveform) else spec.hop_length


def normalize_utterance(spec: InputSpec | None, frames_TF: Floats) -> Floats:
    """Each column of an utterance to mean 0 and standard deviation 1; raw audio exactly as wav2vec 2.0 expects it:
    (x - mean) / sqrt(variance + 1e-7)."""
    if not isinstance(spec, Waveform):
        return utterance_cmvn(frames_TF)
    samples = frames_TF.astype(np.float64)
    normal = (samples - samples.mean()) / np.sqrt(samples.var() + VARIANCE_FLOOR)
    return np.asarray(normal, dtype=np.float32)
