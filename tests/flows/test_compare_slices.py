"""A comparison is sliced by what the catalogue knows of the utterances: its measures, and the source's own columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from conftest import World

from flows.compare_pair import Pair
from flows.compare_side import Side
from flows.compare_slices import slices_of
from sorigil.errors import RequestError
from sorigil.text.exchange import Joined, Texts
from storage.dataset import open_dataset
from storage.layout import Store


@pytest.fixture
def found(world: World) -> Pair:
    """B hears what is said in the hall, A does not."""
    for number in range(24):
        world.add(f"u{number:02}", text="a b", room=("hall", "studio")[number % 2], seconds=0.1)
    world.run()
    rows = open_dataset(world.catalog, world.catalog.version(world.dataset)).sort_by("id")
    ids = tuple(rows.column("id").to_pylist())
    references, a = ("a b",) * 24, ("a x", "a b") * 12
    heard = Texts(name="a", format="jsonl", entries=())
    there = Joined(ids=ids, columns=(references, a, references), speakers=None, silent=())
    sides = (
        Side(name="a", heard=heard, table=rows.append_column("seconds", pa.array([0.1] * 24))),
        Side(name="b", heard=heard),
    )
    return Pair(a=sides[0], b=sides[1], objective="ctc", reference="r", there=there, columns=(references, a, references),
                normalizer={}, notes=[])  # fmt: skip


def test_the_catalogue_says_where_it_got_better(world: World, found: Pair) -> None:
    rows = {(row.column, row.value): row for row in slices_of(found, world.store)[0]}
    assert rows["room", "hall"].change == "better" and rows["room", "hall"].a == 0.5
    assert rows["room", "studio"].change is None and rows["room", "studio"].delta == 0
    assert {row.column for row in slices_of(found, world.store, ["room"])[0]} == {"room"}
    with pytest.raises(RequestError, match=r"--by rom: there is no such column; there are .*room"):
        slices_of(found, world.store, ["rom"])


def test_without_a_store_the_table_is_enough(found: Pair) -> None:
    assert [row for row in slices_of(found)[0] if row.column == "room"] == []


def test_a_catalogue_that_cannot_be_read_is_noted(world: World, found: Pair, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    world.folder.joinpath("store").rename(moved)
    store = Store(root=str(moved), catalog=f"sqlite:///{moved}/catalog.db", mlflow="")
    slices, (note,) = slices_of(found, store)
    assert {row.column for row in slices} <= {"words"} and note.startswith("slices are of the score's own columns: ")
