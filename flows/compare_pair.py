"""Two systems put side by side for `sorigil compare`: whether they may be, and as what their answers are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows import normalize
from flows.compare_side import Side
from flows.compare_sides import Sides
from flows.named import some
from flows.score import cleaned, join, notes, read
from sorigil.errors import RequestError
from sorigil.metrics.comparison import COUNTERS, Column, Counted
from sorigil.metrics.tag_comparison import Tagged
from sorigil.objectives import OBJECTIVES, Objective
from sorigil.text.exchange import Joined
from sorigil.text.normalize import NORMALIZERS, NormalizerSpec, spec_of
from tasks.tag_table import is_marked, matrices


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two sides whose utterances are the same, in the same order, as they are compared."""

    a: Side
    b: Side
    objective: Objective
    reference: str  # where the references come from
    there: Joined
    columns: tuple[Column, Column, Column]  # references, A, B
    normalizer: dict[str, Any]
    notes: list[str]

    def counted(self, metric: str) -> tuple[Counted, Counted]:
        """What the metric counts of each utterance, of A and of B."""
        if metric not in COUNTERS:  # wrong tags
            return self.errors()
        references, a, b = self.columns
        return COUNTERS[metric](references, a), COUNTERS[metric](references, b)

    def errors(self) -> tuple[Counted, Counted]:
        """How many labels or tags of each utterance are wrong, of A and of B: as the scores counted them."""
        return self._errors(self.a, self.columns[1]), self._errors(self.b, self.columns[2])

    def _errors(self, side: Side, heard: Column) -> Counted:
        if (rows := self.rows(side)) is not None:
            return self._counted("errors", rows)
        errors_N = np.array([one != other for one, other in zip(self.columns[0], heard, strict=True)], np.int64)
        return Counted(counts_N=errors_N, totals_N=np.ones_like(errors_N))

    def over_seeds(self, side: Side, metric: str) -> list[Counted]:
        """What the metric counts of each of a side's trainings; none where there is one, or it was scored by another
        normaliser."""
        if not side.seeds or side.normalizer != self.normalizer["normalizer"]:
            return []
        return [self._counted(metric, self._in_order(table)) for table in side.seeds]

    def untagged(self) -> str | None:
        """The name of a side that does not say which tags its probabilities are of: a file, or an older score."""
        silent = (each.name for each in (self.a, self.b) if each.table is None or not is_marked(each.table.schema))
        return next(silent, None)

    def tagged(self) -> tuple[NDArray[np.bool_], list[list[Tagged]]]:
        """Of taggers which utterances have which tags, and what each training of A and of B answered."""
        trainings = ([*side.seeds] or [side.table] for side in (self.a, self.b))
        return matrices(self.columns[0], *([self._in_order(table) for table in each] for each in trainings))

    def rows(self, side: Side) -> pa.Table | None:
        """The rows of a score's table, one an utterance; None of a file."""
        return None if side.table is None else self._in_order(side.table)

    def _in_order(self, table: pa.Table) -> pa.Table:
        return table.take(pc.index_in(pa.array(self.there.ids), table.column("id")))

    def _counted(self, metric: str, rows: pa.Table) -> Counted:
        if metric in COUNTERS:
            return COUNTERS[metric](self.columns[0], rows.column("hypothesis_compared").to_pylist())
        errors_N = rows.column("errors").to_numpy().astype(np.int64)
        return Counted(counts_N=errors_N, totals_N=np.ones_like(errors_N))


def pair(a: str, b: str, named: Sides, reference: str | None = None, spec: NormalizerSpec | None = None) -> Pair:
    """Put two systems side by side. `spec`: normalise what both said anew; None: as the scores were.

    Raises RequestError where one is not found, no reference is given, or they may not be compared.
    """
    sides = (named.side(a), named.side(b))
    objective = _objective(sides)
    said = [read(reference)] if reference else [side.said for side in sides if side.said]
    if not said:
        raise RequestError("what was said is not known; name it with --reference (JSON lines, TRN, CTM or plain lines)")
    _same_slice(sides)
    texts = [said[0], *(side.heard for side in sides), *said[1:]]
    there = join(*texts)
    _same_references(there.columns[0], there.columns[3:])
    columns, normalizer, added = _compared(sides, there, spec, objective, anew=bool(reference or spec))
    return Pair(
        a=sides[0],
        b=sides[1],
        objective=objective,
        reference=said[0].name,
        there=there,
        columns=columns,
        normalizer=normalizer,
        notes=[*notes(texts, there), *added],
    )


def _objective(sides: Sequence[Side]) -> Objective:
    """Of a file nothing is known, nor of a table without its score.json: it is what the other one is, or text."""
    known = list(dict.fromkeys(side.objective for side in sides if side.objective))
    if len(known) > 1:
        raise RequestError(f"A is a score of {known[0]}, B of {known[1]}: what they answer cannot be compared")
    return known[0] if known else "ctc"


def _same_slice(sides: tuple[Side, Side]) -> None:
    """Two scores must be of the same utterances of the same audio."""
    tables = [side.table for side in sides if side.table is not None and "key" in side.table.column_names]
    if len(tables) < 2:
        return
    ids = [pc.unique(each.column("id")) for each in tables]
    only = [one.filter(pc.invert(pc.is_in(one, other))).to_pylist() for one, other in (ids, ids[::-1])]
    if any(only):
        said = ", ".join(
            f"{side.name} of {len(each):,} ({side.split})" for side, each in zip(sides, tables, strict=True)
        )
        alone = "; ".join(f"only in {letter}: {some(each)}" for letter, each in zip("AB", only, strict=True) if each)
        raise RequestError(f"A and B are not scores of the same utterances: {said}; {alone}; {_ANEW}")
    keys = [each.sort_by("id").column("key") for each in tables]
    if differ := len(tables[0]) - (pc.sum(pc.equal(*keys)).as_py() or 0):
        raise RequestError(f"{differ:,} utterances have the same id in A and B but are other recordings; {_ANEW}")


_ANEW = "score both on the same slice (`sorigil evaluate --models A,B --datasets NAME`), then compare"


def _same_references(first: Sequence[str], others: Sequence[Sequence[str]]) -> None:
    for other in others:
        differ = sum(one != two for one, two in zip(first, other, strict=True))
        if differ:
            raise RequestError(
                f"A and B were scored against other references in {differ:,} of {len(first):,} utterances: "
                "they are not the same slice; score one of them anew, or name the references with --reference"
            )


def _compared(
    sides: tuple[Side, Side], there: Joined, spec: NormalizerSpec | None, objective: Objective, *, anew: bool
) -> tuple[tuple[Column, Column, Column], dict[str, Any], list[str]]:
    """References and what both answered as they are compared; the normaliser; and what is to be noted of it."""
    if not OBJECTIVES[objective].text:
        return there.columns[:3], {"normalizer": None, "version": None, "options": None}, []  # type: ignore[return-value]
    known = list(dict.fromkeys(side.normalizer for side in sides if side.normalizer))
    if len(known) > 1 and spec is None:
        raise RequestError(
            f"A was scored with the normaliser {known[0]}, B with {known[1]}: such scores are not put side by side; "
            f"--normalizer {known[0]} (or another) compares both by one"
        )
    if known and spec is None and known[0] not in NORMALIZERS and (anew or None in [s.normalizer for s in sides]):
        raise RequestError(f"the normaliser {known[0]} is not known by its label alone; give it with --normalizer")
    if known and spec is None and known[0] not in NORMALIZERS:
        ids = pa.array(there.ids)
        columns = [_column(sides[0], "reference_compared", ids)]
        columns += [_column(side, "hypothesis_compared", ids) for side in sides]
        return tuple(columns), {"normalizer": known[0], "version": None, "options": None}, []  # type: ignore[return-value]
    chosen = spec or spec_of(known[0] if known else "basic")
    unsaid = [side.name for side in sides if side.table is not None and side.normalizer is None]
    label = normalize.described(chosen)
    added = [f"{name} does not say its normaliser; {label['normalizer']} is used" for name in unsaid if spec is None]
    return tuple(cleaned(there, chosen)[:3]), label, added  # type: ignore[return-value]


def _column(side: Side, name: str, ids: pa.Array) -> list[str]:
    assert side.table is not None
    found: list[str] = side.table.column(name).take(pc.index_in(ids, side.table.column("id"))).to_pylist()
    return found
