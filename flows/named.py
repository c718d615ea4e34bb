"""What a matrix is asked of by name: models (trained here, or others' systems) and slices of datasets.

A model is `pipeline.entry` (its newest version), `pipeline.entry/3`, `pipeline.entry@alias`, a run of MLflow, a bundle's key
or the beginning of one. A slice is `name`, `name@version-or-tag`, each with `:side` behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from flows.config import Config, PipelineConfig
from flows.config.problems import near_name
from sorigil.errors import RequestError
from sorigil.splits import DEV, TEST, TRAIN
from storage import bundles
from storage.experiments import Experiments
from storage.layout import Store

ALL = "all"  # every row, whatever its side
SIDES = (TEST, DEV, TRAIN, ALL)
SHORTEST_KEY = 6  # digits by which a bundle may be named
MOST_SHOWN = 8

_KEY = re.compile(r"[0-9a-f]+")
_RUN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedModel:
    """A trained model. `origin` is the pipeline that it is registered for, where it was named so: the one whose decoder
    it uses."""

    name: str  # what a table calls it
    key: str
    origin: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedSlice:
    """A side of a version of a dataset, as this pipeline splits it; `version` is a version's name or a tag, None: the latest."""

    name: str  # what a table calls it, as asked
    pipeline: PipelineConfig
    version: str | None
    side: str


@dataclass(frozen=True)
class Names:
    """Finds models of a store; MLflow is opened for the first that is not named by its key."""

    store: Store

    @cached_property
    def _experiments(self) -> Experiments:
        return Experiments(self.store)

    @cached_property
    def _registered(self) -> list[str]:
        return self._experiments.registered()

    def model(self, asked: str) -> NamedModel:
        """Raises RequestError where nothing is called so, or several are."""
        found = self._of_key(asked) or self._of_run(asked) or self._of_registry(asked)
        if found is None:
            raise RequestError(f"--models {asked}: {self._nothing(asked)}")
        if not bundles.exists(self.store, found.key):
            raise RequestError(
                f"--models {asked}: its bundle models/{found.key} is not in {self.store.root} (any more); train it again"
            )
        return found

    def _of_key(self, asked: str) -> NamedModel | None:
        if not _KEY.fullmatch(asked) or len(asked) < SHORTEST_KEY:
            return None
        there = [key for key in bundles.keys(self.store) if key.startswith(asked)]
        if len(there) > 1:
            raise RequestError(f"--models {asked}: {len(there)} models begin so ({some(there)}); give more digits")
        return self._bundle(there[0]) if there else None

    def _of_run(self, asked: str) -> NamedModel | None:
        key = self._experiments.bundle_of_run(asked) if _RUN.fullmatch(asked) else None
        return None if key is None else self._bundle(key)

    def _bundle(self, key: str) -> NamedModel:
        name = bundles.facts(self.store, key)["name"] if bundles.exists(self.store, key) else "model"
        return NamedModel(name=f"{name} {key[:8]}", key=key)

    def _of_registry(self, asked: str) -> NamedModel | None:
        name, mark, which = _parted(asked)
        if name not in self._registered:
            return None
        asked_for = {"@": {"alias": which}, "/": {"version": which}}.get(mark, {})
        found = self._experiments.bundle_of(name, **asked_for)
        if found is None:
            versions, aliases = self._experiments.versions_of(name)
            there = f"versions {some(versions)}" + (f"; aliases {some(aliases)}" if aliases else "")
            raise RequestError(f"--models {asked}: {name} has no such version or alias; there are {there}")
        version, key = found
        return NamedModel(name=f"{name}/{version}", key=key, origin=name.partition(".")[0])

    def _nothing(self, asked: str) -> str:
        near = near_name(_parted(asked)[0], self._registered)
        there = f"there are {some(self._registered)}" if self._registered else "nothing is registered yet"
        return (
            f"no registered model, run of MLflow or bundle is called so; {near or there} "
            "(`sorigil models --trained` lists bundles; scoring a pipeline registers its models)"
        )


def _parted(asked: str) -> tuple[str, str, str]:
    for mark in ("@", "/"):
        name, found, which = asked.partition(mark)
        if found:
            return name, mark, which
    return asked, "", ""


def named_slice(config: Config, asked: str) -> NamedSlice:
    """The slice that is called so. Raises RequestError where no pipeline makes such a dataset, or several do."""
    rest, mark, side = asked.rpartition(":")
    if not mark:
        rest, side = asked, TEST
    name, mark, version = rest.partition("@")
    if side not in SIDES:
        raise RequestError(f"--datasets {asked}: no side is called {side!r}; there are {', '.join(SIDES)}")
    if mark and not version:
        raise RequestError(f"--datasets {asked}: after @ comes a version (v3) or a tag")
    pipeline = _pipeline(config, name, asked)
    return NamedSlice(name=f"{rest}:{side}", pipeline=pipeline, version=version or None, side=side)


def _pipeline(config: Config, name: str, asked: str) -> PipelineConfig:
    """The pipeline of that name, or else the only one that makes the dataset of that name."""
    if name in config.pipelines:
        return config.pipelines[name]
    makers = [each for each in config.pipelines.values() if each.dataset == name]
    if len(makers) > 1:
        said = " and ".join(each.name for each in makers)
        raise RequestError(
            f"--datasets {asked}: {said} make {name}, and each may split it in its own way; name one of them instead"
        )
    if not makers:
        known = list(dict.fromkeys([*config.pipelines, *(each.dataset for each in config.pipelines.values())]))
        near = near_name(name, known) or f"there are {some(known)}"
        raise RequestError(f"--datasets {asked}: no pipeline of the file makes a dataset {name!r}; {near}")
    return makers[0]


def listed(text: str, option: str) -> list[str]:
    """The names of a comma-separated list, each once. Raises RequestError where there are none."""
    found = list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if not found:
        raise RequestError(f"{option} names nothing; give names with commas between")
    return found


def some(names: Sequence[str] | Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:MOST_SHOWN]) + (f", … ({len(names)} in all)" if len(names) > MOST_SHOWN else "")
