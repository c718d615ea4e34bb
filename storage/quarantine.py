"""Rows of the quarantine table: what was not kept, where it was seen, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from storage import tables


def now() -> str:
    """This moment as the tables write it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def quarantine_rows(
    items: pa.Table, stage: str, reason: Any, detail: Any, books: Any = "quarantined", code: Any = ""
) -> pa.Table:
    """Quarantine rows of items; `reason` and `detail` are columns or one value for all."""

    def column(value: Any) -> Any:
        return pa.array([value] * len(items), pa.string()) if value is None or isinstance(value, str) else value

    names = [
        name
        for name in ("id", "place", "uri", "stamp", "sha256", "seconds", "piece", "pieces")
        if name in items.column_names
    ]
    found = items.select(names)
    if "seconds" in names:  # whole microseconds: a remembered rejection reads exactly as it did the first time
        micros = pc.round(pc.multiply(pc.cast(found.column("seconds"), pa.float64()), 1e6))
        found = found.set_column(names.index("seconds"), "seconds", pc.divide(micros, 1e6))
    for name, value in {"stage": stage, "reason": reason, "detail": detail, "books": books, "code": code}.items():
        found = found.append_column(name, column(value))
    found = found.append_column("when", column(now()))
    return tables.conform(found, tables.QUARANTINE)
