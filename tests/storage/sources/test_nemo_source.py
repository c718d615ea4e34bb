"""NeMo's manifests: the names of its fields, its spans, and the splits of its files' names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sorigil.errors import RequestError
from storage.sources import NemoSource, items, scan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio/a.wav").write_bytes(b"audio")
    return tmp_path


def manifest(folder: Path, *rows: Any, name: str = "train_manifest.json") -> Path:
    path = folder / name
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def rows(uri: Path, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scan(NemoSource(uri=str(uri), **options)).to_pylist()
    return found


def test_nemos_names(folder: Path) -> None:
    path = manifest(
        folder,
        {"audio_filepath": "audio/a.wav", "duration": 3.5, "text": "one", "lang": "en", "speaker": 7, "pnc": "yes"},
        {
            "audio_filename": "audio/a.wav",
            "offset": 1.5,
            "duration": 0.5,
            "command": "go",
            "source_lang": "ko",
            "split": "x",
        },
    )
    one, two = rows(path, lang="de")
    assert [one[name] for name in ("id", "uri", "text", "lang", "speaker", "split", "start", "seconds", "problem")] == [
        "train_manifest.json:1", "audio/a.wav", "one", "en", "7", "train", None, None, None,
    ]  # fmt: skip
    assert json.loads(one["extras"]) == {"pnc": "yes"}
    assert [two[name] for name in ("label", "lang", "split", "start", "seconds", "extras")] == [
        "go", "ko", "x", 1.5, 0.5, None,
    ]  # fmt: skip


def test_a_folder_of_manifests_is_a_dataset_with_splits(folder: Path) -> None:
    (folder / "more").mkdir()
    row = {"audio_filepath": "../audio/a.wav", "text": "t"}
    manifest(folder / "more", row, name="valid.jsonl")
    manifest(folder, {"audio_filepath": "audio/a.wav"}, name="test.json")
    found = rows(folder)
    assert [(row["id"], row["uri"], row["split"], row["problem"]) for row in found] == [
        ("more/valid.jsonl:1", "more/../audio/a.wav", "valid", None),
        ("test.json:1", "audio/a.wav", "test", None),
    ]


@pytest.mark.parametrize(
    "row", ["{", {"text": "t"}, {"audio_filepath": ["audio/a.wav", "b.wav"]}, {"audio_filepath": "no.wav"},
            {"audio_filepath": "audio/a.wav", "offset": 1, "duration": 0}, {"audio_filepath": "a\u0000.wav"}],
)  # fmt: skip
def test_a_bad_row_is_a_problem_of_its_own(folder: Path, row: Any) -> None:
    bad, good = rows(manifest(folder, row, {"audio_filepath": "audio/a.wav"}))
    assert bad["problem"] and good["problem"] is None
    assert "row 1 of train_manifest.json" in bad["problem"] or bad["problem"].startswith("missing_file")


def test_no_rows_and_no_manifest(folder: Path) -> None:
    with pytest.raises(RequestError, match="the manifest has no rows"):
        rows(manifest(folder))
    with pytest.raises(RequestError, match="the manifest cannot be read"):
        rows(folder / "none.json")
    with pytest.raises(RequestError, match="no such folder"):
        rows(folder / "none")


def test_a_look_up_that_was_forgotten_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "_REMEMBERED", 1)
    names = ["audio/a.wav", "audio/no.wav", "audio/a.wav"]
    found = rows(manifest(folder, *({"audio_filepath": name} for name in names)))
    assert [row["problem"] is None for row in found] == [True, False, True]
