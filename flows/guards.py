"""What stands between a finished state and its version: leaks between the sides of the split, drift from the last version.

Called before the commit, and before it is said that there is nothing to do. What is found is stored with the version; a
refusal says what was seen, names some of it, and says how to accept it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.assemble import State
from flows.plan import Plan
from flows.progress import Reporter
from flows.work import Work
from sorigil.drift import Profile, compare, too_far
from sorigil.errors import RequestError, RunError
from sorigil.leaks import Leak, leak
from sorigil.split_specs import fields_of
from sorigil.splits import sides_of
from storage import tables
from storage.dataset import split_rows

_MEASURES = ("rms_db", "lufs", "snr_db", "silence_share", "speech_share", "bandwidth_hz", "clipped_share")
_REMEDIES = {
    "duplicates": "drop or group them (duplicates: {near: drop}, or keep with a split by hash), or accept them "
    "(leaks: {duplicates: warn})",
    "recordings": "split by recording (split: {by: group, field: recording, …}), or accept them (leaks: {recordings: warn})",
    "speakers": "split by speaker (split: {by: group, field: speaker, …}), or accept them (leaks: {speakers: allow})",
}
_WHAT = {"duplicates": "sounds", "recordings": "recordings", "speakers": "speakers"}


def guard(plan: Plan, state: State, reporter: Reporter) -> None:
    """Note leaks and drift in the state's facts. Raises RunError where either is more than the pipeline allows."""
    found = find_leaks(plan.work, state)
    state.facts["leaks"] = {
        each.kind: {"groups": each.groups, "items": each.items, "examples": list(each.examples)} for each in found
    }
    for each in found:
        policy = getattr(plan.work.leaks, each.kind)
        if policy == "refuse":
            raise RunError(f"{plan.work.dataset}: {sentence(each)}. Nothing was published: {_REMEDIES[each.kind]}")
        if policy == "warn":
            reporter.say(f"leak: {sentence(each)}")
    if plan.base is not None:
        _drift(plan, state)


def sentence(found: Leak) -> str:
    some = "; ".join(found.examples)
    return f"{found.groups:,} {_WHAT[found.kind]} are on both sides of the split ({found.items:,} items): {some}"


def find_leaks(work: Work, state: State) -> list[Leak]:
    """By kind; none where the split cannot be made of these rows (training will say why, if it is asked for)."""
    fields = fields_of(work.split)
    rows = with_words(state.tables) if fields else state.tables["utterances"]
    try:
        sides = sides_of(work.split, split_rows(rows, fields))
    except RequestError:
        return []
    ids = _Ids(rows.column("id"))
    groups = {
        "duplicates": state.twins,
        "recordings": _codes(rows.column("sha256")),
        "speakers": _codes(rows.column("speaker")),
    }
    return [found for kind, group in groups.items() if (found := leak(kind, group, sides, ids)) is not None]


class _Ids(Sequence[str]):
    """The ids of which a few will be named."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: Any) -> Any:
        return self._column[row].as_py()


def with_words(state: dict[str, pa.Table]) -> pa.Table:
    """Utterances with their `reference` and `label`."""
    rows = state["utterances"]
    for tier in ("reference", "label"):
        said = state["annotations"].select(["key", "value"])
        chosen = tables.where(said, pc.equal(state["annotations"].column("tier"), tier))
        rows = rows.append_column(tier, tables.lookup(chosen, "key", rows.column("key")).column("value"))
    return rows


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.where(np.asarray(pc.is_valid(column)), tables.first_alike(column), -1)


def _drift(plan: Plan, state: State) -> None:
    assert plan.base is not None
    found = drift_between(plan.before, state.tables)
    state.facts["drift"] = {"from": plan.base.name, **found}
    said = too_far(found, plan.work.drift)
    if said:
        raise RunError(
            f"{plan.work.dataset}: the new version is far from {plan.base.name}: {'; '.join(said)}. Nothing was published; "
            "if this is as it should be, run once with --set drift.max_shift=null --set drift.max_change=null"
        )


def drift_between(old: dict[str, pa.Table], new: dict[str, pa.Table]) -> dict[str, dict[str, Any]]:
    """`sorigil.drift.compare` of two versions' tables."""
    return compare(*profiles(old, new))


def profiles(*states: dict[str, pa.Table]) -> list[Profile]:
    """What versions are like, for `sorigil.drift`."""
    rows = [with_words(state) for state in states]
    names = {name: _counts([each.column(name) for each in rows]) for name in ("speaker", "lang", "label", "container")}
    names["words"] = _counts([each.column("reference") for each in rows], _words)
    return [_profile(each, {name: counts[at] for name, counts in names.items()}) for at, each in enumerate(rows)]


def _profile(rows: pa.Table, names: dict[str, NDArray[np.int64]]) -> Profile:
    seconds = _numbers(pc.divide(pc.cast(rows.column("num_samples"), pa.float64()), rows.column("sample_rate")))
    measures = {"rms_db": 20 * np.log10(np.maximum(_numbers(rows.column("rms")), 1e-10))}
    measures |= {name: _numbers(rows.column(name)) for name in _MEASURES if name in rows.column_names}
    return Profile(
        amounts={
            "items": len(rows),
            "hours": round(float(seconds.sum()) / 3600, 6),
            "speakers": int(np.count_nonzero(names["speaker"])),
            "different words": int(np.count_nonzero(names["words"])),
        },
        numbers={"seconds": seconds, **measures},
        names=names,
    )


def _numbers(column: Any) -> NDArray[np.float64]:
    """What is known of a column."""
    return np.asarray(pc.cast(column.drop_null(), pa.float64()).to_numpy(), np.float64)


def _words(texts: Any) -> Any:
    found = pc.list_flatten(pc.utf8_split_whitespace(texts))
    return found.filter(pc.not_equal(found, ""))  # before and behind white space


def _counts(columns: Sequence[Any], split: Callable[[Any], Any] | None = None) -> list[NDArray[np.int64]]:
    """How often each value (or each word that `split` makes of it) stands in each of the columns: the same values, in the
    same order, for all of them."""
    counted = [_counted(column, split) for column in columns]
    values = pc.unique(
        pa.chunked_array([chunk for each in counted for chunk in each.column("value").chunks], pa.string())
    )
    found = []
    for each in counted:
        counts = np.zeros(len(values), np.int64)
        counts[np.asarray(pc.index_in(each.column("value"), value_set=values))] = np.asarray(each.column("count"))
        found.append(counts)
    return found


def _counted(column: Any, split: Callable[[Any], Any] | None) -> pa.Table:
    """The values of a column, each with its count; a slice at a time, because there are many more words than texts."""
    schema = pa.schema([pa.field("value", pa.string()), pa.field("count", pa.int64())])
    found = [tables.empty(schema)]
    for start in range(0, len(column), tables.SLICE):
        part = column.slice(start, tables.SLICE).drop_null()
        counted = pc.value_counts(split(part) if split else part)
        found.append(pa.table({"value": counted.field("values").cast(pa.string()), "count": counted.field("counts")}))
    summed = pa.concat_tables(found).group_by("value").aggregate([("count", "sum")])
    return pa.table({"value": summed.column("value"), "count": summed.column("count_sum")})
