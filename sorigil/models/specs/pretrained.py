"""Parameters of encoders that others trained and published: a configuration of `transformers`, and where weights are.

Before a training `storage.pretrained.resolve` fills in what the folder says: the whole `config` and the hash of the
weights. They, and not the folder's name, decide what is computed; a model bundle needs the folder no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sorigil.models.specs.checks import check_dropout
from sorigil.models.specs.facts import Facts

FILLED_IN: dict[str, Any] = {"hidden": True}  # no key of pipelines.yaml


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainedSpec:
    """What the kinds have in common."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    MODEL_TYPES: ClassVar[tuple[str, ...]] = ()  # of `config`; the first where it says none
    kind: str

    pretrained: str = field(default="", metadata={"identity": False})  # a folder, or OWNER/NAME on the hub; "": none
    config: dict[str, Any] = field(
        default_factory=dict
    )  # of transformers; beside `pretrained`: what is to be different
    sample_rate: int = 16_000  # Hz, of the audio that it was trained on
    dropout: float = 0.1  # before the head
    weights: str = field(default="", metadata=FILLED_IN)  # SHA-256 of the pretrained weights

    def __post_init__(self) -> None:
        check_dropout(self.dropout)
        if self.model_type not in self.MODEL_TYPES:
            raise ValueError(
                f"config.model_type is {self.model_type!r}; it must be one of {', '.join(self.MODEL_TYPES)}"
            )

    @property
    def model_type(self) -> str:
        """The family, by the name that transformers has for it."""
        return str(self.config.get("model_type") or self.MODEL_TYPES[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Wav2Vec2Spec(PretrainedSpec):
    """A wav2vec 2.0 encoder, or one of its family: `config.model_type` says which."""

    FACTS: ClassVar[Facts] = Facts(
        paper="Baevski et al. 2020, wav2vec 2.0: self-supervised learning of speech representations, https://arxiv.org/abs/2006.11477",
        input="raw",
    )
    MODEL_TYPES: ClassVar[tuple[str, ...]] = ("wav2vec2", "hubert", "wavlm", "parakeet_encoder", "parakeet_ctc")
    kind: Literal["wav2vec2"] = "wav2vec2"


@dataclass(frozen=True, kw_only=True, slots=True)
class AstSpec(PretrainedSpec):
    """An Audio Spectrogram Transformer on log-mel features, of any number of bands and any length."""

    FACTS: ClassVar[Facts] = Facts(
        paper="Gong, Chung & Glass 2021, AST: Audio Spectrogram Transformer, https://arxiv.org/abs/2104.01778",
        objectives=("classification", "tagging"),
    )
    MODEL_TYPES: ClassVar[tuple[str, ...]] = ("audio-spectrogram-transformer",)
    kind: Literal["ast"] = "ast"
