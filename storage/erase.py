"""Take a person out of a dataset: out of parts, ledgers and every version, history included.

What happens to history: the latest version and those with a tag are written anew under their own names, without the
rows; other versions that held them, or share a part with them, expire: a part cannot lose rows and stay what they name.
The switch is one commit, a compare-and-set on the latest version. Killed before it, nothing has changed but the list of
what must not come back; killed after it, the same command finishes: it looks on disk, it keeps no diary.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.fingerprint import digest
from storage import collect, erase_reach, erased, files, history, ledger, parts, references, rewrite, tables
from storage.catalog import Catalog
from storage.erase_reach import Reach
from storage.history import Rewritten
from storage.layout import Store
from storage.traces import Traces, array, holds, rows_about, values
from storage.versions import Version


@dataclass(kw_only=True, slots=True)
class Erased:
    """What was done to the dataset; `reach` says what was done beyond it."""

    utterances: int = 0
    rewritten: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    parts: int = 0
    ledgers: int = 0
    documents: list[str] = field(default_factory=list)  # scores, reports and artefacts that spoke of the person
    reach: Reach = field(default_factory=Reach)


def survey(store: Store, catalog: Catalog, dataset: str, traces: Traces) -> Reach:
    """What `erase` would do beyond the dataset; nothing is changed."""
    affected = _affected(catalog, dataset, traces, _touched(store, dataset, traces))
    return erase_reach.survey(store, dataset, traces, catalog.versions(dataset), affected)


def erase(store: Store, catalog: Catalog, dataset: str, traces: Traces, *, delete_models: bool = False) -> Erased:
    """Erase what was found; models that learned from it are marked, or deleted where `delete_models` says so.

    Raises CommitLostError where a run committed meanwhile. No run should be under way.
    """
    kinds = {"place": traces.places, "file": traces.sha256, "recording": traces.recordings, "key": traces.keys}
    erased.remember(store, dataset, kinds)
    result = Erased(utterances=len(traces.ids))
    touched = _touched(store, dataset, traces)
    versions = catalog.versions(dataset)
    affected = _affected(catalog, dataset, traces, touched)
    result.reach = erase_reach.survey(store, dataset, traces, versions, affected)
    erase_reach.carry_out(store, dataset, traces, result.reach, delete_models=delete_models)
    if affected:
        anew = [version for version in versions if version is versions[-1] or (version in affected and version.tags)]
        rewritten = _without(store, catalog, anew, traces, touched)
        kept = [version for version in versions if version not in affected and version not in anew]
        history.rewrite(catalog, dataset, rewritten, kept)
        result.rewritten = [version.name for version in anew]
        result.expired = [version.name for version in affected if version not in anew]
    result.parts = len(touched)
    about, naming = _ledgers(store, dataset, traces, touched)
    # Those about the person go last: they know the keys, should the same command have to finish what was killed here.
    for address in (*naming, *map(store.path, sorted(touched)), *about):
        files.remove(address)
    result.ledgers = len(about) + len(naming)
    nothing_is_young = timedelta(0)
    collect.prune(store, catalog, collect.plan_pruning(store, catalog, dataset, min_age=nothing_is_young))
    result.documents = _documents(store, traces)
    return result


def _touched(store: Store, dataset: str, traces: Traces) -> set[str]:
    """The parts that hold rows of the person, whoever names them."""
    wanted = traces.part_keys()
    found = set()
    for entry in references.part_files(store, dataset):
        if holds(parts.read_table(entry.uri, ("key",)).column("key"), wanted):
            found.add(files.relative_to(entry.uri, store.root))
    return found


def _affected(catalog: Catalog, dataset: str, traces: Traces, touched: set[str]) -> list[Version]:
    versions = catalog.versions(dataset)
    return [version for version in versions if _is_affected(catalog, version, traces, touched)]


def _is_affected(catalog: Catalog, version: Version, traces: Traces, touched: set[str]) -> bool:
    utterances = catalog.read(version, "utterances", ("key", "id", "place", "sha256", "audio_part"))
    quarantine = catalog.read(version, "quarantine", ("id", "place", "sha256"))
    features = catalog.read(version, "features", ("key", "part"))
    annotations = catalog.read(version, "annotations", ("key",))
    about = any(len(traces.about(table)) for table in (utterances, quarantine, features, annotations))
    gone = array(touched)
    return about or holds(utterances.column("audio_part"), gone) or holds(features.column("part"), gone)


def _without(
    store: Store, catalog: Catalog, versions: Sequence[Version], traces: Traces, touched: set[str]
) -> list[Rewritten]:
    """The versions without the person; what others have in the same parts moves to new ones."""
    states = [(version, {name: catalog.read(version, name) for name in tables.SCHEMAS}) for version in versions]
    rewritten = []
    for version, state in states:
        fewer = {name: _others(table, traces) for name, table in state.items()}
        left_out = _places(state["utterances"], fewer["utterances"])
        counted = state["quarantine"].filter(pc.not_equal(state["quarantine"].column("books"), "vanished"))
        left_out += _places(counted, _others(counted, traces))
        fewer["quarantine"] = pa.concat_tables([fewer["quarantine"], erased.quarantine_rows(left_out)])
        books = _books(version.books, fewer)
        rewritten.append(Rewritten(version=version, tables=fewer, books=books))
    moved = _move(store, [each.tables for each in rewritten], touched)
    for each in rewritten:
        for name in rewrite.PLACES:
            each.tables[name] = rewrite.repoint(each.tables[name], name, moved)
    return rewritten


def _others(table: pa.Table, traces: Traces) -> pa.Table:
    """The rows that are not about the person."""
    numbered = table.append_column("number", pa.array(range(len(table)), pa.int64()))
    gone = traces.about(numbered).column("number")
    return tables.without(numbered, "number", gone).drop_columns(["number"])


def _places(before: pa.Table, after: pa.Table) -> list[str]:
    """The places of the rows that went, each as often as it stood there."""
    left: list[str] = after.column("place").to_pylist()
    gone: list[str] = before.column("place").to_pylist()
    for place in left:
        gone.remove(place)
    return gone


def _move(store: Store, states: Sequence[dict[str, pa.Table]], touched: set[str]) -> pa.Table:
    """Write the rows that stay of each touched part to a part of their own."""
    moved = [tables.empty(rewrite.MOVED)]
    for name, (part, row, _) in rewrite.PLACES.items():
        rows = pa.concat_tables([state[name].select([part, row]) for state in states])
        for place, wanted in rewrite.wanted_of(rows, name).items():
            if place in touched:
                uri = f"{files.parent(place)}/{digest('erase', place, *wanted.rows.tolist())}.parquet"
                moved.append(rewrite.write_anew(store, uri, [wanted]))
    return pa.concat_tables(moved)


def _books(before: dict[str, dict[str, float]], state: dict[str, pa.Table]) -> dict[str, dict[str, float]]:
    """The books counted anew from the tables; of what was erased the seconds are known no more."""
    kept = state["utterances"]
    seconds = pc.divide(pc.cast(kept.column("num_samples"), pa.float64()), kept.column("sample_rate"))
    quarantine = state["quarantine"]
    books = {"kept": _line(seconds)}
    for name in before:
        if name not in ("scanned", "kept", "trimmed"):
            books[name] = _line(quarantine.filter(pc.equal(quarantine.column("books"), name)).column("seconds"))
    total = sum(line["seconds"] for line in books.values())
    books["scanned"] = {"items": before["scanned"]["items"], "seconds": round(total, 6)}
    trimmed = kept.filter(pc.greater(kept.column("trimmed_samples"), 0))
    removed = pc.divide(pc.cast(trimmed.column("trimmed_samples"), pa.float64()), trimmed.column("sample_rate"))
    books["trimmed"] = _line(removed)
    return {name: books[name] for name in before}


def _line(seconds: Any) -> dict[str, float]:
    return {"items": len(seconds), "seconds": round(float(pc.sum(seconds).as_py() or 0.0), 6)}


def _ledgers(store: Store, dataset: str, traces: Traces, touched: set[str]) -> tuple[list[str], list[str]]:
    """Notes of work in which the person is, and those that name a part that goes; the rest of them is known otherwise."""
    about, naming = [], []
    for address in ledger.units(store, dataset):
        if rows_about(address, traces):
            about.append(address)
        elif values(ledger.parts_of(address), "part") & touched:
            naming.append(address)
    return about, naming


# -- what was said of the data -------------------------------------------------------------------------------------------


def _documents(store: Store, traces: Traces) -> list[str]:
    """Delete scores, reports and artefacts that speak of the person, and clean results of runs and facts of models."""
    from storage.erase_proof import Needles, in_file

    needles = Needles(traces)
    done = []
    for folder in ("hypotheses", "scores", "runs", "mlflow", "models", "transcripts"):
        place = store.path(folder)
        for entry in files.walk(place) if files.is_url(place) or files.exists(place) else ():
            if not in_file(entry.uri, needles):
                continue
            if entry.uri.endswith(("/result.json", "/model.json")):
                cleaned = _cleaned(json.loads(files.read_bytes(entry.uri)), traces.names() | traces.secrets())
                files.write_bytes(entry.uri, json.dumps(cleaned, ensure_ascii=False, indent=1).encode())
            else:
                files.remove(entry.uri)
                if entry.uri.endswith("/utterances.parquet"):  # a score without its table is none
                    files.remove(f"{files.parent(entry.uri)}/score.json")
            done.append(files.relative_to(entry.uri, store.root))
    return done


def _cleaned(value: Any, names: set[str]) -> Any:
    """The same JSON without the objects, in lists, that name the person."""
    if isinstance(value, dict):
        return {key: _cleaned(each, names) for key, each in value.items()}
    if isinstance(value, list):
        kept = [each for each in value if not _names_one(each, names)]
        return [_cleaned(each, names) for each in kept]
    return value


def _names_one(value: Any, names: set[str]) -> bool:
    if isinstance(value, dict):
        return any(isinstance(each, str) and each in names for each in value.values())
    return isinstance(value, str) and value in names
