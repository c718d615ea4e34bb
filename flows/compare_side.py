"""One of the two systems of a comparison: what it heard, and of a score what is known of it; read from a score's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sorigil.errors import RequestError
from sorigil.objectives import Objective
from sorigil.text.exchange import Entry, Texts
from storage import files, parts
from tasks.tag_table import is_marked, united

TABLE = ".parquet"  # the utterances of a score: they bring their references
HEAVY = {"probabilities", "n_best", "word_confidences"}  # columns that few comparisons look at


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """`said`, `table`, and what follows are None for a file of texts; what an older score does not say is None too.

    `run` is the id of its run in MLflow. `seeds`: the tables of all trainings that differ in nothing but the seed, where
    there are several; the side is the first of them.
    """

    name: str
    heard: Texts
    said: Texts | None = None
    table: pa.Table | None = None
    objective: Objective | None = None
    normalizer: str | None = None
    score: str | None = None
    model: str | None = None
    split: str | None = None
    run: str | None = None
    seeds: tuple[pa.Table, ...] = ()


def facts_of(folder: str) -> dict[str, Any]:
    """What is known of a score; nothing where its table lies alone."""
    address = f"{folder}/score.json"
    found: dict[str, Any] = files.read_json(address) if files.exists(address) else {}
    return found


def side_of_table(name: str, address: str, normalizer: str | None = None, run: str | None = None) -> Side:
    """The side of a score's table, with what is known of it. Raises RequestError where it is none."""
    facts = facts_of(files.parent(address))
    try:
        return read_side(
            name, parts.open_parquet(address), {**facts, "normalizer": facts.get("normalizer") or normalizer}, run
        )
    except (OSError, ValueError, KeyError) as wrong:
        raise RequestError(f"{address}: not the table of a score (scores/KEY/utterances.parquet): {wrong}") from wrong


def read_side(name: str, reader: Any, facts: dict[str, Any], run: str | None) -> Side:
    """The side of an open table. Raises what reading raises, and KeyError where a column is missing."""
    schema = reader.schema_arrow
    left_out = HEAVY - ({"probabilities"} if is_marked(schema) else set())
    table = reader.read(columns=[each for each in schema.names if each not in left_out])
    said, heard = texts_of(name, table)
    return Side(
        name=name,
        heard=heard,
        said=said,
        table=table,
        objective=facts.get("objective"),
        normalizer=facts.get("normalizer"),
        score=facts.get("key"),
        model=facts.get("model"),
        split=facts.get("split"),
        run=run,
    )


def texts_of(name: str, table: pa.Table) -> tuple[Texts, Texts]:
    """References and hypotheses as they are."""
    ids, speakers, said, heard = (
        table.column(each).to_pylist() for each in ("id", "speaker", "reference", "hypothesis")
    )
    rows = range(len(table))
    references = (Entry(line=row + 1, id=ids[row], text=said[row], speaker=speakers[row] or None) for row in rows)
    hypotheses = (Entry(line=row + 1, id=ids[row], text=heard[row]) for row in rows)
    return tuple(Texts(name=name, format="jsonl", entries=tuple(each)) for each in (references, hypotheses))  # type: ignore[return-value]


def together(scores: Sequence[tuple[str, Side]]) -> pa.Table:
    """The tables of several folds as one, with a column that says which."""
    tables = [
        side.table.append_column("fold", pa.repeat(pa.scalar(fold), len(side.table)))
        for fold, side in scores
        if side.table is not None
    ]
    return united(tables)
