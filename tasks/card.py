"""Gather what cards say from the store: bundles, scores, and the rows that were scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError
from sorigil.metrics.slice_columns import categories, numbers
from sorigil.objectives import OBJECTIVES
from sorigil.report import study_card as of_study
from sorigil.report.card import Rows, card
from storage import bundles, files, parts
from storage.layout import Store


def model_card(store: Store, key: str, score_keys: Sequence[str], licences: Mapping[str, str]) -> str:
    """The card of a model, in Markdown. `licences` are those of the datasets, where they are known."""
    model = bundles.facts(store, key)
    scores = [_score(store, each) for each in score_keys]
    words = OBJECTIVES[model["objective"]].text
    rows = [_rows(scored["split"], parts.read_table(store.path(scored["table"])), words) for scored in scores]
    return card(model, scores, rows, licences)


def study_card(store: Store, study: Mapping[str, Any], licences: Mapping[str, str]) -> str:
    """The same for one of a result's `studies`. RequestError where nothing came of it."""
    chosen = [trial for trial in study["trials"] if trial["chosen"]]
    if not chosen:
        raise RequestError(
            f"{study['run']}: none of its {study['trainings']} trainings was done; there is nothing to say"
        )
    models = [bundles.facts(store, trial["model"]) for trial in chosen]
    words = OBJECTIVES[models[0]["objective"]].text
    scores: list[dict[str, Any]] = []
    tables: dict[str, list[pa.Table]] = {}
    for trial in chosen:
        for key in trial.get("score_keys", ()):  # results of older runs have none
            scores.append(_score(store, key))
            table = parts.read_table(store.path(scores[-1]["table"]))
            fold = pa.array([trial["fold"]] * len(table), pa.string())
            tables.setdefault(scores[-1]["split"], []).append(table.append_column("fold", fold))
    rows = [
        _rows(split, pa.concat_tables(several, promote_options="permissive"), words)
        for split, several in tables.items()
    ]
    return of_study.study_card(study, models, scores, rows, licences)


def _score(store: Store, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files.read_bytes(store.path(f"{store.score(key)}/score.json")))
    return found


def _rows(split: str, table: pa.Table, words: bool) -> Rows:
    references = table.column("reference_compared").to_pylist()
    names = [name for name in ("fold", "speaker", "lang") if name in table.column_names]
    words_of = [categories(name, table.column(name).to_pylist()) for name in names]
    speakers = table.column("speaker")
    whose = table.column("key") if speakers.null_count or len(pc.unique(speakers)) == 1 else speakers
    return Rows(
        split=split,
        errors=np.asarray(table.column("errors").to_numpy(), np.float64),
        units=np.asarray([len(text.split()) if words else 1 for text in references], np.float64),
        columns=(
            *words_of,
            numbers("seconds", table.column("seconds").to_numpy()),
            *(() if words else (categories("class", references),)),
        ),
        groups=whose.to_pylist(),
    )
