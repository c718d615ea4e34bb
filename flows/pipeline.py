"""The whole road of one pipeline: ingest → prepare → train → evaluate → transcribe → report.

`execute` runs it in one of three ways: nothing to do is found out before any engine starts; `--local` calls the steps
in this process; otherwise each step is a task of a Prefect run, with one Dask future per unit of work inside it.
`scheduled_run` is the same thing as a deployable Prefect flow, which `serve` puts on a clock.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from flows import config as configuration
from flows import interrupt
from flows.evaluate import evaluate, jobs_of
from flows.prepare import do_plan, plan_work
from flows.progress import PlainReporter, Reporter, reporter_for
from flows.run import LEARNING, STEPS, Options, Run
from flows.study import is_study, known_study, train_study
from flows.study_scores import evaluate_study, pending_study
from flows.train import job_of, rows_of, train
from flows.transcribe import plan_transcribe, transcribe
from sorigil.errors import RequestError, RunError, SorigilError, place_failed
from sorigil.types import Report
from storage import bundles, files, pretrained, sources
from storage.catalog import CommitLostError

log = logging.getLogger("sorigil")

REPLANS = 3  # after another run committed first


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
        elif {"evaluate", "transcribe"} & set(steps):
            find = known_study if is_study(entry) else known_model
            run.attempt(f"train {entry.name}", partial(find, run, entry))
    for entry in run.pipeline.train:
        if "evaluate" in steps and (entry.name in run.trained or entry.name in run.studies):
            attempt(f"evaluate {entry.name}", partial(evaluate_study if is_study(entry) else evaluate, run, entry))
    if "transcribe" in steps and run.pipeline.transcribe is not None:
        attempt("transcribe", partial(transcribe, run))
    if "report" in steps:
        attempt("report", partial(report, run))


def ingest(run: Run) -> None:
    """Scan the source and find what is new, changed or known."""
    if run.plan is None:
        with run.stage(run.step("ingest")):
            make_plan(run)
    assert run.plan is not None
    counts = ", ".join(f"{count:,} {reason}" for reason, count in run.plan.reasons.items())
    run.reporter.say(
        f"{run.step('ingest')}: {len(run.plan.items):,} items in the source ({counts or 'none of them usable'})"
    )


def make_plan(run: Run) -> None:
    items = sources.scan(run.pipeline.source)
    if run.options.limit is not None:
        items = items.slice(0, run.options.limit)
    if not len(items):
        raise RequestError(f"{run.dataset}: the source is empty")
    run.plan = plan_work(run.work(), items, run.catalog, workers=run.workers, retry=run.options.retry)


def prepare(run: Run) -> None:
    """Compute what the plan found missing and commit the version; plan anew where another run was faster."""
    began = time.perf_counter()
    with run.stage(run.step("prepare")) as stage:
        for attempt in range(REPLANS):
            assert run.plan is not None
            try:
                run.prepared = do_plan(run.plan, run.runner, run.reporter, run.catalog, facts={"run": run.id})
                break
            except CommitLostError:
                if attempt == REPLANS - 1:
                    raise
                run.reporter.say("prepare: another run committed first; planning again from its version")
                make_plan(run)
        assert run.prepared is not None
        stage["audio_seconds"] = sum(report.audio_seconds for report in run.prepared.reports)
        stage["worker_seconds"] = _worker_seconds(
            run.prepared.reports, run.runner.workers * (time.perf_counter() - began)
        )
    version = run.prepared.version.name
    run.reporter.say(
        f"{run.step('prepare')}: {run.dataset} is at {version}" + ("" if run.prepared.changed else ", unchanged")
    )


def _worker_seconds(reports: Sequence[Report], available: float) -> dict[str, float]:
    """What the workers' time went to, by step; `wait` is what is left of the `available` seconds of all of them."""
    if not reports:
        return {}
    steps: dict[str, float] = {}
    for report in reports:
        for step, seconds in report.seconds.items():
            steps[step] = steps.get(step, 0.0) + seconds
    steps["wait"] = max(0.0, available - sum(steps.values()))
    return {step: round(seconds, 3) for step, seconds in steps.items()}


def latest(run: Run) -> None:
    """Without the step prepare: go on from the version that is there."""
    version = run.catalog.version(run.dataset)
    if version is None:
        raise RunError(f"{run.dataset} has no version yet; run the step prepare first")
    from flows.prepare import Prepared, stored_state

    run.prepared = Prepared(version=version, state=stored_state(run.catalog, version), changed=False)


def known_model(run: Run, entry: Any) -> None:
    """Without the step train: use the model of this very job if there is one."""
    from tasks.train import train_model

    job = job_of(run, entry, rows_of(run, entry))
    if not bundles.exists(run.store, job.key):
        raise RequestError(f"{entry.name} is not trained for these rows and parameters; run the step train first")
    run.trained[entry.name] = train_model(job)


def report(run: Run) -> None:
    """Write the run's page."""
    from tasks.report import write_report

    with run.stage("report"):
        run.report = write_report(run.store, run.catalog, run.result(), run.scored_keys())
    run.reporter.say(f"report: {run.report}")


# -- what is left to do ------------------------------------------------------------------------------------------------


def pending(run: Run) -> list[str]:
    """What a run would compute, in words; empty where everything is there. Writes nothing and computes no audio."""
    preview, behind = _standing(run)
    mixed: dict[str, Run] = {}
    for name, other in run.others().items():
        standing, more = _standing(other)
        mixed |= {name: standing} if standing else {}
        behind += [f"{name}: {what}" for what in more]
    if preview is None or behind:
        return [*behind, *_all_later(run)]
    preview.mixed = mixed
    found: list[str] = []
    for entry in run.pipeline.train:
        found += (pending_study if is_study(entry) else _pending_model)(preview, entry)
    asked = run.pipeline.transcribe
    if asked is not None and "transcribe" in run.options.steps and asked.model in preview.trained:
        _, units, _ = plan_transcribe(preview, preview.trained[asked.model].key)
        found += [f"transcribe {sum(len(unit.items) for unit in units)} recordings"] if units else []
    return found


def _standing(run: Run) -> tuple[Run | None, list[str]]:
    """The run as it stands at the latest version, if that is what preparing would give; else what preparing would do."""
    if run.plan is None:
        make_plan(run)
    assert run.plan is not None
    if run.plan.units:
        return None, [f"prepare {run.plan.new_items:,} items in {len(run.plan.units)} units"]
    preview = _preview(run)
    return preview, [] if preview else ["commit a new version (rows, texts or features changed)"]


def _all_later(run: Run) -> list[str]:
    steps = run.options.steps
    later = [f"{step} {entry.name}" for step in ("train", "evaluate") if step in steps for entry in run.pipeline.train]
    return later + (["transcribe"] if "transcribe" in steps and run.pipeline.transcribe else [])


def _preview(run: Run) -> Run | None:
    """A copy of the run that stands at the latest version, if that is what preparing would give."""
    from flows.assemble import assemble, missing_features, missing_fingerprints
    from flows.prepare import Prepared, same_state
    from tasks.units import feature_spec_key

    assert run.plan is not None
    version = run.plan.base
    state = assemble(run.plan, run.plan.known)
    work = run.plan.work
    specs = [feature_spec_key(work.audio, spec) for spec in work.features]
    missing = len(missing_features(work, state, specs)) + len(missing_fingerprints(work, state))
    if version is None or missing or not same_state(run.catalog, run.plan, state):
        return None
    return replace(run, prepared=Prepared(version=version, state=state, changed=False), trained={}, studies={})


def _pending_model(preview: Run, entry: Any) -> list[str]:
    from tasks.train import train_model

    steps = preview.options.steps
    job = job_of(preview, entry, rows_of(preview, entry))
    if not bundles.exists(preview.store, job.key):
        return [f"{step} {entry.name}" for step in ("train", "evaluate") if step in steps]
    preview.trained[entry.name] = train_model(job)
    jobs = jobs_of(preview, entry, job.rows, job.key)
    missing = [
        one for one in jobs if not files.exists(preview.store.path(f"{preview.store.score(one.key)}/score.json"))
    ]
    return [f"evaluate {entry.name}"] if missing and "evaluate" in steps else []


def is_first(run: Run) -> bool:
    """Whether nothing was ever committed to the dataset, so that there is surely something to do.

    The catalogue knows for sure, but takes half a second to load; an engine that starts in vain does no harm.
    """
    try:
        return not files.exists(run.store.path(run.store.table(run.dataset, "utterances")))
    except SorigilError:  # the run itself will meet it and say so properly
        return False


def nothing_to_do(run: Run) -> bool:
    """Whether all is there. An error here is no answer: the run itself will meet it and say so properly."""
    with run.stage("ingest"):
        try:
            return not pending(run)
        except SorigilError:
            return False


# -- on a clock --------------------------------------------------------------------------------------------------------


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


__all__ = ["execute", "pending", "road", "run_pipeline"]
