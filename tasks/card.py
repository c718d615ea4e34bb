"""Gather what cards say from the store: bundles, scores, and the rows that were scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from sorigil.errors import RequestError
from sorigil.metrics.slices import Slice, worst
from sorigil.report import study_card as of_study
from sorigil.report.card import card
from storage import bundles, files, parts
from storage.catalog import Catalog
from storage.layout import Store
from tasks.slices import catalogued, columns_of, sliced


def model_card(store: Store, key: str, score_keys: Sequence[str], licences: Mapping[str, str]) -> str:
    """The card of a model, in Markdown. `licences` are those of the datasets, where they are known."""
    model = bundles.facts(store, key)
    scores = [_score(store, each) for each in score_keys]
    weak = [(each["split"], _weak(store, model, parts.read_table(store.path(each["table"])))) for each in scores]
    return card(model, scores, weak, licences)


def study_card(store: Store, study: Mapping[str, Any], licences: Mapping[str, str]) -> str:
    """The same for one of a result's `studies`. RequestError where nothing came of it."""
    chosen = [trial for trial in study["trials"] if trial["chosen"]]
    if not chosen:
        raise RequestError(
            f"{study['run']}: none of its {study['trainings']} trainings was done; there is nothing to say"
        )
    models = [bundles.facts(store, trial["model"]) for trial in chosen]
    scores: list[dict[str, Any]] = []
    tables: dict[str, list[pa.Table]] = {}
    for trial in chosen:
        for key in trial.get("score_keys", ()):  # results of older runs have none
            scores.append(_score(store, key))
            table = parts.read_table(store.path(scores[-1]["table"]))
            fold = pa.array([trial["fold"]] * len(table), pa.string())
            tables.setdefault(scores[-1]["split"], []).append(table.append_column("fold", fold))
    weak = [
        (split, _weak(store, models[0], pa.concat_tables(several, promote_options="permissive")))
        for split, several in tables.items()
    ]
    return of_study.study_card(study, models, scores, weak, licences)


def _score(store: Store, key: str) -> dict[str, Any]:
    found: dict[str, Any] = files.read_json(store.path(f"{store.score(key)}/score.json"))
    return found


def _weak(store: Store, model: Mapping[str, Any], table: pa.Table) -> list[Slice]:
    """What `sorigil errors` names as the worst slices, of what the catalogue still knows of the rows."""
    catalog = Catalog(store.catalog, store.root)
    version = catalog.version(model["facts"]["dataset"])
    known = None if version is None else catalogued(catalog, version, table)
    objective = str(model["objective"])
    return worst(sliced(table, objective, columns_of(table, objective, known)))
