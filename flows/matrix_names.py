"""What a matrix is asked of: models (trained here, or others' systems) and slices of datasets.

A model is one of the store's by any of its names (`named`) or an external; a slice is `name`, `name@version-or-tag`, each
with `:side` behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

from flows.config import Config, PipelineConfig
from flows.named import Names, nothing
from sorigil import external
from sorigil.errors import RequestError
from sorigil.splits import DEV, TEST, TRAIN
from storage import bundles
from tasks.externals import External, find

ALL = "all"  # every row, whatever its side
SIDES = (TEST, DEV, TRAIN, ALL)


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


def named_model(names: Names, asked: str) -> NamedModel | External:
    """A model of the store, or a system of others. Raises RequestError where nothing is called so, or several are."""
    if external.is_external(asked):
        return find(external.parse(asked))
    found = _of_key(names, asked) or _registered(names, asked) or _of_run(names, asked)
    if found is None:
        what, known = "registered model, run of MLflow, bundle or external", [*names.models, *external.KINDS]
        hint = "`sorigil models --trained` lists bundles; scoring a pipeline registers its models"
        raise RequestError(f"{nothing(asked, what, known)} ({hint})")
    if not bundles.exists(names.store, found.key):
        raise RequestError(
            f"{asked}: its bundle models/{found.key} is not in {names.store.root} (any more); train it again"
        )
    return found


def _of_key(names: Names, asked: str) -> NamedModel | None:
    key = names.key(asked, lambda: bundles.keys(names.store), "models")
    return None if key is None else _bundle(names, key)


def _registered(names: Names, asked: str) -> NamedModel | None:
    found = names.registered(asked)
    if found is None:
        return None
    return NamedModel(name=f"{found.name}/{found.version}", key=found.bundle, origin=found.name.partition(".")[0])


def _of_run(names: Names, asked: str) -> NamedModel | None:
    run = names.run(asked)
    if run is None:
        return None
    key = names.experiments.bundle_of_run(run)
    if key is None:
        raise RequestError(f"{asked}: no model was logged with the run {run}")
    return _bundle(names, key)


def _bundle(names: Names, key: str) -> NamedModel:
    name = bundles.facts(names.store, key)["name"] if bundles.exists(names.store, key) else "model"
    return NamedModel(name=f"{name} {key[:8]}", key=key)


def named_slice(config: Config, asked: str) -> NamedSlice:
    """The slice that is called so. Raises RequestError where no pipeline makes such a dataset, or several do."""
    rest, mark, side = asked.rpartition(":")
    if not mark:
        rest, side = asked, TEST
    name, mark, version = rest.partition("@")
    if side not in SIDES:
        raise RequestError(f"{asked}: no side is called {side!r}; there are {', '.join(SIDES)}")
    if mark and not version:
        raise RequestError(f"{asked}: after @ comes a version (v3) or a tag")
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
            f"{asked}: {said} make {name}, and each may split it in its own way; name one of them instead"
        )
    if not makers:
        known = [*config.pipelines, *(each.dataset for each in config.pipelines.values())]
        raise nothing(asked, "pipeline, or dataset of one,", known)
    return makers[0]
