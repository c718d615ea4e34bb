"""A person who was erased is nowhere under the root, stays away, and took nobody else along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import LOG_MEL, World

from storage import erase as module
from storage import erase_reach, erased, history, outputs, parts
from storage.dataset import StoredRows, open_dataset
from storage.erase import Erased, erase
from storage.erase_proof import prove
from storage.exports.place import MARKER
from storage.outputs import Output
from storage.traces import Traces, find
from storage.verify import verify
from tasks.units import feature_spec_key

EVE = (("speaker", "eve"),)


@pytest.fixture
def nights(world: World) -> World:
    """Three versions of two people; v1 has a tag. One of Eve's recordings is broken, one she shares with Adam."""
    world.add("a0", 0, text="a 0", speaker="adam")
    world.add("e0", 1, text="e 0", speaker="eve", room="kitchen")
    world.run(workers=1)
    version = world.catalog.version(world.dataset)
    assert version is not None
    world.catalog.tag(world.dataset, version, "published")
    world.add("a1", 2, text="a 1", speaker="adam")
    world.add("e1-a-long-name", 3, text="e 1", speaker="eve")
    world.add_bytes("e2", b"broken", speaker="eve")
    world.run(workers=1)
    world.sound("both.wav", 9, seconds=1.0)
    for person, start in (("adam", 0.0), ("eve", 0.5)):
        world.rows.append(
            {"id": f"{person}-both", "audio": "both.wav", "start": start, "end": start + 0.4, "speaker": person}
        )
    world.run(workers=1)
    return world


def traces(world: World, where: Any = EVE) -> Traces:
    return find(world.store, world.catalog, world.dataset, where, world.items())


def do(world: World, found: Traces | None = None) -> Erased:
    return erase(world.store, world.catalog, world.dataset, found or traces(world))


def content(world: World, version: str | None = None) -> dict[str, Any]:
    feature = feature_spec_key(world.work().audio, LOG_MEL)
    table = open_dataset(world.catalog, world.catalog.version(world.dataset, version), feature)
    audio, features = StoredRows(world.store, table, audio=True), StoredRows(world.store, table)
    rows = zip(table.column("id").to_pylist(), table.column("reference").to_pylist(), range(len(table)), strict=True)
    return {id: (text, audio.flac(row), features.features(row).tobytes()) for id, text, row in rows}


def adams(rows: dict[str, Any]) -> dict[str, Any]:
    return {id: row for id, row in rows.items() if id.startswith("a")}


def test_what_is_found(nights: World) -> None:
    found = traces(nights)
    assert found.ids == {"e0", "e1-a-long-name", "e2", "eve-both"}
    assert found.uris == {"e0.wav", "e1-a-long-name.wav", "e2.wav"}, "not the recording in which Adam speaks too"
    kept = nights.kept()
    assert found.keys == {kept[id]["key"] for id in ("e0", "e1-a-long-name", "eve-both")}
    assert kept["eve-both"]["sha256"] not in found.sha256 and kept["e0"]["sha256"] in found.sha256
    assert len(found.feature_keys) == 3
    assert traces(nights, (("room", "kitchen"),)).ids == {"e0"}
    assert traces(nights, (("id", "e2"),)).ids == {"e2"}
    assert traces(nights, (("speaker", "eve"), ("id", "e0"))).ids == {"e0"}
    assert traces(nights, (("speaker", "nobody"),)).ids == set()


def test_the_person_is_gone_and_nobody_else(nights: World) -> None:
    before = {name: content(nights, name) for name in ("v1", "v3")}
    found = traces(nights)
    assert not prove(nights.store, found).clean
    done = do(nights, found)
    proof = prove(nights.store, found)
    assert proof.found == [] and proof.files > 10 and proof.names > 10
    assert (done.rewritten, done.expired) == (["v1", "v3"], ["v2"])
    versions = nights.catalog.versions(nights.dataset)
    assert [(version.name, version.tags) for version in versions] == [("v1", ("published",)), ("v3", ())]
    for name in before:
        assert content(nights, name) == adams(before[name])
    assert verify(nights.store, nights.catalog, nights.dataset).damage == []


def test_the_books_balance_and_say_what_was_left_out(nights: World) -> None:
    do(nights)
    version = nights.catalog.version(nights.dataset)
    assert version is not None
    items = {name: line["items"] for name, line in version.books.items()}
    assert items == {"scanned": 7, "kept": 3, "filtered": 4, "duplicate": 0, "quarantined": 0, "trimmed": 0}
    assert set(nights.quarantine().values()) == {"erased"}
    assert all(row["uri"] is None and row["sha256"] is None for row in nights.read("quarantine"))


def test_the_next_run_changes_nothing_and_does_not_bring_them_back(nights: World) -> None:
    found = traces(nights)
    do(nights, found)
    again = nights.run()
    assert again.changed is False and again.state.new["items"] == 0
    nights.add("a9", 90, speaker="adam")
    assert nights.run().state.new["items"] == 1
    assert prove(nights.store, found).clean and set(nights.kept()) == {"a0", "a1", "a9", "adam-both"}


def test_the_same_bytes_under_another_name_are_refused_unread(nights: World) -> None:
    found = traces(nights)
    do(nights, found)
    row = nights.row("e0")
    (nights.source / "e0.wav").rename(nights.source / "renamed.wav")
    row |= {"id": "renamed", "audio": "renamed.wav"}
    run = nights.run()
    assert "renamed" not in nights.kept() and nights.quarantine()["renamed"] == "erased"
    assert run.version.books["filtered"]["items"] == 4
    assert not [key for key in found.part_keys().to_pylist() if key in str(sorted(Path(nights.store.root).rglob("*")))]
    assert nights.run().changed is False


def test_the_list_holds_digests_only(nights: World) -> None:
    found = traces(nights)
    do(nights, found)
    kept = erased.load(nights.store, nights.dataset)
    said = str(kept.to_pylist())
    assert len(kept) == len(found.places) + len(found.sha256) + len(found.recordings) + len(found.keys)
    assert not [name for name in found.names() | found.secrets() if name in said and len(name) > 3]


def test_documents_that_speak_of_the_person_go(nights: World) -> None:
    root = Path(nights.store.root)
    found = traces(nights)
    files = {
        "scores/k/score.json": "{}",
        "runs/r/report.html": "<td>e1-a-long-name</td>",
        "runs/s/report.html": "<td>a0</td>",
        "runs/r/result.json": json.dumps({"quarantine": {"rows": [{"id": "e2"}, {"id": "a0"}]}, "run": "r"}),
    }
    for place, text in files.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    parts.write_table(
        str(root / "scores/k/utterances.parquet"),
        nights.catalog.read(nights.catalog.version(nights.dataset), "utterances"),
    )
    done = do(nights, found)
    assert set(done.documents) == {"scores/k/utterances.parquet", "runs/r/report.html", "runs/r/result.json"}
    assert not (root / "scores/k/score.json").exists() and (root / "runs/s/report.html").exists()
    assert json.loads((root / "runs/r/result.json").read_text()) == {"quarantine": {"rows": [{"id": "a0"}]}, "run": "r"}
    assert prove(nights.store, found).clean


class KilledError(BaseException):
    """What a SIGKILL looks like to the code that it hits."""


@pytest.mark.parametrize("where", ["before the switch", "after the switch", "before the parts"])
def test_killed_anywhere_the_same_command_finishes(nights: World, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: content(nights, name) for name in ("v1", "v3")}
    found = traces(nights)

    def dying(*_: Any) -> Any:
        raise KilledError

    target = {"before the switch": (history, "_switch"), "after the switch": (module, "_ledgers")}
    holder, name = target.get(where, (module, "_move"))
    monkeypatch.setattr(holder, name, dying)
    with pytest.raises(KilledError):
        do(nights, found)
    monkeypatch.undo()
    for version in nights.catalog.versions(nights.dataset):
        rows = content(nights, version.name)
        assert adams(rows) == adams(before.get(version.name, rows))
    do(nights, traces(nights))
    proof = prove(nights.store, found)
    assert proof.found == []
    assert {name: content(nights, name) for name in before} == {name: adams(rows) for name, rows in before.items()}


@pytest.mark.parametrize("where", ["_remove_export", "_of_one_transcript"])
def test_killed_while_it_reaches_beyond_the_dataset(
    nights: World, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, kept = traces(nights), nights.kept()
    version = nights.catalog.version(nights.dataset)
    assert version is not None
    exported, heard = tmp_path / "exported", tmp_path / "heard"
    request = {"dataset": nights.dataset, "version": "v3", "format": "nemo", "snapshot": str(version.snapshot)}
    outputs.note(nights.store, nights.dataset, Output(kind="export", place=str(exported), facts=request))
    outputs.note(nights.store, nights.dataset, Output(kind="transcripts", place=str(heard)))
    for place, text in {
        exported / MARKER: json.dumps({"request": request}),
        exported / "manifest.jsonl": "{}",
        heard / "both.wav.json": json.dumps({"sha256": kept["eve-both"]["sha256"]}),
        heard / "both.wav.txt": "what Adam and Eve said",
        heard / "a0.wav.json": json.dumps({"sha256": kept["a0"]["sha256"]}),
        heard / "notes.json": "of somebody else's [",
    }.items():
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)

    def dying(*_: Any) -> Any:
        raise KilledError

    monkeypatch.setattr(erase_reach, where, dying)
    with pytest.raises(KilledError):
        do(nights, found)
    monkeypatch.undo()
    do(nights, traces(nights))
    assert not exported.exists() and sorted(path.name for path in heard.iterdir()) == ["a0.wav.json", "notes.json"]
    assert [output.kind for output in outputs.noted(nights.store, nights.dataset)] == ["transcripts"]
    assert prove(nights.store, found).clean
