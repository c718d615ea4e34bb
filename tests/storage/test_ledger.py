"""The ledger: what a unit did is there whole, or not at all, and is read by whoever comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from storage import ledger, tables
from storage.layout import Store
from storage.quarantine import quarantine_rows


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=str(tmp_path), catalog="", mlflow="")


def feature(name: str, row: int = 0) -> dict[str, Any]:
    return {"feature_key": name, "spec": "s", "part": "p", "part_sha256": "h", "row": row, "num_frames": 7}


DONE = {
    "id": "a",
    "place": "pa",
    "stamp": "1",
    "key": "ka",
    "num_samples": 10,
    "features": [feature("fa"), feature("ga", 3)],
}
BAD = {"id": "b", "place": "pb", "stamp": "1", "key": None, "stage": "decode", "reason": "silent", "detail": "so quiet"}


def test_units_are_read_back_together(store: Store) -> None:
    assert ledger.read_all(store, "units/d/w").num_rows == 0
    ledger.write(store, "units/d/w/1.parquet", [DONE, BAD])
    ledger.write(store, "units/d/w/2.parquet", [{**BAD, "id": "c"}])
    ledger.write(store, "units/d/other/3.parquet", [DONE])
    (Path(store.root) / "units/d/w/4.now").write_text("in hand")
    found = ledger.read_all(store, "units/d/w")
    assert found.schema == ledger.LEAN
    rows = found.to_pylist()
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert {name: rows[0][name] for name in DONE} == DONE and rows[0]["reason"] is None
    assert {name: rows[1][name] for name in BAD} == BAD and rows[1]["features"] is None


def test_an_empty_folder(store: Store) -> None:
    (Path(store.root) / "units/d/w").mkdir(parents=True)
    assert ledger.read_all(store, "units/d/w").num_rows == 0


def test_feature_rows_of_ledger_rows(store: Store) -> None:
    ledger.write(store, "1.parquet", [BAD, DONE, {**DONE, "key": "kb", "features": [feature("fb", 5)]}])
    rows = ledger.read_all(store, "")
    found = ledger.features_of(rows)
    assert found.schema == tables.LEAN["features"]
    assert [(row["key"], row["feature_key"], row["row"]) for row in found.to_pylist()] == [
        ("ka", "fa", 0), ("ka", "ga", 3), ("kb", "fb", 5),
    ]  # fmt: skip
    assert ledger.features_of(rows.filter(pc.is_valid(rows.column("reason")))).num_rows == 0
    assert ledger.features_of(tables.empty(ledger.ROWS)).num_rows == 0


def test_quarantine_rows_say_what_is_known_and_no_more() -> None:
    items = pa.table({"id": ["a", "b"], "place": ["pa", "pb"], "stamp": ["1", None], "seconds": [1001 / 44100, None]})
    found = quarantine_rows(items, "scan", "gone", pa.array(["one", "two"]), books="vanished", code="c")
    assert found.schema == tables.QUARANTINE
    one, two = found.to_pylist()
    assert (one["id"], one["stage"], one["reason"], one["detail"], one["books"], one["code"]) == (
        "a", "scan", "gone", "one", "vanished", "c",
    )  # fmt: skip
    assert one["seconds"] == 0.022698 and two["seconds"] is None and two["detail"] == "two" and two["uri"] is None
    again = quarantine_rows(found, "scan", "gone", "x")
    assert again.column("seconds").equals(found.column("seconds")), "rounding twice changes nothing"
