"""Cards of folds: which fold is the worst, where all models together are weak, and which values won."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sorigil.metrics.slice_columns import categories
from sorigil.metrics.slices import slices, worst
from sorigil.report.study_card import study_card


def study(metric: str, values: dict[tuple[str, int], float]) -> dict[str, Any]:
    trials = [
        {"fold": fold, "seed": seed, "chosen": True, "model": f"{fold}{seed}" * 8, "point": {},
         "scores": [{"split": "test", "metric": metric, "value": value, "interval": [0.1, 0.9], "n": 10}]}
        for (fold, seed), value in values.items()
    ]  # fmt: skip
    summary = {"split": "test", "metric": metric, "mean": 0.5, "std": 0.1, "min": 0.2, "max": 0.8, "n": len(trials)}
    return {
        "run": "which", "folds": {"kind": "leave_one_out", "field": "speaker", "only": []}, "sweep": {}, "inner_folds": 0,
        "monitor": "loss", "trials": [*trials, {**trials[0], "chosen": False, "fold": "never"}], "summary": [summary],
        "choices": [],
    }  # fmt: skip


def models(count: int, objective: str = "classification") -> list[dict[str, Any]]:
    facts = {"dataset": "tones", "version": "v3", "train": {"epochs": 7}, "when": "2026-01-02"}
    return [
        {"objective": objective, "model": {"kind": "cnn2d"}, "audio": {}, "feature": {}, "normalizer": "basic",
         "facts": {**facts, "rows": {"train": 30 + number, "dev": 0, "test": 10}}}
        for number in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("objective", "metric", "worst"),
    [("classification", "accuracy", "lee, test accuracy 40.00 %"), ("ctc", "wer", "kim, test wer 65.00 %")],
)
def test_the_worst_fold_is_that_of_the_mean_over_its_seeds(objective: str, metric: str, worst: str) -> None:
    values = {("kim", 0): 0.9, ("kim", 1): 0.4, ("lee", 0): 0.41, ("lee", 1): 0.39}
    text = study_card(study(metric, values), models(4, objective), [], [], {})
    assert f"Worst fold: {worst}." in text
    assert "4 cnn2d models" in text and "one for each fold (each speaker left out in turn) and each of 2 seeds" in text
    assert "the last of them was trained 2026-01-02." in text
    assert "| never |" not in text and text.count("| kim |") == 2


def test_rows_of_all_folds_are_looked_at_together() -> None:
    folds = categories("fold", ["kim"] * 12 + ["lee"] * 28)
    weak = [("test", worst(slices([1] * 9 + [0] * 31, np.ones(40), [folds])))]
    text = study_card(study("accuracy", {("kim", 0): 0.2, ("lee", 0): 1.0}), models(2), [], weak, {"tones": "CC0"})
    assert "| test | fold | kim | 12 | 75.00 % |" in text
    assert "| tones | v3 | 1 | CC0 |" in text and "30 to 31 train, 0 dev, 10 test." in text


def test_what_won_in_each_fold_is_shown() -> None:
    one = {"point": {"width": 2}, "mean": 0.3, "std": None, "min": 0.3, "max": 0.3, "n": 1, "failed": 0}
    choices = [{"fold": "kim", **one, "chosen": True}, {"fold": "kim", **one, "point": {"width": 4}, "chosen": False}]
    found = {**study("accuracy", {("kim", 0): 0.5}), "choices": choices, "sweep": {"width": [2, 4]}, "inner_folds": 3}
    text = study_card(found, models(1), [], [], {})
    assert "## What was chosen\n\n| fold | width | inner loss | std | min | max | n |  |" in text
    assert "| kim | 2 | 0.3 | – | 0.3 | 0.3 | 1 | chosen |" in text
    assert "the values are those of the first fold" in text


def test_models_without_scores_are_said_to_have_none() -> None:
    found = {**study("accuracy", {("kim", 0): 0.5}), "summary": []}
    assert "None of them was scored." in study_card(found, models(1), [], [], {})
