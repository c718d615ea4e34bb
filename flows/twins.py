"""Items that are the same sound: which of them stays, which is a duplicate, which are in conflict, and who belongs together.

The same bytes, the same samples in another container, the same sound to the ear: `sorigil.duplicates` finds the last.
Books and tables are `assemble.py`'s, which calls this; all in columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sorigil.duplicates import DuplicatesSpec, Fingerprints, linked, near_pairs
from storage import tables
from storage.dataset import together
from storage.quarantine import quarantine_rows

MOST_EXAMPLES = 10
_DETAILS = {
    "duplicate": "the same audio as {}",
    "duplicate_pcm": "the same samples as {}, in another container",
    "near_duplicate": "sounds the same as {}",
    "label_conflict": "the same audio as {}, under another text or label",
}

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """The rows that stay, the quarantine rows of the others, and what the version says of both."""

    good: pa.Table
    quarantine: pa.Table
    twins: Ints  # of each row that stays, the number of its group of rows that are the same sound
    facts: dict[str, Any]


def settle(good: pa.Table, base: pa.Table, spec: DuplicatesSpec) -> Settled:
    """Let one row stay of each group of the same sound, the first one in the source and those of the last version
    before others; where text or label differ, none. What is not to be dropped stays in one group (`near_group`). The
    column `rank` is a row's place in the source."""
    key, pcm = _codes(good.column("key")), _codes(good.column("pcm_hash"))
    near = near_pairs(_fingerprints(good)) if spec.searches_near else np.zeros((0, 2), np.int64)
    known = np.asarray(tables.isin(good.column("key"), base.column("key")))
    drop = [_equal(key), *([_equal(pcm)] if spec.pcm == "drop" else []), *([near] if spec.near == "drop" else [])]
    stays, quarantine = _drop(good, linked(len(good), np.concatenate(drop)), ~known, key, pcm)
    links = _among(np.concatenate([_equal(pcm), near]), stays)
    kept = tables.where(good, pa.array(stays))
    twins = linked(len(kept), links)
    return Settled(
        good=_with_groups(kept, base, links),
        quarantine=quarantine,
        twins=twins,
        facts=_facts(spec, kept, quarantine, twins),
    )


def _codes(column: Any) -> Ints:
    """A number for each value: the first row that has it; -1 for null."""
    return np.where(np.asarray(pc.is_valid(column)), tables.first_alike(column), -1)


def _equal(codes: Ints) -> Ints:
    """Links (P, 2) between the first row of each code and the others that have it."""
    rows = np.flatnonzero((codes != np.arange(len(codes))) & (codes >= 0))
    return np.stack([codes[rows], rows], axis=1)


def _fingerprints(good: pa.Table) -> Fingerprints:
    column = tables.flat(good.column("acoustic_fingerprint"))
    sizes = np.asarray(pc.fill_null(pc.binary_length(column), 0)).astype(np.int64) // 8
    rate = good.column("prepared_rate")
    return Fingerprints(
        entries=np.frombuffer(b"".join(column.drop_null().to_pylist()), "<u8"),
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        seconds=np.asarray(pc.divide(pc.cast(good.column("prepared_samples"), pa.float64()), rate)),
    )


def _drop(good: pa.Table, groups: Ints, late: NDArray[np.bool_], key: Ints, pcm: Ints) -> tuple[Any, pa.Table]:
    """Which rows stay, and the quarantine rows of the others. `late`: rows that the last version did not have."""
    stays = np.ones(len(good), bool)
    rows = np.flatnonzero(np.bincount(groups)[groups] > 1) if len(good) else np.zeros(0, np.int64)
    rank = np.asarray(good.column("rank"))
    rows = rows[np.lexsort((rank[rows], late[rows], groups[rows]))]
    first = np.flatnonzero(np.diff(groups[rows], prepend=-1))
    leader = np.repeat(rows[first], np.diff(first, append=len(rows)))
    said = _codes(tables.joined(_words(good), ("text", "label")))
    other = said[rows] != said[leader]
    against = rows[other][
        np.unique(groups[rows][other], return_index=True)[1]
    ]  # in each group the first that disagrees
    clash = np.isin(groups[rows], groups[against])
    stays[rows] = (rows == leader) & ~clash
    opponent = np.zeros(int(groups.max(initial=0)) + 1, np.int64)
    opponent[groups[against]] = against
    reason = np.where(key[rows] == key[leader], "duplicate", "near_duplicate")
    same_pcm = (pcm[rows] == pcm[leader]) & (pcm[rows] >= 0)
    reason = np.where(same_pcm & (reason != "duplicate"), "duplicate_pcm", reason)
    reason = np.where(clash, "label_conflict", reason)
    named = np.where(clash & ~other, opponent[groups[rows]], leader)
    out = [
        _quarantined(good, rows[chosen], named[chosen], why)
        for why in _DETAILS
        if (chosen := (reason == why) & ~stays[rows]).any()
    ]
    return stays, pa.concat_tables([tables.empty(tables.QUARANTINE), *out])


def _words(good: pa.Table) -> pa.Table:
    """Text and label, no text being something else than an empty one."""
    return pa.table({name: pc.fill_null(good.column(name), "\x00") for name in ("text", "label")})


def _quarantined(good: pa.Table, rows: Ints, named: Ints, reason: str) -> pa.Table:
    before, after = _DETAILS[reason].split("{}")
    details = pc.binary_join_element_wise(before, good.column("id").take(pa.array(named)), after, "")
    books = "quarantined" if reason == "label_conflict" else "duplicate"
    return quarantine_rows(good.take(pa.array(rows)), "identity", reason, details, books=books)


def _among(links: Ints, stays: NDArray[np.bool_]) -> Ints:
    """The links between rows that stay, by their new numbers."""
    number = np.cumsum(stays) - 1
    both = stays[links].all(axis=1)
    renumbered: Ints = number[links[both]]
    return renumbered


def _with_groups(kept: pa.Table, base: pa.Table, links: Ints) -> pa.Table:
    """`near_group` of each row: null where nothing is linked to it. A row of the last version keeps the name by which it
    was split, and gives it to those that come to it; so nothing changes sides as data grows."""
    alone = kept.set_column(kept.column_names.index("near_group"), "near_group", pa.nulls(len(kept), pa.string()))
    if not len(links):
        return alone
    own = together(alone)
    groups = linked(len(kept), np.concatenate([links, _equal(_codes(own))]))
    before = tables.lookup(base.select(["key", "near_group"]), "key", kept.column("key"))
    name = pc.if_else(pc.is_valid(before.column("key")), pc.coalesce(before.column("near_group"), own), None)
    ranked = pa.table({"group": groups, "fresh": pc.is_null(name), "name": pc.coalesce(name, own)})
    order = np.asarray(pc.sort_indices(ranked, [(column, "ascending") for column in ranked.column_names]))
    first = order[np.flatnonzero(np.diff(groups[order], prepend=-1))]  # by group: its first name, old ones before new
    given = ranked.column("name").take(pa.array(first[groups]))
    linked_rows = np.isin(groups, groups[links[:, 0]])
    chosen = pc.if_else(pa.array(linked_rows), pc.coalesce(name, given), None)
    return alone.set_column(alone.column_names.index("near_group"), "near_group", chosen)


def _facts(spec: DuplicatesSpec, kept: pa.Table, quarantine: pa.Table, twins: Ints) -> dict[str, Any]:
    """Counts by reason, and the groups that were kept, some of them by their ids."""
    dropped = {row["values"]: row["counts"] for row in pc.value_counts(quarantine.column("reason")).to_pylist()}
    sizes = np.bincount(twins)
    several = np.flatnonzero(sizes > 1)
    rows = np.flatnonzero(np.isin(twins, several[:MOST_EXAMPLES]))
    names: dict[int, list[str]] = {}
    for group, name in zip(twins[rows].tolist(), kept.column("id").take(pa.array(rows)).to_pylist(), strict=True):
        names.setdefault(group, []).append(name)
    return {
        "near": spec.near,
        "dropped": dropped,
        "kept_groups": len(several),
        "kept_items": int(sizes[several].sum()),
        "examples": [group[:MOST_EXAMPLES] for group in names.values()],
    }
