"""Model cards: weaknesses by slice against counting by hand, and nothing a card must say is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sorigil.report.card import Rows, card, lengths, weak_slices


def rows(**fields: Any) -> Rows:
    errors = np.asarray([1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], np.float64)
    return Rows(split="test", errors=errors, units=np.ones(20), fields=fields)


def test_a_weakness_is_a_slice_with_clearly_more_errors() -> None:
    speakers = ["kim"] * 5 + ["lee"] * 5 + ["jo"] * 10
    (found,) = weak_slices(rows(speaker=speakers))
    assert (found.field, found.value, found.rows) == ("speaker", "kim", 5)
    assert found.rate == pytest.approx(4 / 5)  # all: 5 of 20
    assert weak_slices(rows(speaker=["kim"] * 4 + ["jo"] * 16)) == []  # four rows say nothing
    assert weak_slices(rows(speaker=["kim"] * 20)) == []  # a slice that is all rows is none
    assert weak_slices(rows(lang=[None] * 20)) == []


def test_rows_are_cut_into_thirds_by_length() -> None:
    found = lengths(np.asarray([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert found == ["up to 2.7 s"] * 2 + ["2.7 to 4.3 s"] * 2 + ["above 4.3 s"] * 2
    assert lengths(np.asarray([])) == []


def test_the_card_says_it_all() -> None:
    model = {
        "name": "which", "key": "abc", "objective": "classification", "model": {"kind": "cnn2d"}, "audio": {},
        "feature": {"kind": "log_mel"}, "normalizer": "basic",
        "facts": {
            "when": "2026-01-02", "dataset": "tones", "version": "v3", "train": {"epochs": 7}, "seconds": 90.0,
            "mixed": [{"dataset": "others", "version": "v1", "weight": 0.5}], "rows": {"train": 10, "test": 20},
        },
    }  # fmt: skip
    score = {"metric": "accuracy", "value": 0.75, "interval": [0.55, 0.95], "n": 20}
    scores = [{"split": "test", "scores": [score], "rejections": [{"detail": "the class odd is in test only"}]}]
    text = card(model, scores, [rows(speaker=["a|b"] * 5 + ["jo"] * 15)], {"tones": "CC BY 4.0"})
    assert "| tones | v3 | 1 | CC BY 4.0 |" in text and "| others | v1 | 0.5 | not said" in text
    assert "| test | accuracy | 75.00 % | 55.00 – 95.00 % | 20 |" in text
    assert "| test | speaker | a\\|b | 5 | 80.0 % | 25.0 % |" in text
    assert "- the class odd is in test only" in text and '"epochs": 7' in text
    assert "It was not scored." in card(model, [], [], {})
