"""How a model is trained: parameters only. `loop.train` carries them out; the model's own are in `sorigil.models`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sorigil.audio.augment import WaveAugment
from sorigil.features.mask import FeatureMask
from sorigil.features.warp import FeatureWarp
from sorigil.training.schedule import CosineSpec, ScheduleSpec

Cmvn = Literal["utterance", "mean", "speaker", "global", "none"]
Monitor = Literal["loss", "wer", "accuracy", "map"]
Precision = Literal["auto", "float32", "bf16", "fp16"]
HOW: dict[str, Any] = {"identity": False}  # decides how a model is trained, not which one


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamWSpec:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["adamw"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas is {list(self.betas)}; each must be at least 0 and below 1")
        if not self.eps > 0:
            raise ValueError(f"eps is {self.eps}; it must be above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class SgdSpec:
    """Stochastic gradient descent with momentum. It wants a larger learning rate than AdamW."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["sgd"] = "sgd"
    momentum: float = 0.9
    nesterov: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; it must be at least 0 and below 1")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov is true but momentum is 0; it looks ahead along the momentum")


OptimizerSpec = AdamWSpec | SgdSpec


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
    optimizer: OptimizerSpec = field(default_factory=AdamWSpec)
    schedule: ScheduleSpec = field(default_factory=CosineSpec)
    accumulate: int = 1  # batches whose gradients make one step
    freeze: tuple[str, ...] = ()  # dotted names of parts of the network that keep their weights
    layer_decay: float = 1.0  # of the learning rate, from each layer of an encoder to the one below
    ema: float = 0.0  # decay of a running mean of the weights, which is then what is judged and kept; 0: none
    average_best: int = 1  # so many of the best epochs' weights are averaged at the end
    mixup: float = 0.0  # alpha of the Beta distribution that pairs of items are mixed by; 0: none
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    precision: Precision = "auto"  # of the network's arithmetic; auto: bf16 on a GPU, float32 elsewhere
    compile: bool = field(default=False, metadata=HOW)  # by torch.compile
    checkpoint_minutes: float = field(default=10.0, metadata=HOW)  # between checkpoints within an epoch

    def __post_init__(self) -> None:
        _at_least_one("epochs", self.epochs)
        if self.patience is not None:
            _at_least_one("patience", self.patience)
        _at_least_one("accumulate", self.accumulate)
        _at_least_one("average_best", self.average_best)
        for name in ("batch_seconds", "learning_rate", "gradient_clip", "checkpoint_minutes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("warmup", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0 and below 1")
        for name in ("weight_decay", "seed", "mixup"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay is {self.layer_decay}; it must be above 0 and at most 1")
        for name, weight in self.class_weights.items() if isinstance(self.class_weights, dict) else ():
            if not weight > 0:
                raise ValueError(f"class_weights gives {name!r} the weight {weight}; it must be above 0")
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
