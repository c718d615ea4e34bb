"""The scores of an evaluation matrix put in order: the boards of a leaderboard.

Only scores of the same utterances, references and normaliser stand on one board; which of them differ at all is tested
(`sorigil.metrics.ranks`) where the metric has a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flows.matrix_plan import Cell
from flows.seeds import seed_groups, seeds_of
from sorigil.metrics import METRICS
from sorigil.metrics.ranks import can_rank, ranks
from sorigil.objectives import OBJECTIVES
from sorigil.report.leaderboard import Board, Leaderboard, Row
from sorigil.text.normalize import label
from storage import parts, tables
from tasks.evaluate_job import EvaluateJob, Scored


def leaderboard_of(cells: Sequence[Cell]) -> Leaderboard:
    """The boards in the order of the slices that were asked for, of each objective its main metric first. What was asked
    for by several names is one row, with a note."""
    slices: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in cells:
        if cell.scored is not None:
            shown = slices.setdefault((cell.slice.name, cell.scored.objective), {})
            known = shown.get(cell.scored.key)  # the same model and decoder, by another name
            shown[cell.scored.key] = replace(known, asked=(*known.asked, *cell.asked)) if known else cell
    boards = [board for shown in slices.values() for board in _boards(list(shown.values()))]
    missing = tuple((cell.model.name, cell.slice.name, cell.reason) for cell in cells if cell.scored is None)
    return Leaderboard(boards=tuple(boards), missing=missing, when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))


def _boards(cells: Sequence[Cell]) -> list[Board]:
    first = cells[0]
    assert first.job is not None and first.scored is not None
    job, objective = first.job, first.scored.objective
    main = OBJECTIVES[objective].metric
    metrics = list(dict.fromkeys(row["metric"] for cell in cells if cell.scored for row in cell.scored.scores))
    main = main if main in metrics else metrics[0]
    scores = {name: _scores(name, cells) for name in sorted(metrics, key=lambda name: name != main)}
    slice_key = replace(job, by_speaker=False).slice
    references, heard = _compared(job, [cell.scored for cell in cells if cell.scored])
    groups = seed_groups(job.store, cells)
    return [
        Board(
            slice=first.slice.name,
            slice_key=slice_key,
            dataset=job.dataset,
            version=first.version,
            side=job.split,
            objective=objective,
            target=job.target,
            metric=metric,
            main=metric == main,
            normalizer=label(job.normalizer) if OBJECTIVES[objective].text else None,
            utterances=len(references),
            seconds=first.scored.audio_seconds,
            rows=_rows(metric, found, cells, references, heard),
            seeds=seeds_of(groups, cells, found),
        )
        for metric, found in scores.items()
    ]


def _compared(job: EvaluateJob, several: Sequence[Scored]) -> tuple[list[str], list[list[str]]]:
    """The references as they are compared, and the answers of each score in the same order."""
    columns = ("id", "reference_compared", "hypothesis_compared")
    found = [parts.read_table(job.store.path(scored.table), columns) for scored in several]
    ids = found[0].column("id")
    in_order = [tables.lookup(table, "id", ids) for table in found]
    references: list[str] = in_order[0].column("reference_compared").to_pylist()
    return references, [table.column("hypothesis_compared").to_pylist() for table in in_order]


def _scores(metric: str, cells: Sequence[Cell]) -> dict[int, dict[str, Any]]:
    """The scores by the numbers of the cells that have this metric."""
    found = ((number, row) for number, cell in enumerate(cells) if cell.scored for row in cell.scored.scores)
    return {number: row for number, row in found if row["metric"] == metric}


def _rows(
    metric: str,
    scores: dict[int, dict[str, Any]],
    cells: Sequence[Cell],
    references: list[str],
    heard: list[list[str]],
) -> tuple[Row, ...]:
    """The systems that have this metric, best first; equal ones in the order they were asked for."""
    sign = -1 if METRICS[metric].higher_is_better else 1
    order = sorted(scores, key=lambda number: sign * scores[number]["value"])
    fair = [number for number in order if not cells[number].seen]
    placed = ranks(metric, references, [heard[number] for number in fair]) if can_rank(metric) else []
    places = dict(zip(fair, placed, strict=False))
    return tuple(_row(cells[number], scores[number], places.get(number)) for number in order)


def _row(cell: Cell, score: dict[str, Any], rank: int | None) -> Row:
    scored, job = cell.scored, cell.job
    assert scored is not None and job is not None
    names = f"asked for as {' and '.join(cell.asked)}: the same, shown once" if len(cell.asked) > 1 else None
    return Row(
        model=cell.model.name,
        key=cell.model.key,
        rank=rank,
        value=score["value"],
        interval=score["interval"],
        interval_by_speaker=score["interval_by_speaker"],
        rtfx=scored.audio_seconds / scored.decoding_seconds if scored.decoding_seconds else None,
        decoder=_decoder(job, scored.objective),
        seen=cell.seen,
        score=scored.key,
        notes=(*cell.notes, names) if names else tuple(cell.notes),
    )


def _decoder(job: EvaluateJob, objective: str) -> str:
    """`greedy`; `beam 16`; `beam 16, ngram of words`; `mean of 5 speeds` of a model that says labels."""
    decode = job.decode
    if job.external is not None:
        return "its own"
    if not OBJECTIVES[objective].text:
        return f"mean of {len(job.speeds)} speeds" if len(job.speeds) > 1 else ""
    if decode.kind == "greedy":
        return "greedy"
    lm = f", {decode.lm.kind} of {decode.lm.units}" if decode.lm else ""
    return f"{decode.kind} {decode.beam_width}{lm}"
