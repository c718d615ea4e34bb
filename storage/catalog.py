"""The catalogue: Apache Iceberg tables that say what a dataset is, version by version.

A version is one commit of the table `utterances`, which comes last and records the snapshots of the other tables that
belong to it. It is a compare-and-set on the version the plan was made from: of two runs that change the same dataset
at once one loses, raises `CommitLostError`, and plans again. A run that dies before that commit has changed nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from sorigil.errors import RequestError, RunError
from storage import iceberg, s3, tables
from storage.changes import changes
from storage.files import is_url, local_path, local_uri
from storage.versions import Version, history, version_properties

SIDE_TABLES = ("annotations", "features", "quarantine")
_FEW = 500  # removed rows up to this number are deleted by key; more, and the table is written anew
_PROPERTIES = {
    # A lost race must be seen, not retried underneath us: the plan is stale then.
    "commit.retry.num-retries": "0",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


class CommitLostError(RunError):
    """Somebody else committed a version of this dataset first."""


class Catalog:
    """Versions of datasets. `uri` is a SQLAlchemy address (SQLite, PostgreSQL) or an Iceberg REST catalogue's."""

    def __init__(self, uri: str, root: str) -> None:
        from pyiceberg.catalog import load_catalog

        warehouse = f"{root.rstrip('/')}/tables"
        if not is_url(root):
            local_path(root).mkdir(parents=True, exist_ok=True)
            warehouse = local_uri(warehouse)
        self._root = root
        kind = "rest" if uri.startswith(("http://", "https://")) else "sql"
        place = s3.table_options(root) if root.startswith(s3.SCHEME) else {}
        self._catalog: Any = load_catalog("sorigil", type=kind, uri=uri, warehouse=warehouse, **place)

    # -- reading -------------------------------------------------------------------------------------------------

    def datasets(self) -> list[str]:
        return sorted(name[0] for name in self._catalog.list_namespaces())

    def table(self, dataset: str, name: str) -> Any | None:
        """The Iceberg table itself, for `history`; None where there is none yet.

        Raises RequestError where the store was moved: Iceberg's addresses are absolute.
        """
        from pyiceberg.exceptions import NoSuchTableError

        self._refuse_elsewhere(self._noted(dataset, name))  # first: the old place may be gone, or not even answer
        try:
            found = self._catalog.load_table((dataset, name))
        except NoSuchTableError:
            return None
        except FileNotFoundError as missing:
            raise RequestError(
                f"{self._root}: the catalogue names files that are not there ({missing}); if the store was moved, "
                "`sorigil repair` makes its addresses true again"
            ) from missing
        self._refuse_elsewhere(found.metadata_location)
        return found

    def _refuse_elsewhere(self, location: str | None) -> None:
        if location is not None and not self._is_here(location):
            raise RequestError(
                f"{self._root}: the catalogue names files of another folder ({location}), as that of a moved "
                "or copied store does; `sorigil repair` makes its addresses true again"
            )

    def _noted(self, dataset: str, name: str) -> str | None:
        """Where the database says that a table's newest metadata is; None for a REST catalogue, which says it by itself."""
        from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
        from sqlalchemy import select
        from sqlalchemy.orm import Session

        if not isinstance(self._catalog, SqlCatalog):
            return None
        here = (IcebergTables.table_namespace == dataset, IcebergTables.table_name == name)
        with Session(self._catalog.engine) as session:
            return session.scalar(select(IcebergTables.metadata_location).where(*here))

    def _is_here(self, location: str) -> bool:
        """Whether an address is below the root, be it by another path (a link, a mount)."""
        if is_url(self._root) or is_url(location):
            return location.startswith(f"{self._root.rstrip('/')}/")
        if location.startswith(f"{local_uri(self._root)}/"):
            return True
        return local_path(self._root).resolve() in local_path(location).resolve().parents

    def locations(self) -> list[tuple[str, str, str]]:
        """Dataset, table and the address of its newest metadata, as the database says, whether they are there or not."""
        from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
        from sqlalchemy import select
        from sqlalchemy.orm import Session

        if not isinstance(self._catalog, SqlCatalog):
            raise RequestError("a REST catalogue holds its own addresses; move the tables with its own tools")
        columns = (IcebergTables.table_namespace, IcebergTables.table_name, IcebergTables.metadata_location)
        with Session(self._catalog.engine) as session:
            return [(str(each[0]), str(each[1]), str(each[2])) for each in session.execute(select(*columns))]

    def relocate(self, dataset: str, name: str, old: str, new: str) -> None:
        """Tell the database that a table's newest metadata is elsewhere now."""
        from pyiceberg.catalog.sql import IcebergTables
        from sqlalchemy import update
        from sqlalchemy.orm import Session

        here = (IcebergTables.table_namespace == dataset, IcebergTables.table_name == name)
        with Session(self._catalog.engine) as session:
            change = update(IcebergTables).where(*here, IcebergTables.metadata_location == old)
            session.execute(change.values(metadata_location=new, previous_metadata_location=None))
            session.commit()

    def versions(self, dataset: str) -> list[Version]:
        """All versions, oldest first."""
        table = self.table(dataset, "utterances")
        return [] if table is None else history(dataset, table)

    def version(self, dataset: str, name: str | None = None) -> Version | None:
        """The latest version, or the one called `name` (v3, a tag, a snapshot id); None where there is none yet."""
        found = self.versions(dataset)
        if name is None:
            return found[-1] if found else None
        for version in found:
            if name in (version.name, str(version.snapshot), *version.tags):
                return version
        known = ", ".join(label for version in found for label in (version.name, *version.tags)) or "none yet"
        raise RequestError(f"{dataset}: no version called {name}; there is: {known}")

    def read(
        self, version: Version | None, name: str, columns: tuple[str, ...] | None = None, *, lean: bool = False
    ) -> pa.Table:
        """One table as it stands in a version (empty where there is no version); `lean`, as it is best held in memory."""
        schema = tables.LEAN[name] if lean else tables.SCHEMAS[name]
        wanted = schema if columns is None else pa.schema([schema.field(column) for column in columns])
        snapshot = None
        if version is not None:
            snapshot = version.snapshot if name == "utterances" else version.snapshots[name]
        table = self.table(version.dataset, name) if version is not None and snapshot is not None else None
        if table is None or snapshot is None:
            return tables.empty(wanted)
        there = iceberg.columns_at(table, snapshot)  # a version made before a column existed reads as nulls there
        fields = tuple(field for field in wanted.names if field in there) or schema.names[:1]  # at least the rows
        return iceberg.scanned(table.scan(snapshot_id=snapshot, selected_fields=fields), wanted)

    # -- writing -------------------------------------------------------------------------------------------------

    def commit(
        self,
        dataset: str,
        base: Version | None,
        state: dict[str, pa.Table],
        *,
        books: dict[str, dict[str, float]],
        facts: dict[str, Any],
        before: Mapping[str, pa.Table] | None = None,
    ) -> Version:
        """Make `state` (the whole content of each table) the dataset's next version, writing only what changed.

        `before` are the tables of `base`, where they have been read already. Returns `base` itself when nothing changed.
        Raises CommitLostError when `base` is no longer the latest version.
        """
        self._make_namespace(dataset)
        deltas = {name: self._delta(base, name, state[name], before) for name in tables.SCHEMAS}
        if base is not None and not any(map(_says_something, deltas.values())):
            return base
        snapshots = {
            name: self._write(dataset, name, base.snapshots[name] if base else None, state[name], deltas[name], {})
            for name in SIDE_TABLES
        }
        number = int(base.name[1:]) + 1 if base else 1
        created = datetime.now(UTC).isoformat(timespec="seconds")
        properties = version_properties(f"v{number}", created, books, facts, snapshots)
        parent = base.snapshot if base else None
        snapshot = self._write(dataset, "utterances", parent, state["utterances"], deltas["utterances"], properties)
        committed = self.version(dataset, str(snapshot))  # not the latest: another run may have gone on from ours
        assert committed is not None
        return committed

    def _make_namespace(self, dataset: str) -> None:
        from sqlalchemy.exc import IntegrityError

        with contextlib.suppress(IntegrityError):  # another first run made it between the look and the insertion
            self._catalog.create_namespace_if_not_exists(dataset)

    def differs(self, base: Version, state: dict[str, pa.Table], before: Mapping[str, pa.Table] | None = None) -> bool:
        """Whether committing `state` would make a new version."""
        return any(_says_something(self._delta(base, name, state[name], before)) for name in tables.SCHEMAS)

    def _delta(
        self, base: Version | None, name: str, new: pa.Table, before: Mapping[str, pa.Table] | None
    ) -> tuple[pa.Table, Any]:
        old = self.read(base, name, lean=True) if before is None else before[name]
        ignore = ("when",) if name in ("annotations", "quarantine") else ()
        return changes(old, new, tables.KEYS[name], ignore=ignore)

    def _write(
        self,
        dataset: str,
        name: str,
        parent: int | None,
        whole: pa.Table,
        delta: tuple[pa.Table, Any],
        properties: dict[str, str],
    ) -> int | None:
        """Bring one table from its snapshot `parent` to `whole`; returns the snapshot that holds it."""
        from pyiceberg.exceptions import CommitFailedException

        added, removed = delta
        schema = tables.SCHEMAS[name]
        is_version = name == "utterances"
        if not is_version and not len(added) and not len(removed):
            return parent
        table = self._catalog.create_table_if_not_exists((dataset, name), schema, properties=_PROPERTIES)
        current = table.current_snapshot()
        here = current.snapshot_id if current else None
        if here != parent and is_version:
            raise CommitLostError(f"{dataset}: another run committed a version meanwhile; run again to plan from it")
        try:
            iceberg.add_new_columns(table, schema)
            # What a dead or losing run left in a side table belongs to no version: overwriting makes it unreachable.
            with table.transaction() as transaction:
                if here == parent and not len(removed):
                    iceberg.append(transaction, added, schema, properties)
                elif here == parent and len(removed) <= _FEW and is_version:
                    iceberg.remove(transaction, tables.KEYS[name], removed, properties)
                    iceberg.append(transaction, added, schema, properties)
                else:
                    iceberg.remove_all(transaction, properties)
                    iceberg.append(transaction, whole, schema, properties)
        except CommitFailedException as lost:
            raise CommitLostError(
                f"{dataset}: another run committed a version meanwhile; run again to plan from it"
            ) from lost
        snapshot = table.current_snapshot()
        return int(snapshot.snapshot_id) if snapshot else None

    def writable(self, dataset: str, name: str) -> Any:
        """The Iceberg table, made where there is none, with every column that this program knows."""
        table = self._catalog.create_table_if_not_exists((dataset, name), tables.SCHEMAS[name], properties=_PROPERTIES)
        iceberg.add_new_columns(table, tables.SCHEMAS[name])
        return table

    def tag(self, dataset: str, version: Version, name: str) -> None:
        """Give a version a name that keeps it."""
        table = self.table(dataset, "utterances")
        if table is None:
            raise RequestError(f"{dataset}: no such dataset")
        if re.fullmatch(r"v?\d+", name):
            raise RequestError(f"{dataset}: a tag cannot be called {name}: that is how versions are called")
        if name in table.refs():
            raise RequestError(f"{dataset}: the tag {name} exists already")
        table.manage_snapshots().create_tag(version.snapshot, name).commit()

    # -- looking back ------------------------------------------------------------------------------------------------

    def diff(self, old: Version | None, new: Version) -> dict[str, list[str]]:
        """Ids that came, went, changed (other audio) and were relabelled (other text or label) from old to new."""
        columns = ("id", "key")
        before, after = self.read(old, "utterances", columns), self.read(new, "utterances", columns)
        old_ids, new_ids = before.column("id"), after.column("id")
        shared = tables.only(after, "id", old_ids)
        was = tables.lookup(before, "id", shared.column("id"))
        import pyarrow.compute as pc

        moved = pc.not_equal(shared.column("key"), was.column("key"))
        return {
            "added": tables.without(after, "id", old_ids).column("id").to_pylist(),
            "removed": tables.without(before, "id", new_ids).column("id").to_pylist(),
            "changed": shared.filter(moved).column("id").to_pylist(),
            "relabelled": self._relabelled(old, new, shared.filter(pc.invert(moved))),
        }

    def _relabelled(self, old: Version | None, new: Version, same_audio: pa.Table) -> list[str]:
        columns = ("key", "tier", "value")
        before, after = self.read(old, "annotations", columns), self.read(new, "annotations", columns)
        added, removed = changes(before, after, tables.KEYS["annotations"])
        touched = set(added.column("key").to_pylist()) | {value.split("\x1f")[0] for value in removed.to_pylist()}
        return [row["id"] for row in same_audio.to_pylist() if row["key"] in touched]


def _says_something(delta: tuple[pa.Table, Any]) -> bool:
    added, removed = delta
    return bool(len(added) or len(removed))
