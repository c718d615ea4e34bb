"""Parameters of SincNet, which hears raw audio through band-passes that it learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from sorigil.models.specs.attentive import ConformerSpec, TransformerSpec
from sorigil.models.specs.checks import check_dropout, check_odd
from sorigil.models.specs.facts import Facts
from sorigil.models.specs.recurrent import CrnnSpec, GruSpec, LstmSpec, RnnSpec

FrameModelSpec = (
    RnnSpec | LstmSpec | GruSpec | CrnnSpec | TransformerSpec | ConformerSpec
)  # what may listen to the filters' frames


@dataclass(frozen=True, kw_only=True, slots=True)
class SincNetSpec:
    """The first of `channels` is the number of band-passes; each further one is a convolution. Kernels, strides and
    pools are one for each, the first kernel and stride in samples. `encoder` listens to the frames that come out."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    FACTS: ClassVar[Facts] = Facts(
        paper="Ravanelli & Bengio 2018, Speaker recognition from raw waveform with SincNet, https://arxiv.org/abs/1808.00158",
        input="raw",
    )
    kind: Literal["sincnet"] = "sincnet"
    sample_rate: int = 16_000  # Hz, of the audio: the mel scale, on which the filters begin, is one of Hz
    channels: tuple[int, ...] = (80, 60, 60)
    kernels: tuple[int, ...] = (251, 5, 5)
    strides: tuple[int, ...] = (5, 1, 1)
    pools: tuple[int, ...] = (4, 4, 2)  # with the strides: a frame for each 160 samples
    min_low_hz: float = 50.0  # no band begins lower
    min_band_hz: float = 50.0  # no band is narrower
    encoder: FrameModelSpec = field(default_factory=GruSpec)
    dropout: float = 0.1  # before the head

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels is {list(self.channels)}; it needs one number of at least 1 per convolution")
        for name in ("kernels", "strides", "pools"):
            sizes = getattr(self, name)
            if len(sizes) != len(self.channels) or min(sizes) < 1:
                wanted = f"one number of at least 1 for each of the {len(self.channels)} channels"
                raise ValueError(f"{name} is {list(sizes)}; it needs {wanted}")
        check_odd("kernels", self.kernels)
        check_dropout(self.dropout)
        if self.min_low_hz < 0 or self.min_band_hz <= 0:
            seen = f"min_low_hz is {self.min_low_hz} and min_band_hz {self.min_band_hz}"
            raise ValueError(f"{seen}; the first must be at least 0, the second above 0")
        if self.min_low_hz + self.min_band_hz >= self.sample_rate / 2:
            raise ValueError(
                f"sample_rate is {self.sample_rate}, so audio ends at {self.sample_rate / 2} Hz; min_low_hz "
                f"({self.min_low_hz}) and min_band_hz ({self.min_band_hz}) together must lie below"
            )
