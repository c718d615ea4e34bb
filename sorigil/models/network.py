"""The table that finds a network by its kind, and the head that an objective puts on it.

To add one: write its frozen spec in `specs/` and `your_model.py` with a `torch.nn.Module` encoder that has `stride`,
`output_size`, `output_lengths(lengths_B)` and `forward(features_BTF, lengths_B) -> (encoded_BTH, lengths_B)`; then add a
line to `MODELS` and the spec to `ModelSpec`. An encoder does not know the objective: `build` puts the head on.

An encoder may offer taps, places on the way that learn the objective too while training (GoogLeNet's auxiliary
classifiers, intermediate CTC): `auxiliary_sizes`, `auxiliary_weight` and `encode`, as in `TappedEncoder`. Each tap gets a
head of its own, or all go through the network's. `network(...)` never pays for them; training calls
`network.with_auxiliary(...)`.
"""

from __future__ import annotations

from typing import Any, Protocol, get_args

from torch import Tensor, nn

from sorigil.errors import RequestError
from sorigil.models import specs
from sorigil.models.alexnet import AlexNet
from sorigil.models.ast import Ast
from sorigil.models.cnn1d import Cnn1d
from sorigil.models.cnn2d import Cnn2d
from sorigil.models.conformer import Conformer
from sorigil.models.crnn import Crnn
from sorigil.models.deepspeech2 import DeepSpeech2
from sorigil.models.densenet import DenseNet
from sorigil.models.googlenet import GoogLeNet
from sorigil.models.heads import ClassificationHead, CtcHead, TaggingHead
from sorigil.models.mlp import Mlp
from sorigil.models.resnet import ResNet
from sorigil.models.rnn import RecurrentEncoder
from sorigil.models.sincnet import SincNet
from sorigil.models.specs import ModelSpec
from sorigil.models.squeezenet import SqueezeNet
from sorigil.models.transformer import Transformer
from sorigil.models.vgg import Vgg
from sorigil.models.wav2vec2 import Wav2Vec2
from sorigil.objectives import Objective as Objective

MODELS: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "mlp": (specs.MlpSpec, Mlp),
    "cnn1d": (specs.Cnn1dSpec, Cnn1d),
    "cnn2d": (specs.Cnn2dSpec, Cnn2d),
    "rnn": (specs.RnnSpec, RecurrentEncoder),
    "lstm": (specs.LstmSpec, RecurrentEncoder),
    "gru": (specs.GruSpec, RecurrentEncoder),
    "crnn": (specs.CrnnSpec, Crnn),
    "deepspeech2": (specs.DeepSpeech2Spec, DeepSpeech2),
    "transformer": (specs.TransformerSpec, Transformer),
    "conformer": (specs.ConformerSpec, Conformer),
    "alexnet": (specs.AlexNetSpec, AlexNet),
    "vgg11": (specs.Vgg11Spec, Vgg),
    "vgg16": (specs.Vgg16Spec, Vgg),
    "googlenet": (specs.GoogLeNetSpec, GoogLeNet),
    "resnet18": (specs.ResNet18Spec, ResNet),
    "resnet34": (specs.ResNet34Spec, ResNet),
    "resnet50": (specs.ResNet50Spec, ResNet),
    "densenet121": (specs.DenseNet121Spec, DenseNet),
    "squeezenet": (specs.SqueezeNetSpec, SqueezeNet),
    "sincnet": (specs.SincNetSpec, SincNet),
    "ast": (specs.AstSpec, Ast),
    "wav2vec2": (specs.Wav2Vec2Spec, Wav2Vec2),
}
HEADS: dict[str, type[nn.Module]] = {"ctc": CtcHead, "classification": ClassificationHead, "tagging": TaggingHead}


class Encoder(Protocol):
    """What a class in `MODELS` offers. `stride`: input frames per output frame; `output_size`: H."""

    stride: int
    output_size: int

    def output_lengths(self, lengths_B: Tensor) -> Tensor: ...

    def __call__(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]: ...


class TappedEncoder(Encoder, Protocol):
    """An encoder with taps. `auxiliary_sizes`: H of each; `auxiliary_weight`: of their mean loss, beside the main one;
    `auxiliary_shared` (false where it is not there): they learn through the network's own head."""

    auxiliary_sizes: tuple[int, ...]
    auxiliary_weight: float
    auxiliary_shared: bool

    def encode(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """Return what calling the encoder returns, and (tap_BTH, lengths_B) of each tap."""


Outputs = tuple[Tensor, Tensor]  # log-probabilities and the lengths they are valid for


class Network(nn.Module):
    """An encoder and the head of its objective.

    `network(features_BTF, lengths_B)` returns log-probabilities and the lengths they are valid for: log_probs_BTV with
    the blank at 0 for "ctc", log_probs_BC for "classification", where they are of one choice, and "tagging", where each is
    of a choice of its own.
    """

    def __init__(self, encoder: Any, head: nn.Module, objective: Objective, auxiliary: list[nn.Module]) -> None:
        super().__init__()
        self.encoder: Any = encoder
        self.head = head
        self.auxiliary = nn.ModuleList(auxiliary)  # the heads of taps that have their own
        self.objective = objective

    @property
    def stride(self) -> int:
        """Input frames per output frame."""
        return int(self.encoder.stride)

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        """Return the number of output frames for items of this many input frames."""
        lengths: Tensor = self.encoder.output_lengths(lengths_B)
        return lengths

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        encoded_BTH, lengths_B = self.encoder(features_BTF, lengths_B)
        return self.head(encoded_BTH, lengths_B), lengths_B

    @property
    def auxiliary_weight(self) -> float:
        """The weight of the taps' mean loss; the main one's is 1."""
        return float(self.encoder.auxiliary_weight) if self._tapped else 0.0

    def with_auxiliary(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Outputs, list[Outputs]]:
        """Return what calling the network returns, and the same of each tap of the encoder; for training."""
        if not self._tapped:
            return self(features_BTF, lengths_B), []
        encoded_BTH, lengths_B, taps = self.encoder.encode(features_BTF, lengths_B)
        heads = self.auxiliary or [self.head] * len(taps)
        return (self.head(encoded_BTH, lengths_B), lengths_B), [
            (head(tap_BTH, tap_lengths_B), tap_lengths_B)
            for head, (tap_BTH, tap_lengths_B) in zip(heads, taps, strict=True)
        ]

    @property
    def _tapped(self) -> bool:
        return len(getattr(self.encoder, "auxiliary_sizes", ())) > 0


def build(spec: ModelSpec, objective: Objective, input_dim: int, output_dim: int) -> Network:
    """Build an untrained network for features of `input_dim` values per frame.

    `output_dim` is the number of tokens including the blank for "ctc", of classes for "classification", of tags for
    "tagging". Weights come
    from torch's global generator: seed it before.

    Raises:
        RequestError: the kind of model or the objective is unknown, or a size is below 1.
    """
    if spec.kind not in MODELS:
        raise RequestError(f"there is no model of the kind {spec.kind!r}; there are {', '.join(MODELS)}")
    if objective not in get_args(Objective):
        raise RequestError(f"the objective is {objective!r}; it must be one of {', '.join(get_args(Objective))}")
    if input_dim < 1 or output_dim < 1:
        raise RequestError(f"a model needs at least 1 input and 1 output; it was given {input_dim} and {output_dim}")
    encoder: Any = MODELS[spec.kind][1](spec, input_dim)
    head = _head(spec, objective, encoder.output_size, output_dim)
    own = () if getattr(encoder, "auxiliary_shared", False) else getattr(encoder, "auxiliary_sizes", ())
    taps = [_head(spec, objective, size, output_dim) for size in own]
    return Network(encoder, head, objective, taps)


def _head(spec: ModelSpec, objective: Objective, size: int, output_dim: int) -> nn.Module:
    listener = getattr(spec, "encoder", spec)  # a front end is pooled as what listens to it
    pooling = {} if objective == "ctc" else {"pooling": getattr(listener, "pooling", "mean_max")}
    return HEADS[objective](size, output_dim, spec.dropout, **pooling)
