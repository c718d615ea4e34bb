"""Train one model on rows of a dataset version, and leave a bundle.

The rows, their split and the specs name the model (`TrainJob.key`): what is trained already is found, and a training
that was killed goes on from its last epoch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow.compute as pc

from sorigil.errors import RunError
from sorigil.fingerprint import to_dict
from sorigil.splits import TEST
from sorigil.types import Rejection
from storage import bundles, checkpoints, pretrained
from tasks.train_data import TrainingData
from tasks.train_job import Trained, TrainJob

# oneDNN keeps 1,024 compiled operations, one for each shape it meets. Batches hardly ever have the same shape twice, so
# that is 0.7 GB of pinned heap for nothing: after 80 steps of cnn2d 1.3 GB instead of 0.6, in the same processor time.
PRIMITIVES = "16"


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
    data = TrainingData(job, team)
    result = _fit(job, key, data, progress, device)
    used = float(data.rows.seconds[data.chosen].sum()) * len(result.history)
    if data.team.first:
        bundle = _bundle(job, key, data, result)
        bundles.save(job.store, replace(bundle, thresholds=_thresholds(job, data, bundle, device)))
        checkpoints.drop(job.store, key)
    return Trained(
        key=key,
        reused=False,
        seconds=time.perf_counter() - began,
        audio_seconds=used,
        history=result.history,
        best_epoch=result.best_epoch,
        rejections=data.rejections,
    )


def _fit(
    job: TrainJob, key: str, data: TrainingData, progress: Callable[[Any], None], device: str | None = None
) -> Any:
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PRIMITIVES)

    from sorigil.training.faults import BatchError
    from sorigil.training.loop import train

    device = device or _device()
    try:
        return train(
            network=_network(job, data),
            train_spec=job.train,
            objective=job.objective,
            data=data.train_batches,
            evaluate=_dev_set(job, data, device),
            save=lambda name, tensors, meta: checkpoints.save(job.store, key, name, tensors, meta),
            resume=checkpoints.load(job.store, key),
            progress=progress,
            device=device,
            class_weights_C=_class_weights(job, data),
            team=data.team,
        )
    except BatchError as error:
        raise _named(error, job, key, data) from error


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _network(job: TrainJob, data: TrainingData) -> Any:
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

    from sorigil.training.lr_finder import find_learning_rate

    data = TrainingData(job)
    return find_learning_rate(
        network=_network(job, data),
        train_spec=job.train,
        objective=job.objective,
        data=data.train_batches,
        device=_device(),
        class_weights_C=_class_weights(job, data),
        steps=steps,
    )


def _class_weights(job: TrainJob, data: TrainingData) -> Any:
    if job.train.class_weights is None or job.facts.text:
        return None
    import torch

    from sorigil.training.class_weights import class_weights

    targets = [data.targets[row] for row in data.chosen]
    return torch.from_numpy(class_weights(job.train.class_weights, data.learned.outputs, targets))


def _named(error: Any, job: TrainJob, key: str, data: TrainingData) -> RunError:
    """The error in the users' names for the rows, its batch written beside the checkpoints."""
    from sorigil.training.faults import listed

    ids = data.table.column("id")
    batch = data.table.take(list(error.batch_rows)).select(["id", "key", "uri"]).to_pylist()
    for row, number in zip(batch, error.batch_rows, strict=True):
        row["seconds"] = round(float(data.rows.seconds[number]), 3)
    place = checkpoints.save_failed_batch(job.store, key, {"error": str(error), "batch": batch})
    names = listed([ids[row].as_py() for row in error.rows])
    seconds = max(row["seconds"] for row in batch)
    return RunError(
        f"{job.name}: {error.what} {names} (the longest of the batch has {seconds:.1f} s; all of it is listed in {place})"
    )


def _dev_set(job: TrainJob, data: TrainingData, device: str) -> Any:
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


def _thresholds(job: TrainJob, data: TrainingData, bundle: bundles.Bundle, device: str | None) -> tuple[float, ...]:
    """From which probability on a tagger says each tag, by what it says of the dev rows."""
    if not job.facts.several or not len(data.dev):
        return ()
    from sorigil.metrics.per_tag import thresholds
    from sorigil.training.evaluation import predict

    device = device or _device()
    found = list(predict(bundle.network().to(device), data.dev_batches.in_order(), device))
    truth_NC = np.zeros((len(found), len(bundle.outputs)), dtype=bool)
    for number, output in enumerate(found):
        truth_NC[number, data.targets[output.row]] = True
    chosen_C = thresholds(truth_NC, np.exp(np.stack([output.log_probs for output in found]).astype(np.float64)))
    return tuple(chosen_C.tolist())


def _bundle(job: TrainJob, key: str, data: TrainingData, result: Any) -> bundles.Bundle:
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
