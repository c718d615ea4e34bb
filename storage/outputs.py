"""Where a dataset's rows went outside the store: exports and transcripts, noted so that `erase` finds them.

A note is written before what it speaks of, so that something half written is known too; a place has one note.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sorigil.fingerprint import digest
from storage import files
from storage.layout import Store

Kind = Literal["export", "transcripts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A folder or prefix that was written to. `facts`: of an export what was asked (`version`, `snapshot`, `format`, …)."""

    kind: Kind
    place: str
    facts: dict[str, Any] = field(default_factory=dict)


def _address(store: Store, dataset: str, output: Output) -> str:
    return store.path(f"{store.outputs(dataset)}/{digest(output.kind, output.place)}.json")


def note(store: Store, dataset: str, output: Output) -> None:
    """Remember a place, and for what it was written last."""
    data = json.dumps(asdict(output), ensure_ascii=False, sort_keys=True).encode()
    address = _address(store, dataset, output)
    if not files.exists(address) or files.read_bytes(address) != data:
        files.write_bytes(address, data)


def noted(store: Store, dataset: str) -> list[Output]:
    """Every place that was noted and not forgotten since."""
    folder = store.path(store.outputs(dataset))
    if not files.is_url(folder) and not files.exists(folder):
        return []
    return [Output(**json.loads(files.read_bytes(entry.uri))) for entry in files.walk(folder)]


def forget(store: Store, dataset: str, output: Output) -> None:
    """What was there is gone."""
    files.remove(_address(store, dataset, output))
