"""The scores of an evaluation matrix as a leaderboard: Parquet, Markdown and HTML, in the store and as a run in MLflow."""

from __future__ import annotations

import io
import json
import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.matrix_plan import Cell
from flows.run import Run
from flows.seeds import seed_groups, seeds_of
from sorigil.fingerprint import digest, to_dict
from sorigil.metrics import METRICS
from sorigil.metrics.ranks import can_rank, ranks
from sorigil.objectives import OBJECTIVES
from sorigil.report.leaderboard import Board, Leaderboard, Row, to_html, to_markdown
from sorigil.text.normalize import label
from storage import files, parts, tables
from tasks.evaluate_job import EvaluateJob, Scored

EXPERIMENT = "leaderboard"
MLFLOW_NAME = re.compile(r"[^\w\-. /:]")  # what the names of its metrics may not hold
MLFLOW_LONGEST = 250  # characters of such a name


def publish(run: Run, cells: Sequence[Cell], output: str | None) -> dict[str, Any]:
    """Order the scores, write the files and tell MLflow: one run for what is shown the same, however often it is asked
    for. Under other names the same scores are another run: MLflow's own names of metrics cannot be changed."""
    found = leaderboard_of(cells)
    key = digest("leaderboard", json.dumps(to_dict(replace(found, when="")), sort_keys=True))
    written = {
        "leaderboard.parquet": _parquet(found),
        "leaderboard.md": to_markdown(found).encode(),
        "leaderboard.html": to_html(found).encode(),
    }
    folder = files.absolute(output) if output else run.store.path(run.store.leaderboard(key))
    with run.stage("leaderboard"):
        for name, data in written.items():
            files.write_bytes(files.join(folder, name), data)
        mlflow_run = _log(run, key, found, written) if found.boards else None
    return {"leaderboard": found, "files": [files.join(folder, name) for name in written], "mlflow_run": mlflow_run}


def result(run: Run, cells: Sequence[Cell], made: dict[str, Any]) -> dict[str, Any]:
    """The matrix as JSON values."""
    found: Leaderboard | None = made.get("leaderboard")
    return {
        "schema": 1,
        "status": "failed" if run.errors else "completed",
        "errors": run.errors,
        "run": run.id,
        "cells": [_cell(cell) for cell in cells],
        "boards": [to_dict(board) for board in found.boards] if found else [],
        "stages": run.stages,
        "files": made.get("files", []),
        "mlflow_run": made.get("mlflow_run"),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    status = "failed" if cell.failed else "left out" if cell.scored is None else "known" if cell.known else "scored"
    return {
        "model": cell.model.name,
        "asked": list(cell.asked),
        "key": cell.model.key,
        "dataset": cell.slice.name,
        "version": cell.version,
        "status": status,
        "reason": cell.reason,
        "notes": cell.notes,
        "learned_from": cell.seen,
        "score": cell.scored.key if cell.scored else None,
    }


# -- the boards ------------------------------------------------------------------------------------------------------------


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


# -- where they go ---------------------------------------------------------------------------------------------------------


def _parquet(found: Leaderboard) -> bytes:
    """One row for each system on each board."""
    rows = [
        {
            **{name: getattr(board, name) for name in _OF_BOARD},
            **{name: getattr(row, name) for name in _OF_ROW},
            "low": row.interval[0] if row.interval else None,
            "high": row.interval[1] if row.interval else None,
            "low_by_speaker": row.interval_by_speaker[0] if row.interval_by_speaker else None,
            "high_by_speaker": row.interval_by_speaker[1] if row.interval_by_speaker else None,
            "notes": list(row.notes),
        }
        for board in found.boards
        for row in board.rows
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), sink, compression="zstd")
    return sink.getvalue()


_WHOLE, _REAL, _TEXT = pa.int64(), pa.float64(), pa.string()
_OF_BOARD = {
    **dict.fromkeys(("slice", "slice_key", "dataset", "version", "side", "target"), _TEXT),
    **dict.fromkeys(("objective", "normalizer", "metric"), _TEXT),
    "utterances": _WHOLE,
    "seconds": _REAL,
}
_OF_ROW = {
    "rank": _WHOLE,
    **dict.fromkeys(("model", "key", "score", "decoder"), _TEXT),
    **dict.fromkeys(("value", "rtfx"), _REAL),
    "seen": _WHOLE,
}
_BOUNDS = dict.fromkeys(("low", "high", "low_by_speaker", "high_by_speaker"), _REAL)
SCHEMA = pa.schema({**_OF_BOARD, **_OF_ROW, **_BOUNDS, "notes": pa.list_(_TEXT)})


def _log(run: Run, key: str, found: Leaderboard, written: dict[str, bytes]) -> str:
    """One MLflow run: the main figure of each system on each slice as a metric, the files as artefacts."""
    from storage.experiments import Experiments

    experiments = Experiments(run.store)
    if known := experiments.find(EXPERIMENT, key):
        return known
    main = [board for board in found.boards if board.main]
    models = sorted({row.model for board in main for row in board.rows})
    return experiments.log(
        experiment=EXPERIMENT,
        name=f"{len(models)} models on {len({board.slice for board in main})} slices",
        key=key,
        params={"models": json.dumps(models), "datasets": json.dumps([board.slice for board in main])},
        tags={},
        history=[],
        metrics={_metric_name(board, row): row.value for board in main for row in board.rows},
        artifacts=written,
    )


def _metric_name(board: Board, row: Row) -> str:
    """`SLICE/METRIC/MODEL` where MLflow takes it: it refuses what another path could be written as. Of a model whose name
    had to be changed its key is a part, so no two share one."""
    before = MLFLOW_NAME.sub("_", f"{board.slice}/{board.metric}/")
    name = before + row.model
    if posixpath.normpath(name) == name and not MLFLOW_NAME.search(name) and len(name) <= MLFLOW_LONGEST:
        return name
    after = f"_{row.key[:8]}"
    model = MLFLOW_NAME.sub("_", row.model).replace("/", "_")
    return before + model[-(MLFLOW_LONGEST - len(before) - len(after)) :] + after
