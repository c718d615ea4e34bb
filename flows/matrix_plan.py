"""The cells of an evaluation matrix: each model on each slice, as a job to do or with the reason why it cannot be done.

A dataset's pipeline says how it is judged (its split, target, normaliser and metrics), a model's how it decodes. All hear the
prepared audio, so that they hear the same utterances and the time they take is that of the same work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter

from flows import matrix_notes
from flows.config import Config
from flows.evaluate import suiting
from flows.matrix_names import ALL, NamedModel, NamedSlice, named_slice
from flows.named import some
from sorigil.audio.spec import AudioSpec
from sorigil.decoding.spec import GreedySpec
from sorigil.errors import RequestError
from sorigil.metrics import METRICS
from sorigil.objectives import OBJECTIVES
from sorigil.split_specs import fields_of
from sorigil.splits import sides_of
from sorigil.text import tags
from storage import bundles, files, language_models
from storage.catalog import Catalog
from storage.dataset import TOGETHER, open_dataset, split_rows
from storage.layout import Store
from tasks.evaluate import usable
from tasks.evaluate_job import EvaluateJob, Scored
from tasks.externals import External, check


@dataclass(kw_only=True)
class Cell:
    """A model on a slice. `reason` says why there is no score; `seen` how many of the rows the model learned from (None
    where that is not known, as of every external)."""

    model: NamedModel | External
    asked: tuple[str, ...]  # the names by which the model was asked for
    slice: NamedSlice
    version: str
    job: EvaluateJob | None = None
    reason: str = ""
    failed: bool = False  # tried, and broken off
    notes: list[str] = field(default_factory=list)
    seen: int | None = None
    scored: Scored | None = None
    known: bool = False  # scored before


@dataclass(frozen=True)
class OpenSlice:
    """A slice and its version; rows are read when they are asked for."""

    named: NamedSlice
    catalog: Catalog
    version: Any
    _rows: dict[str, pa.Table] = field(default_factory=dict)  # by objective: all models of one share a table

    @cached_property
    def _table(self) -> pa.Table:
        return open_dataset(self.catalog, self.version, more=("audio_spec", *TOGETHER))

    def entry_of(self, objective: str) -> Any | None:
        """The pipeline's first train entry with this objective: it says what the target is called."""
        return next((each for each in self.named.pipeline.train if each.objective == objective), None)

    def rows(self, objective: str) -> pa.Table:
        """The rows of the side that have what is learned with this objective. Raises RequestError where there are none."""
        if objective not in self._rows:
            self._rows[objective] = self._read(objective)
        return self._rows[objective]

    def _read(self, objective: str) -> pa.Table:
        target, side = self.target(objective), self.named.side
        table = self._table.filter(pc.is_valid(self._table.column(target)))
        if not len(table):
            raise RequestError(f"no utterance has a {target}")
        if side == ALL:
            return table.append_column("side", pa.array([ALL] * len(table))).drop_columns(list(TOGETHER))
        split = self.named.pipeline.split
        sides = sides_of(split, split_rows(table, fields_of(split)))  # nobody learns here: there may be no train rows
        table = table.append_column("side", pa.array(sides.tolist())).drop_columns(list(TOGETHER))
        chosen = table.filter(pc.equal(table.column("side"), side))
        if not len(chosen):
            counts = ", ".join(
                f"{row['counts']:,} {row['values']}" for row in table.column("side").value_counts().to_pylist()
            )
            raise RequestError(f"no utterance with a {target} is on the side {side} ({counts}); name another, or :all")
        return chosen

    def target(self, objective: str) -> str:
        entry = self.entry_of(objective)
        return entry.target if entry else OBJECTIVES[objective].tier


def open_slice(config: Config, catalog: Catalog, asked: str) -> OpenSlice:
    """The slice that is called so. Raises RequestError where there is no such dataset, or no such version of it."""
    named = named_slice(config, asked)
    dataset = named.pipeline.dataset
    version = catalog.version(dataset, named.version)
    if version is None:
        made_by = f"`sorigil prepare {named.pipeline.name}` makes the first"
        raise RequestError(f"{asked}: {dataset} has no version yet; {made_by}")
    return OpenSlice(named, catalog, version)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks of a matrix. No `normalizer`, no `metrics`: as each dataset's pipeline says."""

    config: Config
    store: Store
    normalizer: Any = None
    metrics: tuple[str, ...] = ()


def objective_of(store: Store, model: NamedModel | External) -> str:
    if isinstance(model, External):
        return model.objective
    objective: str = bundles.facts(store, model.key)["objective"]
    return objective


def cell_of(asked: Asked, model: NamedModel | External, by: Sequence[str], opened: OpenSlice) -> Cell:
    """The cell with its job, or with its reason; the model was asked for by these names."""
    cell = Cell(model=model, asked=tuple(by), slice=opened.named, version=opened.version.name)
    try:
        job = (
            _of_external(asked, model, opened, cell)
            if isinstance(model, External)
            else _of_bundle(asked, model, opened, cell)
        )
        rows = usable(job)
        if not len(rows):
            raise RequestError(
                f"none of its {len(job.rows):,} utterances has prepared audio in the store (keep_audio: false?)"
            )
    except RequestError as wrong:
        cell.reason = str(wrong)
        return cell
    if len(rows) < len(job.rows):
        cell.notes.append(f"{len(job.rows) - len(rows):,} utterances without prepared audio are left out")
    cell.job = job
    cell.known = files.exists(job.store.path(f"{job.store.score(job.key)}/score.json"))
    return cell


def _of_external(asked: Asked, model: External, opened: OpenSlice, cell: Cell) -> EvaluateJob:
    job = replace(_job(asked, opened, model.objective, cell), external=model)
    rows = usable(job)
    check(model, rows.column("id").to_pylist())
    cell.notes += matrix_notes.of_external(model.spec, rows)
    if not model.outputs:  # no probabilities of labels, no confidences of words
        unsaid = "confidences of words" if OBJECTIVES[model.objective].text else "probabilities"
        texts = tuple(name for name in job.metrics if METRICS[name].reads == "texts")
        if not texts:
            raise RequestError(f"it says no {unsaid}, which {' and '.join(job.metrics)} would judge")
        if left := [name for name in job.metrics if name not in texts]:
            cell.notes.append(f"it says no {unsaid}, which {' and '.join(left)} would judge: left out")
        job = replace(job, metrics=texts)
    else:
        cell.notes += matrix_notes.of_labels(model.objective, model.outputs, job)
    return job


def _of_bundle(asked: Asked, model: NamedModel, opened: OpenSlice, cell: Cell) -> EvaluateJob:
    facts = bundles.facts(asked.store, model.key)
    job = _job(asked, opened, facts["objective"], cell)
    learned = TypeAdapter(AudioSpec).validate_python(facts["audio"])
    cell.notes += matrix_notes.of_audio(learned, opened.named.pipeline.audio, job.rows)
    if not OBJECTIVES[facts["objective"]].text:
        cell.notes += matrix_notes.of_labels(facts["objective"], facts["outputs"], job)
    cell.seen = bundles.learned_from(asked.store, model.key, job.rows.column("key"))
    if cell.seen is None:
        cell.notes.append("an older program made the model: whether it learned from these utterances is not known")
    elif cell.seen:
        cell.notes.append(f"it learned from, or was chosen by, {cell.seen:,} of these utterances")
    job = replace(job, by_speaker=facts["cmvn"] == "speaker")
    origin = asked.config.pipelines.get(model.origin or "")
    if origin is None:
        return job
    if OBJECTIVES[facts["objective"]].text:
        return replace(job, decode=_decoder(asked.store, model, origin))
    on_the_fly = facts["facts"]["train"].get("input") != "features"
    return replace(job, speeds=tuple(origin.evaluate.speeds) if on_the_fly else (1.0,))


def _job(asked: Asked, opened: OpenSlice, objective: str, cell: Cell) -> EvaluateJob:
    pipeline, entry = opened.named.pipeline, opened.entry_of(objective)
    return EvaluateJob(
        store=asked.store,
        dataset=pipeline.dataset,
        model_key=cell.model.key,
        split=opened.named.side,
        target=opened.target(objective),
        separator=entry.separator if entry else tags.SEPARATOR,
        normalizer=asked.normalizer or pipeline.evaluate.normalizer,
        metrics=_metrics(asked.metrics or pipeline.evaluate.metrics, objective, cell),
        decode=GreedySpec(),
        rows=opened.rows(objective),
        from_audio=True,
        compared=True,
    )


def _metrics(wanted: Sequence[str], objective: str, cell: Cell) -> tuple[str, ...]:
    """Those that judge the objective, else the usual ones, with a note."""
    chosen = suiting(wanted, objective)
    if wanted and not {*wanted} & {*chosen}:
        cell.notes.append(
            f"{some(wanted)}: no metric of {objective}, which is judged by the usual ones: {some(chosen)}"
        )
    return chosen


def _decoder(store: Store, model: NamedModel, origin: Any) -> Any:
    """As the model's pipeline decodes; RequestError where that needs a language model that was to be learned and is not
    there. One from a file any version of the model can listen to."""
    decode = language_models.resolve(origin.evaluate.decode)
    spec = getattr(decode, "lm", None)
    if spec is not None and spec.kind != "arpa" and language_models.facts(store, model.key, spec) is None:
        raise RequestError(
            f"its decoder asks for a language model that was not learned for {model.name}: `sorigil evaluate {origin.name}` "
            "learns that of the newest version only. Give the decoder an ARPA file (lm: {kind: arpa, uri: …}), or name the "
            f"model by its key, {model.key[:8]}, and it decodes greedily"
        )
    return decode
