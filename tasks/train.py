"""Train one model on rows of a dataset version, and leave a bundle.

The rows, their split and the specs name the model (`TrainJob.key`): what is trained already is found, and a training
that was killed goes on from its last epoch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sorigil.audio.spec import AudioSpec
from sorigil.errors import RequestError, RunError
from sorigil.fingerprint import digest, fingerprint, to_dict
from sorigil.objectives import OBJECTIVES, ObjectiveFacts
from sorigil.splits import DEV, TEST, TRAIN
from sorigil.text import tags
from sorigil.types import Rejection
from storage import bundles, pretrained, tables
from storage.dataset import StoredRows
from storage.layout import Store

CODE_FORMAT = 1  # raised when the same job would give another model
# oneDNN keeps 1,024 compiled operations, one for each shape it meets. Batches hardly ever have the same shape twice, so
# that is 0.7 GB of pinned heap for nothing: after 80 steps of cnn2d 1.3 GB instead of 0.6, in the same processor time.
PRIMITIVES = "16"


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """One model to train. `rows` is `storage.dataset.open_dataset` with a column `side` (its split).

    `copies` are further places of features for training rows (augmented copies), with the columns of `rows`; `mixed` are
    training rows of other datasets, with a column `share` besides: of the epochs that each takes part in.
    """

    store: Store
    dataset: str
    version: str
    name: str
    model: Any
    objective: Any
    audio: AudioSpec
    feature: Any  # its InputSpec: a feature, or the waveform
    tokens: Any  # TokenSpec
    target: str  # the annotation tier: "reference" or "label"
    separator: str = ";"  # between the tags of one label, for objectives that learn several
    normalizer: str
    train: Any  # TrainSpec
    rows: pa.Table
    copies: pa.Table | None = None
    augment: str = ""  # what the copies were made by, for the key
    mixed: pa.Table | None = None
    mixed_versions: tuple[dict[str, Any], ...] = ()  # dataset, version and weight of what `mixed` comes from
    loader_workers: int = 0

    @property
    def key(self) -> str:
        """What the model is computed from: rows with their targets and sides, and every spec."""
        used = self.rows.filter(pc.is_in(self.rows.column("side"), value_set=pa.array([TRAIN, DEV])))
        marks = ("key", self.target, "side", *(("speaker",) if self.train.cmvn == "speaker" else ()))
        content = "\n".join(tables.joined(used.sort_by("key"), marks).to_pylist())
        specs = [fingerprint(spec) for spec in (self.audio, self.feature, self.model, self.train)]
        if self.mixed is not None:
            specs += tables.joined(self.mixed.sort_by("key"), ("key", self.target, "share")).to_pylist()
        return digest("train", CODE_FORMAT, content, *specs, self.objective, self._alphabet(), self.augment)

    def _alphabet(self) -> str:
        if self.facts.several:
            return f"tags {self.separator}"
        return f"{self.tokens.name}/{self.normalizer}" if self.facts.text else "labels"

    @property
    def facts(self) -> ObjectiveFacts:
        """What the objective is."""
        return OBJECTIVES[self.objective]


@dataclass(kw_only=True)
class Trained:
    """The bundle's key and what happened on the way to it."""

    key: str
    reused: bool
    seconds: float = 0.0
    audio_seconds: float = 0.0  # gone through, all epochs together
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    rejections: list[Rejection] = field(default_factory=list)


def train_model(
    job: TrainJob, progress: Callable[[Any], None] = lambda _: None, team: Any = None, device: str | None = None
) -> Trained:
    """Train, or find the model that this very job has made before. In a `team` (`sorigil.training.distributed`) each
    process does this for its share, on the `device` that it was given, and the first one leaves the bundle.

    Raises RequestError where there is nothing to learn from.
    """
    key = job.key
    if bundles.exists(job.store, key):
        facts = bundles.facts(job.store, key)["facts"]
        return Trained(
            key=key,
            reused=True,
            history=facts["history"],
            best_epoch=facts["best_epoch"],
            rejections=[Rejection(**row) for row in facts["rejections"]],
        )
    began = time.perf_counter()
    data = _TrainingData(job, team)
    result = _fit(job, key, data, progress, device)
    used = float(data.rows.seconds[data.chosen].sum()) * len(result.history)
    if data.team.first:
        bundles.save(job.store, _bundle(job, key, data, result))
        bundles.drop_checkpoints(job.store, key)
    return Trained(
        key=key,
        reused=False,
        seconds=time.perf_counter() - began,
        audio_seconds=used,
        history=result.history,
        best_epoch=result.best_epoch,
        rejections=data.rejections,
    )


class _TrainingData:
    """Rows, targets and batches of a job, with what had to be left out."""

    def __init__(self, job: TrainJob, team: Any = None) -> None:
        from sorigil.training.data import Batches, Road, UtteranceDataset, speaker_statistics
        from sorigil.training.distributed import ALONE

        self.job, self.team = job, team or ALONE
        table = _with_mixed(_with_copies(_usable(job, job.rows), job.copies), job)
        self.table = table
        self.audio = job.train.input != "features"
        self.rows = StoredRows(job.store, table, audio=self.audio)
        self.sides = np.asarray(table.column("side").to_pylist())
        self.values = _targets(job, table)
        self.learned = self._learn()
        self.targets = self.learned.encode(self.values)
        self.rejections: list[Rejection] = []
        keep = self._fitting()
        self.chosen = np.flatnonzero((self.sides == TRAIN) & keep)
        self.dev = np.flatnonzero((self.sides == DEV) & keep & self.learned.known(self.values))
        if not len(self.chosen):
            first = f": of {self.rejections[0].id} {self.rejections[0].detail}" if self.rejections else ""
            raise RequestError(f"{job.name}: no training row is left of {len(table)}{first}")
        road = Road.of(job.train, job.feature, job.audio.sample_rate)
        self.statistics = self._statistics(road)
        road = Road.of(job.train, job.feature, job.audio.sample_rate, self.statistics)
        speakers = speaker_statistics(road, self.rows, table.column("speaker").to_pylist())
        dataset = UtteranceDataset(rows=self.rows, targets=self.targets, road=road, speakers=speakers)
        batch = {"dataset": dataset, "batch_seconds": job.train.batch_seconds, "seed": job.train.seed}
        shares = None if job.mixed is None else np.asarray(table.column("share").to_numpy())
        self.train_batches = Batches(
            **batch, chosen=self.chosen, shares=shares, workers=job.loader_workers, team=self.team
        )
        self.dev_batches = Batches(**batch, chosen=self.dev)

    def _learn(self) -> Any:
        """What there is to say, from the training rows alone."""
        from sorigil.training.objectives import LEARNING

        train = [value for value, side in zip(self.values, self.sides, strict=True) if side == TRAIN]
        if not train:
            raise RequestError(f"{self.job.name}: no training row has a {self.job.target}; nothing can be learned")
        return LEARNING[self.job.objective].learn(train, self.job.tokens)  # type: ignore[arg-type]

    def _fitting(self) -> NDArray[np.bool_]:
        """Rows whose tokens fit into the frames that reach the loss; the others are rejected, by name."""
        keep = np.ones(len(self.values), bool)
        if not self.job.facts.aligned:
            return keep
        import torch

        from sorigil.models.network import build
        from sorigil.training.inputs import input_dim
        from sorigil.training.objectives import text_rejections, too_long

        with torch.device("meta"):  # its lengths alone are asked for: no weights
            network = build(self.job.model, self.job.objective, input_dim(self.job.feature), len(self.learned.outputs))
        lengths = network.output_lengths(torch.from_numpy(self._frames())).numpy()
        long = too_long(lengths, self.targets)
        ids, uris = self.table.column("id").to_pylist(), self.table.column("uri").to_pylist()
        self.rejections = text_rejections(long, lengths, self.targets, ids, uris)
        keep[long] = False
        return keep

    def _frames(self) -> NDArray[np.int64]:
        if not self.audio:
            return np.asarray(self.table.column("num_frames").to_numpy(), np.int64)
        from sorigil.training.inputs import input_frames

        samples = self.table.column("prepared_samples").to_pylist()
        return np.asarray([input_frames(self.job.feature, count) for count in samples], np.int64)

    def _statistics(self, road: Any) -> Any:
        if self.job.train.cmvn != "global":
            return None
        from sorigil.features.cmvn import GlobalStats

        return GlobalStats.merge_all(GlobalStats.of(road.raw(self.rows, int(row))) for row in self.chosen)


def _usable(job: TrainJob, rows: pa.Table) -> pa.Table:
    """Train and dev rows that have a target and what the job's road reads."""
    needed = "feature_part" if job.train.input == "features" else "audio_part"
    sides = pc.is_in(rows.column("side"), value_set=pa.array([TRAIN, DEV]))
    return rows.filter(pc.and_(sides, pc.and_(pc.is_valid(rows.column(job.target)), pc.is_valid(rows.column(needed)))))


def _with_copies(rows: pa.Table, copies: pa.Table | None) -> pa.Table:
    if copies is None:
        return rows
    train = tables.only(copies, "key", rows.filter(pc.equal(rows.column("side"), TRAIN)).column("key"))
    side = pa.array([TRAIN] * len(train), pa.string())  # they may have been made for another fold
    train = train.set_column(train.column_names.index("side"), "side", side)
    return pa.concat_tables([rows, train.select(rows.column_names)])


def _with_mixed(rows: pa.Table, job: TrainJob) -> pa.Table:
    """The rows of other datasets that teach the same: none that this dataset has on any side, test above all; and for a
    classifier only those of its own classes."""
    if job.mixed is None:
        return rows
    mixed = tables.without(_usable(job, job.mixed), "key", job.rows.column("key"))
    if not job.facts.text:
        mixed = tables.only(mixed, job.target, _of_own_classes(job, rows, mixed))
    rows = rows.append_column("share", pa.array(np.ones(len(rows))))
    return pa.concat_tables([rows, mixed.select(rows.column_names)])


def _of_own_classes(job: TrainJob, rows: pa.Table, mixed: pa.Table) -> pa.Array:
    """The labels of mixed rows that say nothing which the dataset's own rows do not."""
    own = pc.unique(rows.column(job.target))
    if not job.facts.several:
        return own
    known = {tag for label in own.to_pylist() for tag in tags.split(tags.read(label, job.separator))}
    labels = pc.unique(mixed.column(job.target)).to_pylist()
    return pa.array([label for label in labels if known.issuperset(tags.split(tags.read(label, job.separator)))])


def _targets(job: TrainJob, table: pa.Table) -> list[str]:
    values: list[str] = table.column(job.target).to_pylist()
    if job.facts.several:
        return [tags.read(value, job.separator) for value in values]
    if not job.facts.text:
        return values
    from sorigil.text.normalize import normalizer

    clean = normalizer(job.normalizer)
    return [clean(value) for value in values]


def _fit(
    job: TrainJob, key: str, data: _TrainingData, progress: Callable[[Any], None], device: str | None = None
) -> Any:
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PRIMITIVES)
    import torch

    from sorigil.training.faults import BatchError
    from sorigil.training.loop import train

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return train(
            network=_network(job, data),
            train_spec=job.train,
            objective=job.objective,
            data=data.train_batches,
            evaluate=_dev_set(job, data, device),
            save=lambda name, tensors, meta: bundles.save_checkpoint(job.store, key, name, tensors, meta),
            resume=bundles.load_checkpoint(job.store, key),
            progress=progress,
            device=device,
            class_weights_C=_class_weights(job, data),
            team=data.team,
        )
    except BatchError as error:
        raise _named(error, job, key, data) from error


def _network(job: TrainJob, data: _TrainingData) -> Any:
    """The job's network as its training begins."""
    import torch

    from sorigil.models.network import build
    from sorigil.training.inputs import input_dim

    torch.manual_seed(job.train.seed)
    network = build(job.model, job.objective, input_dim(job.feature), len(data.learned.outputs))
    if getattr(job.model, "pretrained", ""):
        network.encoder.load(pretrained.read_weights(job.model))
    return network


def find_rate(job: TrainJob, steps: int) -> Any:
    """Sweep the learning rate of a job (`sorigil.training.lr_finder.Sweep`); nothing is stored."""
    import torch

    from sorigil.training.lr_finder import find_learning_rate

    data = _TrainingData(job)
    return find_learning_rate(
        network=_network(job, data),
        train_spec=job.train,
        objective=job.objective,
        data=data.train_batches,
        device="cuda" if torch.cuda.is_available() else "cpu",
        class_weights_C=_class_weights(job, data),
        steps=steps,
    )


def _class_weights(job: TrainJob, data: _TrainingData) -> Any:
    if job.train.class_weights is None or job.facts.text:
        return None
    import torch

    from sorigil.training.class_weights import class_weights

    targets = [data.targets[row] for row in data.chosen]
    return torch.from_numpy(class_weights(job.train.class_weights, data.learned.outputs, targets))


def _named(error: Any, job: TrainJob, key: str, data: _TrainingData) -> RunError:
    """The error in the users' names for the rows, its batch written beside the checkpoints."""
    from sorigil.training.faults import listed

    ids = data.table.column("id")
    batch = data.table.take(list(error.batch_rows)).select(["id", "key", "uri"]).to_pylist()
    for row, number in zip(batch, error.batch_rows, strict=True):
        row["seconds"] = round(float(data.rows.seconds[number]), 3)
    place = bundles.save_failed_batch(job.store, key, {"error": str(error), "batch": batch})
    names = listed([ids[row].as_py() for row in error.rows])
    seconds = max(row["seconds"] for row in batch)
    return RunError(
        f"{job.name}: {error.what} {names} (the longest of the batch has {seconds:.1f} s; all of it is listed in {place})"
    )


def _dev_set(job: TrainJob, data: _TrainingData, device: str) -> Any:
    """Loss and the objective's first metric (wer, accuracy) on the dev rows; None where there are none."""
    from sorigil.training.evaluation import DevSet

    if not len(data.dev):
        return None
    return DevSet(
        batches=data.dev_batches,
        objective=job.objective,
        device=device,
        tokenizer=data.learned.tokenizer,
        texts=data.values,
        precision=job.train.precision,
    )


def _bundle(job: TrainJob, key: str, data: _TrainingData, result: Any) -> bundles.Bundle:
    from sorigil.training.inputs import input_dim

    facts = {
        "dataset": job.dataset,
        "version": job.version,
        "mixed": list(job.mixed_versions),
        "train": to_dict(job.train),
        "rows": {
            "train": len(data.chosen),
            "dev": len(data.dev),
            "test": int(pc.sum(pc.equal(job.rows.column("side"), TEST)).as_py() or 0),
        },
        "seconds": round(float(data.rows.seconds[data.chosen].sum()), 3),
        "history": result.history,
        "best_epoch": result.best_epoch,
        "averaged": list(result.averaged),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "rejections": [to_dict(rejection) for rejection in data.rejections],
    }
    return bundles.Bundle(
        key=key,
        name=job.name,
        objective=job.objective,
        model=job.model,
        audio=job.audio,
        feature=job.feature,
        cmvn=job.train.cmvn,
        input_dim=input_dim(job.feature),
        outputs=data.learned.outputs,
        tokens=None if data.learned.tokenizer is None else data.learned.tokenizer.kind,
        merges=() if data.learned.tokenizer is None else data.learned.tokenizer.merges,
        normalizer=job.normalizer,
        weights=result.weights,
        statistics=data.statistics,
        rows=data.table.column("key").take(np.concatenate([data.chosen, data.dev])),
        facts=facts,
    )
