"""Versions: complete, never half, never lost to another writer, readable for ever."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sorigil.errors import RequestError
from storage import catalog as module
from storage import iceberg, tables
from storage.catalog import Catalog, CommitLostError
from storage.versions import Version

BOOKS = {"kept": {"items": 1.0, "seconds": 0.5}}


def state(*ids: str, text: str = "text", stamp: str = "1", rejected: tuple[str, ...] = ()) -> dict[str, pa.Table]:
    def made(name: str, rows: list[dict[str, Any]]) -> pa.Table:
        return tables.conform(pa.Table.from_pylist(rows, tables.SCHEMAS[name]), tables.SCHEMAS[name])

    return {
        "utterances": made(
            "utterances", [{"key": f"k{i}", "id": i, "place": i, "uri": i, "stamp": stamp} for i in ids]
        ),
        "annotations": made(
            "annotations", [{"key": f"k{i}", "tier": "reference", "value": f"{text} {i}"} for i in ids]
        ),
        "features": made(
            "features",
            [
                {"key": f"k{i}", "feature_key": f"f{i}", "spec": "s", "part": "p", "row": 0, "num_frames": 1}
                for i in ids
            ],
        ),
        "quarantine": made(
            "quarantine", [{"id": i, "place": i, "reason": "bad", "books": "quarantined"} for i in rejected]
        ),
    }


def ids(catalog: Catalog, version: Version | None, name: str = "utterances", column: str = "id") -> list[str]:
    return sorted(catalog.read(version, name).column(column).to_pylist())


def commit(catalog: Catalog, base: Version | None, content: dict[str, pa.Table], **facts: Any) -> Version:
    return catalog.commit("d", base, content, books=BOOKS, facts=facts)


def open_catalog(folder: Path) -> Catalog:
    return Catalog(f"sqlite:///{folder}/catalog.db", str(folder))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path)


def test_a_dataset_that_is_not_there_yet(catalog: Catalog) -> None:
    assert catalog.datasets() == [] and catalog.versions("d") == [] and catalog.version("d") is None
    for name, schema in tables.SCHEMAS.items():
        assert catalog.read(None, name).schema == schema and len(catalog.read(None, name)) == 0
    with pytest.raises(RequestError, match="d: no version called v1; there is: none yet"):
        catalog.version("d", "v1")


def test_versions_are_listed_named_and_read_back_by_another_process(catalog: Catalog, tmp_path: Path) -> None:
    one = commit(catalog, None, state("a", "b", rejected=("x",)), source="here")
    two = commit(catalog, one, state("b", "c"))
    again = open_catalog(tmp_path)
    assert again.datasets() == ["d"] and again.versions("d") == [one, two]
    assert [version.name for version in (one, two)] == ["v1", "v2"]
    assert (one.books, one.facts, one.tags) == (BOOKS, {"source": "here"}, ())
    assert again.version("d") == two
    for name in ("v1", str(one.snapshot)):
        assert again.version("d", name) == one
    assert ids(again, one) == ["a", "b"] and ids(again, two) == ["b", "c"]
    for name in ("annotations", "features"):
        assert ids(again, one, name, "key") == ["ka", "kb"] and ids(again, two, name, "key") == ["kb", "kc"]
    assert ids(again, one, "quarantine") == ["x"] and ids(again, two, "quarantine") == []
    with pytest.raises(RequestError, match="no version called v3; there is: v1, v2"):
        again.version("d", "v3")
    only = again.read(two, "utterances", ("id", "stamp"))
    assert only.column_names == ["id", "stamp"]


def test_the_same_state_in_another_order_is_no_new_version(catalog: Catalog) -> None:
    one = commit(catalog, None, state("a", "b"))
    assert not catalog.differs(one, state("b", "a"))
    assert commit(catalog, one, state("b", "a"), run="another") is one
    assert catalog.versions("d") == [one]


def test_when_a_row_entered_makes_no_difference(catalog: Catalog) -> None:
    one = commit(catalog, None, state("a"))
    later = state("a")
    later["annotations"] = later["annotations"].set_column(7, "when", pa.array(["2030-01-01"]))
    assert commit(catalog, one, later) is one


@pytest.mark.parametrize("few", [0, 500])
def test_removed_and_changed_rows_by_either_way_of_writing(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(module, "_FEW", few)
    one = commit(catalog, None, state("a", "b", "c"))
    two = commit(catalog, one, state("b", "c", "it's", stamp="2"))
    three = commit(catalog, two, state("b"))
    four = commit(catalog, three, state())
    five = commit(catalog, four, state("a"))
    assert catalog.versions("d") == [one, two, three, four, five], "one version a commit, however many snapshots"
    assert [ids(catalog, version) for version in (one, two, three, four, five)] == [
        ["a", "b", "c"], ["b", "c", "it's"], ["b"], [], ["a"],
    ]  # fmt: skip
    assert catalog.read(two, "utterances").column("stamp").to_pylist() == ["2"] * 3


@pytest.mark.parametrize("few", [0, 500])
def test_a_table_is_written_and_read_by_slices(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(module, "_FEW", few)
    monkeypatch.setattr(iceberg, "_FILE_ROWS", 2)
    one = commit(catalog, None, state(*"abcde", rejected=tuple("xyz")))
    two = commit(catalog, one, state(*"bcdefgh"))
    assert catalog.versions("d") == [one, two]
    table = catalog.table("d", "utterances")
    assert table is not None and max(table.inspect.files().column("record_count").to_pylist()) == 2
    for version, there in ((one, "abcde"), (two, "bcdefgh")):
        assert ids(catalog, version) == list(there)
        for name, schema in tables.SCHEMAS.items():
            held = catalog.read(version, name, lean=True)
            assert held.schema == tables.LEAN[name]
            assert tables.conform(held, schema).equals(catalog.read(version, name))
            assert not catalog.differs(
                version, {**state(*there, rejected=()), "quarantine": catalog.read(version, "quarantine")}
            )


def test_a_writer_that_dies_between_two_slices_changes_no_version(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyiceberg.table import Transaction

    monkeypatch.setattr(iceberg, "_FILE_ROWS", 1)
    one = commit(catalog, None, state("a"))
    adding = Transaction.append
    for steps in range(6):
        left = [None] * steps

        def dying(self: Any, *rest: Any, left: list[None] = left, **more: Any) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop()
            adding(self, *rest, **more)

        with monkeypatch.context() as patched:
            patched.setattr(Transaction, "append", dying)
            with pytest.raises(KeyboardInterrupt):
                commit(catalog, one, state("a", "b", "c"))
        assert catalog.versions("d") == [one] and not catalog.differs(one, state("a"))
    assert ids(catalog, commit(catalog, one, state("a", "b", "c"))) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["annotations", "quarantine"])
def test_a_change_in_a_side_table_alone_is_a_version(catalog: Catalog, name: str) -> None:
    one = commit(catalog, None, state("a"))
    changed = {"annotations": state("a", text="corrected"), "quarantine": state("a", rejected=("x",))}[name]
    two = commit(catalog, one, changed)
    assert two.name == "v2" and two.snapshot != one.snapshot
    assert catalog.read(one, name).equals(tables.conform(state("a")[name], tables.SCHEMAS[name]))
    assert catalog.read(two, name).equals(changed[name])
    assert ids(catalog, two) == ["a"]
    others = {"annotations", "features", "quarantine"} - {name}
    assert {other: two.snapshots[other] for other in others} == {other: one.snapshots[other] for other in others}


def test_tags(catalog: Catalog, tmp_path: Path) -> None:
    one = commit(catalog, None, state("a"))
    commit(catalog, one, state("b"))
    catalog.tag("d", one, "published")
    found = open_catalog(tmp_path).version("d", "published")
    assert found is not None and (found.name, found.tags) == ("v1", ("published",))
    with pytest.raises(RequestError, match="the tag published exists already"):
        catalog.tag("d", one, "published")
    for taken in ("v1", "v99", "12", "main"):
        with pytest.raises(RequestError):
            catalog.tag("d", one, taken)
    with pytest.raises(RequestError, match="no such dataset"):
        catalog.tag("nothing", one, "x")


def test_diff_tells_apart_what_came_went_changed_and_was_relabelled(catalog: Catalog) -> None:
    one = commit(catalog, None, state("a", "b", "c", "same"))
    after = state("b", "c", "new", "same")
    keys = ["kb", "k another", "knew", "ksame"]
    after["utterances"] = after["utterances"].set_column(0, tables.UTTERANCES.field("key"), pa.array(keys))
    values = pa.array(["other words", "text c", "text new", "text same"])
    after["annotations"] = after["annotations"].set_column(2, "value", values)
    two = commit(catalog, one, after)
    expected = {"added": ["new"], "removed": ["a"], "changed": ["c"], "relabelled": ["b"]}
    assert catalog.diff(one, two) == expected
    everything = {name: sorted(found) for name, found in catalog.diff(None, one).items()}
    assert everything == {"added": ["a", "b", "c", "same"], "removed": [], "changed": [], "relabelled": []}
    assert not any(catalog.diff(two, two).values())


# -- writers at the same time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False], ids=["on nothing", "on a version"])
def test_a_commit_on_a_version_that_is_no_longer_the_latest_is_lost(catalog: Catalog, first: bool) -> None:
    base = None if first else commit(catalog, None, state("a"))
    winner = commit(catalog, base, state("a", "b"))
    with pytest.raises(CommitLostError, match="d: another run committed a version meanwhile; run again"):
        commit(catalog, base, state("a", "c", text="loser"))
    assert catalog.version("d") == winner
    assert ids(catalog, winner) == ["a", "b"]
    assert ids(catalog, winner, "annotations", "value") == ["text a", "text b"]
    third = commit(catalog, winner, state("a", "b", "c"))
    for name in ("annotations", "features"):
        assert ids(catalog, third, name, "key") == ["ka", "kb", "kc"], "nothing of the loser, nothing twice"


@pytest.mark.parametrize("first", [True, False], ids=["on nothing", "on a version"])
@pytest.mark.parametrize("table", ["annotations", "utterances"])
def test_a_rival_between_the_look_and_the_write_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool, table: str
) -> None:
    """The check is the database's compare-and-set, not only our look before it."""
    ours, rival = open_catalog(tmp_path), open_catalog(tmp_path)
    base = None if first else commit(ours, None, state("a"))
    real, won = ours._catalog.create_table_if_not_exists, []

    def slow(name: Any, *rest: Any, **named: Any) -> Any:
        loaded = real(name, *rest, **named)
        if name[1] == table and not won:
            won.append(commit(rival, base, state("a", "rival")))
        return loaded

    monkeypatch.setattr(ours._catalog, "create_table_if_not_exists", slow)
    with pytest.raises(CommitLostError):
        commit(ours, base, state("a", "ours"))
    assert rival.version("d") == won[0]
    assert ids(rival, won[0]) == ["a", "rival"] and ids(rival, won[0], "features", "key") == ["ka", "krival"]
    assert ids(rival, commit(rival, won[0], state("a", "b"))) == ["a", "b"]


def test_of_threads_that_commit_at_once_exactly_one_wins_each_round(tmp_path: Path) -> None:
    base = commit(open_catalog(tmp_path), None, state("a"))
    won: list[Version] = []
    lost: list[str] = []
    start = threading.Barrier(4)

    def race(name: str) -> None:
        mine = open_catalog(tmp_path)
        start.wait()
        try:
            won.append(commit(mine, base, state("a", name)))
        except CommitLostError:
            lost.append(name)

    threads = [threading.Thread(target=race, args=(f"racer {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 3)
    catalog = open_catalog(tmp_path)
    assert catalog.versions("d") == [base, won[0]]
    (winner,) = set(ids(catalog, won[0])) - {"a"}
    assert winner not in lost and ids(catalog, won[0], "features", "key") == ["ka", f"k{winner}"]


def test_a_commit_returns_its_own_version_though_another_followed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, rival = open_catalog(tmp_path), open_catalog(tmp_path)
    real = ours._write

    def followed(dataset: str, name: str, *rest: Any) -> Any:
        snapshot = real(dataset, name, *rest)
        if name == "utterances":
            commit(rival, rival.version("d"), state("a", "b"))
        return snapshot

    monkeypatch.setattr(ours, "_write", followed)
    version = commit(ours, None, state("a"))
    assert version.name == "v1" and ids(ours, version) == ["a"]


def test_a_writer_that_dies_at_any_step_changes_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = open_catalog(tmp_path)
    one = commit(catalog, None, state("a", "b"))
    before = {name: catalog.read(one, name) for name in tables.SCHEMAS}
    real = Catalog._write
    for last in ("annotations", "features", "quarantine", "utterances"):

        def dying(self: Any, dataset: str, name: str, *rest: Any, last: str = last) -> Any:
            if name == last:
                raise KeyboardInterrupt
            return real(self, dataset, name, *rest)

        with monkeypatch.context() as patched:
            patched.setattr(Catalog, "_write", dying)
            with pytest.raises(KeyboardInterrupt):
                commit(catalog, one, state("a", "c", rejected=("x",)))
        assert catalog.versions("d") == [one]
        assert all(catalog.read(one, name).equals(before[name]) for name in before)
    two = commit(catalog, one, state("a", "c", rejected=("x",)))
    assert ids(catalog, two) == ["a", "c"] and ids(catalog, two, "features", "key") == ["ka", "kc"]
    assert ids(catalog, two, "quarantine") == ["x"]


# -- columns that came later ------------------------------------------------------------------------------------------------


def older(schema: pa.Schema, *missing: str) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in missing])


@pytest.fixture
def old_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Version:
    """A version written by a program that did not know `dc` and `lang` nor `confidence` yet."""
    with monkeypatch.context() as yesterday:
        known = {**tables.SCHEMAS, "utterances": older(tables.UTTERANCES, "dc", "lang")}
        known["annotations"] = older(tables.ANNOTATIONS, "confidence")
        yesterday.setattr(tables, "SCHEMAS", known)
        content = {name: table.select(known[name].names) for name, table in state("a", "b").items()}
        return commit(open_catalog(tmp_path), None, content)


def test_a_store_of_yesterday_reads_as_nulls_where_columns_came_since(catalog: Catalog, old_store: Version) -> None:
    found = catalog.read(old_store, "utterances")
    assert found.schema == tables.UTTERANCES and found.column("id").to_pylist() == ["a", "b"]
    assert found.column("dc").null_count == found.column("lang").null_count == 2
    assert catalog.read(old_store, "annotations", ("key", "confidence")).column("confidence").null_count == 2
    assert catalog.read(old_store, "utterances", ("lang",)).column("lang").to_pylist() == [None, None]
    assert not catalog.differs(old_store, state("a", "b")), "new columns alone make no version"
    assert commit(catalog, old_store, state("a", "b")) == old_store


@pytest.mark.parametrize("rewritten", [False, True])
def test_the_next_version_adds_the_columns(
    catalog: Catalog, old_store: Version, rewritten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FEW", 0 if rewritten else 500)
    content = state("a", "b", "c")
    rows = content["utterances"].to_pylist()
    rows[0]["dc"], rows[2]["lang"] = 0.5, "ko"
    content["utterances"] = pa.Table.from_pylist(rows, tables.UTTERANCES)
    new = commit(catalog, old_store, content)
    found = {row["id"]: (row["dc"], row["lang"]) for row in catalog.read(new, "utterances").to_pylist()}
    assert found == {"a": (0.5, None), "b": (None, None), "c": (None, "ko")}
    assert catalog.read(old_store, "utterances").column("dc").to_pylist() == [None, None], "v1 is as it was"
    assert catalog.diff(old_store, new)["added"] == ["c"]


def test_a_program_of_yesterday_goes_on_in_a_store_of_today(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    first = commit(catalog, None, state("a"))
    monkeypatch.setattr(
        tables, "SCHEMAS", {**tables.SCHEMAS, "utterances": older(tables.UTTERANCES, "dc", "trimmed_samples")}
    )
    content = state("a", "b")
    content["utterances"] = content["utterances"].select(tables.SCHEMAS["utterances"].names)
    assert ids(catalog, commit(catalog, first, content)) == ["a", "b"]


def test_of_two_programs_that_add_columns_at_once_one_plans_again(
    tmp_path: Path, old_store: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = open_catalog(tmp_path), open_catalog(tmp_path)
    adding = iceberg.add_new_columns

    def slowly(table: Any, schema: pa.Schema) -> None:
        monkeypatch.setattr(iceberg, "add_new_columns", adding)
        commit(theirs, old_store, state("a", "b", "theirs"))
        adding(table, schema)

    monkeypatch.setattr(iceberg, "add_new_columns", slowly)
    with pytest.raises(CommitLostError):
        commit(ours, old_store, state("a", "b", "ours"))
    assert ids(ours, ours.version("d")) == ["a", "b", "theirs"]
