"""Old versions expire, and what no version needs any more is deleted: parts, ledgers, Iceberg's files, leftovers.

`plan_pruning` looks and writes nothing; `prune` carries its plan out: first the versions go from the catalogue (one
commit a table), then files are deleted, ledgers before the parts they name. A kill leaves files that nobody names, and
the next pruning finds them. Nothing younger than `min_age` is touched: a running run may be about to name it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from storage import files, history, ledger, parts, references, tables
from storage.catalog import Catalog
from storage.layout import Store
from storage.versions import Version

_NAMES = pa.schema([tables.UTTERANCES.field(name) for name in ("audio_key", "audio_spec")])
MIN_AGE = timedelta(days=7)  # longer than a run takes


@dataclass(frozen=True, kw_only=True, slots=True)
class Doomed:
    """A file to delete, relative to the root."""

    kind: str  # ledger, part, table, temporary, breadcrumb, damaged
    uri: str
    bytes: int


@dataclass(kw_only=True, slots=True)
class Pruning:
    """What goes: versions, the snapshots behind them by table, and files in the order of their deletion."""

    dataset: str
    versions: list[Version] = field(default_factory=list)
    kept: list[Version] = field(default_factory=list)
    snapshots: dict[str, set[int]] = field(default_factory=dict)
    files: list[Doomed] = field(default_factory=list)

    def bytes(self) -> int:
        return sum(doomed.bytes for doomed in self.files)


def plan_pruning(
    store: Store,
    catalog: Catalog,
    dataset: str,
    *,
    keep: int | None = None,
    older_than: timedelta | None = None,
    min_age: timedelta = MIN_AGE,
) -> Pruning:
    """What pruning would delete. Versions expire that are beyond the newest `keep` and older than `older_than`.

    Where neither is given no version expires. The latest version and those with a tag always stay.
    """
    before = (datetime.now(UTC) - min_age).timestamp()
    versions = catalog.versions(dataset)
    expired = _expired(versions, keep, older_than)
    kept = [version for version in versions if version not in expired]
    snapshots = {name: history.needless(catalog, dataset, name, kept, before) for name in tables.SCHEMAS}
    plan = Pruning(dataset=dataset, versions=expired, kept=kept, snapshots=snapshots)
    dead_units, live_parts = _units(store, catalog, dataset, kept, before)
    plan.files += dead_units
    plan.files += [
        _doomed(store, "part", found)
        for found in references.part_files(store, dataset)
        if files.relative_to(found.uri, store.root) not in live_parts and found.modified < before
    ]
    plan.files += _table_files(store, catalog, dataset, snapshots, before)
    plan.files += _leftovers(store, before)
    return plan


def _expired(versions: list[Version], keep: int | None, older_than: timedelta | None) -> list[Version]:
    if keep is None and older_than is None:
        return []
    old = versions[:-1] if keep is None else versions[: -max(1, keep)]
    if older_than is not None:
        limit = datetime.now(UTC) - older_than
        old = [version for version in old if datetime.fromisoformat(version.created) < limit]
    return [version for version in old if not version.tags]


def _units(
    store: Store, catalog: Catalog, dataset: str, kept: list[Version], before: float
) -> tuple[list[Doomed], set[str]]:
    """The ledgers to delete, and the parts that versions or the other ledgers need."""
    live = set(references.by_versions(catalog, kept).column("part").to_pylist())
    needed = _Needed(catalog, kept)
    dead = []
    for address in ledger.units(store, dataset):
        named = set(ledger.parts_of(address).column("part").to_pylist())
        found = files.entry(address)
        if found is None or found.modified >= before or needed.ledger(address):
            live |= named
        elif not named & live:
            dead.append(_doomed(store, "ledger", found))
    return dead, live


class _Needed:
    """Tells ledgers that hold what is nowhere else: augmented copies, and items that were done but not kept."""

    def __init__(self, catalog: Catalog, versions: list[Version]) -> None:
        columns = ("audio_key", "audio_spec")
        rows = pa.concat_tables(
            [tables.empty(_NAMES), *(catalog.read(each, "utterances", columns) for each in versions)]
        )
        self._audio, self._specs = pc.unique(rows.column("audio_key")), pc.unique(rows.column("audio_spec"))
        last = catalog.read(versions[-1] if versions else None, "quarantine", ("place", "books"))
        self._places = last.filter(pc.not_equal(last.column("books"), "vanished")).column("place")

    def ledger(self, address: str) -> bool:
        rows = parts.read_table(address, ("place", "audio_spec", "audio_key"))
        copies = pc.and_(pc.is_null(rows.column("place")), tables.isin(rows.column("audio_key"), self._audio))
        left_out = tables.isin(rows.column("place"), self._places)  # filtered, a duplicate: known by its ledger alone
        left_out = pc.and_(left_out, tables.isin(rows.column("audio_spec"), self._specs))
        return bool(pc.any(pc.or_(copies, left_out)).as_py())


def _table_files(
    store: Store, catalog: Catalog, dataset: str, snapshots: dict[str, set[int]], before: float
) -> Iterator[Doomed]:
    """Iceberg's files that no remaining snapshot needs."""
    for name, gone in snapshots.items():
        needed = history.files_of(catalog, dataset, name, without=gone)
        place = store.path(store.table(dataset, name))
        for found in files.walk(place) if needed is not None else ():
            if files.relative_to(found.uri, place) not in (needed or ()) and found.modified < before:
                yield _doomed(store, "table", found)


def _leftovers(store: Store, before: float) -> Iterator[Doomed]:
    """Temporary files of killed writers, breadcrumbs of dead units, what was set aside as damaged."""
    for folder in (
        "parts",
        "units",
        "models",
        "checkpoints",
        "hypotheses",
        "scores",
        "leaderboards",
        "runs",
        "transcripts",
    ):
        for found in files.leftovers(store.path(folder)):
            if found.modified < before:
                yield _doomed(store, "temporary", found)
    for kind, folder, ending in (
        ("breadcrumb", "units", ".now"),
        ("breadcrumb", "transcripts", ".now"),
        ("damaged", "damaged", ""),
    ):
        place = store.path(folder)
        for found in files.walk(place) if files.exists(place) else ():
            if found.uri.endswith(ending) and found.modified < before:
                yield _doomed(store, kind, found)


def _doomed(store: Store, kind: str, found: files.FileEntry) -> Doomed:
    return Doomed(kind=kind, uri=files.relative_to(found.uri, store.root), bytes=found.size)


def prune(store: Store, catalog: Catalog, plan: Pruning) -> None:
    """Carry a plan out. A version that was committed meanwhile keeps the parts it names."""
    for name in (
        "utterances",
        *(name for name in tables.SCHEMAS if name != "utterances"),
    ):  # versions before what they need
        history.expire(catalog, plan.dataset, name, plan.snapshots[name])
    known = {version.snapshot for version in plan.kept}
    fresh = [version for version in catalog.versions(plan.dataset) if version.snapshot not in known]
    needed = set(references.by_versions(catalog, fresh).column("part").to_pylist())
    for doomed in plan.files:
        if doomed.uri not in needed:
            files.remove(store.path(doomed.uri))
