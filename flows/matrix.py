"""`sorigil evaluate --models … --datasets …`: every model on every slice, spread over the workers, kept, and put in order.

What was heard or scored before is found again, so a matrix that was interrupted goes on where it was, and one more model
costs that model only. `matrix_names` has what is named, `matrix_plan` the cells, `matrix_units` the work, `leaderboard` what
comes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import pyarrow.compute as pc

from flows import interrupt, leaderboard
from flows.config import Config
from flows.config.problems import near_name
from flows.independent import run_all
from flows.matrix_names import NamedModel, named_model
from flows.matrix_plan import Asked, Cell, OpenSlice, cell_of, objective_of, open_slice
from flows.matrix_units import hear_units
from flows.named import Names, listed
from flows.output import try_folder
from flows.progress import Reporter, reporter_for
from flows.run import Options, Run
from sorigil.errors import RequestError, RunError
from sorigil.metrics import METRICS
from sorigil.report.leaderboard import Leaderboard, to_text
from storage import tables
from storage.catalog import Catalog
from storage.layout import Store
from storage.quiet import be_quiet
from tasks.evaluate import evaluate_model, usable
from tasks.evaluate_job import EvaluateJob
from tasks.externals import External
from tasks.hypotheses import HearUnit, hear_unit, place_of
from tasks.trainings import Spool, score_unit

T = TypeVar("T")
DECODE, SCORE, RANK = "decode", "score", "leaderboard"  # the stages


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """What came of it: `result` is what the verb prints with `--json`."""

    result: dict[str, Any]
    leaderboard: Leaderboard


def evaluate_matrix(
    config: Config,
    models: Sequence[str],
    datasets: Sequence[str],
    *,
    normalizer: Any = None,
    metrics: Sequence[str] = (),
    output: str | None = None,
    local: bool = False,
    reporter: Reporter | None = None,
) -> Matrix:
    """Score the models on the datasets, and put them in order.

    Raises RequestError where a model or a dataset is named that there is not, or nothing at all can be scored. One cell that
    cannot be is one with a reason; one that was tried and failed makes the whole failed, and the others are scored all the
    same.
    """
    store = config.storage.store().open()
    named, slices = _named(config, store, models, datasets)
    _check_metrics(metrics, {objective_of(store, model) for model in named})
    if output is not None:
        try_folder("--output", output)
    asked = Asked(config=config, store=store, normalizer=normalizer, metrics=tuple(metrics))
    cells = [cell_of(asked, model, by, each) for each in slices for model, by in named.items()]
    _refuse_nothing(cells)
    pipeline = replace(slices[0].named.pipeline, name="matrix")  # what its run is called
    options = Options(local=local, steps=("evaluate",))
    run = Run(config=config, pipeline=pipeline, reporter=reporter or reporter_for(), options=options)
    _say_what_is_left_out(run, cells)
    made: dict[str, Any] = {}

    def body(staged: Callable[[str, Callable[[], Any]], Any]) -> None:
        staged(DECODE, partial(_decode, run, cells))
        staged(SCORE, partial(_score, run, cells))
        made.update(staged(RANK, partial(leaderboard.publish, run, cells, output)))

    try:
        _carry_out(run, cells, body)
    finally:
        run.stop_engines()
    _refuse_nothing(cells)
    return Matrix(
        result=leaderboard.result(run, cells, made), leaderboard=made.get("leaderboard", Leaderboard(boards=()))
    )


def _named(
    config: Config, store: Store, models: Sequence[str], datasets: Sequence[str]
) -> tuple[dict[NamedModel | External, list[str]], list[OpenSlice]]:
    """The models, each with all the names that it was asked for by, and the slices. Raises RequestError with a sentence
    for each name that names nothing."""
    found, nameless = _each("--models", partial(named_model, Names(store)), models)
    opened, unknown = _each("--datasets", partial(open_slice, config, Catalog(store.catalog, store.root)), datasets)
    if wrong := [*nameless, *unknown]:
        raise RequestError("\n".join(wrong))
    by_model: dict[NamedModel | External, list[str]] = {}
    for model, asked in zip(found, models, strict=True):
        by_model.setdefault(model, []).append(asked)
    return by_model, list({each.named.name: each for each in opened}.values())


def _each(option: str, find: Callable[[str], T], asked: Sequence[str]) -> tuple[list[T], list[str]]:
    """What is called so, and a sentence for each that there is not."""
    found, wrong = [], []
    for each in asked:
        try:
            found.append(find(each))
        except RequestError as unknown:
            wrong.append(f"{option} {each}: {str(unknown).removeprefix(f'{each}: ')}")
    return found, wrong


def _check_metrics(asked: Sequence[str], objectives: set[str]) -> None:
    """RequestError where one of the metrics judges none of the models."""
    of_models = [name for name, metric in METRICS.items() if objectives & {*metric.objectives}]
    if useless := [name for name in asked if name not in of_models]:
        kinds = " and ".join(sorted(objectives))
        raise RequestError(f"--metrics {useless[0]}: it judges no model of {kinds}; there are {', '.join(of_models)}")


def _refuse_nothing(cells: Sequence[Cell]) -> None:
    """RequestError where there is a reason for every cell why it cannot be scored."""
    if all(cell.job is None and not cell.failed for cell in cells):
        said = "".join(f"\n  {cell.model.name} on {cell.slice.name}: {cell.reason}" for cell in cells)
        raise RequestError(f"nothing can be scored:{said}")


def _say_what_is_left_out(run: Run, cells: Sequence[Cell]) -> None:
    known, left = sum(cell.known for cell in cells), sum(cell.job is None for cell in cells)
    said = f"matrix: {len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
    said += f", {known} scored before" if known else ""
    run.reporter.say(said + (f", {left} cannot be scored (see below)" if left else ""))
    if run.options.local:
        run.reporter.say("--local: one worker, in this process")


def _carry_out(run: Run, cells: Sequence[Cell], body: Callable[..., None]) -> None:
    """Under Prefect and on Dask, unless that is not wanted or nothing is left to compute."""
    if run.options.local or all(cell.known or cell.job is None for cell in cells):
        body(lambda name, function: function())
        return
    be_quiet()
    run.start_engines(units=True)
    from flows.prefect_run import run_as_flow

    run_as_flow(run, body)


def _decode(run: Run, cells: Sequence[Cell]) -> None:
    """Have every model hear what it has not heard. A unit that fails takes its cells with it, and no other."""
    with run.stage(DECODE) as stage:
        units = hear_units(cells, run.workers if not run.options.local else 1)
        outcome = run_all(run, DECODE, hear_unit, units)
        stage["audio_seconds"] = outcome.audio_seconds
    broken = [unit for unit in units if unit.unit in outcome.failed]
    for cell in cells if broken else ():
        if cell.job is not None and not cell.known and (unit := _unheard_of(cell.job, broken)):
            _fail(run, cell, DECODE, outcome.failed[unit.unit])


def _unheard_of(job: EvaluateJob, broken: Sequence[HearUnit]) -> HearUnit | None:
    """The first of the broken units that was to hear some of these rows. Slices share the units of a model, so of those
    that were broken off not all need be theirs."""
    rows = usable(job)
    place, audio = place_of(job, rows), rows.column("audio_key")
    shared = (unit for unit in broken if unit.place == place)
    return next(
        (unit for unit in shared if pc.any(tables.isin(unit.job.rows.column("audio_key"), audio)).as_py()), None
    )


def _score(run: Run, cells: Sequence[Cell]) -> None:
    """Judge what was heard, on the workers; then every cell has its score."""
    todo = {cell.job.key: cell.job for cell in cells if cell.job is not None and not cell.known and not cell.failed}
    spool = Spool(run.store, run.id)
    with run.stage(SCORE):
        try:
            units = [spool.score_unit(job, key, job.rows) for key, job in todo.items()]
            failed = run_all(run, SCORE, score_unit, units).failed
        finally:
            spool.remove()
        for cell in cells:
            if cell.job is None or cell.failed:
                continue
            if words := failed.get(cell.job.key):
                _fail(run, cell, SCORE, words)
            else:
                interrupt.check()
                cell.scored = evaluate_model(cell.job)


def _fail(run: Run, cell: Cell, stage: str, words: str) -> None:
    """A request that cannot be met (a file without an answer for some) is a reason; anything else is a failure."""
    refused = words.removeprefix(f"{RequestError.__name__}: ")
    cell.job, cell.failed, cell.reason = None, words == refused, refused
    if not cell.failed:
        return
    run.note_error(stage, RunError(f"{cell.model.name} on {cell.slice.name}: {words}"))


def matrix_text(matrix: Matrix, metrics: Sequence[str] = ()) -> str:
    """The leaderboard for a terminal, where its files are, and what to type next. `metrics`: those that were asked for."""
    fair = [[row.score[:8] for row in board.rows if not row.seen] for board in matrix.leaderboard.boards if board.main]
    best = next((scores[:2] for scores in fair if len(scores) > 1), None)
    commands = [("what the second does worse", f"sorigil compare {' '.join(best)}")] if best else []
    commands += [("the run and its files in the browser", "sorigil dashboard")] if matrix.result["mlflow_run"] else []
    found = to_text(replace(matrix.leaderboard, commands=tuple(commands)), metrics)
    written = [f"  {place}" for place in matrix.result["files"]]
    wrong = [f"  {error['stage']}: {error['message']}" for error in matrix.result["errors"]]
    return "\n".join(
        [found, *(["", "Written", *written] if written else []), *(["", "Failed", *wrong] if wrong else [])]
    )


def read_request(models: str, datasets: str, normalizer: str | None, metrics: str | None) -> dict[str, Any]:
    """The lists of the command line. Raises RequestError where one names nothing, or a metric that there is not."""
    from flows.normalize import asked

    names = listed(metrics, "--metrics") if metrics else []
    for name in names:
        if name not in METRICS:
            known = "; ".join(filter(None, [near_name(name, METRICS), f"there are {', '.join(METRICS)}"]))
            raise RequestError(f"--metrics {name}: there is no such metric; {known}")
    return {
        "models": listed(models, "--models"),
        "datasets": listed(datasets, "--datasets"),
        "normalizer": asked(normalizer) if normalizer else None,
        "metrics": names,
    }
