"""One run of one pipeline: what it was asked, where its things live, and what has come of it so far.

The steps (`prepare.py`, `train.py`, `evaluate.py`, `transcribe.py`) read and fill a `Run`; `pipeline.py` puts them in a
row. `Run.result` is the object that `sorigil run NAME --json` prints: its names are a contract.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import pyarrow.compute as pc

from flows import interrupt
from flows.config import Config, LocalCluster, PipelineConfig, TrainEntry
from flows.plan import Plan
from flows.prepare import Prepared
from flows.progress import Reporter
from flows.runtime import InProcess, Runner
from flows.server_kinds import run_server
from flows.servers import Server
from flows.work import Work
from sorigil.errors import SorigilError
from sorigil.split_specs import FoldSplit
from sorigil.text.normalize import label
from sorigil.training.inputs import Waveform
from sorigil.types import Rejection
from storage import files
from storage.catalog import Catalog
from storage.layout import Store
from tasks.evaluate_job import Scored
from tasks.train_job import Trained

RESULT_SCHEMA = 1
MOST_QUARANTINE_ROWS = 1000
STEPS = ("ingest", "prepare", "train", "evaluate", "transcribe", "report")
LEARNING = {"train", "evaluate", "transcribe", "align"}  # steps that need to know which rows a model learned from

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignRequest:
    """What to align, with which of the pipeline's models, and where to put it. `source` is a manifest, or a folder with a
    `.txt` beside each recording; None: the pipeline's dataset."""

    output: str
    model: str | None = None  # the name of a train entry; None: the first with objective ctc
    source: str | None = None
    split: str | None = None  # of the dataset; None: all of it
    formats: tuple[str, ...] = ("json", "TextGrid", "ctm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the command line adds to the configuration."""

    steps: tuple[str, ...] = STEPS
    limit: int | None = None  # the first N items only, as a dataset of their own
    local: bool = False
    retry: bool = False  # forget remembered rejections
    align: AlignRequest | None = None


def _new_id() -> str:
    """Sorts by time, within a second too: the newest run is the one whose name comes last."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}-{now.microsecond:05x}{uuid.uuid4().hex[:3]}"


@dataclass(kw_only=True)
class Run:
    """A run under way. Steps put what they made into the fields below `made`."""

    config: Config
    pipeline: PipelineConfig
    reporter: Reporter
    options: Options = Options()
    runner: Runner = field(default_factory=InProcess)
    id: str = field(default_factory=_new_id)
    aside: bool = False  # brought up to date for another pipeline that mixes it in
    # -- made --
    plan: Plan | None = None
    prepared: Prepared | None = None
    mixed: dict[str, Run] = field(default_factory=dict)
    trained: dict[str, Trained] = field(default_factory=dict)
    scored: dict[str, list[Scored]] = field(default_factory=dict)
    transcripts: list[dict[str, Any]] = field(default_factory=list)
    alignments: list[dict[str, Any]] = field(default_factory=list)
    recording_rejections: list[Rejection] = field(default_factory=list)  # of transcribing and aligning
    studies: dict[str, Any] = field(default_factory=dict)  # of `flows.study`, by train entry
    mlflow_run_ids: dict[str, str] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    report: str | None = None
    _server: Server | None = None

    @cached_property
    def store(self) -> Store:
        return self.config.storage.store().open()

    @cached_property
    def catalog(self) -> Catalog:
        return Catalog(self.store.catalog, self.store.root)

    @property
    def dataset(self) -> str:
        limit = self.options.limit
        return self.pipeline.dataset if limit is None else f"{self.pipeline.dataset}-first-{limit}"

    @property
    def workers(self) -> int:
        cluster = self.config.cluster
        if isinstance(cluster, LocalCluster) and cluster.workers != "auto":
            return int(cluster.workers)
        return os.cpu_count() or 1

    def others(self) -> dict[str, Run]:
        """The pipelines whose datasets are mixed into this one's training, each as a run aside; made once."""
        for entry in self.pipeline.train if LEARNING & set(self.options.steps) else ():
            for data in entry.data:
                maker = self.maker(entry, data.dataset)
                if maker.name not in self.mixed:
                    self.mixed[maker.name] = self._aside(maker)
        return self.mixed

    def feature_of(self, entry: TrainEntry) -> Any:
        """What the entry's model hears: one of the pipeline's features, or raw audio."""
        if entry.train.input == "raw":
            return Waveform()
        return next(spec for spec in self.pipeline.features if spec.name == entry.features)

    def maker(self, entry: TrainEntry, dataset: str) -> PipelineConfig:
        """The pipeline that makes a dataset which this entry mixes in."""
        raw = entry.train.input == "raw"
        found = self.config.maker(dataset, self.pipeline, None if raw else self.feature_of(entry))
        assert found is not None, "the configuration was checked"
        return found

    def _aside(self, pipeline: PipelineConfig) -> Run:
        """Shares what is told and timed, not what is made."""
        options = replace(self.options, limit=None)
        return replace(self, pipeline=pipeline, options=options, aside=True, plan=None, prepared=None, mixed={})

    def step(self, name: str) -> str:
        """What a step is called to people."""
        return f"{name} {self.pipeline.name}" if self.aside else name

    def work(self) -> Work:
        """The part of the pipeline that decides the dataset's tables."""
        pipeline = self.pipeline
        return Work(
            store=self.store,
            dataset=self.dataset,
            base_uri=pipeline.source.base,
            audio=pipeline.audio,
            features=pipeline.features,
            keep_audio=pipeline.keep_audio,
            raw=getattr(pipeline.source, "raw", None),
            filters=pipeline.filters,
            max_rejected=pipeline.max_rejected,
            max_vanished=pipeline.max_vanished,
            deadline=pipeline.deadline,
            max_deaths=pipeline.max_deaths,
            duplicates=pipeline.duplicates,
            split=pipeline.split,
            leaks=pipeline.leaks,
            drift=pipeline.drift,
        )

    # -- the engines -----------------------------------------------------------------------------------------------

    def start_engines(self, units: bool) -> None:
        """Begin to start what takes seconds, while this process does something else: Prefect, and Dask if it has units."""
        if not os.environ.get("PREFECT_API_URL"):
            self.start_server()
        self.use_dask()
        if units:
            self.runner.start()

    def start_server(self) -> Server:
        """The run's own Prefect server, on its way; `wait_until_healthy` says when it can be used."""
        if self._server is None:
            self._server = run_server()
            self._server.start()
        return self._server

    def use_dask(self) -> None:
        """Run units on Dask from here on. Nothing starts before the first unit, unless it is told to."""
        if not isinstance(self.runner, InProcess):
            return
        from flows.on_dask import OnDask

        cluster = self.config.cluster
        if isinstance(cluster, LocalCluster):
            self.runner = OnDask(workers=self.workers, memory=cluster.memory)
        else:
            self.runner = OnDask(workers=self.workers, scheduler=cluster.scheduler)

    def stop_engines(self) -> None:
        """End whatever was started; no process is left."""
        if self._server is not None:
            self._server.ask_to_stop()
        self.runner.close()
        if self._server is not None:
            self._server.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a stage; its body says how much audio went through it by setting `audio_seconds`."""
        interrupt.check()
        row: dict[str, Any] = {"name": name, "seconds": 0.0, "audio_seconds": 0.0}
        began = time.perf_counter()
        try:
            yield row
        finally:
            self.reporter.end_stage()
            row["seconds"] = round(time.perf_counter() - began, 3)
            row["audio_seconds"] = round(row["audio_seconds"], 3)
            self.stages.append(row)

    def attempt(self, stage: str, function: Callable[[], T]) -> T | None:
        """Do one of several independent things: an error of the user's is noted, and the others go on."""
        try:
            return function()
        except SorigilError as wrong:
            self.note_error(stage, wrong)
            return None

    def note_error(self, stage: str, wrong: SorigilError) -> None:
        self.errors.append({"stage": stage, "kind": type(wrong).__name__, "message": str(wrong)})
        self.reporter.say(f"{stage}: {wrong}")

    # -- the result ----------------------------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        """The whole run as JSON values."""
        prepared = self.prepared
        return {
            "schema": RESULT_SCHEMA,
            "status": "failed" if self.errors else "completed",
            "errors": self.errors,
            "pipeline": self.pipeline.name,
            "run": self.id,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "dataset": self.dataset,
            "version": prepared.version.name if prepared else None,
            "books": prepared.version.books if prepared else None,
            "work": {"new": prepared.state.new, "reused": prepared.state.reused} if prepared else None,
            "quarantine": self._quarantine(),
            "stages": self.stages,
            "scores": self._scores(),
            "studies": [study.result() for study in self.studies.values()],
            "transcripts": self.transcripts,
            "alignments": self.alignments,
            "models": {name: trained.key for name, trained in self.trained.items()},
            "score_keys": self.scored_keys(),
            "store": self.store.root,
            "mlflow_run_ids": list(self.mlflow_run_ids.values()),
            "report": self.report,
        }

    def _quarantine(self) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        filtered: dict[str, int] = {}
        table = f"Iceberg table {self.dataset}.quarantine in {public_address(self.store.catalog)}"
        if self.prepared is not None:
            found = self.prepared.state.tables["quarantine"]
            columns = ["id", "uri", "stage", "reason", "detail"]
            rows = found.filter(pc.equal(found.column("books"), "quarantined")).select(columns).to_pylist()
            out = pc.value_counts(
                found.filter(pc.equal(found.column("books"), "filtered")).column("reason")
            ).to_pylist()
            filtered = {row["values"]: row["counts"] for row in sorted(out, key=lambda row: -row["counts"])}
        extra = [rejection for trained in self.trained.values() for rejection in trained.rejections]
        extra += [
            rejection for several in self.scored.values() for scored in several for rejection in scored.rejections
        ]
        extra += [rejection for study in self.studies.values() for rejection in study.rejections()]
        for rejection in (*extra, *self.recording_rejections):
            rows.append({name: getattr(rejection, name) for name in ("id", "uri", "stage", "reason", "detail")})
        return {"rows": rows[:MOST_QUARANTINE_ROWS], "total": len(rows), "filtered": filtered, "table": table}

    def _scores(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for entry in self.pipeline.train:
            if study := self.studies.get(entry.name):
                rows += study.score_rows()
            else:
                rows += [row for scored in self.scored.get(entry.name, []) for row in score_rows(self, entry, scored)]
        return rows

    def scored_keys(self) -> dict[str, list[str]]:
        """Where the scores of each train entry are in the store."""
        return {name: [scored.key for scored in several] for name, several in self.scored.items()}

    def save_result(self) -> dict[str, Any]:
        """Keep the result in the store, beside the report."""
        result = self.result()
        place = self.store.path(f"{self.store.run(self.id)}/result.json")
        files.write_bytes(place, json.dumps(result, ensure_ascii=False, indent=1).encode())
        return result


def score_rows(run: Run, entry: Any, scored: Scored) -> list[dict[str, Any]]:
    """The contract's rows of one evaluation; what is unknown is null."""
    test = getattr(run.pipeline.split, "test", None)
    fold = f"{split.fold}/{split.folds}" if isinstance(split := run.pipeline.split, FoldSplit) else None
    return [
        {
            "run": entry.name,
            "dataset": run.dataset,
            "model": entry.model.kind,
            "features": entry.features or entry.train.input,
            "objective": entry.objective,
            "split": scored.split,
            "metric": score["metric"],
            "value": score["value"],
            "interval": score["interval"],
            "interval_by_speaker": score.get("interval_by_speaker"),  # scores of before had none
            "n": score["n"],
            "normalizer": label(run.pipeline.evaluate.normalizer) if entry.objective == "ctc" else None,
            "decoder": run.pipeline.evaluate.decode.kind if entry.objective == "ctc" else None,
            "seed": entry.train.seed,
            "fold": "+".join(test) if isinstance(test, tuple) else fold,
            "detail": {name: value for name, value in score["detail"].items() if isinstance(value, int | float)},
        }
        for score in scored.scores
    ]


def public_address(address: str) -> str:
    """A database address without its password."""
    scheme, mark, rest = address.partition("://")
    return scheme + mark + (rest.rsplit("@", 1)[-1] if "@" in rest else rest)
