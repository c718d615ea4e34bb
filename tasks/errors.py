"""Gather where a scored model errs from the store: slices, confusions, classes, references to doubt, worst utterances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sorigil.metrics.confusions import Unit, class_scores, confusions, has_hangul, tag_scores
from sorigil.metrics.slices import worst
from sorigil.metrics.suspects import Answers, suspects
from sorigil.objectives import OBJECTIVES
from storage import files, parts
from storage.catalog import Catalog
from storage.layout import Store
from storage.versions import Version
from tasks.slices import catalogued, columns_of, sliced, units_of
from tasks.tag_table import sets_of

WORST = 40  # utterances that are named
NEEDED = (
    "id", "key", "uri", "speaker", "lang", "audio_part", "audio_row", "seconds", "reference_compared",
    "hypothesis_compared", "errors", "confidence",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScoreTable:
    """A score of the store: `facts` is its `score.json`, `table` a row per utterance."""

    entry: str
    facts: Mapping[str, Any]
    table: pa.Table

    @property
    def objective(self) -> str:
        """What the model was trained for."""
        return str(self.facts["objective"])

    @property
    def split(self) -> str:
        """What of the dataset was scored."""
        return str(self.facts["split"])

    @property
    def text(self) -> bool:
        """Whether what it answers is words."""
        return OBJECTIVES[self.objective].text  # type: ignore[index]

    @property
    def units(self) -> Any:
        """What each utterance's errors are of: its words, its one answer, or its tags."""
        return units_of(self.table, self.objective)


def read_score(store: Store, entry: str, key: str) -> ScoreTable:
    """Read a score's facts and table."""
    facts = files.read_json(store.path(f"{store.score(key)}/score.json"))
    return ScoreTable(entry=entry, facts=facts, table=parts.read_table(store.path(facts["table"]), list(NEEDED)))


def together(scores: Sequence[ScoreTable]) -> ScoreTable:
    """Scores of folds as one, in an order that is the same for every model; the facts are the first one's."""
    if len(scores) == 1:
        return scores[0]
    table = pa.concat_tables([score.table for score in scores]).sort_by("key")
    return ScoreTable(entry=scores[0].entry, facts=scores[0].facts, table=table)


def confusion_rows(score: ScoreTable) -> dict[Unit, list[dict[str, Any]]]:
    """Pairs by unit: words and characters, of Korean jamo too; of labels the labels; of tags none."""
    said, heard = (score.table.column(name).to_pylist() for name in ("reference_compared", "hypothesis_compared"))
    units: tuple[Unit, ...] = ("words", "characters", *(("jamo",) if has_hangul(said) else ())) if score.text else ()
    ids = score.table.column("id").to_pylist()
    return {unit: [asdict(row) for row in confusions(ids, said, heard, unit)] for unit in units}


def class_rows(score: ScoreTable) -> list[dict[str, Any]]:
    """A row for each class of a classifier or tag of a tagger, those with the lowest F1 first; of others none."""
    if score.text:
        return []
    if OBJECTIVES[score.objective].several:  # type: ignore[index]
        columns = (sets_of(score.table, f"{name}_compared") for name in ("reference", "hypothesis"))
        return [asdict(row) for row in tag_scores(*columns)]
    said, heard = (score.table.column(name).to_pylist() for name in ("reference_compared", "hypothesis_compared"))
    return [asdict(row) for row in class_scores(said, heard)]


def errors_of(
    store: Store, catalog: Catalog, version: Version, scores: Sequence[ScoreTable], by: Sequence[str] = ()
) -> dict[str, Any]:
    """Where the first of the scores errs; the others, of the same utterances, help to doubt references.

    Raises RequestError for a column in `by` that is none.
    """
    score = scores[0]
    known = catalogued(catalog, version, score.table)
    columns = columns_of(score.table, score.objective, known, by)
    found = sliced(score.table, score.objective, columns)
    errors, units = int(pc.sum(score.table.column("errors")).as_py() or 0), int(score.units.sum())
    return {
        "utterances": len(score.table),
        "errors_total": errors,
        "units": units,
        "rate": errors / max(units, 1),
        "columns": [column.name for column in columns],
        "slices": [asdict(row) for row in found],
        "worst": [asdict(row) for row in worst(found)],
        "confusions": confusion_rows(score),
        "classes": class_rows(score),
        "audited_by": [each.entry for each in scores],
        "suspects": _suspects(scores, known),
        "worst_utterances": _worst(score, known),
    }


def flat_tables(store: Store, catalog: Catalog, version: Version, key: str) -> dict[str, list[dict[str, Any]]]:
    """A score's `slices` and `confusions` (of labels its `classes`) as rows of plain cells, where there are any."""
    score = read_score(store, "", key)
    columns = columns_of(score.table, score.objective, catalogued(catalog, version, score.table))
    found = sliced(score.table, score.objective, columns)
    tables = {
        "slices": [_flat(asdict(row)) for row in found],
        "confusions": [{"unit": unit, **_flat(row)} for unit, rows in confusion_rows(score).items() for row in rows],
        "classes": class_rows(score),
    }
    return {name: rows for name, rows in tables.items() if rows}


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Intervals as two cells, ids as one."""
    cells: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith("interval"):
            cells |= {f"{name}_{end}": None if value is None else value[at] for at, end in enumerate(("low", "high"))}
        else:
            cells[name] = " ".join(value) if isinstance(value, tuple) else value
    return cells


def comparable(first: ScoreTable, other: ScoreTable) -> bool:
    """Whether two scores are of the same utterances and references, so that their answers can be put side by side."""
    same = ("key", "reference_compared")
    return first.objective == other.objective and all(
        first.table.column(name).equals(other.table.column(name)) for name in same
    )


def _suspects(scores: Sequence[ScoreTable], known: pa.Table) -> list[dict[str, Any]]:
    models = [
        Answers(
            model=score.entry,
            hypotheses=score.table.column("hypothesis_compared").to_pylist(),
            confidences_N=score.table.column("confidence").to_numpy().astype(np.float64),
        )
        for score in scores
    ]
    table = scores[0].table
    found = suspects(table.column("reference_compared").to_pylist(), models, whole=not scores[0].text)
    rows = _named(table, known, [each.row for each in found])
    return [
        {
            **row,
            "heard": {model.model: text for model, text in zip(models, each.heard, strict=True)},
            "words": [list(pair) for pair in each.words],
            "doubted_by": [models[place].model for place in each.doubted_by],
            "agreement": each.agreement,
            "confidence": each.confidence,
        }
        for row, each in zip(rows, found, strict=True)
    ]


def _worst(score: ScoreTable, known: pa.Table) -> list[dict[str, Any]]:
    """The utterances with the most errors, the model's surest mistakes first among equals."""
    table = score.table.append_column("row", pa.array(np.arange(len(score.table))))
    wrong = table.filter(pc.greater(table.column("errors"), 0))
    order = pc.sort_indices(wrong, [("errors", "descending"), ("confidence", "descending"), ("id", "ascending")])
    chosen = wrong.take(order[:WORST])
    more = chosen.select(["hypothesis_compared", "errors", "confidence"]).to_pylist()
    rows = _named(score.table, known, chosen.column("row").to_pylist())
    return [
        {**row, "heard": each["hypothesis_compared"], "errors": each["errors"], "confidence": each["confidence"]}
        for row, each in zip(rows, more, strict=True)
    ]


def _named(table: pa.Table, known: pa.Table, rows: Sequence[int]) -> list[dict[str, Any]]:
    """What is said of an utterance, with its file and the second at which it begins there."""
    places = pa.array(rows, pa.int64())
    names = ["id", "uri", "speaker", "seconds", "reference_compared", "audio_part", "audio_row"]
    where = known.select(["start", "sample_rate"]).take(places).to_pylist()
    return [
        {
            "id": row["id"],
            "uri": row["uri"],
            "start": None if not each["sample_rate"] else (each["start"] or 0) / each["sample_rate"],
            "seconds": row["seconds"],
            "speaker": row["speaker"],
            "reference": row["reference_compared"],
            "audio_part": row["audio_part"],
            "audio_row": row["audio_row"],
        }
        for row, each in zip(table.select(names).take(places).to_pylist(), where, strict=True)
    ]
