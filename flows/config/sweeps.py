"""`sweep:` of a train entry → the entry at every point of the grid, each checked like an entry that is written out.

A key of a sweep is what `--set` would call it within the entry, so a point is the file with some overrides. Mistakes are
reported at the sweep's key, together.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
from collections.abc import Iterator
from typing import Any

from flows.config import checks, overrides
from flows.config.problems import Fault, KeyPath, one_of
from flows.config.schema import Schema
from flows.config.specs import Config, TrainEntry
from flows.config.yaml import Tree

SEED = "seed"  # a repetition: nothing is chosen by it
# What all points must share.
FIXED = ("name", "folds", "inner_folds", "sweep", "objective", "target", "monitor", "processes")
MOST_POINTS = 1000


def expand(data: Any, config: Config, schema: Schema) -> tuple[Config, list[Fault]]:
    """The configuration with the `points` of every sweep filled in, and what is wrong with them. `data` is the plain
    values that `config` was made of."""
    faults: list[Fault] = []
    pipelines = dict(config.pipelines)
    for name, pipeline in config.pipelines.items():
        train = list(pipeline.train)
        for index, entry in enumerate(train):
            at = ("pipelines", name, "train", index)
            several = any(len(values) > 1 for key, values in entry.sweep.items() if key != SEED)
            if entry.inner_folds and not several:
                hint = "inner_folds compare the values of a sweep, and seeds are none"
                faults.append(
                    Fault(path=(*at, "inner_folds"), seen=f"{entry.inner_folds}, with nothing to choose", hint=hint)
                )
            if entry.sweep:
                points, wrong = _points(data, at, entry, schema)
                faults += wrong
                train[index] = dataclasses.replace(entry, points=tuple(points))
        pipelines[name] = dataclasses.replace(pipeline, train=tuple(train))
    return dataclasses.replace(config, pipelines=pipelines), faults


def word(value: Any) -> str:
    """A value of a sweep as it stands in a name: numbers and words as they are, a mapping by its kind alone."""
    if isinstance(value, dict) and set(value) == {"kind"}:
        return str(value["kind"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _points(
    data: Any, at: KeyPath, entry: TrainEntry, schema: Schema
) -> tuple[list[tuple[dict[str, Any], TrainEntry]], list[Fault]]:
    if faults := list(_keys(at, entry)):
        return [], faults
    points: list[tuple[dict[str, Any], TrainEntry]] = []
    for values in itertools.product(*entry.sweep.values()):
        point = dict(zip(entry.sweep, values, strict=True))
        found, wrong = _point(data, at, point, schema)
        faults += [fault for fault in wrong if fault not in faults]
        points += [(point, found)] if found is not None else []
    return points, faults


def _keys(at: KeyPath, entry: TrainEntry) -> Iterator[Fault]:
    """What is wrong with the sweep itself."""
    count = 1
    for key, values in entry.sweep.items():
        place, first = (*at, "sweep", key), key.split(".")[0]
        if first in FIXED:
            yield Fault(path=place, seen=repr(key), hint=f"all points share {one_of(FIXED)}")
        if not values:
            yield Fault(path=place, seen="empty", expected="a list of values to try")
        if len({json.dumps(value, sort_keys=True) for value in values}) < len(values):
            yield Fault(path=place, seen="a value is there twice", hint="the same training is not done twice")
        count *= len(values)
    if count > MOST_POINTS:
        yield Fault(path=(*at, "sweep"), seen=f"{count:,} points", expected=f"at most {MOST_POINTS:,}")


def _point(data: Any, at: KeyPath, point: dict[str, Any], schema: Schema) -> tuple[TrainEntry | None, list[Fault]]:
    """The entry with these values, or what is wrong with it."""
    _, name, _, index = at
    tree = Tree(data=copy.deepcopy(data))
    del tree.data["pipelines"][name]["train"][index]["sweep"]
    for key, value in point.items():
        overrides.apply(tree, [f"pipelines.{name}.train.{index}.{key}={json.dumps(value)}"], {}, None)
    wrong = tree.faults
    if not wrong:
        config, wrong = schema.validate(tree.data)
        wrong = [*wrong, *checks.check(tree.data)]
        if not wrong:
            wrong = [*checks.check_features(config), *checks.check_data(config)]
    if wrong:
        return None, [_at_the_sweep(fault, at, point) for fault in wrong]
    return config.pipelines[name].train[index], []


def _at_the_sweep(fault: Fault, at: KeyPath, point: dict[str, Any]) -> Fault:
    """The fault at the key of the sweep that it comes from, or else at the sweep."""
    within = tuple(map(str, fault.path[len(at) :]))
    for key, value in point.items():
        parts = tuple(key.split("."))
        if fault.override.startswith(f"--set {'.'.join(map(str, at))}.{key}=") or within[: len(parts)] == parts:
            rest = ".".join(within[len(parts) :])
            seen = f"{rest}: {fault.seen}" if rest else fault.seen
            seen = seen if word(value) in seen else f"{word(value)}: {seen}"
            return dataclasses.replace(fault, path=(*at, "sweep", key), seen=seen, override="")
    said = ", ".join(f"{key}={word(value)}" for key, value in point.items())
    where = ".".join(within)
    seen = f"with {said}: {where + ': ' if where else ''}{fault.seen}"
    return dataclasses.replace(fault, path=(*at, "sweep"), seen=seen, override="")
