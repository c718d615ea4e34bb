"""Everything in a dataset that names a person's utterances: where `erase` begins, and what its proof looks for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage import ledger, parts, tables
from storage.catalog import Catalog
from storage.layout import Store

Where = tuple[tuple[str, str], ...]  # (field, value): all of them must hold
_COLUMNS = ("key", "id", "place", "uri", "sha256", "speaker", "lang", "split", "extras", "audio_key")
_EVERYONE = pa.schema([tables.UTTERANCES.field(name).with_nullable(True) for name in _COLUMNS])


@dataclass(kw_only=True, slots=True)
class Traces:
    """Names of a person's utterances. `sha256` and `uris` are of recordings that hold nobody else's; `recordings` are the
    hashes of all that hold the person."""

    ids: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    audio_keys: set[str] = field(default_factory=set)
    feature_keys: set[str] = field(default_factory=set)
    sha256: set[str] = field(default_factory=set)
    recordings: set[str] = field(default_factory=set)
    uris: set[str] = field(default_factory=set)

    def part_keys(self) -> pa.Array:
        """The keys under which parts hold them."""
        return array(self.audio_keys | self.feature_keys)

    def secrets(self) -> set[str]:
        """Long random names: wherever one is found, it is the person's."""
        return self.keys | self.audio_keys | self.feature_keys | self.sha256

    def names(self) -> set[str]:
        """Names that people gave. Short ones stand anywhere by chance: they count as whole values only."""
        return self.ids | self.uris | self.places

    def about(self, table: pa.Table) -> pa.Table:
        """The rows of a table that are about the person, by whichever of the columns it has."""
        found = np.zeros(len(table), bool)
        for column, values in (
            ("key", self.keys), ("place", self.places), ("sha256", self.sha256), ("id", self.ids)
        ):  # fmt: skip
            if column in table.column_names and values:
                found |= np.asarray(tables.isin(table.column(column), array(values)).to_numpy(), bool)
        return table.filter(pa.array(found))


def array(values: Iterable[str]) -> pa.Array:
    return pa.array(sorted(values), pa.string())


def values(table: pa.Table, column: str) -> set[str]:
    return set(pc.unique(table.column(column)).drop_null().to_pylist())


def matching(table: pa.Table, where: Where) -> pa.Table:
    """The rows for which every condition holds; a field is a column, or else a name in `extras`."""
    kept = np.ones(len(table), bool)
    for name, value in where:
        if name in table.column_names:
            same = pc.fill_null(pc.equal(table.column(name).cast(pa.string()), value), False)
            kept &= np.asarray(same.to_numpy(), bool)
        else:
            kept &= np.array([_extra(each, name) == value for each in table.column("extras").to_pylist()], bool)
    return table.filter(pa.array(kept))


def _extra(extras: str | None, name: str) -> str | None:
    value = json.loads(extras).get(name) if extras else None
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def find(store: Store, catalog: Catalog, dataset: str, where: Where, items: pa.Table | None) -> Traces:
    """Look through every version, the ledgers, and the source's `items` where it could be scanned."""
    versions = catalog.versions(dataset)
    rows = [tables.conform(catalog.read(version, "utterances", _COLUMNS), _EVERYONE) for version in versions]
    scanned = [] if items is None else [tables.conform(items, _EVERYONE)]
    everyone = pa.concat_tables([tables.empty(_EVERYONE), *rows, *scanned])
    traces = Traces()
    _note(traces, matching(everyone, where))
    by_name = all(name in ("id", "uri") for name, _ in where)
    for version in versions:
        quarantine = catalog.read(version, "quarantine")
        if by_name:
            _note(traces, matching(quarantine, where))
        _note(traces, traces.about(quarantine))
        everyone = pa.concat_tables([everyone, tables.conform(quarantine, _EVERYONE)])
    traces.recordings = set(traces.sha256)
    _share_with_nobody(traces, everyone)
    _from_ledgers(store, dataset, traces)
    for version in versions:
        features = catalog.read(version, "features", ("key", "feature_key"))
        traces.feature_keys |= values(tables.only(features, "key", array(traces.keys)), "feature_key")
    return traces


def _note(traces: Traces, rows: pa.Table) -> None:
    pairs: tuple[tuple[str, set[str]], ...] = (
        ("id", traces.ids), ("place", traces.places), ("key", traces.keys), ("audio_key", traces.audio_keys),
        ("sha256", traces.sha256), ("uri", traces.uris),
    )  # fmt: skip
    for column, known in pairs:
        if column in rows.column_names:
            known |= values(rows, column)


def _share_with_nobody(traces: Traces, everyone: pa.Table) -> None:
    """A recording in which somebody else speaks too stays; of it only the person's stretches go."""
    others = tables.without(everyone, "place", array(traces.places))
    traces.sha256 -= values(others, "sha256")
    traces.uris -= values(others, "uri")


def _from_ledgers(store: Store, dataset: str, traces: Traces) -> None:
    """Keys of work that no version holds: other specs, augmented copies, runs that died."""
    for address in ledger.units(store, dataset):
        rows = traces.about(parts.read_table(address, ("key", "place", "sha256", "audio_key", "features")))
        if len(rows):
            traces.keys |= values(rows, "key")
            traces.audio_keys |= values(rows, "audio_key")
            traces.feature_keys |= values(ledger.features_of(tables.conform(rows, ledger.ROWS)), "feature_key")


def rows_about(address: str, traces: Traces) -> int:
    """How many rows of a ledger are about the person."""
    return len(traces.about(parts.read_table(address, ("key", "place", "sha256"))))


def holds(column: Any, wanted: pa.Array) -> bool:
    return bool(pc.any(tables.isin(column, wanted)).as_py())
