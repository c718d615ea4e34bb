"""`sorigil compare`: two files, or two scores of the store, on the same utterances."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from flows.cli import app
from sorigil.errors import RequestError
from storage import parts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, lines in (
        ("r.trn", ["the cat sat (ann-1)", "yes no (ben-1)", "no (ben-2)"]),
        ("a.trn", ["the bat on sat (ann-1)", "yes yes (ben-1)", "no (ben-2)"]),
        ("b.trn", ["no no (ben-2)", "the cat sat (ann-1)", "Yes, no (ben-1)"]),
    ):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def table(path: str, references: list[str], hypotheses: list[str]) -> str:
    columns = {"id": ["u1", "u2"], "speaker": ["ann", None], "reference": references, "hypothesis": hypotheses}
    parts.write_table(path, pa.table(columns))
    return path


def compare(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["compare", *arguments, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_two_files(folder: Path) -> None:
    found = compare("a.trn", "b.trn", "--reference", "r.trn")
    row = found["metrics"]["wer"]
    assert (row["a"], row["b"], row["delta"]) == pytest.approx((3 / 6, 1 / 6, -2 / 6))
    assert row["better"] is None and row["interval"][0] < row["delta"] < row["interval"][1]
    assert row["interval_by_speaker"] is not None and found["speakers"] == 2
    assert (found["better"], found["worse"], found["otherwise"]) == (2, 1, 0)
    assert dict(found["words"]["mended"]) == {"cat": 1, "no": 1} and found["words"]["broken"] == []
    assert [each["id"] for each in found["changes"]] == ["ann-1", "ben-1", "ben-2"]


def test_a_person_sees_the_three_under_each_other(folder: Path) -> None:
    said = CliRunner().invoke(app, ["compare", "a.trn", "b.trn", "--reference", "r.trn", "--limit", "1"]).stdout
    aligned = "  REF  the  ***  cat  sat\n  A    the  bat  on   sat\n            I    S\n  B    the  ***  cat  sat\n"
    assert "ann-1: 2 errors in A, 0 in B\n" + aligned in said
    assert (
        "\n\nNo difference is shown: WER 50.00 % of A and 16.67 % of B" in said
        and "only B has right: cat 1, no 1" in said
    )
    assert "ben-1" not in said and "ben-2: 0 errors in A, 1 in B" in said


def test_scores_of_the_store_bring_their_references(folder: Path) -> None:
    one = table("one.parquet", ["a b", "c"], ["a x", "c"])
    two = table("two.parquet", ["a b", "c"], ["a b", "c"])
    found = compare(one, two)
    assert (found["metrics"]["wer"]["a"], found["metrics"]["wer"]["b"]) == pytest.approx((1 / 3, 0))
    (folder / "c.jsonl").write_text('{"id":"u2","text":"c"}\n{"id":"u1","text":"a"}\n', encoding="utf-8")
    assert compare(one, "c.jsonl")["metrics"]["wer"]["b"] == pytest.approx(1 / 3)


def test_no_store_is_made_for_what_needs_none(folder: Path) -> None:
    yaml = "version: 1\nstorage: {root: ./store}\npipelines: {p: {source: {kind: folder, uri: ./x}}}\n"
    (folder / "pipelines.yaml").write_text(yaml, encoding="utf-8")
    compare("a.trn", "b.trn", "--reference", "r.trn", "--html", "page.html")
    assert (folder / "page.html").exists() and not (folder / "store").exists()


def test_other_references_are_refused(folder: Path) -> None:
    one = table("one.parquet", ["a b", "c"], ["a x", "c"])
    two = table("two.parquet", ["a b", "d"], ["a b", "c"])
    with pytest.raises(RequestError, match="other references in 1 of 2 utterances"):
        compare(one, two)
    (folder / "r.jsonl").write_text('{"id":"u1","text":"a b"}\n{"id":"u2","text":"c"}\n', encoding="utf-8")
    assert compare(one, two, "--reference", "r.jsonl")["utterances"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.trn", "b.trn"], "name it with --reference"),
        (["a.trn", "r.txt", "--reference", "r.trn"], "plain lines"),
        (["a", "b.trn"], "a: there is no such file, and no store to find a score in"),
        (["a.parquet", "b.trn"], "not the table of a score"),
        (["r.trn", "b.trn", "--reference", "one.trn"], "2 ids"),
    ],
)
def test_what_cannot_be_compared_is_told(folder: Path, arguments: list[str], said: str) -> None:
    (folder / "r.txt").write_text("a\n", encoding="utf-8")
    (folder / "a.parquet").write_bytes(b"no")
    (folder / "one.trn").write_text("the cat sat (ann-1)\n", encoding="utf-8")
    with pytest.raises(RequestError, match=said):
        compare(*arguments)


def test_every_key_is_in_the_document(folder: Path) -> None:
    said = (Path(__file__).resolve().parents[2] / "docs/scoring.md").read_text(encoding="utf-8")
    found = compare("a.trn", "b.trn", "--reference", "r.trn")
    keys = {*found, *found["metrics"]["wer"], *found["metrics"]["wer"]["test"], *found["changes"][0], *found["words"]}
    assert sorted(key for key in keys if f"`{key}`" not in said) == []
