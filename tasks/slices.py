"""By what a score is sliced: the columns of its own table and of the catalogue, what else the source says, and who spoke.

Whoever slices a score does it here, so that `sorigil errors`, model cards and MLflow's tables name the same slices.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from sorigil.errors import RequestError
from sorigil.metrics.slice_columns import Column, categories, numbers
from sorigil.metrics.slice_rules import LEAST
from sorigil.metrics.slices import Slice, slices
from sorigil.objectives import OBJECTIVES
from storage import tables
from storage.catalog import Catalog
from storage.versions import Version
from tasks.tag_table import sets_of

CATALOGUED = ("key", "extras", "container", "sample_rate", "start")
ABOUT_THE_FILE = {"duration", "bytes"}  # what sources say of the whole file, which is `seconds` again
MEASURED = ("snr_db", "lufs", "bandwidth_hz", "clipped_share", "silence_share", "speech_share")


def catalogued(catalog: Catalog, version: Version, table: pa.Table) -> pa.Table:
    """What the catalogue says of a score's rows, in their order; nulls where it does not know them any more."""
    found = catalog.read(version, "utterances", (*CATALOGUED, *MEASURED))
    return tables.lookup(found, "key", table.column("key"))


def units_of(table: pa.Table, objective: str) -> Any:
    """What the errors of each row of a score are of: its words, its one answer, or its tags, those that are there and those
    that were said (so the rate of wrong ones is 1 - F1)."""
    if OBJECTIVES[objective].several:  # type: ignore[index]
        columns = (sets_of(table, f"{name}_compared") for name in ("reference", "hypothesis"))
        return np.array([len(there) + len(said) for there, said in zip(*columns, strict=True)], np.int64)
    if OBJECTIVES[objective].text:  # type: ignore[index]
        return np.array([len(text.split()) for text in _references(table)], np.int64)
    return np.ones(len(table), np.int64)


def speakers_of(table: pa.Table) -> list[str] | None:
    """Who says each row, where all are known and there are several."""
    speakers = table.column("speaker").to_pylist()
    return speakers if all(speakers) and len(set(speakers)) > 1 else None


def sliced(table: pa.Table, objective: str, columns: Sequence[Column]) -> list[Slice]:
    """A score's rate in each slice. Rows that belong together, and are no independent witnesses, are those of a speaker;
    where these are not known those of an utterance, if several models answered to it."""
    speakers, keys = speakers_of(table), table.column("key").to_pylist()
    groups = speakers or (keys if len(set(keys)) < len(keys) else None)
    seconds = table.column("seconds").to_numpy()
    found = slices(table.column("errors").to_numpy(), units_of(table, objective), columns, seconds, groups)
    return found if speakers else [replace(row, groups=None) for row in found]


def columns_of(table: pa.Table, objective: str, known: pa.Table | None = None, by: Sequence[str] = ()) -> list[Column]:
    """Every column of which a slice could be told, or those named in `by`. Raises RequestError for a name that is none.

    Numbers of the source's extras are binned as others are; texts that differ in nearly every row are left out unless
    they are asked for.
    """
    made = _of_score(table, objective)
    made |= {} if known is None else {name: make for name, make in _of_catalogue(known).items() if name not in made}
    if unknown := [name for name in by if name not in made]:
        raise RequestError(f"--by {unknown[0]}: there is no such column; there are {', '.join(made)}")
    columns = [make() for name, make in made.items() if not by or name in by]
    return columns if by else [column for column in columns if _tells(column)]


def _tells(column: Column) -> bool:
    there = np.bincount(column.codes_N[column.codes_N >= 0], minlength=1)
    return bool(np.count_nonzero(there) > 1 and there.max() >= LEAST)


def _of_score(table: pa.Table, objective: str) -> dict[str, Callable[[], Column]]:
    facts = OBJECTIVES[objective]  # type: ignore[index]
    made: dict[str, Callable[[], Column]] = {
        name: _words(name, table) for name in ("fold", "speaker", "lang") if name in table.column_names
    }
    if not facts.text and not facts.several:
        made["label"] = lambda: categories("label", table.column("reference_compared").to_pylist())
    if "seconds" in table.column_names:
        made["seconds"] = lambda: numbers("seconds", table.column("seconds").to_numpy())
    if facts.text:
        made["words"] = lambda: numbers("words", [len(text.split()) for text in _references(table)])
    if facts.text and "seconds" in table.column_names:
        made["characters_per_second"] = lambda: numbers("characters_per_second", _rates(table))
    return made


def _of_catalogue(known: pa.Table) -> dict[str, Callable[[], Column]]:
    made: dict[str, Callable[[], Column]] = {name: _measured(name, known) for name in MEASURED}
    made |= {"container": _words("container", known), "sample_rate": _measured("sample_rate", known)}
    extras = [json.loads(text) if text else {} for text in known.column("extras").to_pylist()]
    for name in sorted({key for row in extras for key in row} - set(made) - ABOUT_THE_FILE):
        made[name] = _extra(name, extras)
    return made


def _words(name: str, table: pa.Table) -> Callable[[], Column]:
    return lambda: categories(name, table.column(name).to_pylist())


def _measured(name: str, known: pa.Table) -> Callable[[], Column]:
    return lambda: numbers(name, np.asarray(known.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)))


def _extra(name: str, extras: Sequence[Mapping[str, Any]]) -> Callable[[], Column]:
    """Numbers where all that is known are numbers, as a CSV has them too; words else."""
    values = [row.get(name) for row in extras]

    def column() -> Column:
        try:
            return numbers(name, np.fromiter(_as_numbers(values), np.float64, len(values)))
        except (TypeError, ValueError):
            return categories(name, [None if value is None else str(value) for value in values])

    return column


def _as_numbers(values: Sequence[Any]) -> Iterator[float]:
    for value in values:
        if isinstance(value, bool):
            raise TypeError("yes and no are words")
        yield np.nan if value in (None, "") else float(value)


def _references(table: pa.Table) -> list[str]:
    texts: list[str] = table.column("reference_compared").to_pylist()
    return texts


def _rates(table: pa.Table) -> Any:
    characters = np.array([len("".join(text.split())) for text in _references(table)], np.float64)
    seconds = table.column("seconds").to_numpy()
    return np.divide(characters, seconds, out=np.full(len(seconds), np.nan), where=seconds > 0)
