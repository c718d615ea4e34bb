"""Every path of the store, and the mark that says which program may read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sorigil.errors import RequestError
from storage.layout import STORE_FORMAT, Store


def store(root: Path) -> Store:
    return Store(root=str(root), catalog="", mlflow="")


def test_no_two_things_share_a_path() -> None:
    one = store(Path("/r"))
    places = [
        one.audio_part("d", "k", "u"), one.feature_part("d", "k", "u"), one.unit("d", "k", "u"), one.model("k"),
        one.checkpoint("k", "u"), one.score("k"), one.run("k"),
    ]  # fmt: skip
    assert len(set(places)) == len(places) and not any(place.startswith("/") for place in places)
    assert one.unit("d", "k", "u").startswith(one.unit_folder("d", "k") + "/")
    assert one.path("models/k") == "/r/models/k"


def test_a_store_is_marked_on_first_use_and_opened_again(tmp_path: Path) -> None:
    marker = tmp_path / "s" / "sorigil.json"
    assert store(tmp_path / "s").open().root == str(tmp_path / "s")
    assert json.loads(marker.read_text()) == {"format": STORE_FORMAT}
    before = marker.stat().st_mtime_ns
    store(tmp_path / "s").open()
    assert marker.stat().st_mtime_ns == before


def test_a_store_of_a_newer_program_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sorigil.json").write_text(json.dumps({"format": STORE_FORMAT + 1}))
    with pytest.raises(RequestError, match=f"has format {STORE_FORMAT + 1}, this program knows up to {STORE_FORMAT}"):
        store(tmp_path).open()
