"""Measurements → Markdown tables: medians over rounds, each held against the ceiling's in the same rounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.measure import Cost

STEPS = ("read", "decode", "resample", "features", "write", "wait")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One contestant on one corpus, in one round."""

    corpus: str
    minutes: float
    contestant: str
    round: int
    seconds: float  # of audio
    files: int
    cost: Cost


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def of_corpus(rows: Sequence[Row]) -> str:
    """Every contestant on one corpus, the cheapest first. Throughput against the ceiling is by processor seconds, which
    a busy machine leaves comparable, and by the clock."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.contestant].append(row)
    ceiling = {row.round: row.cost for row in groups.get("ceiling", ())}
    body = []
    for name, runs in sorted(groups.items(), key=lambda group: median(row.cost.cpu for row in group[1])):
        wall, cpu = median(row.cost.wall for row in runs), median(row.cost.cpu for row in runs)
        body.append(
            [
                name,
                f"{wall:.1f}",
                f"{cpu:.1f}",
                f"{runs[0].seconds / wall:,.0f}",
                _ratio(ceiling[row.round].cpu / row.cost.cpu for row in runs if row.round in ceiling),
                _ratio(ceiling[row.round].wall / row.cost.wall for row in runs if row.round in ceiling),
                f"{median(row.cost.peak_mb for row in runs):,.0f}",
            ]
        )
    return markdown(
        ["", "wall s", "CPU s", "× real time", "of the ceiling, CPU", "of the ceiling, wall", "peak MB"], body
    )


def _ratio(values: Iterable[float]) -> str:
    found = list(values)
    return f"{100 * median(found):.0f} %" if found else "–"


def of_steps(rows: Sequence[Row]) -> str:
    """Where the workers' time went, in seconds of one worker for each hour of audio."""
    body = []
    for row in rows:
        steps = steps_of(row.cost.said)
        if steps:
            hours = row.seconds / 3600
            body.append([row.corpus, *(f"{steps.get(step, 0.0) / hours:.1f}" for step in STEPS)])
    return markdown(["s for each hour of audio", *STEPS], body)


def steps_of(said: dict[str, Any]) -> dict[str, float]:
    """Seconds by step, of the stage alone or of a whole run's result."""
    stages = [stage for stage in said.get("stages", ()) if stage["name"] == "prepare"]
    return dict(stages[0].get("worker_seconds", {})) if stages else dict(said.get("steps", {}))
