"""What comes of an evaluation matrix: its JSON, and the leaderboard (`boards`) as Parquet, Markdown and HTML, in the store
and as a run in MLflow."""

from __future__ import annotations

import io
import json
import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.boards import leaderboard_of
from flows.matrix_plan import Cell
from flows.run import Run
from sorigil.fingerprint import digest, to_dict
from sorigil.report.leaderboard import Board, Leaderboard, Row, to_html, to_markdown
from storage import files

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
