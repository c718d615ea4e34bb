"""A store that was moved is told apart, and one command makes it work where it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import World

from sorigil.errors import RequestError
from storage import relocate as module
from storage.catalog import Catalog
from storage.layout import Store
from storage.relocate import relocate
from storage.verify import verify


@pytest.fixture
def filled(world: World) -> World:
    """Three versions, with deletions, and a tag."""
    for number in range(4):
        world.add(f"u{number}", text=str(number))
    world.run()
    version = world.catalog.version(world.dataset)
    assert version is not None
    world.catalog.tag(world.dataset, version, "published")
    world.row("u0")["text"] = "corrected"
    del world.rows[1]
    world.run()
    world.add("late")
    world.run()
    return world


def said(catalog: Catalog, dataset: str = "tiny") -> Any:
    return [
        (
            version.name,
            version.tags,
            {name: catalog.read(version, name).sort_by(key).to_pylist() for name, key in KEYS.items()},
        )
        for version in catalog.versions(dataset)
    ]


KEYS = {"utterances": "id", "annotations": "key", "features": "key", "quarantine": "place"}


def moved(world: World, copy: bool = False) -> tuple[Store, Catalog]:
    root = world.folder / "elsewhere" / "it is"
    (shutil.copytree if copy else shutil.move)(world.store.root, root)
    store = replace(
        world.store, root=str(root), catalog=f"sqlite:///{root}/catalog.db", mlflow=f"sqlite:///{root}/m.db"
    )
    return store, Catalog(store.catalog, store.root)


@pytest.mark.parametrize("copy", [False, True])
def test_a_moved_store_is_refused_and_repaired(filled: World, copy: bool) -> None:
    before = said(filled.catalog)
    store, catalog = moved(filled, copy)
    with pytest.raises(RequestError, match="`sorigil repair`"):
        catalog.versions(filled.dataset)
    done = relocate(store, catalog)
    assert set(done.tables) == {f"tiny.{name}" for name in KEYS}
    assert said(catalog) == before and verify(store, catalog, filled.dataset).damage == []
    if copy:
        assert said(filled.catalog) == before, "the original is as it was"
        shutil.rmtree(filled.store.root)
        assert said(Catalog(store.catalog, store.root)) == before, "nothing leads back"
    assert relocate(store, catalog).tables == {}
    filled.store, filled.catalog = store, catalog
    filled.add("later")
    assert filled.run().version.name == "v4"


def test_killed_half_way_the_same_command_finishes(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = said(filled.catalog)
    store, catalog = moved(filled)
    real, left = module._rewrite_avro, [5]

    def dying(*arguments: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(*arguments)

    monkeypatch.setattr(module, "_rewrite_avro", dying)
    with pytest.raises(KeyboardInterrupt):
        relocate(store, catalog)
    monkeypatch.undo()
    relocate(store, catalog)
    assert said(catalog) == before


def test_a_link_to_the_store_is_the_store(filled: World) -> None:
    link = filled.folder / "link"
    link.symlink_to(filled.store.root)
    assert said(Catalog(f"sqlite:///{link}/catalog.db", str(link))) == said(filled.catalog)


def test_addresses_in_mlflows_database_move_too(filled: World) -> None:
    store, catalog = moved(filled)
    old, new = Path(filled.store.root).as_uri(), Path(store.root).as_uri()
    with closing(sqlite3.connect(f"{store.root}/m.db")) as database, database:
        database.execute("CREATE TABLE runs (artifact_uri TEXT)")
        rows = [(f"{old}/mlflow/x",), (f"{old}-other/y",), ("/nowhere",)]
        database.executemany("INSERT INTO runs VALUES (?)", rows)
    assert relocate(store, catalog).mlflow_rows == 1
    with closing(sqlite3.connect(f"{store.root}/m.db")) as database:
        found = [row[0] for row in database.execute("SELECT artifact_uri FROM runs")]
    assert found == [f"{new}/mlflow/x", f"{old}-other/y", "/nowhere"]
