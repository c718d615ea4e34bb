"""A version of a dataset as Iceberg keeps it: properties of a snapshot of `utterances`, written and read back."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

STAGED = "sorigil-staged-"  # branches of versions that are being written anew and do not count yet


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One state of a dataset. `name` (v1, v2, …) is for people; `snapshot` is Iceberg's id of the same thing."""

    dataset: str
    name: str
    snapshot: int
    created: str  # ISO 8601, UTC
    books: dict[str, dict[str, float]]
    facts: dict[str, Any]  # what else the commit recorded: source, specs, library versions
    snapshots: dict[str, int | None]  # of the other tables
    tags: tuple[str, ...] = field(default=())


def history(dataset: str, table: Any) -> list[Version]:
    """The versions, oldest first. One commit may be several snapshots: the last of them counts."""
    tags: dict[int, list[str]] = {}
    staged = set()
    for name, reference in table.refs().items():
        if name.startswith(STAGED):
            staged.add(reference.snapshot_id)
        elif name != "main":
            tags.setdefault(reference.snapshot_id, []).append(name)
    found: dict[str, Version] = {}
    for snapshot in sorted(table.snapshots(), key=lambda each: each.sequence_number):
        properties = snapshot.summary.additional_properties
        if "sorigil.version" in properties and snapshot.snapshot_id not in staged:
            version = _version(dataset, snapshot.snapshot_id, properties, tuple(tags.get(snapshot.snapshot_id, ())))
            found[properties["sorigil.commit"]] = version
    return sorted(found.values(), key=lambda version: int(version.name[1:]))


def version_properties(
    name: str,
    created: str,
    books: dict[str, dict[str, float]],
    facts: dict[str, Any],
    snapshots: dict[str, int | None],
) -> dict[str, str]:
    """What makes a snapshot of `utterances` a version."""
    return {
        "sorigil.version": name,
        "sorigil.commit": uuid.uuid4().hex,
        "sorigil.created": created,
        "sorigil.books": json.dumps(books),
        "sorigil.facts": json.dumps(facts, ensure_ascii=False),
        "sorigil.snapshots": json.dumps(snapshots),
    }


def _version(dataset: str, snapshot: int, properties: dict[str, str], tags: tuple[str, ...]) -> Version:
    return Version(
        dataset=dataset,
        name=properties["sorigil.version"],
        snapshot=snapshot,
        created=properties["sorigil.created"],
        books=json.loads(properties["sorigil.books"]),
        facts=json.loads(properties["sorigil.facts"]),
        snapshots=json.loads(properties["sorigil.snapshots"]),
        tags=tags,
    )
