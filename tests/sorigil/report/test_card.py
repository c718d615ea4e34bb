"""Model cards: weaknesses by slice against counting by hand, and nothing a card must say is missing."""

from __future__ import annotations

import numpy as np
import pytest

from sorigil.metrics.slice_columns import categories
from sorigil.report.card import Rows, card, weak_slices

ERRORS = np.asarray([1] * 9 + [0] * 3 + [1] + [0] * 27, np.float64)


def rows(speakers: list[str | None], groups: list[str] | None = None) -> Rows:
    column = categories("speaker", speakers)
    return Rows(split="test", errors=ERRORS, units=np.ones(40), columns=(column,), groups=groups)


def test_a_weakness_is_a_slice_that_is_shown_to_be_worse() -> None:
    (found,) = weak_slices(rows(["kim"] * 12 + ["lee"] * 14 + ["jo"] * 14))
    assert (found.column, found.value, found.utterances) == ("speaker", "kim", 12)
    assert found.rate == pytest.approx(9 / 12) and found.rest == pytest.approx(1 / 28)
    assert weak_slices(rows(["kim"] * 9 + ["jo"] * 31)) == []  # nine rows say nothing
    assert weak_slices(rows(["kim"] * 40)) == []  # a slice that is all rows is none
    assert weak_slices(rows([None] * 40)) == []
    assert weak_slices(rows(["kim", "lee"] * 20)) == []  # five errors against five


def test_the_card_says_it_all() -> None:
    model = {
        "name": "which", "key": "abc", "objective": "classification", "model": {"kind": "cnn2d"}, "audio": {},
        "feature": {"kind": "log_mel"}, "normalizer": "basic",
        "facts": {
            "when": "2026-01-02", "dataset": "tones", "version": "v3", "train": {"epochs": 7}, "seconds": 90.0,
            "mixed": [{"dataset": "others", "version": "v1", "weight": 0.5}], "rows": {"train": 10, "test": 20},
        },
    }  # fmt: skip
    score = {"metric": "accuracy", "value": 0.75, "interval": [0.55, 0.95], "interval_by_speaker": [0.4, 0.99], "n": 20}
    scores = [{"split": "test", "scores": [score], "rejections": [{"detail": "the class odd is in test only"}]}]
    text = card(model, scores, [rows(["a|b"] * 12 + ["jo"] * 28)], {"tones": "CC BY 4.0"})
    assert "| tones | v3 | 1 | CC BY 4.0 |" in text and "| others | v1 | 0.5 | not said" in text
    assert "| test | accuracy | 75.00 % | 55.00 – 95.00 % | 40.00 – 99.00 % | 20 |" in text
    assert "| test | speaker | a\\|b | 12 | 75.00 % |" in text and "| 3.57 % |" in text
    assert "- the class odd is in test only" in text and '"epochs": 7' in text
    assert "It was not scored." in card(model, [], [], {})
