"""The rows of a training job as batches: those that can be learned from, their targets, and what had to be left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sorigil.errors import RequestError
from sorigil.splits import DEV, TRAIN
from sorigil.text import tags
from sorigil.types import Rejection
from storage import rooms, tables
from storage.dataset import StoredRows
from tasks.train_job import TrainJob


class TrainingData:
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
        heard_in = rooms.read(job.train.wave_augment, job.audio.sample_rate)
        road = Road.of(job.train, job.feature, job.audio.sample_rate, self.statistics, heard_in)
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
