"""What the page of a comparison is given: the utterances that changed most, with sounds of a bounded size."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from conftest import World

from storage.dataset import open_dataset
from tasks import comparison
from tasks.comparison import comparison_page


def change(id: str, gain: int) -> dict[str, Any]:
    return {"id": id, "errors_a": max(gain, 0), "errors_b": max(-gain, 0), "columns": [("a", "b", "a")]}


@pytest.fixture
def table(world: World) -> pa.Table:
    for number in range(3):
        world.add(f"u{number}", text="a", speaker="ann", seconds=0.5)
    world.run()
    return open_dataset(world.catalog, world.catalog.version(world.dataset))


def test_changes_come_with_speaker_and_sound(world: World, table: pa.Table) -> None:
    found = {"changes": [change("u0", 1), change("u2", -1), change("new", 0)]}
    page = comparison_page(found, table, world.store)
    assert [(each.id, each.kind, each.speaker) for each in page.heard] == [
        ("u0", "better", "ann"), ("new", "otherwise", None), ("u2", "worse", "ann"),
    ]  # fmt: skip
    assert [each.audio_flac[:4] if each.audio_flac else None for each in page.heard] == [b"fLaC", None, b"fLaC"]
    assert page.silence == {}
    assert all(each.audio_flac is None for each in comparison_page(found, table, None).heard)
    assert comparison_page(found, None, world.store).heard[0].speaker is None


def test_the_page_is_bounded(world: World, table: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MOST", {"better": 1, "worse": 2, "otherwise": 1})
    monkeypatch.setattr(comparison, "SOUND_BYTES", 1)
    found = {"changes": [change("u0", 1), change("u1", 2), change("x", -1), change("y", -3), change("z", -2)]}
    page = comparison_page(found, table, world.store)
    assert [each.id for each in page.heard] == ["u1", "z", "y"]
    assert page.silence == {"would make the page too heavy": 1} and page.heard[0].audio_flac is None


def test_sound_that_is_gone_is_said(world: World, table: pa.Table) -> None:
    for place in world.folder.glob("store/parts/**/*.parquet"):
        place.unlink()
    page = comparison_page({"changes": [change("u0", 1)]}, table, world.store)
    assert page.silence == {"are not in the store any more": 1}
    bare = table.set_column(table.column_names.index("audio_part"), "audio_part", pa.nulls(3, pa.string()))
    assert comparison_page({"changes": [change("u0", 1)]}, bare, world.store).silence == {"were not kept as audio": 1}
