"""Gather what a model's card says from the store: the bundle, its scores, and the rows that were scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from sorigil.objectives import OBJECTIVES
from sorigil.report.card import Rows, card, lengths
from storage import bundles, files, parts
from storage.layout import Store


def model_card(store: Store, key: str, score_keys: Sequence[str], licences: Mapping[str, str]) -> str:
    """The card of a model, in Markdown. `licences` are those of the datasets, where they are known."""
    model = bundles.facts(store, key)
    scores = [json.loads(files.read_bytes(store.path(f"{store.score(each)}/score.json"))) for each in score_keys]
    words = OBJECTIVES[model["objective"]].text
    return card(model, scores, [_rows(store, scored["split"], scored["table"], words) for scored in scores], licences)


def _rows(store: Store, split: str, place: str, words: bool) -> Rows:
    table = parts.read_table(store.path(place))
    references = table.column("reference_compared").to_pylist()
    fields = {name: table.column(name).to_pylist() for name in ("speaker", "lang")}
    fields |= {"length": lengths(np.asarray(table.column("seconds").to_numpy()))}
    return Rows(
        split=split,
        errors=np.asarray(table.column("errors").to_numpy(), np.float64),
        units=np.asarray([len(text.split()) if words else 1 for text in references], np.float64),
        fields=fields if words else {**fields, "class": references},
    )
