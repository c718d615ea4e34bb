"""A model card (Mitchell et al. 2019) in Markdown: what a model is, what it learned from, how good it is, and where not.

The figures are those of the scores; a weakness is a slice of the scored rows that is worse than the rest beyond chance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sorigil.metrics.slice_rules import LEAST
from sorigil.metrics.slices import Slice
from sorigil.report import markdown, numbers
from sorigil.report.charts import spaced
from sorigil.report.error_tables import slice_table
from sorigil.report.tables import in_markdown

Weak = Sequence[tuple[str, Sequence[Slice]]]  # by split, the slices that are worse than the rest, the worst first


def card(
    model: Mapping[str, Any],
    scores: Sequence[Mapping[str, Any]],
    weak: Weak,
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
        weaknesses(weak, scores),
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
            numbers.interval(row["metric"], row.get("interval_by_speaker")),  # older scores have none
            numbers.count(row["n"]),
        ]
        for scored in scores
        for row in scored["scores"]
    ]
    return markdown.table([["split", "metric", "value", *numbers.INTERVALS, "n"], *rows]) if rows else ""


def weaknesses(weak: Weak, scores: Sequence[Mapping[str, Any]]) -> str:
    """The slices that are shown to be worse, and what could not be scored well for a reason that is known; or that there
    are none."""
    rows = [asdict(piece) for _, pieces in weak for piece in pieces]
    splits = [split for split, pieces in weak for _ in pieces]
    unknown = sorted({row["detail"] for scored in scores for row in scored["rejections"]})
    lines = [in_markdown(slice_table(rows).behind("split", splits))] if rows else []
    lines += [f"- {detail}" for detail in unknown]
    return "\n".join(lines) or f"No slice of at least {LEAST} utterances is shown to be worse than the rest."


def _specs(model: Mapping[str, Any]) -> str:
    parts = {name: model[name] for name in ("model", "audio", "feature", "normalizer")}
    parts["train"] = model["facts"]["train"]
    return f"```json\n{json.dumps(parts, ensure_ascii=False, indent=1)}\n```"
