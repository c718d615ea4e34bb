"""The steps of a run that are the pipeline's own: ingest, prepare, report; and what a run goes on from without them.

Training, scoring and transcribing are in modules of their own; `pipeline` puts all of them in a row.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from flows.prepare import Prepared, do_plan, plan_work, stored_state
from flows.run import Run
from flows.train import job_of, rows_of
from sorigil.errors import RequestError, RunError
from sorigil.types import Report
from storage import bundles, sources
from storage.catalog import CommitLostError

REPLANS = 3  # after another run committed first


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
