"""What was erased and must not come back: digests only, so that the list itself says nothing of a person.

`sorigil erase` writes it before it touches anything; plans leave out the places in it, and units refuse the files and
utterances in it when they meet them under another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.fingerprint import digest
from storage import files, parts, tables
from storage.layout import Store
from storage.quarantine import now

SCHEMA = pa.schema(
    [
        pa.field(
            "kind", pa.string()
        ),  # place, file or recording (the sha256 of its bytes: of one person, of several), key (of an utterance)
        pa.field("digest", pa.string()),  # H(kind, value)
        pa.field("when", pa.string()),
    ]
)


def marks(kind: str, values: Iterable[str]) -> list[str]:
    """The digests under which values of a kind are remembered."""
    return [digest("erased", kind, value) for value in values]


def load(store: Store, dataset: str) -> pa.Table:
    address = store.path(store.erased(dataset))
    return tables.conform(parts.read_table(address), SCHEMA) if files.exists(address) else tables.empty(SCHEMA)


def remember(store: Store, dataset: str, found: Mapping[str, Iterable[str]]) -> None:
    """Add values by kind to the list."""
    known = load(store, dataset)
    added = [
        pa.table({"kind": [kind] * len(each), "digest": each, "when": [now()] * len(each)}, schema=SCHEMA)
        for kind, each in ((kind, marks(kind, sorted(set(values)))) for kind, values in found.items())
    ]
    fresh = [tables.without(table, "digest", known.column("digest")) for table in added]
    parts.write_table(store.path(store.erased(dataset)), pa.concat_tables([known, *fresh]))


def of_kind(table: pa.Table, *kinds: str) -> pa.Table:
    return table.filter(pc.is_in(table.column("kind"), pa.array(kinds)))


def quarantine_rows(places: Iterable[str]) -> pa.Table:
    """What the books say of erased items: that they were left out, not which they were."""
    found = marks("place", places)
    rows = {
        "id": [f"erased-{mark[:16]}" for mark in found],
        "place": [f"erased-{mark}" for mark in found],
        "stage": ["filter"] * len(found),
        "reason": ["erased"] * len(found),
        "detail": ["erased on request"] * len(found),
        "books": ["filtered"] * len(found),
        "code": [""] * len(found),
        "when": [now()] * len(found),
    }
    return tables.conform(pa.table(rows), tables.QUARANTINE)
