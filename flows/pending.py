"""What a run would do, found out without doing any of it: for `check`, and to start no engine where nothing is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows.align import aligns, plan_align
from flows.evaluate import jobs_of
from flows.run import Run
from flows.steps import make_plan
from flows.study import is_study
from flows.study_scores import pending_study
from flows.train import job_of, rows_of
from flows.transcribe import plan_transcribe
from sorigil.errors import SorigilError
from storage import bundles, files


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
    if any(aligns(run, entry) and entry.name in preview.trained for entry in run.pipeline.train):
        left = sum(len(unit.items) for unit in plan_align(preview).units)
        found += [f"align {left} recordings"] if left else []
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
