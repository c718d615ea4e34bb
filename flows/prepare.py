"""Source to version: scan, plan, prepare, compute missing features, commit. `pipeline.py` runs this as Prefect stages."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows import interrupt
from flows.assemble import State, assemble, check_limits, finished_rows, missing_features, missing_fingerprints
from flows.guards import guard
from flows.isolate import PREPARED_AUDIO, RECORDINGS
from flows.plan import Plan, make_plan
from flows.progress import Reporter
from flows.runtime import Runner, run_units
from flows.units import featurize_units
from flows.work import Work
from sorigil.types import Report
from storage import ledger, references, tables
from storage.catalog import Catalog, CommitLostError
from storage.versions import Version
from tasks.featurize import featurize_unit
from tasks.prepare import prepare_unit
from tasks.units import FeaturizeUnit, feature_spec_key

_RECORDED = ("librosa", "mlflow", "numpy", "pyarrow", "scipy", "soundfile", "soxr", "torch")


@dataclass(kw_only=True, slots=True)
class Prepared:
    """What came of it: the version, its books, and what this run had to do for it."""

    version: Version
    state: State
    reports: list[Report] = field(default_factory=list)
    changed: bool = True


def plan_work(work: Work, items: pa.Table, catalog: Catalog, *, workers: int, retry: bool = False) -> Plan:
    base = catalog.version(work.dataset)
    base_tables = {name: catalog.read(base, name, lean=True) for name in tables.SCHEMAS}
    return make_plan(work, items, base, base_tables, workers=workers, retry=retry)


def do_plan(plan: Plan, runner: Runner, reporter: Reporter, catalog: Catalog, facts: dict[str, Any]) -> Prepared:
    """Run the plan's units, then those of the features that are still missing, and commit the version."""
    prepared = (prepare_unit, plan.units, RECORDINGS, plan.work.max_deaths)
    reports = run_units(runner, reporter, "prepare", *prepared) if plan.units else []
    rows = finished_rows(plan, plan.units)
    state = assemble(plan, rows)
    check_limits(plan, state)
    more, later = complete_features(plan, state, runner, reporter)
    if len(later):
        reports += more
        state = assemble(plan, rows, later)
        check_limits(plan, state)
    _parts_are_there(plan, state)
    guard(plan, state, reporter)
    interrupt.check()
    version = catalog.commit(
        plan.work.dataset,
        plan.base,
        state.tables,
        books=state.books,
        facts={**facts, **state.facts, "libraries": library_versions()},
        before=plan.before,
    )
    changed = plan.base is None or version.snapshot != plan.base.snapshot
    return Prepared(version=version, state=state, reports=reports, changed=changed)


def _parts_are_there(plan: Plan, state: State) -> None:
    """A pruning may have deleted an old unit's parts, which no version named, after this run planned to use them."""
    there = references.parts_there(plan.work.store, plan.work.dataset)
    for table, column in (("utterances", "audio_part"), ("features", "part")):
        named = state.tables[table].column(column).drop_null()
        if len(named) and not pc.all(tables.isin(named, there)).as_py():
            raise CommitLostError(f"{plan.work.dataset}: parts were deleted while this run was at work; run again")


def complete_features(plan: Plan, state: State, runner: Runner, reporter: Reporter) -> tuple[list[Report], pa.Table]:
    """Compute, from prepared audio, the features and acoustic fingerprints that some kept rows do not have yet; returns
    what the ledgers say."""
    work = plan.work
    reports: list[Report] = []
    units: list[FeaturizeUnit] = []
    for spec in work.features:
        rows = missing_features(work, state, [feature_spec_key(work.audio, spec)])
        units += featurize_units(work, rows, [spec], runner.workers)
    units += featurize_units(work, missing_fingerprints(work, state), [], runner.workers, acoustic=True)
    todo = [unit for unit in units if not references.is_whole(unit.store, unit.ledger)]
    if todo:
        reports = run_units(runner, reporter, "features", featurize_unit, todo, PREPARED_AUDIO, work.max_deaths)
    return reports, ledger.read_units([unit.store.path(unit.ledger) for unit in units])


def library_versions() -> dict[str, str]:
    """Recorded with a version, never hashed: a canary in the tests notices when one of them changes what we compute."""
    return {name: importlib.metadata.version(name) for name in _RECORDED}


def stored_state(catalog: Catalog, version: Version) -> State:
    """A version read back as the state it was committed from."""
    read = {name: catalog.read(version, name, lean=True) for name in tables.SCHEMAS}
    kept = version.books["kept"]
    return State(tables=read, books=version.books, new={"items": 0, "seconds": 0.0}, reused=dict(kept))


def same_state(catalog: Catalog, plan: Plan, state: State) -> bool:
    """Whether committing `state` on the version that was planned from would change nothing."""
    return plan.base is not None and not catalog.differs(plan.base, state.tables, plan.before)
