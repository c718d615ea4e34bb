"""What models said is read back whole, whichever files it lies in."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from storage import hypotheses
from storage.layout import Store


def rows(*keys: str) -> pa.Table:
    found = [
        {"audio_key": key, "text": f"said {key}", "n_best": [{"text": key, "score": -1.5}], "audio_seconds": 2.0}
        for key in keys
    ]
    return pa.Table.from_pylist(found, hypotheses.SCHEMA)


def test_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    store = Store(root=str(tmp_path), catalog="", mlflow="")
    assert hypotheses.read(store, "k").num_rows == 0
    hypotheses.write(store, "k", rows("가", "b"))
    hypotheses.write(store, "k", rows("c"))
    hypotheses.write(store, "other", rows("d"))
    found = hypotheses.read(store, "k")
    assert found.schema == hypotheses.SCHEMA
    assert sorted(found.column("audio_key").to_pylist()) == ["b", "c", "가"]
    assert found.column("n_best").to_pylist()[0][0]["score"] == -1.5
    assert found.column("decoding_seconds").null_count == 3, "not measured"
    assert hypotheses.read(store, "k", ["audio_key"]).column_names == ["audio_key"]


def test_the_same_rows_are_the_same_file(tmp_path: Path) -> None:
    store = Store(root=str(tmp_path), catalog="", mlflow="")
    for _ in range(2):
        hypotheses.write(store, "k", rows("a", "b"))
    assert hypotheses.read(store, "k").num_rows == 2
    assert len(list((tmp_path / "hypotheses/k").glob("*.parquet"))) == 1
