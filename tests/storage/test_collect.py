"""Pruning deletes exactly what nobody needs: every version that stays reads as before, whatever was killed when."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import LOG_MEL, World

from sorigil.errors import RequestError
from sorigil.filters import RangeFilter
from storage import collect, files, history
from storage.catalog import Catalog
from storage.dataset import StoredRows, open_dataset
from storage.verify import verify
from tasks.prepare import prepare_unit
from tasks.units import feature_spec_key

NOW = timedelta(0)


@pytest.fixture
def nights(world: World) -> World:
    """Four versions: two utterances come each night, and those of the first night go on the third. v3 has a tag."""
    for night in range(4):
        world.add(f"a{night}", 2 * night, text=f"a {night}")
        world.add(f"b{night}", 2 * night + 1, text=f"b {night}")
        if night == 2:
            del world.rows[:2]
        world.run()
        time.sleep(0.01)
    version = world.catalog.version(world.dataset, "v3")
    assert version is not None
    world.catalog.tag(world.dataset, version, "published")
    return world


def prune(world: World, **options: Any) -> collect.Pruning:
    plan = collect.plan_pruning(world.store, world.catalog, world.dataset, **{"min_age": NOW, **options})
    collect.prune(world.store, world.catalog, plan)
    return plan


def content(world: World, version: str) -> Any:
    feature = feature_spec_key(world.work().audio, LOG_MEL)
    table = open_dataset(world.catalog, world.catalog.version(world.dataset, version), feature)
    audio, features = StoredRows(world.store, table, audio=True), StoredRows(world.store, table)
    rows = zip(table.column("id").to_pylist(), table.column("reference").to_pylist(), range(len(table)), strict=True)
    return [(id, text, audio.flac(row), features.features(row).tolist()) for id, text, row in rows]


def names(world: World) -> list[str]:
    return [version.name for version in world.catalog.versions(world.dataset)]


def tree(world: World) -> set[str]:
    """The store's files but for Iceberg's metadata, whose names are random."""
    root = Path(world.store.root)
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {path for path in found if "/metadata/" not in path and "/data/" not in path}


def test_what_stays_reads_as_before_and_the_rest_is_gone(nights: World) -> None:
    before = {name: content(nights, name) for name in ("v3", "v4")}
    old = nights.kept("v1")["a0"]["audio_part"]
    plan = prune(nights, keep=1)
    assert [version.name for version in plan.versions] == ["v1", "v2"]
    assert names(nights) == ["v3", "v4"] and nights.catalog.versions(nights.dataset)[0].tags == ("published",)
    assert {name: content(nights, name) for name in before} == before
    needed = {row["audio_part"] for name in ("v3", "v4") for row in nights.read("utterances", name)}
    there = {str(path.relative_to(nights.store.root)) for path in Path(nights.store.root).glob("parts/*/audio/*/*")}
    assert there == needed and old not in there
    assert verify(nights.store, nights.catalog, nights.dataset).damage == []
    assert nights.run().changed is False
    with pytest.raises(RequestError, match="no version called v2; there is: v3, published, v4"):
        nights.catalog.version(nights.dataset, "v2")


def test_parts_of_versions_that_went_are_deleted_and_computed_again_when_they_come_back(nights: World) -> None:
    gone = nights.kept("v1")["a0"]["audio_part"]
    table = nights.catalog.table(nights.dataset, "utterances")
    assert table is not None
    table.manage_snapshots().remove_tag("published").commit()
    prune(nights, keep=1)
    assert not Path(nights.store.path(gone)).exists() and names(nights) == ["v4"]
    nights.rows.append({"id": "a0", "audio": "a0.wav", "text": "a 0"})
    assert nights.run().state.new["items"] == 1 and names(nights) == ["v4", "v5"]


def test_what_was_done_but_left_out_is_not_computed_again(world: World) -> None:
    """Filtered and duplicate items are in no version; their ledger alone knows them."""
    world.add("a", 1)
    world.add("again", 1)
    world.add("long", 2, seconds=0.9)
    short = (RangeFilter(over="seconds", max=0.5),)
    world.run(filters=short, workers=9)
    assert world.quarantine() == {"again": "duplicate", "long": "seconds_above_max"}
    prune(world)
    assert world.run(filters=short).state.new["items"] == 0


def test_without_a_limit_no_version_goes(nights: World) -> None:
    assert prune(nights).versions == [] and names(nights) == ["v1", "v2", "v3", "v4"]
    assert {name: len(content(nights, name)) for name in names(nights)} == {"v1": 2, "v2": 4, "v3": 4, "v4": 6}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"keep": 2}, ["v3", "v4"]),
        ({"keep": 9}, ["v1", "v2", "v3", "v4"]),
        ({"older_than": timedelta(days=1)}, ["v1", "v2", "v3", "v4"]),
        ({"older_than": timedelta(seconds=-9)}, ["v3", "v4"]),
        ({"older_than": timedelta(seconds=-9), "keep": 3}, ["v2", "v3", "v4"]),
        ({"older_than": timedelta(days=1), "keep": 1}, ["v1", "v2", "v3", "v4"]),
    ],
)
def test_which_versions_go(nights: World, options: dict[str, Any], left: list[str]) -> None:
    prune(nights, **options)
    assert names(nights) == left


def test_what_is_young_stays(nights: World) -> None:
    before = tree(nights)
    plan = prune(nights, keep=1, min_age=timedelta(hours=1))
    assert plan.files == [] and tree(nights) == before and names(nights) == ["v3", "v4"]
    late = prune(nights)  # what the young ones left is found when it is old
    assert {doomed.kind for doomed in late.files} >= {"part", "ledger", "table"}


def test_a_dry_run_says_what_pruning_does(nights: World) -> None:
    before = tree(nights)
    plan = collect.plan_pruning(nights.store, nights.catalog, nights.dataset, keep=1, min_age=NOW)
    assert tree(nights) == before and names(nights) == ["v1", "v2", "v3", "v4"]
    done = prune(nights, keep=1)
    assert [doomed.uri for doomed in done.files] == [doomed.uri for doomed in plan.files] and plan.bytes() > 0
    assert before - tree(nights) == {doomed.uri for doomed in plan.files if doomed.kind != "table"}
    assert not any(Path(nights.store.path(doomed.uri)).exists() for doomed in plan.files)


def test_leftovers_of_killed_writers_go(nights: World) -> None:
    root = Path(nights.store.root)
    part = next(root.glob("parts/*/audio/*/*.parquet"))
    left = [part.with_name(f".{part.name}.0123abcd.tmp"), next(root.glob("units/*/*")) / "dead.now"]
    left.append(root / "damaged/parts/x.parquet")
    left[-1].parent.mkdir(parents=True)
    other = part.with_name(".hidden")
    for path in (*left, other):
        path.write_bytes(b"123")
    assert {doomed.kind for doomed in prune(nights).files} >= {"temporary", "breadcrumb", "damaged"}
    assert not any(path.exists() for path in left) and other.exists()


def test_a_run_that_commits_meanwhile_keeps_its_parts(nights: World) -> None:
    """An old ledger that no version names is doomed, until a run takes it up between the look and the deletion."""
    nights.add("late", 99, text="late")
    plan = nights.plan()
    done = [unit.ledger for unit in plan.units]
    for unit in plan.units:
        prepare_unit(unit)
    doomed = collect.plan_pruning(nights.store, nights.catalog, nights.dataset, keep=1, min_age=NOW)
    assert set(done) <= {each.uri for each in doomed.files}
    version = nights.run().version
    collect.prune(nights.store, nights.catalog, doomed)
    assert content(nights, version.name)[-1][0] == "late"


class KilledError(BaseException):
    """What a SIGKILL looks like to the code that it hits: nothing is tidied up."""


@pytest.mark.parametrize("after", [0, 1, 5, 9, 10**6])
def test_killed_after_some_deletions_the_next_pruning_ends_the_same(
    nights: World, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tree(nights) - {
        doomed.uri
        for doomed in collect.plan_pruning(nights.store, nights.catalog, nights.dataset, keep=1, min_age=NOW).files
    }
    before = {name: content(nights, name) for name in ("v3", "v4")}
    real, left = files.remove, [after]

    def dying(uri: str) -> None:
        if left[0] == 0:
            raise KilledError
        left[0] -= 1
        real(uri)

    monkeypatch.setattr(files, "remove", dying)
    if after < 10**6:
        with pytest.raises(KilledError):
            prune(nights, keep=1)
        assert {name: content(nights, name) for name in ("v3", "v4")} == before
    monkeypatch.undo()
    prune(nights, keep=1)
    assert tree(nights) == expected and {name: content(nights, name) for name in ("v3", "v4")} == before


def test_killed_between_the_tables_no_version_is_half(nights: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = history.expire

    def dying(catalog: Catalog, dataset: str, name: str, snapshots: set[int]) -> None:
        if name == "annotations":
            raise KilledError
        real(catalog, dataset, name, snapshots)

    monkeypatch.setattr(history, "expire", dying)
    with pytest.raises(KilledError):
        prune(nights, keep=1)
    monkeypatch.undo()
    for name in names(nights):
        content(nights, name)
    prune(nights, keep=1)
    assert names(nights) == ["v3", "v4"]


def test_augmented_copies_stay_with_the_audio_they_were_made_of(nights: World) -> None:
    from flows.units import featurize_units
    from sorigil.audio.augment import WaveAugment
    from tasks.featurize import featurize_unit

    def copies(version: str) -> list[Path]:
        rows = open_dataset(nights.catalog, nights.catalog.version(nights.dataset, version))
        made = featurize_units(nights.work(), rows, [LOG_MEL], 1, augment=WaveAugment(), seed=1, copy=1)
        return [Path(nights.store.path(part.uri)) for unit in made for part in featurize_unit(unit).parts]

    kept = copies("v4")
    prune(nights, keep=1)
    assert kept and all(path.exists() for path in kept)


def test_tables_of_iceberg_are_cleaned(nights: World) -> None:
    def data() -> int:
        return len(list(Path(nights.store.root).glob("tables/*/*/data/*"))) + len(
            list(Path(nights.store.root).glob("tables/*/*/metadata/*.avro"))
        )

    before = data()
    prune(nights, keep=1)
    assert data() < before
