"""How a model is trained: parameters only. `loop.train` carries them out; the model's own are in `sorigil.models`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from sorigil.audio.augment import WaveAugment
from sorigil.features.mask import FeatureMask
from sorigil.features.warp import FeatureWarp

Cmvn = Literal["utterance", "mean", "speaker", "global", "none"]
Monitor = Literal["loss", "wer", "accuracy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSpec:
    """One training. `wave_augment` needs the audio: cached features have left their waveform behind."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    epochs: int = 20
    batch_seconds: float = 60.0  # of padded audio in one batch
    learning_rate: float = 1e-3  # at its peak
    weight_decay: float = 1e-2
    warmup: float = 0.1  # share of all steps, linear; then half a cosine to zero
    gradient_clip: float = 5.0  # largest L2 norm of all gradients together
    patience: int | None = None  # stop after so many epochs without a better one
    seed: int = 0
    # of each feature: its mean and variance over the utterance; its mean over the utterance and one variance for all
    # features together (short clips keep what tells their vowels apart); both over all of the speaker's utterances; or
    # both by the whole training set
    cmvn: Cmvn = "utterance"
    # cached shards; features computed on the fly from the prepared audio; or its samples themselves
    input: Literal["features", "audio", "raw"] = "features"
    wave_augment: WaveAugment | None = None
    warp: FeatureWarp | None = None
    mask: FeatureMask | None = None
    label_smoothing: float = 0.0
    monitor: Monitor = "loss"  # of the dev set: the best epoch is the one with the best of it

    def __post_init__(self) -> None:
        _at_least_one("epochs", self.epochs)
        if self.patience is not None:
            _at_least_one("patience", self.patience)
        for name in ("batch_seconds", "learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("warmup", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0 and below 1")
        for name in ("weight_decay", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if self.wave_augment is not None and self.input == "features":
            raise ValueError(
                "wave_augment is set but input is 'features'; changing waveforms needs input 'audio' or 'raw'"
            )
        for name in ("warp", "mask"):
            if getattr(self, name) is not None and self.input == "raw":
                raise ValueError(
                    f"{name} is set but input is 'raw'; it changes features, raw audio is changed by wave_augment"
                )


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")
