"""What transcribing and aligning share: which recordings are done, which were refused before, and the rest in units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa

from flows.run import Run
from sorigil.fingerprint import digest
from sorigil.types import Rejection
from storage import erased
from tasks.by_recording import RecordingsUnit, found_rejection

Unit = TypeVar("Unit", bound=RecordingsUnit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parted(Generic[Unit]):
    """`done`: what was found of recordings that need no more work; `refused`: those that a former run could not do."""

    done: list[dict[str, Any]]
    refused: list[Rejection]
    units: list[Unit]


def parted(
    run: Run, unit: Unit, items: pa.Table, found: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> Parted[Unit]:
    """Part recordings (uri, stamp, size and what the unit needs). `found` gives what is there of one that is done.

    With `--retry` what was refused is tried again.
    """
    done, refused, rest = [], [], []
    for index, row in enumerate(items.to_pylist()):
        if not run.options.retry and (known := found_rejection(unit, row["uri"], row["stamp"])) is not None:
            refused.append(known)
        elif (there := found(row)) is not None:
            done.append(there)
        else:
            rest.append(index)
    units = units_of(unit, items.take(pa.array(rest, pa.int64())), run.workers)
    return Parted(done=done, refused=refused, units=units)


def erased_recordings(run: Run) -> frozenset[str]:
    """Digests of the recordings that were erased from the dataset and may not come back."""
    digests = erased.of_kind(erased.load(run.store, run.dataset), "recording").column("digest")
    return frozenset(digests.to_pylist())


def units_of(unit: Unit, items: pa.Table, workers: int) -> list[Unit]:
    """Balanced by bytes, at least four a worker where there are as many recordings; the largest first."""
    if not len(items):
        return []
    sizes = np.asarray(items.column("size").to_numpy(), np.int64)
    order = np.argsort(-sizes, kind="stable")
    count = min(len(items), 4 * workers)
    loads: list[int] = [0] * count
    members: list[list[int]] = [[] for _ in range(count)]
    for index in order:
        lightest = loads.index(min(loads))
        loads[lightest] += int(sizes[index]) + 1
        members[lightest].append(int(index))
    made = []
    for rows in members:
        chosen = items.take(pa.array(sorted(rows)))  # as scanned: an archive is read from front to back
        name = digest(unit.stage, unit.output, unit.model_key, *chosen.column("uri").to_pylist())
        made.append(replace(unit, unit=name, items=chosen))
    return made
