"""Compaction moves rows and changes none; whoever reads an older version, or dies, or commits meanwhile is not disturbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import LOG_MEL, World

from sorigil.errors import RunError
from storage import rewrite
from storage.catalog import CommitLostError
from storage.compact import Compaction, compact
from storage.dataset import StoredRows, open_dataset
from storage.verify import verify
from tasks.units import feature_spec_key

PLACES = ["audio_part", "audio_row", "audio_part_sha256"]


@pytest.fixture
def nights(world: World) -> World:
    """Three versions, a part or more each; the second utterance is long enough for several chunks of features."""
    for night in range(3):
        world.add(f"a{night}", text=f"a {night}")
        world.add(f"b{night}", text=f"b {night}", seconds=62.0 if night == 0 else 0.3)
        world.run()
    return world


def do(world: World, **options: Any) -> Compaction:
    version = world.catalog.version(world.dataset)
    assert version is not None
    return compact(world.store, world.catalog, version, **options)


def content(world: World, version: str | None = None) -> Any:
    feature = feature_spec_key(world.work().audio, LOG_MEL)
    table = open_dataset(world.catalog, world.catalog.version(world.dataset, version), feature)
    audio, features = StoredRows(world.store, table, audio=True), StoredRows(world.store, table)
    ids = table.column("id").to_pylist()
    return [(id, audio.flac(row), features.features(row).tobytes()) for row, id in enumerate(ids)]


def parts(world: World, version: str | None = None) -> set[str]:
    return {row["audio_part"] for row in world.read("utterances", version)} | {
        row["part"] for row in world.read("features", version)
    }


def test_the_same_rows_in_fewer_parts(nights: World) -> None:
    before, old = content(nights), parts(nights)
    done = do(nights)
    assert done.changed and (done.parts_before, done.parts_after) == (len(old), 2) and len(parts(nights)) == 2
    assert content(nights) == before and content(nights, "v3") == before
    assert parts(nights, "v3") == old, "older versions keep theirs"
    for name in ("utterances", "features", "annotations", "quarantine"):
        drop = [*PLACES, "part", "row", "part_sha256"]
        rows = [
            sorted(str({k: v for k, v in row.items() if k not in drop}) for row in nights.read(name, each))
            for each in ("v3", "v4")
        ]
        assert rows[0] == rows[1]
    old_version, new = nights.catalog.versions(nights.dataset)[-2:]
    assert new.name == "v4" and new.books == old_version.books and new.facts["compacted"] == "v3"
    assert verify(nights.store, nights.catalog, nights.dataset).damage == []


def test_what_is_compacted_stays_so(nights: World) -> None:
    do(nights)
    assert nights.run().changed is False and do(nights).changed is False
    nights.add("late", text="late")
    assert nights.run().state.new["items"] == 1 and len(parts(nights)) == 4
    assert do(nights).changed and len(parts(nights)) == 2 and len(content(nights)) == 7


def test_metadata_of_the_parts_is_kept(nights: World) -> None:
    old = {str(Path(part).parent): pq.read_schema(nights.store.path(part)) for part in parts(nights)}
    do(nights)
    for part in parts(nights):
        assert pq.read_schema(nights.store.path(part)).equals(old[str(Path(part).parent)], check_metadata=True)


def test_large_parts_and_the_target_are_heeded(nights: World) -> None:
    sizes = {part: Path(nights.store.path(part)).stat().st_size for part in parts(nights)}
    assert do(nights, below=1).changed is False
    done = do(nights, target=max(sizes.values()))
    assert 2 < done.parts_after < done.parts_before


def test_rows_that_no_version_names_are_left_behind(nights: World) -> None:
    del nights.rows[0]
    nights.run()
    do(nights)
    (audio,) = {row["audio_part"] for row in nights.read("utterances")}
    assert pq.read_table(nights.store.path(audio)).num_rows == 5 == len(content(nights))


def test_a_run_that_commits_meanwhile_wins(nights: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real, came = rewrite.write_anew, []

    def slow(*arguments: Any) -> Any:
        if not came:
            nights.add("late", text="late")
            came.append(nights.run())
        return real(*arguments)

    monkeypatch.setattr(rewrite, "write_anew", slow)
    with pytest.raises(CommitLostError):
        do(nights)
    assert nights.catalog.version(nights.dataset) == came[0].version and len(content(nights)) == 7
    assert do(nights).changed and len(content(nights)) == 7


def test_a_run_that_planned_before_loses_and_plans_again(nights: World) -> None:
    nights.add("late", text="late")
    plan = nights.plan()
    do(nights)
    with pytest.raises(CommitLostError):
        nights.do(plan)
    assert nights.run().state.reused["items"] == 7 and len(content(nights)) == 7


@pytest.mark.parametrize("survives", [0, 1])
def test_killed_before_the_commit_nothing_has_changed(
    nights: World, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    before, real, left = content(nights), rewrite.write_anew, [survives]

    def dying(*arguments: Any) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(*arguments)

    monkeypatch.setattr(rewrite, "write_anew", dying)
    with pytest.raises(KeyboardInterrupt):
        do(nights)
    monkeypatch.undo()
    version = nights.catalog.version(nights.dataset)
    assert version is not None and version.name == "v3" and content(nights) == before
    assert do(nights).changed and content(nights) == before


def test_a_part_that_is_not_what_it_should_be_stops_it(nights: World) -> None:
    table = nights.catalog.read(nights.catalog.version(nights.dataset), "features")
    wanted = list(rewrite.wanted_of(table, "features").values())
    beyond = rewrite.Wanted(part=wanted[0].part, rows=np.array([10**6]))
    inside = next(each for each in wanted if 1 not in each.rows and _rows(nights, each.part) > 1)
    for wrong in (beyond, rewrite.Wanted(part=inside.part, rows=np.array([1]))):
        with pytest.raises(RunError, match="catalogue says; see `sorigil verify`"):
            rewrite.write_anew(nights.store, "parts/tiny/features/x/y.parquet", [wrong])
    assert not list(Path(nights.store.root).glob("parts/tiny/features/x/*y*"))


def _rows(world: World, part: str) -> int:
    return int(pq.read_metadata(world.store.path(part)).num_rows)
