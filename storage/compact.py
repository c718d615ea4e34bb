"""Small parts of many nights merged into large ones: the same rows, in fewer files.

The merged parts are written first, then one commit names them: a version of its own with the rows, keys and books of the
one before. Older versions and tags go on reading their old parts until `collect` deletes what nobody names. Killed before
the commit, nothing has changed; a run that commits meanwhile wins, and compaction has to begin again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from sorigil.fingerprint import digest
from storage import files, parts, rewrite, tables
from storage.catalog import Catalog
from storage.layout import Store
from storage.rewrite import Wanted
from storage.versions import Version

BELOW_BYTES = 64 << 20  # parts smaller than this are merged …
TARGET_BYTES = 128 << 20  # … into parts of about this size


@dataclass(kw_only=True, slots=True)
class Compaction:
    """What was merged: parts by number and bytes, before and after."""

    version: Version
    changed: bool = False
    parts_before: int = 0
    parts_after: int = 0
    bytes_merged: int = 0
    merged: dict[str, int] = field(default_factory=dict)  # new part -> how many went into it


def compact(
    store: Store, catalog: Catalog, version: Version, *, below: int = BELOW_BYTES, target: int = TARGET_BYTES
) -> Compaction:
    """Merge the latest version's small parts and commit. Raises CommitLostError where a run committed meanwhile."""
    state = {name: catalog.read(version, name) for name in tables.SCHEMAS}
    result = Compaction(version=version)
    for name in rewrite.PLACES:
        wanted = rewrite.wanted_of(state[name], name)
        result.parts_before += len(wanted)
        result.parts_after += len(wanted)
        moved = [tables.empty(rewrite.MOVED)]
        for batch in _batches(store, wanted, below, target, result):
            uri = _name(store, batch)
            moved.append(rewrite.write_anew(store, uri, batch))
            result.merged[uri] = len(batch)
            result.parts_after -= len(batch) - 1
        state[name] = rewrite.repoint(state[name], name, pa.concat_tables(moved))
    if result.merged:
        facts = {**version.facts, "compacted": version.name}
        result.version = catalog.commit(version.dataset, version, state, books=version.books, facts=facts)
        result.changed = True
    return result


def _batches(
    store: Store, wanted: dict[str, Wanted], below: int, target: int, result: Compaction
) -> list[list[Wanted]]:
    """Small parts of one folder and one schema, in the order of their names, up to `target` bytes together."""
    groups: dict[tuple[str, str], list[tuple[Wanted, int]]] = {}
    for part in sorted(wanted):
        found = files.entry(store.path(part))
        if found is None or found.size >= below:
            continue
        schema = parts.open_parquet(found.uri).schema_arrow
        groups.setdefault((files.parent(part), str(schema)), []).append((wanted[part], found.size))
    batches = []
    for group in groups.values():
        batch: list[Wanted] = []
        size = 0
        for each, number in group:
            if batch and size + number > target:
                batches.append(batch)
                batch, size = [], 0
            batch.append(each)
            size += number
            result.bytes_merged += number
        batches.append(batch)
    return [batch for batch in batches if len(batch) > 1]


def _name(store: Store, batch: list[Wanted]) -> str:
    """Named by what goes into it: whoever compacts the same again writes the same part."""
    content = [f"{each.part} {digest(*each.rows.tolist())}" for each in batch]
    return f"{files.parent(batch[0].part)}/{digest('compact', *content)}.parquet"
