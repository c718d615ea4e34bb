"""Recordings inside archives through the whole preparation: the same keys as outside, balanced books, nothing twice."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import World

from storage import archives


def pack(world: World, name: str, *files: str) -> None:
    """Put files of the source into an archive beside them."""
    path = world.source / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(world.source / file, f"in/{file}")
        return
    with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
        for file in files:
            archive.add(world.source / file, f"in/{file}")


@pytest.mark.parametrize("kind", [".tar", ".tar.gz", ".zip"])
def test_a_member_is_the_recording_it_is_outside(world: World, kind: str) -> None:
    for number in range(6):
        world.add(f"u{number}")
    outside = {row["id"]: row["key"] for row in world.run().state.tables["utterances"].to_pylist()}
    world.add_bytes("bad", b"<html>")
    pack(world, f"x{kind}", *(str(row["audio"]) for row in world.rows if isinstance(row, dict)))
    for row in world.rows:
        assert isinstance(row, dict)
        row["audio"] = f"x{kind}!in/{row['audio']}"
    world.rows.append({"id": "gone", "audio": f"x{kind}!in/gone.wav"})
    world.rows.reverse()  # not the archive's order
    inside = world.run()
    assert {row["id"]: row["key"] for row in inside.state.tables["utterances"].to_pylist()} == outside
    assert inside.state.books["scanned"]["items"] == 8 and inside.state.books["quarantined"]["items"] == 2
    assert world.quarantine() == {"bad": "not_audio", "gone": "missing_file"}
    assert not world.plan().units, "nothing to do"


def test_a_compressed_tar_is_read_from_front_to_back_once(world: World) -> None:
    for number in range(6):
        world.add(f"u{number}")
    pack(world, "x.tar.gz", *(f"u{number}.wav" for number in range(6)))
    for row in world.rows:
        assert isinstance(row, dict)
        row["audio"] = f"x.tar.gz!in/{row['audio']}"
    world.rows.reverse()
    units = world.plan(workers=1).units
    asked = [uri for unit in units for uri in unit.items.column("uri").to_pylist()]
    assert asked == [f"x.tar.gz!in/u{number}.wav" for number in range(6)]


def test_an_archive_that_changes_meanwhile_is_read_as_it_is_now(world: World) -> None:
    world.add("a", seed=1)
    world.add("b", seed=2)
    pack(world, "x.tar", "a.wav")
    world.rows = [{"id": "a", "audio": "x.tar!in/a.wav"}]
    first = world.run().state.tables["utterances"].column("sha256").to_pylist()
    (world.source / "b.wav").replace(world.source / "a.wav")
    pack(world, "x.tar", "a.wav")
    plan = world.plan()
    assert plan.reasons == {"changed": 1}
    assert world.do(plan).state.tables["utterances"].column("sha256").to_pylist() != first


def test_an_archive_that_is_cut_after_the_scan(world: World) -> None:
    for number in range(3):
        world.add(f"u{number}")
    pack(world, "x.tar", *(f"u{number}.wav" for number in range(3)))
    world.rows = [{"id": f"u{number}", "audio": f"x.tar!in/u{number}.wav"} for number in range(3)]
    plan = world.plan()
    path: Path = world.source / "x.tar"
    path.write_bytes(path.read_bytes()[:7000])
    world.do(plan)
    assert set(world.kept()) == {"u0"} and set(world.quarantine().values()) == {"unreadable"}
    assert [uri for uri, entry in archives.entries(str(path)).items() if entry.problem] == [str(path)]
