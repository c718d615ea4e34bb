"""Gather what cards say from the store: bundles, scores, and the rows that were scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError
from sorigil.report import study_card as of_study
from sorigil.report.card import Rows, card
from storage import bundles, files, parts
from storage.catalog import Catalog
from storage.layout import Store
from tasks.slices import catalogued, columns_of, units_of


def model_card(store: Store, key: str, score_keys: Sequence[str], licences: Mapping[str, str]) -> str:
    """The card of a model, in Markdown. `licences` are those of the datasets, where they are known."""
    model = bundles.facts(store, key)
    scores = [_score(store, each) for each in score_keys]
    rows = [_rows(store, model, scored["split"], parts.read_table(store.path(scored["table"]))) for scored in scores]
    return card(model, scores, rows, licences)


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
    rows = [
        _rows(store, models[0], split, pa.concat_tables(several, promote_options="permissive"))
        for split, several in tables.items()
    ]
    return of_study.study_card(study, models, scores, rows, licences)


def _score(store: Store, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files.read_bytes(store.path(f"{store.score(key)}/score.json")))
    return found


def _rows(store: Store, model: Mapping[str, Any], split: str, table: pa.Table) -> Rows:
    """The scored rows with all that the catalogue still knows of them."""
    catalog = Catalog(store.catalog, store.root)
    version = catalog.version(model["facts"]["dataset"])
    known = None if version is None else catalogued(catalog, version, table)
    speakers = table.column("speaker")
    whose = table.column("key") if speakers.null_count or len(pc.unique(speakers)) == 1 else speakers
    return Rows(
        split=split,
        errors=np.asarray(table.column("errors").to_numpy(), np.float64),
        units=np.asarray(units_of(table, model["objective"]), np.float64),
        columns=tuple(columns_of(table, model["objective"], known)),
        groups=whose.to_pylist(),
    )
