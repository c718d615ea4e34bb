"""A dataset's past made shorter or other: snapshots that expire, versions that are written anew. Parts are not touched here.

`collect` and `erase` decide what goes; this is how the Iceberg tables are told, each time in one commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from storage.catalog import SIDE_TABLES, Catalog, CommitLostError
from storage.versions import STAGED, Version, version_properties


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewritten:
    """A version's new content, under its old name."""

    version: Version
    tables: dict[str, pa.Table]
    books: dict[str, dict[str, float]]


def needless(catalog: Catalog, dataset: str, name: str, kept: Sequence[Version], before: float) -> set[int]:
    """The snapshots of one table that none of the versions `kept` needs.

    Those of `utterances` are told by their versions; of another table one made after `before` (seconds since 1970) may
    belong to a run that is about to commit, and its newest is what the next run appends to.
    """
    table = catalog.table(dataset, name)
    if table is None:
        return set()
    needed = {version.snapshot if name == "utterances" else version.snapshots[name] for version in kept}
    needed |= {reference.snapshot_id for reference in table.refs().values()}
    rest = [snapshot for snapshot in table.snapshots() if snapshot.snapshot_id not in needed]
    return {found.snapshot_id for found in rest if name == "utterances" or found.timestamp_ms / 1000 < before}


def expire(catalog: Catalog, dataset: str, name: str, snapshots: set[int]) -> None:
    """Take snapshots out of a table, in one commit; their files stay. Those that are gone already are no error."""
    table = catalog.table(dataset, name)
    there = {snapshot.snapshot_id for snapshot in table.snapshots()} if table is not None else set()
    if table is not None and snapshots & there:
        table.maintenance.expire_snapshots().by_ids(sorted(snapshots & there)).commit()


def files_of(catalog: Catalog, dataset: str, name: str, without: set[int]) -> set[str] | None:
    """Every file that a table needs for its snapshots but those in `without`, relative to its folder."""
    table = catalog.table(dataset, name)
    if table is None:
        return None
    needed = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    manifests: dict[str, Any] = {}
    for snapshot in table.snapshots():
        if snapshot.snapshot_id not in without:
            needed.add(snapshot.manifest_list)
            manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(table.io)}
    for path, manifest in manifests.items():
        needed.add(path)
        needed |= {each.data_file.file_path for each in manifest.fetch_manifest_entry(table.io)}
    return {path.removeprefix(table.location()).lstrip("/") for path in needed}


def rewrite(catalog: Catalog, dataset: str, rewritten: Sequence[Rewritten], kept: Iterable[Version]) -> None:
    """Put versions in the place of those of the same name, the latest among them, and drop all but these and `kept`.

    They are staged beside the history, each whole; then one commit moves the branch and the tags over and takes the old
    snapshots out. Raises CommitLostError where a run committed or a tag moved meanwhile: nothing has changed then.
    """
    table = catalog.writable(dataset, "utterances")
    for name in [name for name in table.refs() if name.startswith(STAGED)]:  # of one that was killed
        table.manage_snapshots().remove_branch(name).commit()
    for each in rewritten:
        snapshots = {name: _replace(catalog, dataset, name, each.tables[name]) for name in SIDE_TABLES}
        version = each.version
        properties = version_properties(version.name, version.created, each.books, version.facts, snapshots)
        table.append(each.tables["utterances"], snapshot_properties=properties, branch=f"{STAGED}{version.name}")
    _switch(table, [each.version for each in rewritten], {version.snapshot for version in kept})


def _replace(catalog: Catalog, dataset: str, name: str, rows: pa.Table) -> int | None:
    if not len(rows) and catalog.table(dataset, name) is None:
        return None
    table = catalog.writable(dataset, name)
    table.overwrite(rows)
    return int(table.current_snapshot().snapshot_id)


def _switch(table: Any, versions: Sequence[Version], kept: set[int]) -> None:
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table.update import (
        AssertRefSnapshotId,
        RemoveSnapshotRefUpdate,
        RemoveSnapshotsUpdate,
        SetSnapshotRefUpdate,
    )

    table.refresh()
    latest = max(versions, key=lambda version: int(version.name[1:]))
    updates: list[Any] = []
    requirements = [AssertRefSnapshotId(ref="main", snapshot_id=latest.snapshot)]
    heads = set()
    for version in versions:
        staged = f"{STAGED}{version.name}"
        head = table.refs()[staged].snapshot_id
        heads.add(head)
        names = [("main", "branch")] if version is latest else []
        for name, kind in (*names, *((tag, "tag") for tag in version.tags)):
            updates.append(SetSnapshotRefUpdate(ref_name=name, type=kind, snapshot_id=head))
        requirements += [AssertRefSnapshotId(ref=tag, snapshot_id=version.snapshot) for tag in version.tags]
        updates.append(RemoveSnapshotRefUpdate(ref_name=staged))
    gone = [each.snapshot_id for each in table.snapshots() if each.snapshot_id not in heads | kept]
    updates.append(RemoveSnapshotsUpdate(snapshot_ids=gone))
    try:
        table.catalog.commit_table(table, tuple(requirements), tuple(updates))
    except CommitFailedException as lost:
        raise CommitLostError(f"{latest.dataset}: another run committed a version meanwhile; try again") from lost
