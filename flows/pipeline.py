"""The whole road of one pipeline: ingest → prepare → train → evaluate → transcribe → report.

`execute` runs it in one of three ways: nothing to do is found out before any engine starts; `--local` calls the steps
in this process; otherwise each step is a task of a Prefect run, with one Dask future per unit of work inside it.
`scheduled_run` is the same thing as a deployable Prefect flow, which `serve` puts on a clock.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flows import config as configuration
from flows import interrupt
from flows.align import align, aligns
from flows.evaluate import evaluate
from flows.pending import is_first, nothing_to_do
from flows.progress import PlainReporter, Reporter, reporter_for
from flows.run import LEARNING, STEPS, Options, Run
from flows.steps import ingest, known_model, latest, prepare, report
from flows.study import is_study
from flows.study_scores import evaluate_study
from flows.study_train import known_study, train_study
from flows.train import train, with_rooms
from flows.transcribe import transcribe
from sorigil.errors import RunError, SorigilError, place_failed
from storage import language_models, pretrained

log = logging.getLogger("sorigil")


def execute(
    config: configuration.Config, name: str, options: Options = Options(), reporter: Reporter | None = None
) -> dict[str, Any]:
    """Run a pipeline and return its result; an error of the user's is in the result, not raised."""
    run = Run(config=config, pipeline=config.pipeline(name), reporter=reporter or reporter_for(), options=options)
    try:
        body = _choose_body(run)
        body()
    except SorigilError as wrong:
        interrupt.check()  # whatever an interruption broke is no error
        run.note_error("run", wrong)
    except OSError as wrong:
        log.debug("the run ended here", exc_info=True)
        run.note_error("run", place_failed(wrong))
    except Exception as bug:  # ours: the traceback helps us, the result still says what was done
        interrupt.check()  # some libraries make an error of their own of it
        traceback.print_exc()
        run.note_error("run", RunError(f"{type(bug).__name__}: {bug} (this is a bug in Sorigil)"))
    finally:
        run.stop_engines()
    return run.save_result()


def _choose_body(run: Run) -> Callable[[], None]:
    for entry in run.pipeline.train if LEARNING & set(run.options.steps) else ():
        pretrained.resolve(entry.model)  # what cannot be had is said before hours of preparation
        with_rooms(run, entry)
    for step in {"evaluate", "transcribe"}.intersection(run.options.steps):
        language_models.resolve(getattr(getattr(run.pipeline, step), "decode", None))
    if run.options.local:
        run.reporter.say("--local: no workers; a decoder that crashes, hangs or eats all memory takes the run with it")
        return lambda: road(run, plainly)
    if "prepare" in run.options.steps and is_first(run):
        run.start_engines(units=True)
    if not os.environ.get("PREFECT_API_URL") and nothing_to_do(run):
        run.reporter.say(f"{run.pipeline.name}: nothing has changed since the last run; nothing is computed")
        return lambda: road(run, plainly)
    run.start_engines(units=run.plan is not None and bool(run.plan.units))
    from flows.prefect_run import run_as_flow

    return lambda: run_as_flow(run, lambda staged: road(run, staged))


Staged = Callable[[str, Callable[[], Any]], Any]


def plainly(name: str, function: Callable[[], Any]) -> Any:
    """A step as it is, under no engine."""
    return function()


def road(run: Run, staged: Staged) -> None:
    """Every step that was asked for, in order. A model that cannot be trained does not stop the next."""
    steps = run.options.steps
    for each in (run, *run.others().values()):
        each.runner, each.reporter = run.runner, run.reporter
        staged(each.step("ingest"), partial(ingest, each))
        if "prepare" in steps:
            staged(each.step("prepare"), partial(prepare, each))
        else:
            latest(each)
    run.runner.close()  # training wants the processors to itself; the cluster starts again when units come

    def attempt(name: str, function: Callable[[], Any]) -> None:
        run.attempt(name, lambda: staged(name, function))

    for entry in run.pipeline.train:
        if "train" in steps:
            attempt(f"train {entry.name}", partial(train_study if is_study(entry) else train, run, entry))
        elif {"evaluate", "transcribe"} & set(steps) or aligns(run, entry):
            find = known_study if is_study(entry) else known_model
            run.attempt(f"train {entry.name}", partial(find, run, entry))
    for entry in run.pipeline.train:
        if "evaluate" in steps and (entry.name in run.trained or entry.name in run.studies):
            attempt(f"evaluate {entry.name}", partial(evaluate_study if is_study(entry) else evaluate, run, entry))
    if "transcribe" in steps and run.pipeline.transcribe is not None:
        attempt("transcribe", partial(transcribe, run))
    if run.options.align is not None:
        attempt("align", partial(align, run))
    if "report" in steps:
        attempt("report", partial(report, run))


def run_pipeline(
    file: str, pipeline: str, steps: Sequence[str] = STEPS, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Load a configuration and run one pipeline of it, saying plain lines. Raises RunError when it did not complete."""
    config = configuration.load(Path(file), overrides, pipeline=pipeline)
    result = execute(config, pipeline, Options(steps=tuple(steps)), PlainReporter())
    if result["status"] != "completed":
        raise RunError("; ".join(error["message"] for error in result["errors"]))
    return result


def __getattr__(name: str) -> Any:
    """`flows.pipeline:scheduled_run`, the deployable flow: made when asked for, because Prefect takes a second to load."""
    if name != "scheduled_run":
        raise AttributeError(name)
    from flows.prefect_run import scheduled_run

    setattr(sys.modules[__name__], name, scheduled_run)
    return scheduled_run


__all__ = ["execute", "road", "run_pipeline"]
