"""The parameters of every network, without the networks: whoever reads a configuration needs no torch.

A file per family; `checks.py` has what several of them refuse alike. To add a model write its spec with its `FACTS` in
its family's file, name it in `ModelSpec`, write its network in a file of its own, and add a line to `network.MODELS`.
"""

from __future__ import annotations

from sorigil.models.specs.attentive import ConformerSpec, TransformerSpec
from sorigil.models.specs.checks import check_dropout, check_odd, check_recurrent
from sorigil.models.specs.convolutional import Cnn2dSpec
from sorigil.models.specs.facts import Facts, Input, Objective
from sorigil.models.specs.pretrained import AstSpec, Wav2Vec2Spec
from sorigil.models.specs.recurrent import CrnnSpec, DeepSpeech2Spec, GruSpec, LstmSpec, RnnSpec
from sorigil.models.specs.sincnet import SincNetSpec

ModelSpec = (
    Cnn2dSpec
    | RnnSpec
    | LstmSpec
    | GruSpec
    | CrnnSpec
    | DeepSpeech2Spec
    | TransformerSpec
    | ConformerSpec
    | SincNetSpec
    | AstSpec
    | Wav2Vec2Spec
)

__all__ = [
    "AstSpec",
    "Cnn2dSpec",
    "ConformerSpec",
    "CrnnSpec",
    "DeepSpeech2Spec",
    "Facts",
    "GruSpec",
    "Input",
    "LstmSpec",
    "ModelSpec",
    "Objective",
    "RnnSpec",
    "SincNetSpec",
    "TransformerSpec",
    "Wav2Vec2Spec",
    "check_dropout",
    "check_odd",
    "check_recurrent",
]
