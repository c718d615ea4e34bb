"""What stands between a finished state and its version: leaks between the sides of the split, drift from the last version.

Called before the commit, and before it is said that there is nothing to do. What is found is stored with the version; a
refusal says what was seen, names some of it, and says how to accept it.
"""

from __future__ import annotations

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
from sorigil.splits import fields_of, sides_of
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
    rows = with_words(state.tables)
    try:
        sides = sides_of(work.split, split_rows(rows, fields_of(work.split)))
    except RequestError:
        return []
    ids = rows.column("id").to_pylist()
    groups = {
        "duplicates": state.twins,
        "recordings": _codes(rows.column("sha256")),
        "speakers": _codes(rows.column("speaker")),
    }
    return [found for kind, group in groups.items() if (found := leak(kind, group, sides, ids)) is not None]


def with_words(state: dict[str, pa.Table]) -> pa.Table:
    """Utterances with their `reference` and `label`."""
    rows = state["utterances"]
    for tier in ("reference", "label"):
        chosen = state["annotations"].filter(pc.equal(state["annotations"].column("tier"), tier))
        rows = rows.append_column(tier, tables.lookup(chosen, "key", rows.column("key")).column("value"))
    return rows


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(column.combine_chunks().dictionary_encode().indices, -1)).astype(np.int64)


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
    return compare(profile(old), profile(new))


def profile(state: dict[str, pa.Table]) -> Profile:
    """What a version is like, for `sorigil.drift`."""
    rows = with_words(state)
    seconds = _numbers(pc.divide(pc.cast(rows.column("num_samples"), pa.float64()), rows.column("sample_rate")))
    words = _counts(pc.list_flatten(pc.utf8_split_whitespace(rows.column("reference").drop_null())))
    rms = _numbers(rows.column("rms"))
    measures = {"rms_db": 20 * np.log10(np.maximum(rms, 1e-10))}
    measures |= {name: _numbers(rows.column(name)) for name in _MEASURES if name in rows.column_names}
    return Profile(
        amounts={
            "items": len(rows),
            "hours": round(float(np.nansum(seconds)) / 3600, 6),
            "speakers": pc.count_distinct(rows.column("speaker")).as_py(),
            "different words": len(words),
        },
        numbers={"seconds": seconds, **measures},
        names={name: _counts(rows.column(name)) for name in ("speaker", "lang", "label", "container")}
        | {"words": words},
    )


def _numbers(column: Any) -> NDArray[np.float64]:
    return np.asarray(pc.fill_null(pc.cast(column, pa.float64()), np.nan).to_numpy(), np.float64)


def _counts(column: Any) -> dict[str, int]:
    counted = pc.value_counts(column.drop_null())
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
