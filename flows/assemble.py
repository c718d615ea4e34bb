"""What is known after the work, made into the next version: its tables, complete, and its books.

Each item ends in exactly one line of the books (kept, filtered, duplicate, quarantined); `_books` refuses to go on
where the lines do not add up to what was scanned. Nothing is written here: `storage.catalog` commits the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.filters import leave_out
from flows.pieces import paired, utterance_ids
from flows.plan import BY_FEATURE, Plan
from flows.twins import settle
from flows.work import Work
from sorigil.errors import RunError
from storage import files, ledger, parts, tables
from storage.quarantine import now, quarantine_rows
from tasks.units import PrepareUnit

_PREPARED = ["key", "audio_key", "audio_part", "audio_row", "prepared_samples"]
BOOKS = ("scanned", "kept", "filtered", "duplicate", "quarantined")


@dataclass(kw_only=True, slots=True)
class State:
    """The next version's tables, complete, and its books."""

    tables: dict[str, pa.Table]
    books: dict[str, dict[str, float]]
    twins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # see `Settled`
    facts: dict[str, Any] = field(default_factory=dict)  # what the version says of itself besides
    new: dict[str, float] = field(default_factory=dict)
    reused: dict[str, float] = field(default_factory=dict)


def finished_rows(plan: Plan, done: Sequence[PrepareUnit]) -> pa.Table:
    """All ledger rows about this source: what was known and what these units did. RunError where one is missing."""
    tables_read = [plan.known]
    for unit in done:
        address = unit.store.path(unit.ledger)
        if not files.exists(address):
            raise RunError(f"unit {unit.unit[:8]} of {unit.dataset} was called done but left no ledger; run again")
        tables_read.append(tables.conform(parts.read_table(address), ledger.ROWS))
    return pa.concat_tables(tables_read)


def assemble(plan: Plan, rows: pa.Table, later: pa.Table | None = None) -> State:
    """Decide each item's fate from its row (kept, filtered, duplicate, quarantined) and build the tables.

    `later` are ledger rows of features that were computed from prepared audio: more features, or a rejection.
    """
    later = tables.empty(ledger.ROWS) if later is None else later
    joined = _with_later(_with_rows(plan.good, rows), later)
    failed = joined.filter(pc.is_valid(joined.column("reason")))
    good = tables.where(joined, pc.is_null(joined.column("reason")))
    reason = failed.column("reason")
    books = pc.if_else(pc.equal(reason, "erased"), "filtered", "quarantined")
    code = _codes(plan.work, failed)
    rejected = quarantine_rows(failed, failed.column("stage"), reason, failed.column("detail"), books, code)
    good, filtered = leave_out(plan.work.filters, good)
    settled = settle(good, plan.base_utterances, plan.work.duplicates)
    good, doubles = settled.good, settled.quarantine
    quarantine = pa.concat_tables([plan.problems, rejected, filtered, doubles, plan.vanished])
    state = State(
        tables={
            "utterances": tables.conform(good, tables.UTTERANCES),
            "annotations": _annotations(plan, good),
            "features": _features(plan, good, pa.concat_tables([rows, later])),
            "quarantine": _keep_when(plan.base_quarantine, quarantine, tables.KEYS["quarantine"]),
        },
        books=_books(plan, good, quarantine, more=len(joined) - len(plan.good)),
        twins=settled.twins,
        facts={"duplicates": settled.facts},
    )
    _count_work(state, plan, joined)
    return state


def _with_rows(items: pa.Table, rows: pa.Table) -> pa.Table:
    """Each item with what is known of it; the item's own words (id, speaker, text, …) win over an older row's.

    An item in several pieces is as many rows. What was said in the whole is the transcript of none of them.
    """
    item, row = paired(items, rows)
    items, found = items.take(item), rows.take(row)
    own = ("id", "uri", "place", "speaker", "lang", "split", "extras", "stamp")
    columns = {name: items.column(name) for name in (*own, "text", "label")}
    columns |= {name: found.column(name) for name in ledger.ROWS.names if name not in own}
    columns["id"] = utterance_ids(columns["id"], columns["piece"])
    shared = pc.greater(pc.fill_null(columns["pieces"], 1), 1)
    columns["text"] = pc.if_else(shared, pa.scalar(None, pa.string()), columns["text"])
    joined = pa.table(columns)
    undone = pc.sum(pc.and_(pc.is_null(joined.column("reason")), pc.is_null(joined.column("key")))).as_py()
    if undone:
        raise RunError(f"{undone} of {len(items)} items were never done, though their units were; run again")
    seconds = pc.divide(pc.cast(joined.column("num_samples"), pa.float64()), joined.column("sample_rate"))
    return joined.append_column("seconds", seconds)


def _with_later(joined: pa.Table, later: pa.Table) -> pa.Table:
    """What was kept so far and then rejected by a feature is rejected; acoustic fingerprints that were made later."""
    bad = later.filter(pc.is_valid(later.column("reason")))
    found = tables.lookup(bad, "key", joined.column("key"))
    for name in ("stage", "reason", "detail"):
        column = pc.coalesce(joined.column(name), found.column(name))
        joined = joined.set_column(joined.column_names.index(name), name, column)
    heard = tables.lookup(
        later.filter(pc.is_valid(later.column("acoustic_fingerprint"))), "key", joined.column("key")
    ).column("acoustic_fingerprint")
    both = pc.coalesce(joined.column("acoustic_fingerprint"), heard)
    return joined.set_column(joined.column_names.index("acoustic_fingerprint"), "acoustic_fingerprint", both)


def _codes(work: Work, failed: pa.Table) -> Any:
    """What decided each rejection."""
    return pc.if_else(pc.is_in(failed.column("stage"), value_set=BY_FEATURE), work.feature_code, work.code)


def _annotations(plan: Plan, good: pa.Table) -> pa.Table:
    """The source's words as tiers (`reference` its text, `label` its class), beside what models and people added."""
    moment = now()
    made = []
    for tier, column in (("reference", "text"), ("label", "label")):
        given = good.filter(pc.is_valid(good.column(column)))
        made.append(
            pa.table(
                {
                    "key": given.column("key"),
                    "tier": pa.array([tier] * len(given), pa.string()),
                    "value": given.column(column),
                    "source": pa.array(["person"] * len(given), pa.string()),
                    "when": pa.array([moment] * len(given), pa.string()),
                }
            )
        )
    fresh = pa.concat_tables([tables.conform(table, tables.ANNOTATIONS) for table in made])
    added = tables.without(plan.base_annotations, "tier", pa.array(["reference", "label"]))
    added = tables.only(added, "key", good.column("key"))
    return _keep_when(plan.base_annotations, pa.concat_tables([fresh, added]), tables.KEYS["annotations"])


def _keep_when(base: pa.Table, rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """A row that says what it said before keeps the time at which it was first said."""
    changed, _ = tables.changes(base, rows, key, ignore=("when",))
    same = tables.isin(tables.joined(rows, key), tables.joined(base, key))
    same = pc.and_(same, pc.invert(tables.isin(tables.joined(rows, key), tables.joined(changed, key))))
    position = pc.index_in(tables.joined(rows, key), value_set=tables.joined(base, key).combine_chunks())
    when = pc.if_else(same, base.column("when").take(position), rows.column("when"))
    return rows.set_column(rows.column_names.index("when"), "when", when)


def _features(plan: Plan, good: pa.Table, rows: pa.Table) -> pa.Table:
    fresh = ledger.features_of(tables.only(rows.select(["key", "features"]), "key", good.column("key")))
    return merge_features(plan.base_features, fresh, good.column("key"))


def merge_features(base: pa.Table, fresh: pa.Table, keys: Any) -> pa.Table:
    """Feature rows of the kept keys, each once; where both have a row the one that is in the catalogue stays."""
    old = tables.only(base, "key", keys)
    new = tables.without(fresh, "feature_key", old.column("feature_key"))
    if len(new):
        new = new.take(tables.first_of_each(new.column("feature_key")))
    return pa.concat_tables([old, new])


def _books(plan: Plan, good: pa.Table, quarantine: pa.Table, more: int) -> dict[str, dict[str, float]]:
    """In items and in seconds; `scanned` is their sum by construction in seconds and checked in items. `more` is by how
    many utterances outnumber the items of the source that they came from."""
    scanned = len(plan.items) + more
    books = {"kept": _line(good.column("seconds"))}
    for name in ("filtered", "duplicate", "quarantined"):
        books[name] = _line(quarantine.filter(pc.equal(quarantine.column("books"), name)).column("seconds"))
    total = sum(line["items"] for line in books.values())
    if total != scanned:
        raise RunError(f"the books do not balance: {scanned} items scanned, {total:.0f} accounted for ({books})")
    seconds = round(sum(line["seconds"] for line in books.values()), 6)
    books["scanned"] = {"items": scanned, "seconds": seconds}
    gone = pc.add(good.column("trimmed_samples"), pc.fill_null(good.column("left_out_samples"), 0))
    removed = pc.divide(pc.cast(gone, pa.float64()), good.column("sample_rate"))
    books["trimmed"] = _line(removed.filter(pc.greater(removed, 0)))
    return {name: books[name] for name in (*BOOKS, "trimmed")}


def _line(seconds: Any) -> dict[str, float]:
    return {"items": len(seconds), "seconds": round(float(pc.sum(seconds).as_py() or 0.0), 6)}


def _count_work(state: State, plan: Plan, joined: pa.Table) -> None:
    computed = {place for unit in plan.units for place in unit.items.column("place").to_pylist()}
    mask = tables.isin(joined.column("place"), pa.array(sorted(computed), pa.string()))
    seconds = joined.column("seconds")
    state.new, state.reused = _line(seconds.filter(mask)), _line(seconds.filter(pc.invert(mask)))


def check_limits(plan: Plan, state: State) -> None:
    """Too much rejected or gone: the run is red and nothing is published (what was finished is kept and found again)."""
    scanned, bad = state.books["scanned"]["items"], state.books["quarantined"]["items"]
    if scanned and bad / scanned > plan.work.max_rejected:
        quarantine = state.tables["quarantine"]
        rejected = quarantine.filter(pc.equal(quarantine.column("books"), "quarantined"))
        reasons = pc.value_counts(rejected.column("reason")).to_pylist()
        worst = ", ".join(
            f"{row['counts']} {row['values']}" for row in sorted(reasons, key=lambda row: -row["counts"])[:4]
        )
        raise RunError(
            f"{plan.work.dataset}: {bad:.0f} of {scanned:.0f} items were rejected ({worst}); the limit is "
            f"max_rejected: {plan.work.max_rejected:g}. See `sorigil quarantine list`, or raise the limit"
        )
    before = plan.base.books["kept"]["items"] if plan.base else 0
    gone_before = plan.base_quarantine.filter(pc.equal(plan.base_quarantine.column("books"), "vanished"))
    newly = tables.without(plan.vanished, "place", gone_before.column("place"))
    if before and len(newly) / before > plan.work.max_vanished:
        raise RunError(
            f"{plan.work.dataset}: {len(newly)} of {before:.0f} items are no longer in the source; the limit is "
            f"max_vanished: {plan.work.max_vanished:g}. Is a disk not mounted? Nothing was published"
        )


def missing_fingerprints(work: Work, state: State) -> pa.Table:
    """Kept rows, in the same columns, that lack the acoustic fingerprint that is asked for."""
    rows = state.tables["utterances"]
    lacking = pc.is_null(rows.column("acoustic_fingerprint"))
    return (
        rows.filter(lacking).select(_PREPARED) if work.duplicates.searches_near else rows.select(_PREPARED).slice(0, 0)
    )


def missing_features(work: Work, state: State, specs: Sequence[str]) -> pa.Table:
    """Kept rows (key, audio_key, audio_part, audio_row) that lack one of the feature specs."""
    wanted = state.tables["utterances"].select(_PREPARED)
    features = state.tables["features"]
    lacking = np.zeros(len(wanted), bool)
    for spec in specs:
        have = features.filter(pc.equal(features.column("spec"), spec)).column("key")
        lacking |= ~np.asarray(tables.isin(wanted.column("key"), have).to_numpy())
    return wanted.filter(pa.array(lacking))
