"""Which parts are named, by whom, and which of them are there.

Versions name parts in their rows; ledgers name those of finished units, committed or not (augmented copies are in no
version). What neither names is an orphan. Plans believe only parts that are there (`parts_there`), so that a part that
was lost, or set aside as damaged, is computed again by the next run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from storage import files, ledger, tables
from storage.catalog import Catalog
from storage.files import FileEntry
from storage.layout import Store
from storage.versions import Version

NAMED = pa.schema(
    [
        pa.field("part", pa.string()),  # relative to the root
        pa.field("sha256", pa.string()),  # as whoever names it says
        pa.field("by", pa.string()),  # a version's name, or "ledger"
    ]
)
LEDGER = "ledger"


def named_parts(store: Store, catalog: Catalog, dataset: str) -> pa.Table:
    """Every part that a version or a ledger of the dataset names, once for each of them and each sha256."""
    found = [by_versions(catalog, catalog.versions(dataset))]
    found += [_by(ledger.parts_of(store.path(unit)), LEDGER) for unit in ledger.units(store, dataset)]
    table = pa.concat_tables(found)
    return table.group_by(NAMED.names).aggregate([]).select(NAMED.names)


def by_versions(catalog: Catalog, versions: Sequence[Version]) -> pa.Table:
    """The parts that the rows of these versions name."""
    found = [tables.empty(NAMED)]
    features: dict[int | None, pa.Table] = {}  # many versions share one snapshot of the features
    for version in versions:
        audio = catalog.read(version, "utterances", ("audio_part", "audio_part_sha256"))
        found.append(_by(_pairs(audio), version.name))
        snapshot = version.snapshots["features"]
        if snapshot not in features:
            features[snapshot] = _pairs(catalog.read(version, "features", ("part", "part_sha256")))
        found.append(_by(features[snapshot], version.name))
    return pa.concat_tables(found)


def _pairs(rows: pa.Table) -> pa.Table:
    """Each (part, sha256) once; rows without a part are left out."""
    rows = rows.rename_columns(["part", "sha256"])
    return rows.group_by(["part", "sha256"]).aggregate([]).filter(pc.field("part").is_valid())


def _by(pairs: pa.Table, name: str) -> pa.Table:
    return tables.conform(pairs.append_column("by", pa.array([name] * len(pairs), pa.string())), NAMED)


def part_files(store: Store, dataset: str) -> Iterable[FileEntry]:
    """Every file below the dataset's parts."""
    folder = store.path(store.parts(dataset))
    if files.is_url(folder) or files.exists(folder):
        yield from files.walk(folder)


def parts_there(store: Store, dataset: str) -> Any:
    """The parts of a dataset that are in the store, relative to the root."""
    return pa.array([files.relative_to(entry.uri, store.root) for entry in part_files(store, dataset)], pa.string())


def is_whole(store: Store, unit: str) -> bool:
    """Whether a unit was finished and every part that its ledger names is there."""
    address = store.path(unit)
    if not files.exists(address):
        return False
    named = ledger.parts_of(address).column("part").to_pylist()
    return all(files.exists(store.path(part)) for part in named)
