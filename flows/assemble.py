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
from storage import files, ledger, tables
from storage.changes import unchanged
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
    addresses = [unit.store.path(unit.ledger) for unit in done]
    for unit, address in zip(done, addresses, strict=True):
        if not files.exists(address):
            raise RunError(f"unit {unit.unit[:8]} of {unit.dataset} was called done but left no ledger; run again")
    return pa.concat_tables([plan.known, ledger.read_units(addresses)])


def assemble(plan: Plan, rows: pa.Table, later: pa.Table | None = None) -> State:
    """Decide each item's fate from its row (kept, filtered, duplicate, quarantined) and build the tables.

    `later` are ledger rows of features that were computed from prepared audio: more features, or a rejection.
    """
    rows = tables.conform(rows, ledger.LEAN)
    later = tables.empty(ledger.LEAN) if later is None else tables.conform(later, ledger.LEAN)
    joined = _with_later(_with_rows(plan.good, rows), later)
    failed = joined.filter(pc.is_valid(joined.column("reason")))
    good = tables.where(joined, pc.is_null(joined.column("reason")))
    reason = failed.column("reason")
    books = pc.if_else(pc.equal(reason, "erased"), "filtered", "quarantined")
    code = _codes(plan.work, failed)
    rejected = quarantine_rows(failed, failed.column("stage"), reason, failed.column("detail"), books, code)
    good, filtered = leave_out(plan.work.filters, good)
    settled = settle(good, plan.before["utterances"], plan.work.duplicates)
    good, doubles = settled.good, settled.quarantine
    quarantine = pa.concat_tables([plan.problems, rejected, filtered, doubles, plan.vanished])
    state = State(
        tables={
            "utterances": tables.conform(good, tables.LEAN["utterances"]),
            "annotations": _annotations(plan, good),
            "features": _features(plan, good, pa.concat_tables([rows, later])),
            "quarantine": _keep_when(plan.before["quarantine"], quarantine, tables.KEYS["quarantine"]),
        },
        books=_books(plan, good, quarantine, more=len(joined) - len(plan.good)),
        twins=settled.twins,
        facts={"duplicates": settled.facts},
    )
    _count_work(state, plan, joined)
    return state


def _with_rows(items: pa.Table, rows: pa.Table) -> pa.Table:
    """Each item with what is known of it; the item's own words (id, speaker, text, …) win over an older row's.

    They stand in the order of `rows`, which are not copied; `rank` is their order in the source. An item in several pieces
    is as many rows. What was said in the whole is the transcript of none of them.
    """
    item, row, rank = paired(items, rows)
    own = ("id", "uri", "place", "speaker", "lang", "split", "extras", "stamp", "text", "label")
    items, found = tables.taken(items.select(own), item), tables.taken(rows, row)
    columns = {name: items.column(name) for name in own}
    columns |= {name: found.column(name) for name in ledger.LEAN.names if name not in own}
    columns["rank"] = pa.array(rank)
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
    if not len(later):
        return joined
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
        given = good.select(["key", column])
        given = tables.where(given, pc.is_valid(given.column(column)))
        words = {"tier": tier, "source": "person", "when": moment}
        made.append(
            pa.table(
                {"key": given.column("key"), "value": given.column(column)}
                | {
                    name: pa.DictionaryArray.from_arrays(np.zeros(len(given), np.int32), [word])
                    for name, word in words.items()
                }
            )
        )
    schema = tables.LEAN["annotations"]
    fresh = pa.concat_tables([tables.conform(table, schema) for table in made])
    before = tables.conform(plan.before["annotations"], schema)
    added = tables.without(before, "tier", pa.array(["reference", "label"]))
    added = tables.only(added, "key", good.column("key"))
    return _keep_when(before, pa.concat_tables([fresh, added]), tables.KEYS["annotations"])


def _keep_when(base: pa.Table, rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """A row that says what it said before keeps the time at which it was first said."""
    was = unchanged(base, rows, key, ignore=("when",))
    when = pc.if_else(pc.is_valid(was), base.column("when").take(was), rows.column("when"))
    return rows.set_column(rows.column_names.index("when"), "when", when)


def _features(plan: Plan, good: pa.Table, rows: pa.Table) -> pa.Table:
    fresh = tables.only(ledger.features_of(rows), "key", good.column("key"))
    return merge_features(tables.conform(plan.features, fresh.schema), fresh, good.column("key"))


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
    computed = pa.chunked_array(
        [chunk for unit in plan.units for chunk in unit.items.column("place").chunks], pa.string()
    )
    mask = tables.isin(joined.column("place"), computed)
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
    gone_before = plan.before["quarantine"].filter(pc.equal(plan.before["quarantine"].column("books"), "vanished"))
    newly = tables.without(plan.vanished, "place", gone_before.column("place"))
    if before and len(newly) / before > plan.work.max_vanished:
        raise RunError(
            f"{plan.work.dataset}: {len(newly)} of {before:.0f} items are no longer in the source; the limit is "
            f"max_vanished: {plan.work.max_vanished:g}. Is a disk not mounted? Nothing was published"
        )


def missing_fingerprints(work: Work, state: State) -> pa.Table:
    """Kept rows, in the same columns, that lack the acoustic fingerprint that is asked for."""
    lacking = pc.is_null(state.tables["utterances"].column("acoustic_fingerprint"))
    return _prepared(state, pc.and_(lacking, work.duplicates.searches_near))


def missing_features(work: Work, state: State, specs: Sequence[str]) -> pa.Table:
    """Kept rows (key, audio_key, audio_part, audio_row) that lack one of the feature specs."""
    keys, features = state.tables["utterances"].column("key"), state.tables["features"]
    lacking = np.zeros(len(keys), bool)
    for spec in specs:
        have = features.column("key").filter(pc.equal(features.column("spec"), spec))
        lacking |= ~np.asarray(tables.isin(keys, have).to_numpy())
    return _prepared(state, pa.array(lacking))


def _prepared(state: State, mask: Any) -> pa.Table:
    """Where the prepared audio of some kept rows lies."""
    chosen = state.tables["utterances"].select(_PREPARED).filter(mask)
    return tables.conform(chosen, pa.schema([tables.UTTERANCES.field(name) for name in _PREPARED]))
