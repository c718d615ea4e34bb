"""Where a unit of work is right now, in a small file: native code that dies or hangs cannot tell us itself.

The file stands beside the unit's ledger while the unit runs and goes with its end. The driver reads it when a worker
died, to name the item that was in its hands.
"""

from __future__ import annotations

from types import TracebackType

from storage import files
from storage.layout import Store


def breadcrumb_uri(store: Store, ledger: str) -> str:
    return store.path(ledger.removesuffix(".parquet") + ".now")


class Breadcrumb:
    """`drop(item)` before each item. On an object store nothing is written: one PUT an item would be too dear."""

    def __init__(self, store: Store, ledger: str) -> None:
        uri = breadcrumb_uri(store, ledger)
        self._path = None if files.is_url(uri) else files.local_path(uri)

    def __enter__(self) -> Breadcrumb:
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def drop(self, item: str) -> None:
        if self._path:
            self._path.write_text(item, encoding="utf-8")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path:
            self._path.unlink(missing_ok=True)


def last_breadcrumb(store: Store, ledger: str) -> str | None:
    """The item that a dead unit had in its hands, where that is known."""
    uri = breadcrumb_uri(store, ledger)
    if files.is_url(uri) or not files.exists(uri):
        return None
    return files.read_bytes(uri).decode("utf-8", errors="replace")
