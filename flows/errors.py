"""`sorigil errors`: where the newest scored model of a pipeline errs. Finds the scores; the gathering is `tasks.errors`'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.last_run import results
from sorigil.errors import RequestError
from storage.catalog import Catalog
from storage.layout import Store
from tasks.errors import ScoreTable, comparable, errors_of, read_score, together


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
        if result["pipeline"] == name and result["version"] and _models(result):
            return result
    raise RequestError(f"no model of {name} was scored yet; `sorigil run {name}` does")


def _models(result: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Of each entry that was scored, the score keys of its models by their names: one model, or where it has folds one
    for each seed, all folds together."""
    found = {entry: {entry: list(keys)} for entry, keys in result["score_keys"].items() if keys}
    for study in result.get("studies", ()):
        seeds: dict[int, list[str]] = {}
        for trial in study["trials"]:
            if trial["chosen"] and trial["score_keys"]:
                seeds.setdefault(trial["seed"], []).extend(trial["score_keys"])
        if seeds and study["run"] not in found:
            names = (study["run"] if not place else f"{study['run']}, seed {seed}" for place, seed in enumerate(seeds))
            found[study["run"]] = dict(zip(names, seeds.values(), strict=True))
    return found


def _scores(store: Store, result: dict[str, Any], entry: str, split: str) -> list[ScoreTable]:
    """The entry's score on the split, and behind it those of its other seeds and of other entries on the same utterances."""
    models = _models(result)
    if entry and entry not in models:
        raise RequestError(f"the last run of {result['pipeline']} scored no {entry!r}, but {', '.join(models)}")
    entry = entry or next(iter(models))
    own, *more = (models[each] for each in (entry, *(set(models) - {entry})))
    read = {
        name: [read_score(store, name, key) for key in keys] for each in (own, *more) for name, keys in each.items()
    }
    on_split = ([each for each in tables if each.split == split] for tables in read.values())
    found = [together(tables) for tables in on_split if tables]
    if not found or found[0].entry not in own:
        there = ", ".join(dict.fromkeys(score.split for score in read[entry]))
        raise RequestError(f"--split {split}: {entry} was not scored on it, but on {there or 'none'}")
    first, *others = found
    return [first, *sorted((each for each in others if comparable(first, each)), key=lambda each: each.entry)]
