"""Which models of a board are trainings that differ in nothing but the seed, and how far their scores lie apart.

So far may a figure of any one of them be from that of the next: what a single training is better by says little below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.matrix_names import NamedModel
from flows.matrix_plan import Cell
from sorigil.fingerprint import digest, fingerprint
from sorigil.folds import spread
from sorigil.report.leaderboard import Seeds
from storage import bundles
from storage.layout import Store


def seed_groups(store: Store, cells: Sequence[Cell]) -> list[list[int]]:
    """The numbers of the cells whose models were trained alike but for the seed, and decode alike; groups of two or more.
    Where a seed comes twice there is a difference that nobody knows, and no group."""
    groups: dict[str, list[tuple[int | None, int]]] = {}
    for number, cell in enumerate(cells):
        if isinstance(cell.model, NamedModel) and cell.job is not None:
            recipe, seed = bundles.recipe(store, cell.model.key)
            how = digest(recipe, fingerprint(cell.job.decode), *map(str, cell.job.speeds))
            groups.setdefault(how, []).append((seed, number))
    return [list(dict(same).values()) for same in groups.values() if len(dict(same)) == len(same) > 1]


def seeds_of(groups: Sequence[Sequence[int]], cells: Sequence[Cell], scores: Mapping[int, Any]) -> tuple[Seeds, ...]:
    """The spread of a metric in each group; `scores` by the numbers of the cells that have it."""
    found = []
    for group in groups:
        there = [number for number in group if number in scores]
        if len(there) > 1:
            values: dict[str, Any] = spread([scores[number]["value"] for number in there])
            found.append(Seeds(models=tuple(cells[number].model.name for number in there), **values))
    return tuple(found)
