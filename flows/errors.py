"""`sorigil errors`: where the newest scored model of a pipeline errs. Finds the scores; the gathering is `tasks.errors`'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.last_run import results
from sorigil.errors import RequestError
from storage.catalog import Catalog
from storage.layout import Store
from tasks.errors import ScoreTable, comparable, errors_of, read_score


def find_errors(config: Any, name: str, entry: str, split: str, by: Sequence[str]) -> tuple[Store, dict[str, Any]]:
    """What the verb prints with `--json`, and the store that its sounds are in.

    Raises RequestError where the pipeline, the entry or the split has no scores.
    """
    config.pipeline(name)
    store = config.storage.store().open()
    catalog = Catalog(store.catalog, store.root)
    result = _scored(store, name)
    scores = _scores(store, result, entry, split)
    version = catalog.version(result["dataset"], result["version"])
    if version is None:
        raise RequestError(
            f"{result['dataset']} has no version {result['version']} any more; `sorigil run {name}` again"
        )
    first = scores[0]
    found = {
        "pipeline": name,
        "run": result["run"],
        "version": version.name,
        "entry": first.entry,
        "model": first.facts["model"],
        "score": first.facts["key"],
        "split": split,
        "objective": first.objective,
        **errors_of(store, catalog, version, scores, by),
    }
    return store, {"schema": 1, "status": "completed", "errors": [], **found}


def _scored(store: Store, name: str) -> dict[str, Any]:
    """The newest run of the pipeline that scored something."""
    for result in results(store):
        if result["pipeline"] == name and result["version"] and result["score_keys"]:
            return result
    raise RequestError(f"no model of {name} was scored yet; `sorigil run {name}` does")


def _scores(store: Store, result: dict[str, Any], entry: str, split: str) -> list[ScoreTable]:
    """The entry's score on the split, and behind it those of the other entries of the same utterances."""
    keys = result["score_keys"]
    if entry and entry not in keys:
        raise RequestError(f"the last run of {result['pipeline']} scored no {entry!r}, but {', '.join(keys)}")
    entry = entry or next(iter(keys))
    found = [read_score(store, each, key) for each in (entry, *(set(keys) - {entry})) for key in keys[each]]
    on_split = [score for score in found if score.facts["split"] == split]
    if not on_split or on_split[0].entry != entry:
        there = ", ".join(score.facts["split"] for score in found if score.entry == entry)
        raise RequestError(f"--split {split}: {entry} was not scored on it, but on {there or 'none'}")
    first, *others = on_split
    return [first, *sorted((each for each in others if comparable(first, each)), key=lambda each: each.entry)]
