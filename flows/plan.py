"""What would run, and why: the source held against the catalogue and the ledger of finished work.

Pure table work: nothing here computes audio, and nothing is written. `make_plan` says which items are known and which
must be computed, in which units; `assemble.py` turns what is known after the work into the next version. Columns all
the way: a million items are a few Arrow arrays, not a million objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.pieces import item_ids, only_whole
from flows.units import prepare_units
from flows.work import Work
from sorigil.audio.spec import SIGNAL_FORMAT
from sorigil.filters import asks_for_signal
from sorigil.fingerprint import fingerprint
from storage import erased, ledger, references, tables
from storage.quarantine import quarantine_rows
from storage.versions import Version
from tasks.units import RAW_SUFFIXES, PrepareUnit, feature_spec_key, work_key

_SAME_ROW = ("id", "place", "text", "label", "speaker", "lang", "split", "extras")
BY_FEATURE = pa.array(["features", "worker"])  # stages whose rejections may be a feature's doing


@dataclass(kw_only=True, slots=True)
class Plan:
    """What is known of the source's items and what must be computed."""

    work: Work
    base: Version | None
    items: pa.Table  # all of them, as scanned
    good: pa.Table  # those whose row can be used
    problems: pa.Table  # quarantine rows that the scan alone decides
    known: pa.Table  # ledger rows (kept and rejected) of items that need no work
    before: dict[str, pa.Table]  # the tables of `base`, all of them
    features: pa.Table  # of `before`, those whose parts are there
    vanished: pa.Table  # quarantine rows
    units: list[PrepareUnit] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def new_items(self) -> int:
        return sum(len(unit.items) for unit in self.units)


def make_plan(
    work: Work,
    items: pa.Table,
    base: Version | None,
    base_tables: dict[str, pa.Table],
    *,
    workers: int,
    retry: bool = False,
) -> Plan:
    """Hold the scanned items against the version `base` and the ledger. `retry` forgets remembered rejections."""
    items = _as_read(work, items)
    listed = erased.load(work.store, work.dataset)
    left, gone = _without_erased(items, listed)
    problems, good = _scan_problems(left)
    good, doubled = _doubled_ids(good)
    problems = pa.concat_tables([gone, problems, doubled])
    there = references.parts_there(work.store, work.dataset)
    features = tables.only(base_tables["features"], "part", there)
    known, rest, reasons = _known(work, good, {**base_tables, "features": features}, there, retry=retry)
    units = prepare_units(work, rest, workers)
    if len(listed):
        refused = frozenset(erased.of_kind(listed, "file", "key").column("digest").to_pylist())
        units = [replace(unit, erased=refused) for unit in units]
    return Plan(
        work=work,
        base=base,
        items=items,
        good=good,
        problems=problems,
        known=known,
        before=base_tables,
        features=features,
        vanished=_vanished(items, base_tables),
        units=units,
        reasons=reasons,
    )


def _as_read(work: Work, items: pa.Table) -> pa.Table:
    """Headerless files are stamped with how they are to be read: told otherwise, they are other recordings."""
    if work.raw is None:
        return items
    headerless = pc.ends_with(items.column("uri"), RAW_SUFFIXES[0], ignore_case=True)
    for suffix in RAW_SUFFIXES[1:]:
        headerless = pc.or_(headerless, pc.ends_with(items.column("uri"), suffix, ignore_case=True))
    marked = pc.binary_join_element_wise(items.column("stamp"), fingerprint(work.raw), "-")
    stamp = pc.if_else(headerless, marked, items.column("stamp"))
    return items.set_column(items.column_names.index("stamp"), "stamp", stamp)


def _without_erased(items: pa.Table, listed: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The items that may be used, and nameless quarantine rows for those that were erased."""
    places = erased.of_kind(listed, "place").column("digest")
    if not len(places):
        return items, tables.empty(tables.QUARANTINE)
    gone = tables.isin(pa.array(erased.marks("place", items.column("place").to_pylist())), places)
    return items.filter(pc.invert(gone)), erased.quarantine_rows(items.column("place").filter(gone).to_pylist())


def _scan_problems(items: pa.Table) -> tuple[pa.Table, pa.Table]:
    bad = items.filter(pc.is_valid(items.column("problem")))
    split = pc.split_pattern(bad.column("problem"), ": ", max_splits=1)
    reason, detail = pc.list_element(split, 0), pc.list_element(split, 1)
    # The seconds of a scanned span are what the manifest claims, not what was found: unknown in the books.
    rows = quarantine_rows(bad.drop_columns(["seconds"]), "scan", reason, detail)
    return rows, tables.where(items, pc.is_null(items.column("problem")))


def _doubled_ids(items: pa.Table) -> tuple[pa.Table, pa.Table]:
    """An id names one utterance. The same row twice is a duplicate; one id for two things is refused, all of them."""
    counts = pc.value_counts(items.column("id"))
    doubled = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if not len(doubled):
        return items, tables.empty(tables.QUARANTINE)
    rows = tables.only(items, "id", doubled)
    # Equal rows share one mark; an id with more than one mark names different things.
    marks = rows.append_column("mark", tables.joined(rows, _SAME_ROW))
    one_each = marks.take(tables.first_of_each(marks.column("mark")))
    per_id = pc.value_counts(one_each.column("id"))
    clashing = per_id.field("values").filter(pc.greater(per_id.field("counts"), 1))
    refused = tables.only(rows, "id", clashing).drop_columns(["seconds"])
    agreeing = tables.without(rows, "id", clashing)
    first = tables.first_of_each(agreeing.column("id"))
    once = agreeing.take(first)
    others = np.setdiff1d(np.arange(len(agreeing)), np.asarray(first))
    again = agreeing.take(pa.array(others)).drop_columns(["seconds"])
    problems = [
        quarantine_rows(refused, "scan", "duplicate_id", "several rows with different content share this id"),
        quarantine_rows(again, "scan", "duplicate_row", "the source has this row more than once", books="duplicate"),
    ]
    return pa.concat_tables([tables.without(items, "id", doubled), once]), pa.concat_tables(problems)


def _known(
    work: Work, items: pa.Table, base: dict[str, pa.Table], there: Any, *, retry: bool
) -> tuple[pa.Table, pa.Table, dict[str, int]]:
    """Ledger rows of the items that are done already (in the catalogue, in the quarantine, in the ledger); the rest.

    Only what lies in parts that are `there` counts as done.
    """
    version = _complete(work, ledger.only_there(_same_work(work, base["utterances"]), there), base["features"])
    version, unmeasured = _measured(work, version)
    remembered = tables.empty(ledger.LEAN) if retry else _remembered(work, base["quarantine"])
    before = only_whole(_matching(items, pa.concat_tables([version, remembered])))
    rest = tables.without(items, "place", before.column("place"))
    from_catalogue = tables.only(before, "place", version.column("place"))
    found = [before]
    if len(rest):
        folder = work.store.unit_folder(work.dataset, work_key(work.audio, work.keep_audio))
        done = ledger.only_there(ledger.read_all(work.store, folder), there)
        done = _lasting(work, done, retry=retry)
        done, _ = _measured(work, _complete(work, done, ledger.features_of(done)))
        from_ledger = only_whole(_matching(rest, done))
        rest = tables.without(rest, "place", from_ledger.column("place"))
        found.append(from_ledger)
    again = _of(rest, _matching(rest, unmeasured))
    changed = _of_files_seen(rest, base) - again
    reasons = {
        "in the catalogue": _of(items, from_catalogue),
        "rejected before": _of(items, before) - _of(items, from_catalogue),
        "finished by an earlier run": sum(_of(items, rows) for rows in found[1:]),
        "to be measured for a filter": again,
        "changed": changed,
        "new": len(rest) - changed - again,
    }
    return pa.concat_tables(found), rest, {name: count for name, count in reasons.items() if count}


def _of_files_seen(items: pa.Table, base: dict[str, pa.Table]) -> int:
    """How many items are about a recording that the last version knew, kept or rejected."""
    uris = items.column("uri")
    seen = [tables.isin(uris, base[name].column("uri")) for name in ("utterances", "quarantine")] if len(items) else []
    return int(pc.sum(pc.or_(*seen)).as_py()) if seen else 0


def _of(items: pa.Table, rows: pa.Table) -> int:
    """How many items the rows are about."""
    return int(pc.sum(tables.isin(items.column("place"), rows.column("place"))).as_py() or 0)


def _same_work(work: Work, utterances: pa.Table) -> pa.Table:
    """Catalogue rows made by the same AudioSpec, with prepared audio where that is asked for, as ledger rows."""
    same = pc.equal(utterances.column("audio_spec"), fingerprint(work.audio))
    if work.keep_audio:
        same = pc.and_(same, pc.is_valid(utterances.column("audio_part")))
    return tables.conform(tables.where(utterances, same), ledger.LEAN)


def _remembered(work: Work, quarantine: pa.Table) -> pa.Table:
    """Earlier rejections by the same code, as ledger rows. A `scan` decision is made anew each time: it costs nothing."""
    code, stage = quarantine.column("code"), quarantine.column("stage")
    by_audio = pc.and_(pc.equal(code, work.code), pc.is_in(stage, value_set=pa.array(["decode", "prepare"])))
    by_feature = pc.and_(pc.equal(code, work.feature_code), pc.is_in(stage, value_set=BY_FEATURE))
    rows = quarantine.filter(pc.and_(pc.or_(by_audio, by_feature), pc.is_valid(quarantine.column("sha256"))))
    # Seconds are kept as samples at 1 MHz here, so that the books of a remembered item read the same as the first time.
    samples = pc.cast(pc.round(pc.multiply(rows.column("seconds"), 1e6)), pa.int64())
    rows = rows.append_column("num_samples", samples)
    rows = rows.append_column("sample_rate", pa.array([1_000_000] * len(rows), pa.int32()))
    return tables.conform(rows, ledger.LEAN)


def _lasting(work: Work, done: pa.Table, *, retry: bool) -> pa.Table:
    """Ledger rows without the rejections that must be tried again: those of a file that could not be read (there was
    no content to remember it by), those by a feature (the ledger does not say which), those that other features ended
    a worker over, all of them on `retry`."""
    kept = pc.is_null(done.column("reason"))
    if not retry:
        by_content = pc.and_(pc.is_valid(done.column("sha256")), pc.not_equal(done.column("stage"), "features"))
        same = pc.or_kleene(
            pc.not_equal(done.column("stage"), "worker"), pc.equal(done.column("code"), work.feature_code)
        )
        by_content = pc.and_(by_content, pc.fill_null(same, False))
        kept = pc.or_(kept, pc.fill_null(by_content, False))
    return tables.where(done, kept)


def _complete(work: Work, rows: pa.Table, features: pa.Table) -> pa.Table:
    """Rows whose source is not needed again: rejected, or with prepared audio, or with every feature that is asked for."""
    done = pc.or_(pc.is_valid(rows.column("reason")), pc.is_valid(rows.column("audio_part")))
    whole = pa.array(np.ones(len(rows), bool))
    for spec in work.features:
        have = features.filter(pc.equal(features.column("spec"), feature_spec_key(work.audio, spec)))
        whole = pc.and_(whole, tables.isin(rows.column("key"), have.column("key")))
    if work.duplicates.searches_near:
        whole = pc.and_(whole, pc.is_valid(rows.column("acoustic_fingerprint")))
    return tables.where(rows, pc.or_(done, whole))


def _measured(work: Work, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows apart from those that lack what a filter is over, because an older program did not measure it."""
    if not asks_for_signal(work.filters):
        return rows, rows.slice(0, 0)
    done = pc.equal(rows.column("signal_format"), SIGNAL_FORMAT)
    done = pc.or_(pc.fill_null(done, False), pc.is_valid(rows.column("reason")))
    return tables.where(rows, done), tables.where(rows, pc.invert(done))


def _matching(items: pa.Table, done: pa.Table) -> pa.Table:
    """The rows of `done` that are about one of the items in its present state (same place, same stamp)."""
    item = tables.flat(pc.index_in(done.column("place"), value_set=tables.flat(items.column("place"))))
    now, then = (pc.fill_null(each, "") for each in (items.column("stamp").take(item), done.column("stamp")))
    return tables.where(done, pc.and_(pc.is_valid(item), pc.equal(now, then)))


def _vanished(items: pa.Table, base: dict[str, pa.Table]) -> pa.Table:
    """What the last version had and the source has no more, neither its place nor its id (it was renamed, then); and
    what vanished before and did not come back."""
    here, ids = items.column("place"), items.column("id")
    gone = tables.without(base["utterances"], "place", here)
    gone = tables.where(gone, pc.invert(tables.isin(item_ids(gone), ids)))
    seconds = pc.divide(pc.cast(gone.column("num_samples"), pa.float64()), gone.column("sample_rate"))
    rows = quarantine_rows(
        gone.append_column("seconds", seconds), "scan", "vanished", "no longer in the source", books="vanished"
    )
    before = base["quarantine"].filter(pc.equal(base["quarantine"].column("books"), "vanished"))
    before = tables.without(before, "place", here)
    before = before.filter(pc.invert(tables.isin(item_ids(before), ids)))
    return pa.concat_tables([before, rows])
