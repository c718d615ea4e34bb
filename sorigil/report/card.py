"""A model card (Mitchell et al. 2019) in Markdown: what a model is, what it learned from, how good it is, and where not.

The figures are those of the scores; a weakness is a slice of the scored rows where the model errs clearly more often.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sorigil.report import markdown, numbers
from sorigil.report.charts import spaced

LEAST_ROWS = 5  # of a slice: fewer say nothing
CLEARLY = 1.25  # times the error rate of all rows
MOST_SLICES = 10


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """The rows of one score. `errors` of `units` (words, or answers) each; `fields` are text columns by name."""

    split: str
    errors: NDArray[np.float64]  # (N,)
    units: NDArray[np.float64]  # (N,)
    fields: Mapping[str, Sequence[str | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Rows that share a field's value, with their error rate."""

    field: str
    value: str
    rows: int
    rate: float


def weak_slices(rows: Rows) -> list[Slice]:
    """Slices whose errors by units are clearly above those of all rows, the worst first."""
    whole = _rate(rows.errors, rows.units)
    found = []
    for field, column in rows.fields.items():
        values = np.asarray(["" if value is None else value for value in column], dtype=object)
        for value in sorted(set(values.tolist()) - {""}):
            chosen = values == value
            rate = _rate(rows.errors[chosen], rows.units[chosen])
            if LEAST_ROWS <= chosen.sum() < len(values) and rate > CLEARLY * whole:
                found.append(Slice(field=field, value=value, rows=int(chosen.sum()), rate=rate))
    return sorted(found, key=lambda each: -each.rate)[:MOST_SLICES]


def lengths(seconds: NDArray[np.float64]) -> list[str | None]:
    """Each row's third by length, in words: a field to slice by."""
    if not len(seconds):
        return []
    low, high = np.quantile(seconds, [1 / 3, 2 / 3])
    names = (f"up to {low:.1f} s", f"{low:.1f} to {high:.1f} s", f"above {high:.1f} s")
    return [names[0] if each <= low else names[1] if each <= high else names[2] for each in seconds]


def card(
    model: Mapping[str, Any],
    scores: Sequence[Mapping[str, Any]],
    rows: Sequence[Rows],
    licences: Mapping[str, str],
) -> str:
    """The page. `model` is a bundle's `model.json`, `scores` are `score.json`s, `licences` by dataset ("": not said)."""
    facts = model["facts"]
    pieces = [
        f"# {model['name']}",
        f"A {model['model']['kind']} model for {model['objective']}, key `{model['key']}`, trained {facts['when']}.",
        "## Data",
        _data(facts, licences),
        "## Figures",
        _figures(scores) or "It was not scored.",
        "## Known weaknesses",
        weaknesses(rows, scores),
        "## How it was made",
        _specs(model),
    ]
    return "\n\n".join(pieces) + "\n"


def _data(facts: Mapping[str, Any], licences: Mapping[str, str]) -> str:
    sides = ", ".join(f"{count:,} {side}" for side, count in facts["rows"].items())
    return f"{data_table(facts, licences)}\n\nUtterances: {sides}; {numbers.span(facts['seconds'])} of training audio."


def data_table(facts: Mapping[str, Any], licences: Mapping[str, str]) -> str:
    """The datasets that a model learned from, each with its version and licence; `facts` are those of its bundle."""
    sources = [{"dataset": facts["dataset"], "version": facts["version"], "weight": 1.0}, *facts.get("mixed", ())]
    table = [["dataset", "version", "weight", "licence"]]
    for source in sources:
        licence = licences.get(source["dataset"]) or "not said (`licence` of the pipeline)"
        table.append([source["dataset"], source["version"], numbers.plain(source["weight"]), licence])
    return markdown.table(table)


def _figures(scores: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            scored["split"],
            spaced(row["metric"]),
            numbers.score(row["metric"], row["value"]),
            numbers.interval(row["metric"], row["interval"]),
            numbers.count(row["n"]),
        ]
        for scored in scores
        for row in scored["scores"]
    ]
    return markdown.table([["split", "metric", "value", "95 % interval", "n"], *rows]) if rows else ""


def weaknesses(rows: Sequence[Rows], scores: Sequence[Mapping[str, Any]]) -> str:
    """The slices that do worse, and what could not be scored well for a reason that is known; or that there are none."""
    found = [
        [each.split, piece.field, piece.value, f"{piece.rows:,}", f"{100 * piece.rate:.1f} %", f"{100 * whole:.1f} %"]
        for each in rows
        for whole in [_rate(each.errors, each.units)]
        for piece in weak_slices(each)
    ]
    unknown = sorted({row["detail"] for scored in scores for row in scored["rejections"]})
    lines = [markdown.table([["split", "field", "value", "rows", "errors", "errors of all"], *found])] if found else []
    lines += [f"- {detail}" for detail in unknown]
    none = f"No slice of at least {LEAST_ROWS} rows has more than {CLEARLY:g} times the errors of all."
    return "\n".join(lines) or none


def _specs(model: Mapping[str, Any]) -> str:
    parts = {name: model[name] for name in ("model", "audio", "feature", "normalizer")}
    parts["train"] = model["facts"]["train"]
    return f"```json\n{json.dumps(parts, ensure_ascii=False, indent=1)}\n```"


def _rate(errors: NDArray[np.float64], units: NDArray[np.float64]) -> float:
    return float(errors.sum() / max(units.sum(), 1))
