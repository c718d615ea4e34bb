"""A store that was moved is told apart, and one command makes it work where it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import World
from s3_server import S3Server

from sorigil.errors import RequestError
from storage import files
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
    real, left = module._moved_avro, [5]

    def dying(*arguments: Any) -> bytes:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(*arguments)

    monkeypatch.setattr(module, "_moved_avro", dying)
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


@pytest.mark.slow
def test_a_store_that_went_to_another_bucket_and_came_back_to_a_folder(
    s3: S3Server, world: World, tmp_path: Path
) -> None:
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket="other")
    world.store = replace(world.store, root="s3://bucket/store", catalog=f"sqlite:///{tmp_path}/catalog.db").open()
    world.catalog = Catalog(world.store.catalog, world.store.root)
    for number in range(3):
        world.add(f"u{number}", text=str(number))
    world.run()
    del world.rows[0]
    world.run()
    before = said(world.catalog)

    def copied(old: str, new: str) -> None:
        for entry in list(files.walk(old)):
            files.write_bytes(files.join(new, files.relative_to(entry.uri, old)), files.read_bytes(entry.uri))
            files.remove(entry.uri)

    roots = ["s3://bucket/store", "s3://other/deep/er", str(tmp_path / "local again"), "s3://other/store"]
    for old, new in pairwise(roots):
        copied(old, new)
        if old.startswith("s3://bucket"):
            boto3.resource("s3").Bucket("bucket").objects.all().delete()  # what marks empty folders
            client.delete_bucket(Bucket="bucket")
        store = replace(world.store, root=new)
        catalog = Catalog(store.catalog, store.root)
        with pytest.raises(RequestError, match="`sorigil repair`"):
            catalog.versions(world.dataset)
        done = relocate(store, catalog)
        assert len(done.tables) == len(KEYS) and {root.removeprefix("file://") for root in done.tables.values()} == {
            old
        }
        assert said(catalog) == before and verify(store, catalog, world.dataset).damage == []
        assert relocate(store, catalog).tables == {}
    world.store, world.catalog = store, catalog
    world.add("later")
    assert world.run().version.name == "v3"
