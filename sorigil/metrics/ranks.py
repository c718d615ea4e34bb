"""Places in a table of systems, where those that the tests cannot tell apart share one.

A place begins with the best system that has none yet, and takes in those behind it up to the first that is shown to be worse
than that best one. So of two systems of one place the lower one may be worse than its neighbour; it is not shown to be
worse than the first. Each pair is tested at 5 %, without a correction for how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from sorigil.metrics.comparison import COUNTERS, Column, compare


def can_rank(metric: str) -> bool:
    """Whether there is a test for this metric."""
    return metric in COUNTERS


def ranks(metric: str, references: Column, heard: Sequence[Column]) -> list[int]:
    """The place (1, 2, …) of each of these systems' answers, which come best first; a place that n systems share leaves
    out the n - 1 places behind it. Raises `ValueError` for no utterances, or columns of different lengths."""
    places: list[int] = []
    leader = 0
    for number, answers in enumerate(heard):
        if number and compare(metric, references, heard[leader], answers).better == "a":
            leader = number
        places.append(leader + 1)
    return places
