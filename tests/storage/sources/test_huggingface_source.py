"""Hugging Face's Parquet files: which column holds the sound, what the others say, and what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sorigil.errors import RequestError
from storage import archives, files
from storage.sources import HuggingFaceSource, scan


def table(rows: int = 3, **columns: Any) -> pa.Table:
    sound = [{"bytes": f"sound {index}".encode(), "path": f"{index}.wav"} for index in range(rows)]
    return pa.table({"audio": sound, **columns})


def rows(uri: Path, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scan(HuggingFaceSource(uri=str(uri), **options)).to_pylist()
    return found


def test_rows_are_utterances_and_their_sound_stays_in_the_file(tmp_path: Path) -> None:
    made = table(
        sentence=["one", None, "셋"], client_id=["x", "y", None], locale=["en", "en", "ko"], age=[20, None, 40],
        embedding=[[1.0], [2.0], [3.0]], picture=[b"1", b"2", b"3"], start=[5.0, 6.0, 7.0],
    )  # fmt: skip
    pq.write_table(made, tmp_path / "train-00000-of-00001.parquet", row_group_size=2)
    found = rows(tmp_path, lang="de")
    assert [row["problem"] for row in found] == [None] * 3
    third = found[2]
    assert third["uri"] == "train-00000-of-00001.parquet!audio/2" and third["id"] == "train-00000-of-00001.parquet:2"
    assert [third[name] for name in ("text", "speaker", "lang", "split", "start")] == ["셋", None, "ko", "train", None]
    assert json.loads(third["extras"]) == {"age": 40, "start": 7.0}
    sounds = [archives.read_bytes(files.join(str(tmp_path), row["uri"])) for row in found]
    assert sounds == [b"sound 0", b"sound 1", b"sound 2"]


def test_classes_have_their_names(tmp_path: Path) -> None:
    features = {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}, "audio": {"_type": "Audio"}}
    made = table(4, label=[1, 0, -1, 7]).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(made, tmp_path / "x.parquet")
    assert [row["label"] for row in rows(tmp_path / "x.parquet")] == ["yes", "no", None, None]


CLASSES = {"names": ["no", "yes", "both; really"], "_type": "ClassLabel"}


@pytest.mark.parametrize(
    "feature", [{"feature": CLASSES, "_type": "List"}, {"feature": CLASSES, "_type": "Sequence"}, [CLASSES]]
)
def test_a_list_of_classes_has_their_names(tmp_path: Path, feature: object) -> None:
    features = {"labels": feature, "audio": {"_type": "Audio"}}
    made = table(4, labels=[[1, 0], [], None, [2, -1]]).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(made, tmp_path / "x.parquet")
    found = [row["label"] for row in rows(tmp_path / "x.parquet")]
    assert found == ['["no","yes"]', "[]", None, '["both; really"]']


def test_a_list_of_texts_is_a_list_of_labels_and_other_lists_are_left(tmp_path: Path) -> None:
    pq.write_table(
        table(2, mine=[["rain", "dog"], ["개"]], label=["x", "y"], other=[["a"], ["b"]]), tmp_path / "x.parquet"
    )
    found = rows(tmp_path / "x.parquet", columns={"label": "mine"})
    assert [row["label"] for row in found] == ['["dog","rain"]', '["개"]']
    assert json.loads(found[0]["extras"]) == {"label": "x"}


def test_columns_named_by_the_user_win(tmp_path: Path) -> None:
    made = table(1, words=["w"], text=["t"], other=[{"bytes": b"x", "path": "x"}])
    pq.write_table(made, tmp_path / "x.parquet")
    with pytest.raises(RequestError, match=r"which column holds the recordings.* it has several: audio, other"):
        rows(tmp_path)
    (row,) = rows(tmp_path, columns={"audio": "other", "text": "words"})
    assert (row["text"], row["uri"]) == ("w", "x.parquet!other/0")


def test_a_column_of_paths_names_files_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")
    pq.write_table(pa.table({"file": ["a.wav", "no.wav", None], "text": ["1", "2", "3"]}), tmp_path / "x.parquet")
    with pytest.raises(RequestError, match=r"it has none; its columns are file, text; name one"):
        rows(tmp_path)
    one, two, three = rows(tmp_path, columns={"audio": "file"})
    assert (one["uri"], one["problem"]) == ("a.wav", None)
    assert two["problem"].startswith("missing_file") and three["problem"].startswith("bad_row")


@pytest.mark.parametrize(
    ("name", "said"), [("no.parquet", "no such file"), ("none", "no such folder"), (".", "no Parquet")]
)
def test_nothing_there(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        rows(tmp_path / name)


def test_what_is_no_parquet_is_a_wrong_request(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but not")
    with pytest.raises(RequestError, match="cannot be read as Parquet"):
        rows(tmp_path)
