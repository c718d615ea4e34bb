"""The table of a study (an entry with folds or a sweep) for people: the same on the console, on the page and in MLflow.

Its input is a row of `studies` of a run's result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sorigil.report import markdown, numbers
from sorigil.report.charts import spaced


def study_rows(study: Mapping[str, Any]) -> list[list[str]]:
    """A head and a row for each training: fold, point, seed, the dev figure, and the scores of those that were chosen.

    Trainings on inner folds are left out: `choice_rows` sums them up.
    """
    trials = [trial for trial in study["trials"] if not trial.get("inner")]
    keys = list(dict.fromkeys(key for trial in trials for key in trial["point"]))
    measured = list(dict.fromkeys((row["split"], row["metric"]) for trial in trials for row in trial["scores"]))
    with_folds = any(trial["fold"] for trial in trials)
    head = [*(["fold"] if with_folds else []), *keys, "seed", f"dev {study['monitor']}"]
    head += [f"{split} {spaced(metric)}" for split, metric in measured]
    rows = []
    for trial in trials:
        scores = {(row["split"], row["metric"]): row for row in trial["scores"]}
        cells = [str(trial["fold"])] if with_folds else []
        cells += [_cell(trial["point"].get(key)) for key in keys]
        cells += [str(trial["seed"]), "failed" if trial["error"] else numbers.score(study["monitor"], trial["dev"])]
        cells += [_figure(scores.get(each)) for each in measured]
        rows.append(cells)
    return [head, *rows]


def choice_rows(study: Mapping[str, Any]) -> list[list[str]]:
    """A head and a row for each fold and point: how its trainings did on dev rows or inner folds, and whether it won."""
    choices = study.get("choices") or ()  # results of older runs have none
    keys = list(dict.fromkeys(key for choice in choices for key in choice["point"]))
    with_folds = any(choice["fold"] for choice in choices)
    on = "inner" if study.get("inner_folds") else "dev"
    head = [*(["fold"] if with_folds else []), *keys, f"{on} {study['monitor']}", "std", "min", "max", "n", ""]
    rows = [
        [
            *([str(choice["fold"])] if with_folds else []),
            *(_cell(choice["point"].get(key)) for key in keys),
            *(numbers.score(study["monitor"], choice[name]) for name in ("mean", "std", "min", "max")),
            numbers.count(choice["n"]) + (f", {choice['failed']} failed" if choice["failed"] else ""),
            "chosen" if choice["chosen"] else "",
        ]
        for choice in choices
    ]
    return [head, *rows] if rows else []


def spread_rows(study: Mapping[str, Any]) -> list[list[str]]:
    """A head and a row for each metric: mean, spread and range over the trainings that were scored."""
    head = ["split", "metric", "mean", "std", "min", "max", "n"]
    rows = [
        [
            str(row["split"]),
            spaced(row["metric"]),
            *(numbers.score(row["metric"], row[name]) for name in ("mean", "std", "min", "max")),
            numbers.count(row["n"]),
        ]
        for row in study["summary"]
    ]
    return [head, *rows] if rows else []


def counts(study: Mapping[str, Any]) -> str:
    """18 trainings: 3 there before, 14 done, 1 failed."""
    done = study["trainings"] - study["cached"] - study["failed"]
    failed = f", {study['failed']} failed" if study["failed"] else ""
    return f"{study['trainings']} trainings: {study['cached']} there before, {done} done{failed}"


def page(study: Mapping[str, Any]) -> str:
    """The tables as a page in Markdown."""
    tables = (spread_rows(study), choice_rows(study), study_rows(study))
    pieces = [f"# {study['run']}", counts(study), *(markdown.table(rows) for rows in tables if len(rows) > 1)]
    return "\n\n".join(pieces) + "\n"


def _figure(row: Mapping[str, Any] | None) -> str:
    """97.20 % (95.10 – 98.60 %): the value and its interval by utterance."""
    if row is None:
        return numbers.UNKNOWN
    value, spread = numbers.score(row["metric"], row["value"]), numbers.interval(row["metric"], row.get("interval"))
    return value if spread == numbers.UNKNOWN else f"{value} ({spread})"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_cell(each)}" for key, each in value.items())
    return numbers.plain(value)
