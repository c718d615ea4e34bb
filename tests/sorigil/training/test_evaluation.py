"""Evaluation of a network whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sorigil.text.tokenizer import SymbolTokens, Tokenizer
from sorigil.training.data import Batches, Road, UtteranceDataset, collate
from sorigil.training.evaluation import DevSet, predict

TOKENIZER = Tokenizer.train(SymbolTokens(), ["ab c"])
TEXTS = ["ab c", "b", "c a"]


@dataclass(frozen=True)
class SpelledRows:
    """Features that are the one-hot path of a text: each token for two frames, a blank between."""

    texts: list[str] = field(default_factory=lambda: list(TEXTS))
    groups: None = None

    @property
    def keys(self) -> list[str]:
        return [f"key{number}" for number in range(len(self.texts))]

    @property
    def seconds(self) -> np.ndarray:
        return np.array([len(text) * 0.03 for text in self.texts])

    def features(self, index: int) -> np.ndarray:
        path = [id_ for token in TOKENIZER.encode(self.texts[index]) for id_ in (token, token, 0)]
        return np.eye(len(TOKENIZER), dtype=np.float32)[path]

    def samples(self, index: int) -> np.ndarray:
        raise AssertionError("cached features must not read audio")


class Echo(nn.Module):
    """Says what its features say; for "classification" what they say on the whole."""

    def __init__(self, objective: str) -> None:
        super().__init__()
        self.objective = objective
        self.seen_training: list[bool] = []

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        self.seen_training.append(self.training)
        scores = features_BTF if self.objective == "ctc" else features_BTF.sum(dim=1)
        return (scores * 20).log_softmax(-1), lengths_B


def batches(targets: list[list[int]]) -> Batches:
    dataset = UtteranceDataset(rows=SpelledRows(), targets=targets, road=Road(cmvn="none"))
    return Batches(dataset=dataset, batch_seconds=0.3)


def test_word_errors_of_the_dev_set_are_those_of_the_greedy_texts() -> None:
    encoded = [TOKENIZER.encode(text) for text in TEXTS]
    right = DevSet(batches=batches(encoded), objective="ctc", tokenizer=TOKENIZER, texts=TEXTS)
    figures = right(Echo("ctc"))  # type: ignore[arg-type]
    assert figures["wer"] == 0 and figures["loss"] < 1e-3
    wrong = DevSet(batches=batches(encoded), objective="ctc", tokenizer=TOKENIZER, texts=["ab b", "b", "c a"])
    assert wrong(Echo("ctc"))["wer"] == pytest.approx(1 / 5)  # type: ignore[arg-type]


def test_accuracy_of_a_classifier() -> None:
    network: Any = Echo("classification")
    space, b = TOKENIZER.encode("a b")[1], TOKENIZER.encode("b")[0]
    # the commonest symbol of rows 0 and 2 is the blank, that of row 1 is b
    outputs = predict(network, batches([[0]] * 3).in_order())
    assert {output.row: int(output.log_probs.argmax()) for output in outputs} == {0: 0, 1: b, 2: 0}
    figures = DevSet(batches=batches([[0], [b], [space]]), objective="classification")(network)
    assert figures["accuracy"] == pytest.approx(2 / 3) and figures["loss"] > 1


def test_predictions_come_without_padding_and_leave_the_mode_as_it_was() -> None:
    network: Any = Echo("ctc").train()
    outputs = {output.key: output for output in predict(network, batches([[1]] * 3).in_order())}
    assert [outputs[f"key{row}"].log_probs.shape for row in range(3)] == [(12, 5), (3, 5), (9, 5)]
    assert network.training and not any(network.seen_training)


def test_an_empty_target_is_a_batch_too() -> None:
    dataset = UtteranceDataset(rows=SpelledRows(), targets=[[], [], []], road=Road(cmvn="none"))
    batch = collate([dataset[(0, row)] for row in range(3)])
    assert batch.target_lengths_B.tolist() == [0, 0, 0] and batch.targets_BL.shape == (3, 1)
    assert torch.equal(batch.targets_BL, torch.zeros(3, 1, dtype=torch.int64))
