"""Manifests as the field writes them; what is wrong with a row is said in the row, never by a traceback."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from storage.sources import ITEMS, ManifestSource, scan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "audio").mkdir()
    for name in ("a.wav", "b.wav", "audio/c.flac"):
        (tmp_path / name).write_bytes(b"x" * len(name))
    return tmp_path


def rows(path: Path, **options: Any) -> list[dict[str, Any]]:
    found = scan(ManifestSource(uri=str(path), **options))
    assert found.schema == ITEMS
    made: list[dict[str, Any]] = found.to_pylist()
    return made


def jsonl(folder: Path, *lines: dict[str, Any] | str | bytes, name: str = "m.jsonl") -> Path:
    path = folder / name
    texts = [json.dumps(line) if isinstance(line, dict) else line for line in lines]
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in texts))
    return path


def problems(path: Path, **options: Any) -> list[str | None]:
    return [row["problem"] for row in rows(path, **options)]


# -- formats and columns -----------------------------------------------------------------------------------------------

TABLE = [
    {"id": "1", "audio": "a.wav", "text": "안녕, \"you\"", "speaker": "s1", "split": "train", "note": "x"},
    {"id": "2", "audio": "audio/c.flac", "text": "", "speaker": "s2", "split": "test", "note": ""},
]  # fmt: skip


def _csv(rows: list[dict[str, str]], comma: str, quote: bool) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if quote and ('"' in text or comma in text) else text

    lines = [list(rows[0]), *[list(row.values()) for row in rows]]
    return "".join(comma.join(map(cell, line)) + "\r\n" for line in lines)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "parquet", "bom.jsonl", "bom.csv"])
def test_the_same_rows_from_every_format(folder: Path, kind: str) -> None:
    path = folder / f"manifest.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(TABLE), path)
    elif kind.endswith("jsonl"):
        jsonl(folder, *TABLE, name=path.name)
    else:
        tsv = kind == "tsv"
        path.write_text(_csv(TABLE, "\t" if tsv else ",", quote=not tsv), newline="")
    if kind.startswith("bom"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = rows(path)
    assert [(row["id"], row["uri"], row["text"], row["speaker"], row["split"], row["extras"]) for row in found] == [
        ("1", "a.wav", '안녕, "you"', "s1", "train", '{"note": "x"}'),
        ("2", "audio/c.flac", None, "s2", "test", None),
    ]
    assert [(row["size"], row["problem"], row["start"], row["seconds"]) for row in found] == [
        (5, None, None, None), (12, None, None, None),
    ]  # fmt: skip
    assert all(row["stamp"] for row in found) and found[0]["stamp"] != found[1]["stamp"]


@pytest.mark.parametrize(
    "row",
    [
        {
            "utt_id": "u",
            "audio_filepath": "a.wav",
            "transcript": "t",
            "speaker_id": 7,
            "language": "ko",
            "subset": "dev",
        },
        {"utterance_id": "u", "path": "a.wav", "sentence": "t", "client_id": "7", "locale": "ko", "split": "dev"},
        {"id": "u", "file": "a.wav", "transcription": "t", "speaker": "7", "lang": "ko", "split": "dev"},
    ],
)
def test_the_names_that_other_tools_give_their_columns(folder: Path, row: dict[str, Any]) -> None:
    (found,) = rows(jsonl(folder, row))
    assert [found[name] for name in ("id", "uri", "text", "speaker", "lang", "split", "extras", "problem")] == [
        "u", "a.wav", "t", "7", "ko", "dev", None, None,
    ]  # fmt: skip


def test_columns_named_by_the_user_win(folder: Path) -> None:
    row = {"audio": "missing.wav", "text": "no", "wav_file": "b.wav", "words": "yes"}
    (found,) = rows(jsonl(folder, row), columns={"audio": "wav_file", "text": "words"}, lang="en")
    assert (found["uri"], found["text"], found["lang"], found["problem"]) == ("b.wav", "yes", "en", None)
    assert json.loads(found["extras"]) == {"audio": "missing.wav", "text": "no"}


def test_a_mistyped_column_is_a_wrong_request_and_not_a_dataset_without_texts(folder: Path) -> None:
    path = jsonl(folder, {"audio": "a.wav", "transcript": "t"}, {"audio": "b.wav", "note": "n"})
    with pytest.raises(
        RequestError, match=r"maps text to transcrpt, which no row has; there are audio, note, transcript"
    ):
        rows(path, columns={"text": "transcrpt"})
    assert rows(path, columns={"text": "note"})[0]["text"] is None, "in some rows is enough"
    with pytest.raises(ValueError, match=r"columns names words; it maps from id, audio, text"):
        ManifestSource(uri="x", columns={"words": "x"})


# -- spans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "span"),
    [
        ({}, (None, None)),
        ({"duration": 3.5}, (None, None)),
        ({"start": 1.5}, (1.5, None)),
        ({"start": 1.5, "end": 2.0}, (1.5, 0.5)),
        ({"end": 2.0}, (None, 2.0)),
        ({"offset": 1.0, "duration": 0.25}, (1.0, 0.25)),
        ({"offset": 0, "duration": 0.25}, (0.0, 0.25)),
        ({"start": "1.5", "end": "2"}, (1.5, 0.5)),
        ({"start": 1.5, "length": 0.5, "duration": 9}, (1.5, 0.5)),
        ({"start": None, "end": ""}, (None, None)),
    ],
)
def test_spans(folder: Path, row: dict[str, Any], span: tuple[Any, Any]) -> None:
    (found,) = rows(jsonl(folder, {"audio": "a.wav", **row}))
    assert (found["start"], found["seconds"], found["problem"]) == (*span, None)


def test_a_place_names_file_span_and_channel(folder: Path) -> None:
    spans = [{}, {"start": 0}, {"start": 1}, {"end": 1}, {"start": 1, "end": 2}, {"channel": 0}, {"channel": 1}]
    found = rows(jsonl(folder, *[{"id": str(index), "audio": "a.wav", **span} for index, span in enumerate(spans)]))
    assert len({row["place"] for row in found}) == len(spans)
    assert [row["channel"] for row in found] == [None] * 5 + [0, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "soon"}, {"start": -1}, {"start": 2, "end": 1}, {"start": 1, "end": 1}, {"end": 0}, {"start": float("nan")},
        {"start": float("inf")}, {"start": 1e300}, {"start": [1]}, {"channel": -1}, {"channel": 0.5}, {"channel": 1e12},
        {"offset": 1, "duration": -2},
    ],
)  # fmt: skip
def test_a_span_that_is_none_is_the_rows_problem(folder: Path, wrong: dict[str, Any]) -> None:
    bad, good = rows(jsonl(folder, {"id": "x", "audio": "a.wav", "text": "t", **wrong}, {"audio": "b.wav"}))
    assert bad["problem"].startswith("bad_row: row 1 of the manifest: ") and bad["id"] == "x" and bad["text"] == "t"
    assert good["problem"] is None


# -- bad rows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"nonsense", b"[1]", b"3", b"null", b'"a.wav"', b'{"audio": "a.wav"', b'{"audio": "\xff.wav"}',
        b'{"audio": "a.wav", "text": "\\ud800"}', b'{"audio": "a.wav", "text": "\\uD83d"}', b"[" * 100_000, b"1" * 5000,
        b"{}", b'{"audio": null}', b'{"audio": ""}', b'{"audio": 5}', b'{"audio": {"bytes": null}}', b'{"text": "t"}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_row_is_a_problem_of_its_own(folder: Path, line: bytes) -> None:
    one, bad, two = rows(jsonl(folder, {"id": "one", "audio": "a.wav"}, line, {"id": "two", "audio": "b.wav"}))
    assert bad["problem"].startswith("bad_row: ") and "row 2 of the manifest" in bad["problem"]
    assert bad["id"] == "m:2" and bad["stamp"] is None
    assert (one["id"], one["problem"], two["id"], two["problem"]) == ("one", None, "two", None)


def test_text_may_hold_any_line_separator_but_the_line_feed(folder: Path) -> None:
    text = "one\u2028two\x85three\x0bfour"
    line = json.dumps({"audio": "a.wav", "text": text}, ensure_ascii=False)
    (found,) = rows(jsonl(folder, line, ""))
    assert found["text"] == text and found["problem"] is None


def test_missing_files_and_files_elsewhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "d.wav"
    other.write_bytes(b"d")
    found = rows(
        jsonl(folder, {"audio": "no.wav"}, {"audio": str(other)}, {"audio": "audio/../a.wav"}, {"audio": "./b.wav"})
    )
    assert found[0]["problem"] == f"missing_file: {folder}/no.wav does not exist or cannot be read"
    assert [row["uri"] for row in found[1:]] == [str(other), "audio/../a.wav", "b.wav"]
    assert [row["problem"] for row in found[1:]] == [None] * 3


def test_ids(folder: Path) -> None:
    given: list[dict[str, Any]] = [{"id": 0}, {}, {"id": ""}, {"id": "가"}]
    found = rows(jsonl(folder, *[{**row, "audio": "a.wav"} for row in given]))
    assert [row["id"] for row in found] == ["0", "m:2", "m:3", "가"]


def test_extras_of_any_type_are_json(folder: Path) -> None:
    import datetime

    path = folder / "m.parquet"
    row = {"audio": "a.wav", "at": datetime.datetime(2026, 1, 2), "raw": b"\x00", "n": 1.5, "l": ["가"]}
    row |= {"gap": float("nan"), "none": None}
    pq.write_table(pa.Table.from_pylist([row]), path)
    (found,) = rows(path)
    assert json.loads(found["extras"]) == {"at": "2026-01-02 00:00:00", "raw": "b'\\x00'", "n": 1.5, "l": ["가"]}


def test_labels_that_look_like_numbers_or_answers_stay_text(folder: Path) -> None:
    found = rows(
        jsonl(folder, {"audio": "a.wav", "label": 7}, {"audio": "a.wav", "label": "no"}, {"audio": "b.wav", "label": 0})
    )
    assert [row["label"] for row in found] == ["7", "no", "0"]


# -- tables ------------------------------------------------------------------------------------------------------------


def test_a_csv_row_with_more_columns_than_the_header_is_bad_and_one_with_fewer_is_not(folder: Path) -> None:
    path = folder / "m.csv"
    path.write_text("id,audio,text\n1,a.wav,hello, world\n2,b.wav\n")
    bad, short = rows(path)
    assert bad["problem"] == "bad_row: more columns than the header names, row 1 of the manifest"
    assert (short["id"], short["text"], short["problem"]) == ("2", None, None)


def test_a_transcript_in_tsv_may_begin_with_a_quotation_mark(folder: Path) -> None:
    path = folder / "m.tsv"
    path.write_text('path\tsentence\na.wav\t"Yes, he said.\nb.wav\tplain\n')
    assert [row["text"] for row in rows(path)] == ['"Yes, he said.', "plain"]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("m.jsonl", b"", "the manifest has no rows"),
        ("m.jsonl", b"\n  \n", "the manifest has no rows"),
        ("m.csv", b"id,audio\n", "the manifest has no rows"),
        ("m.csv", b'id,audio\n1,"a.wav\n2,b.wav\n', "cannot be read as csv"),
        ("m.csv", b"id,audio\n1,\xff\n", "cannot be read as csv"),
        ("m.parquet", b"PAR1 but not", "cannot be read as parquet"),
        ("m.xlsx", b"x", "set format: jsonl, csv, tsv or parquet"),
    ],
)
def test_a_manifest_that_is_none_is_a_wrong_request(folder: Path, name: str, data: bytes, said: str) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(RequestError, match=said):
        rows(folder / name)


def test_a_missing_manifest(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"nothing\.jsonl: the manifest cannot be read .*; check the source's uri"):
        rows(folder / "nothing.jsonl")


def test_the_format_can_be_told(folder: Path) -> None:
    path = jsonl(folder, {"audio": "a.wav"}, name="list.txt")
    assert problems(path, format="jsonl") == [None]


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)
_keys = st.sampled_from(
    ["id", "audio", "text", "label", "start", "end", "offset", "duration", "length", "channel", "x"]
)


_line = st.dictionaries(_keys, _values | st.just("a.wav"), max_size=6) | st.binary(max_size=20)


@given(lines=st.lists(_line, min_size=1, max_size=5))
def test_whatever_a_manifest_holds_each_line_is_a_row(
    lines: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.wav").write_bytes(b"x")
    lines = [line if isinstance(line, dict) else line.replace(b"\n", b"") for line in lines]
    expected = sum(isinstance(line, dict) or bool(line.strip()) for line in lines)
    if not expected:
        return
    found = rows(jsonl(folder, *lines))
    assert len(found) == expected
    assert all(row["id"] and row["uri"] and row["place"] for row in found)
    for row in found:
        assert row["problem"] is not None or row["stamp"] is not None


def test_rows_that_name_files_in_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "day.zip", "w") as archive:
        archive.writestr("a/1.wav", b"one")
        archive.writestr("a/2.wav", b"two!")
    (tmp_path / "torn.tar").write_bytes(b"no tar at all")
    names = ("day.zip!a/2.wav", "day.zip!/a//1.wav", "day.zip!a/3.wav", "torn.tar!x.wav", "gone.tar!x.wav")
    found = rows(jsonl(tmp_path, *({"id": name, "audio": name} for name in names)))
    assert [row["uri"] for row in found[:2]] == ["day.zip!a/2.wav", "day.zip!a/1.wav"]
    assert [row["size"] for row in found[:2]] == [4, 3] and found[0]["offset"] > found[1]["offset"]
    assert found[0]["stamp"] != found[1]["stamp"] and found[0]["place"] != found[1]["place"]
    reasons = [row["problem"] and row["problem"].partition(":")[0] for row in found]
    assert reasons == [None, None, "missing_file", "bad_archive", "missing_file"]


# -- several labels of one row -----------------------------------------------------------------------------------------


def test_lists_of_labels_are_one_annotation_each(folder: Path) -> None:
    said: list[Any] = [["rain", "dog"], ["a;b", " dog ", "dog"], [], [None, 3], ["개"], "dog;rain", None]
    expected = ['["dog","rain"]', '["a;b","dog"]', "[]", '["3"]', '["개"]', "dog;rain", None]
    lines = [{"id": str(n), "audio": "a.wav", "label": label} for n, label in enumerate(said)]
    assert [row["label"] for row in rows(jsonl(folder, *lines))] == expected
    lists = [label if isinstance(label, list) else None for label in said[:3]]
    pq.write_table(
        pa.table({"audio": ["a.wav"] * 3, "labels": pa.array(lists, pa.list_(pa.string()))}), folder / "m.parquet"
    )
    found = rows(folder / "m.parquet")
    assert [row["label"] for row in found] == expected[:3]
    assert [row["extras"] for row in found] == [None] * 3


@pytest.mark.parametrize("inside", [["dog"], {"name": "dog"}])
def test_a_list_of_labels_holds_texts(folder: Path, inside: object) -> None:
    (problem,) = problems(jsonl(folder, {"audio": "a.wav", "label": ["x", inside]}))
    assert problem == f"bad_row: row 1 of the manifest: label is a list that holds {inside}; it must hold texts"
