"""`sorigil compare`: two systems on the same utterances, from files or from scores in the store.

Which two is found out in `compare_sides`, whether they may be put side by side in `compare_pair`; here it is worked out
what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from flows.compare_pair import Pair
from flows.compare_side import Side
from flows.compare_slices import slices_of
from flows.score import slice_of
from sorigil.folds import spread
from sorigil.metrics.comparison import (
    METRICS_OF,
    Change,
    Comparison,
    changes,
    compare,
    compare_counts,
    label_changes,
    words_changed,
)
from sorigil.metrics.pooled import Compared, pooled_counts
from sorigil.metrics.tag_comparison import compare_tags
from sorigil.objectives import OBJECTIVES
from storage.layout import Store

CHANGE = tuple(field.name for field in fields(Change))  # asdict would copy every word of a million columns


def compared(found: Pair, store: Store | None = None, by: Sequence[str] = ()) -> dict[str, Any]:
    """What the verb prints with `--json`; with a `store` sliced by what its catalogue knows too, or by the columns `by`."""
    figures = {**_of_tags(found), **{metric: _of_counts(metric, found) for metric in METRICS_OF[found.objective]}}
    changed = changes_of(found)
    mended, broken = words_changed(changed)
    slices, notes = slices_of(found, store, by)
    if OBJECTIVES[found.objective].several and (silent := found.untagged()):
        notes = [f"mAP, d′ and F1 are not compared: {silent} does not say which tags its probabilities are of", *notes]
    speakers = found.there.speakers
    result = {
        "reference": found.reference,
        "a": found.a.name,
        "b": found.b.name,
        "sides": [_side(side) for side in (found.a, found.b)],
        "objective": found.objective,
        **found.normalizer,
        "slice": slice_of(found.there),
        "utterances": len(found.there.ids),
        "speakers": len(set(speakers)) if speakers else None,
        "metrics": {metric: _metric(each.first) for metric, each in figures.items()},
        "seeds": {metric: _seeds(each) for metric, each in figures.items()},
        "pooled": {metric: _pooled(each) for metric, each in figures.items()},
        "slice_metric": METRICS_OF[found.objective][0],
        "slices": [asdict(each) for each in slices],
        "better": sum(each.gain > 0 for each in changed),
        "worse": sum(each.gain < 0 for each in changed),
        "otherwise": sum(each.gain == 0 for each in changed),
        "words": {"mended": mended.most_common(), "broken": broken.most_common()},
        "notes": [*found.notes, *notes],
        "changes": [{name: getattr(each, name) for name in CHANGE} for each in changed],
    }
    return {"schema": 1, "status": "completed", "errors": [], **result}


def page(both: Pair, found: dict[str, Any], store: Store | None) -> bytes:
    """The comparison as one HTML page; with a `store` its sounds are in it."""
    from sorigil.report.comparison import render
    from tasks.comparison import comparison_page

    table = next((side.table for side in (both.a, both.b) if side.table is not None), None)
    return render(comparison_page(found, table, store)).encode()


def changes_of(found: Pair) -> list[Change]:
    """The utterances that the two heard differently, those first that B mended most."""
    if OBJECTIVES[found.objective].text:
        return changes(found.there.ids, *found.columns)
    errors = [counted.counts_N.tolist() for counted in found.errors()]
    return label_changes(found.there.ids, *found.columns, *errors)


def _of_tags(found: Pair) -> dict[str, Compared]:
    """Of taggers the figures that are no sums over utterances."""
    if not OBJECTIVES[found.objective].several or found.untagged():
        return {}
    truth_NC, (a, b) = found.tagged()
    return compare_tags(truth_NC, a, b, found.there.speakers)


def _of_counts(metric: str, found: Pair) -> Compared:
    speakers = found.there.speakers
    first = (
        compare(metric, *found.columns, speakers)  # its test goes by segments of utterances
        if metric == "wer"
        else compare_counts(metric, *found.counted(metric), speakers=speakers)
    )
    a, b = (found.over_seeds(side, metric) for side in (found.a, found.b))
    values = {f"values_{letter}": tuple(each.value for each in side) for letter, side in (("a", a), ("b", b))}
    return Compared(first=first, pooled=pooled_counts(metric, a, b, speakers), **values)


def _seeds(figure: Compared) -> dict[str, dict[str, Any] | None]:
    """How the values of each side's trainings spread, where they are several."""
    values = {"a": figure.values_a, "b": figure.values_b}
    return {letter: spread(several) if len(several) > 1 else None for letter, several in values.items()}


def _pooled(figure: Compared) -> dict[str, Any] | None:
    """All trainings of A against all of B."""
    row = figure.pooled
    if row is None:
        return None
    return {
        "a": row.a,
        "b": row.b,
        "delta": row.delta.value,
        "interval": row.delta.interval,
        "p": row.delta.p,
        "interval_by_speaker": row.by_speaker.interval if row.by_speaker else None,
        "better": row.better,
    }


def _side(side: Side) -> dict[str, Any]:
    return {"name": side.name, "model": side.model, "split": side.split, "score": side.score, "run": side.run}


def _metric(row: Comparison) -> dict[str, Any]:
    return {
        "a": row.a,
        "b": row.b,
        "delta": row.delta.value,
        "interval": row.delta.interval,
        "p": row.delta.p,
        "interval_by_speaker": row.by_speaker.interval if row.by_speaker else None,
        "test": asdict(row.test) if row.test else None,
        "better": row.better,
    }
