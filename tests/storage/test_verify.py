"""What is damaged, missing or nobody's is found; what is set aside is computed again, and only that."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from conftest import LOG_MEL, World

from storage import references
from storage.dataset import StoredRows, open_dataset
from storage.verify import set_aside, verify
from tasks.units import feature_spec_key


@pytest.fixture
def filled(world: World) -> World:
    """Six utterances in units of one or two."""
    for number in range(6):
        world.add(f"u{number}", text=str(number))
    world.do(world.plan(workers=1))
    return world


def part_of(world: World, id: str, column: str = "audio_part") -> Path:
    return Path(world.store.path(world.kept()[id][column]))


def feature_part(world: World, id: str) -> Path:
    key = world.kept()[id]["key"]
    return Path(world.store.path(next(row["part"] for row in world.read("features") if row["key"] == key)))


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def look(world: World) -> dict[str, str]:
    found = verify(world.store, world.catalog, world.dataset)
    return {damage.what: damage.state for damage in found.damage}


def relative(world: World, path: Path) -> str:
    return str(path.relative_to(world.store.root))


def test_a_whole_store_is_intact(filled: World) -> None:
    told: list[tuple[int, int]] = []
    found = verify(filled.store, filled.catalog, filled.dataset, lambda done, total: told.append((done, total)))
    parts = {row["audio_part"] for row in filled.read("utterances")} | {row["part"] for row in filled.read("features")}
    assert (found.damage, found.orphans, found.parts) == ([], {}, len(parts))
    assert found.bytes == sum(Path(filled.store.path(part)).stat().st_size for part in parts)
    assert told[-1] == (len(parts), len(parts))


def test_one_changed_byte_and_a_lost_file_are_found(filled: World) -> None:
    spoiled, lost = part_of(filled, "u0"), feature_part(filled, "u5")
    spoil(spoiled)
    lost.unlink()
    assert look(filled) == {relative(filled, spoiled): "damaged", relative(filled, lost): "missing"}
    (first, _) = verify(filled.store, filled.catalog, filled.dataset).damage
    assert first.latest and first.named_by == ("v1", "ledger") and "the catalogue says" in first.detail


def test_a_part_that_nobody_names_is_no_damage(filled: World) -> None:
    stray = part_of(filled, "u0").with_name("stray.parquet")
    stray.write_bytes(b"12345")
    found = verify(filled.store, filled.catalog, filled.dataset)
    assert not found.damage and found.orphans == {relative(filled, stray): 5}


@pytest.mark.parametrize("what", ["audio", "features", "both"])
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_the_next_run_computes_exactly_what_was_lost(filled: World, what: str, how: str) -> None:
    before = content(filled)
    paths = [part_of(filled, "u2")] if what != "features" else []
    paths += [feature_part(filled, "u2")] if what != "audio" else []
    lost = {id for id in filled.kept() if part_of(filled, id) in paths}
    for path in paths:
        spoil(path) if how == "damaged" else path.unlink()
    set_aside(filled.store, verify(filled.store, filled.catalog, filled.dataset))
    again = filled.run()
    assert again.state.new["items"] == len(lost)
    assert content(filled) == before
    left = verify(filled.store, filled.catalog, filled.dataset).damage
    assert not [damage for damage in left if damage.latest], "only older versions still name what was lost"
    assert filled.run().changed is False


def content(world: World) -> Any:
    """What the latest version holds, read from its parts."""
    feature = feature_spec_key(world.work().audio, LOG_MEL)
    table = open_dataset(world.catalog, world.catalog.version(world.dataset), feature)
    audio, features = StoredRows(world.store, table, audio=True), StoredRows(world.store, table)
    rows = zip(table.column("id").to_pylist(), table.column("reference").to_pylist(), range(len(table)), strict=True)
    return [(id, text, audio.flac(row), features.features(row).tolist()) for id, text, row in rows]


def test_what_was_set_aside_is_kept(filled: World) -> None:
    part = part_of(filled, "u0")
    spoil(part)
    data = part.read_bytes()
    found = verify(filled.store, filled.catalog, filled.dataset)
    set_aside(filled.store, found)
    assert found.set_aside == [relative(filled, part)] and not part.exists()
    assert Path(filled.store.path(filled.store.damaged(relative(filled, part)))).read_bytes() == data


def test_a_lost_feature_is_computed_from_prepared_audio(filled: World) -> None:
    """The source is not opened for it: it may be gone."""
    feature_part(filled, "u0").unlink()
    plan = filled.plan()
    assert plan.units == []
    for sound in filled.source.glob("*.wav"):
        sound.write_bytes(sound.read_bytes()[:100])  # would be rejected if it were decoded
    filled.do(plan)
    assert not [each for each in verify(filled.store, filled.catalog, filled.dataset).damage if each.latest]


def test_old_versions_that_name_a_lost_part_are_told_apart(filled: World) -> None:
    filled.rows = filled.rows[:1]
    filled.run(max_vanished=1.0)
    gone = filled.kept("v1")["u5"]["audio_part"]
    Path(filled.store.path(gone)).unlink()
    (damage,) = [each for each in verify(filled.store, filled.catalog, filled.dataset).damage if each.what == gone]
    assert damage.latest == (filled.kept()["u0"]["audio_part"] == gone) and "v1" in damage.named_by


def test_a_unit_is_whole_with_its_ledger_and_its_parts(filled: World) -> None:
    (unit, *_) = filled.plan(audio=dataclasses.replace(filled.work().audio, sample_rate=4000)).units
    assert not references.is_whole(filled.store, unit.ledger)
    (feature, *_) = [row["part"] for row in filled.read("features")]
    ledgers = [relative(filled, path) for path in Path(filled.store.root).glob("units/**/*.parquet")]
    assert all(references.is_whole(filled.store, each) for each in ledgers)
    Path(filled.store.path(feature)).unlink()
    assert not all(references.is_whole(filled.store, each) for each in ledgers)
