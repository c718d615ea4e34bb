"""The card of an entry with folds: no single model, but what the same recipe came to on every part of the data.

As `card.py` for one model; the figures are those of all models, each on test rows that it has not learned from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sorigil.objectives import OBJECTIVES
from sorigil.report import markdown, numbers
from sorigil.report.card import Weak, data_table, weaknesses
from sorigil.report.charts import spaced
from sorigil.report.studies import choice_rows, spread_rows


def study_card(
    study: Mapping[str, Any],
    models: Sequence[Mapping[str, Any]],
    scores: Sequence[Mapping[str, Any]],
    weak: Weak,
    licences: Mapping[str, str],
) -> str:
    """The page. `study` is one of a result's `studies`; `models` are the `model.json`s of its chosen trainings, in their
    order, `scores` their `score.json`s, and `weak` the slices of what was scored, of all folds together."""
    first = models[0]
    pieces = [
        f"# {study['run']}",
        f"{len(models)} {first['model']['kind']} models for {first['objective']}, {_how(study)}; the last of them was trained "
        f"{max(model['facts']['when'] for model in models)}. No single model stands for "
        "them: the figures say how the recipe does on rows that the model at hand has not learned from.",
        "## Data",
        _data(models, licences),
        "## Figures",
        _figures(study, str(first["objective"])),
        *(["## What was chosen", markdown.table(choice_rows(study))] if study.get("choices") else []),
        "## Known weaknesses",
        weaknesses(weak, scores),
        "## How they were made",
        _specs(study, first),
    ]
    return "\n\n".join(pieces) + "\n"


def _how(study: Mapping[str, Any]) -> str:
    if study["folds"] is None:
        return "one for each seed"
    spec = study["folds"]
    if spec["kind"] == "leave_one_out":
        which = f"{spec['field']} {', '.join(spec['only'])}" if spec["only"] else f"each {spec['field']}"
        left_out = f"{which} left out in turn"
    else:
        left_out = f"{spec['k']} parts, each left out in turn"
    seeds = len({trial["seed"] for trial in _chosen(study)})
    return f"one for each fold ({left_out})" + (f" and each of {seeds} seeds" if seeds > 1 else "")


def _data(models: Sequence[Mapping[str, Any]], licences: Mapping[str, str]) -> str:
    sides = []
    for side in models[0]["facts"]["rows"]:
        counts = [model["facts"]["rows"][side] for model in models]
        low, high = min(counts), max(counts)
        sides.append(f"{low:,} {side}" if low == high else f"{low:,} to {high:,} {side}")
    return f"{data_table(models[0]['facts'], licences)}\n\nUtterances of each model: {', '.join(sides)}."


def _figures(study: Mapping[str, Any], objective: str) -> str:
    if not study["summary"]:
        return "None of them was scored."
    worst = _worst_fold(study, objective)
    tables = [markdown.table(spread_rows(study)), *([worst] if worst else []), markdown.table(_model_rows(study))]
    return "\n\n".join(tables)


def _worst_fold(study: Mapping[str, Any], objective: str) -> str:
    """The worst fold by the objective's own metric, its mean over the seeds."""
    facts = OBJECTIVES[objective]  # type: ignore[index]
    split = "test" if any(row["split"] == "test" for row in study["summary"]) else study["summary"][0]["split"]
    values: dict[str, list[float]] = {}
    for trial in _chosen(study):
        for row in trial["scores"]:
            if (row["split"], row["metric"]) == (split, facts.metric) and trial["fold"]:
                values.setdefault(trial["fold"], []).append(row["value"])
    if not values:
        return ""
    means = {fold: sum(several) / len(several) for fold, several in values.items()}
    worst = (min if facts.higher_is_better else max)(means, key=means.__getitem__)
    return f"Worst fold: {worst}, {split} {spaced(facts.metric)} {numbers.score(facts.metric, means[worst])}."


def _model_rows(study: Mapping[str, Any]) -> list[list[str]]:
    """A head and a row for each model and score."""
    head = ["fold", "seed", "split", "metric", "value", *numbers.INTERVALS, "n", "model"]
    body = [
        [
            numbers.plain(trial["fold"]),
            str(trial["seed"]),
            row["split"],
            spaced(row["metric"]),
            numbers.score(row["metric"], row["value"]),
            numbers.interval(row["metric"], row["interval"]),
            numbers.interval(row["metric"], row.get("interval_by_speaker")),
            numbers.count(row["n"]),
            f"`{trial['model'][:8]}`",
        ]
        for trial in _chosen(study)
        for row in trial["scores"]
    ]
    return [head, *body]


def _specs(study: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    parts = {name: model[name] for name in ("model", "audio", "feature", "normalizer")}
    parts["train"] = model["facts"]["train"]
    parts |= {name: study[name] for name in ("folds", "sweep", "inner_folds") if study.get(name)}
    swept = "Of what was swept, the values are those of the first fold.\n\n" if study["sweep"] else ""
    return f"{swept}```json\n{json.dumps(parts, ensure_ascii=False, indent=1)}\n```"


def _chosen(study: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [trial for trial in study["trials"] if trial["chosen"]]
