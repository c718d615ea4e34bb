"""What a store's models, runs and scores are called on the command line: one set of rules for all verbs, one error.

`pipeline.entry` (its newest version), `pipeline.entry/3` and `pipeline.entry@alias` are what MLflow has registered; a run
has a name and an id, a bundle and a score a key, and of ids and keys the first digits are enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from flows.config.problems import near_name
from sorigil.errors import RequestError
from storage import files
from storage.experiments import Experiments, Registered
from storage.layout import Store

SHORTEST = 4  # digits of a key or id by which a thing may be named
MOST_SHOWN = 8


@dataclass(frozen=True)
class Names:
    """Finds what is called so in a store, or None; MLflow is opened where a name may be one of its. All raise
    RequestError where several things are called so."""

    store: Store

    @cached_property
    def experiments(self) -> Experiments:
        return Experiments(self.store)

    @property
    def tracked(self) -> bool:
        """Whether MLflow has anything: looking would make its database."""
        place = self.store.mlflow
        return not place.startswith("sqlite:///") or files.exists(place.removeprefix("sqlite:///"))

    @cached_property
    def models(self) -> list[str]:
        """The names of what is registered."""
        return self.experiments.registered() if self.tracked else []

    def key(self, asked: str, keys: Callable[[], Iterable[str]], what: str) -> str | None:
        """The only one of the keys that begins so; `what` they are."""
        if not re.fullmatch(f"[0-9a-f]{{{SHORTEST},}}", asked):
            return None
        there = sorted(key for key in keys() if key.startswith(asked))
        if len(there) > 1:
            raise RequestError(f"{asked}: {len(there)} {what} begin so ({some(there)}); give more digits")
        return there[0] if there else None

    def registered(self, asked: str) -> Registered | None:
        """A version of a registered model, of which the pipeline's name is enough where it has one. Raises RequestError
        where the model has no such version."""
        pipeline, mark, which = _parted(asked)
        there = [each for each in self.models if pipeline in (each, each.partition(".")[0])]
        if len(there) > 1:
            raise RequestError(f"{asked}: {pipeline} has several models; name one: {some(there)}")
        if not there:
            return None
        name = there[0]
        meant = {"/": {"version": which}, "@": {"alias": which}}.get(mark, {})
        found = self.experiments.version(name, **meant)
        if found is None:
            versions, aliases = self.experiments.versions_of(name)
            said = f"versions {some(versions)}" + (f"; aliases {some(aliases)}" if aliases else "")
            raise RequestError(f"{asked}: {name} has no such version or alias; there are {said}")
        return found

    def run(self, asked: str) -> str | None:
        """The id of a run of MLflow."""
        there = self.experiments.runs_called(asked, SHORTEST) if self.tracked else []
        if len(there) > 1:
            said = some(f"{run[:12]} of {experiment}" for run, experiment in there)
            raise RequestError(f"{asked}: {len(there)} runs are called so ({said}); name one by its id")
        return there[0][0] if there else None


def nothing(asked: str, what: str, known: Iterable[str], *, none: str = "there is none") -> RequestError:
    """The error of a name that nothing has: a near one, or what there is, or `none` where there is nothing at all."""
    known = list(dict.fromkeys(known))
    near = near_name(re.split("[/@:]", asked)[0], known) or (f"there are {some(known)}" if known else none)
    return RequestError(f"{asked}: no {what} is called so; {near}")


def _parted(asked: str) -> tuple[str, str, str]:
    """The name of a model or a pipeline, the mark behind it and which version is meant: `a.b`, `/`, `3`."""
    found = re.fullmatch("([^/@]*)([/@])(.*)", asked, re.DOTALL)
    return (found[1], found[2], found[3]) if found else (asked, "", "")


def listed(text: str, option: str) -> list[str]:
    """The names of a comma-separated list, each once. Raises RequestError where there are none."""
    found = list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if not found:
        raise RequestError(f"{option} names nothing; give names with commas between")
    return found


def some(names: Iterable[str]) -> str:
    """The first of them."""
    names = list(names)
    return ", ".join(names[:MOST_SHOWN]) + (f", … ({len(names)} in all)" if len(names) > MOST_SHOWN else "")
