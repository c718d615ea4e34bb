"""The parameters of every network, without the networks: whoever reads a configuration needs no torch.

A file per family; `checks.py` has what several of them refuse alike. To add a model write its spec with its `FACTS` in
its family's file, name it in `ModelSpec`, write its network in a file of its own, and add a line to `network.MODELS`.
"""

from __future__ import annotations

from sorigil.models.specs.attentive import ConformerSpec, TransformerSpec
from sorigil.models.specs.checks import check_at_least_one, check_dropout, check_odd, check_recurrent
from sorigil.models.specs.convolutional import Cnn1dSpec, Cnn2dSpec, MlpSpec
from sorigil.models.specs.facts import Facts, Input, Objective, Pooling
from sorigil.models.specs.image import (
    AlexNetSpec,
    DenseNet121Spec,
    GoogLeNetSpec,
    ResNet18Spec,
    ResNet34Spec,
    ResNet50Spec,
    SqueezeNetSpec,
    Vgg11Spec,
    Vgg16Spec,
)
from sorigil.models.specs.pretrained import AstSpec, Wav2Vec2Spec
from sorigil.models.specs.recurrent import CrnnSpec, DeepSpeech2Spec, GruSpec, LstmSpec, RnnSpec
from sorigil.models.specs.sincnet import SincNetSpec

ModelSpec = (
    MlpSpec
    | Cnn1dSpec
    | Cnn2dSpec
    | RnnSpec
    | LstmSpec
    | GruSpec
    | CrnnSpec
    | DeepSpeech2Spec
    | TransformerSpec
    | ConformerSpec
    | AlexNetSpec
    | Vgg11Spec
    | Vgg16Spec
    | GoogLeNetSpec
    | ResNet18Spec
    | ResNet34Spec
    | ResNet50Spec
    | DenseNet121Spec
    | SqueezeNetSpec
    | SincNetSpec
    | AstSpec
    | Wav2Vec2Spec
)

__all__ = [
    "AlexNetSpec",
    "AstSpec",
    "Cnn1dSpec",
    "Cnn2dSpec",
    "ConformerSpec",
    "CrnnSpec",
    "DeepSpeech2Spec",
    "DenseNet121Spec",
    "Facts",
    "GoogLeNetSpec",
    "GruSpec",
    "Input",
    "LstmSpec",
    "MlpSpec",
    "ModelSpec",
    "Objective",
    "Pooling",
    "ResNet18Spec",
    "ResNet34Spec",
    "ResNet50Spec",
    "RnnSpec",
    "SincNetSpec",
    "SqueezeNetSpec",
    "TransformerSpec",
    "Vgg11Spec",
    "Vgg16Spec",
    "Wav2Vec2Spec",
    "check_at_least_one",
    "check_dropout",
    "check_odd",
    "check_recurrent",
]
