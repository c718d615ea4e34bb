"""A comparison of two runs as artefacts of the second: found again, not logged twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flows.compare_pair import Pair
from flows.compare_sides import Sides
from sorigil.fingerprint import digest

COMPARISON_FORMAT = 1


def log_comparison(both: Pair, found: dict[str, Any], page: Callable[[], bytes], sides: Sides) -> dict[str, str] | None:
    """Put the comparison beside what B's run has; returns the run and the page's place in it, None of what are no runs.

    The place is named by both runs and what came of comparing them, so the same comparison has the same place.
    """
    if both.a.run is None or both.b.run is None:
        return None
    told = {name: value for name, value in found.items() if name not in ("a", "b", "sides", "reference")}
    key = digest("comparison", COMPARISON_FORMAT, both.a.run, both.b.run, json.dumps(told, sort_keys=True))
    folder = f"comparisons/{both.a.run[:12]}-{key[:12]}"
    places = {f"{folder}/comparison.json", f"{folder}/comparison.html"}
    if not places <= set(sides.names.experiments.artifacts(both.b.run, folder)):
        data = json.dumps(found, ensure_ascii=False).encode()
        sides.names.experiments.add_artifacts(
            both.b.run, {f"{folder}/comparison.json": data, f"{folder}/comparison.html": page()}
        )
    return {"run": both.b.run, "page": f"{folder}/comparison.html"}
