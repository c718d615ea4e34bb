"""Model cards: nothing a card must say is missing."""

from __future__ import annotations

import numpy as np

from sorigil.metrics.slice_columns import categories
from sorigil.metrics.slices import Slice, slices, worst
from sorigil.report.card import card

ERRORS = np.asarray([1] * 9 + [0] * 3 + [1] + [0] * 27)


def weak(name: str, value: str) -> list[tuple[str, list[Slice]]]:
    """Nine errors of twelve in one slice, one of 28 in the rest."""
    column = categories(name, [value] * 12 + ["jo"] * 28)
    return [("test", worst(slices(ERRORS, np.ones(40), [column])))]


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
    text = card(model, scores, weak("speaker", "a|b"), {"tones": "CC BY 4.0"})
    assert "| tones | v3 | 1 | CC BY 4.0 |" in text and "| others | v1 | 0.5 | not said" in text
    assert "| test | accuracy | 75.00 % | 55.00 – 95.00 % | 40.00 – 99.00 % | 20 |" in text
    assert "| test | speaker | a\\|b | 12 | 75.00 % |" in text and "| 3.57 % |" in text
    assert "- the class odd is in test only" in text and '"epochs": 7' in text
    assert "It was not scored." in card(model, [], [], {})
