"""Train the pipeline's models: rows by split, copies where asked for, one `tasks.train` job each."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows import interrupt
from flows.isolate import PREPARED_AUDIO
from flows.processes import train_together
from flows.progress import Progress
from flows.run import Run
from flows.runtime import run_units
from flows.units import featurize_units
from sorigil.errors import RequestError
from sorigil.fingerprint import fingerprint
from sorigil.inner_folds import InnerSplit, assign_inner
from sorigil.split_specs import SplitSpec, fields_of
from sorigil.splits import TRAIN, assign
from storage import bundles, ledger, parts, pretrained, references, rooms
from storage.dataset import TOGETHER, open_dataset, split_rows, with_features
from tasks.featurize import featurize_unit
from tasks.label_sets import differences
from tasks.train import train_model
from tasks.train_job import Trained, TrainJob
from tasks.units import feature_spec_key


def rows_of(run: Run, entry: Any) -> pa.Table:
    """The version's rows with the entry's features and a column `side`: train, dev, test or unused."""
    return sided(table_of(run, entry), run.pipeline.split)


def table_of(run: Run, entry: Any) -> pa.Table:
    """The version's rows with the entry's features that have what the entry learns; no sides yet."""
    assert run.prepared is not None
    raw = entry.train.input == "raw"
    feature = None if raw else feature_spec_key(run.pipeline.audio, run.feature_of(entry))
    table = open_dataset(run.catalog, run.prepared.version, feature, more=TOGETHER)
    table = table.filter(pc.is_valid(table.column(entry.target)))
    if not len(table):
        raise RequestError(
            f"{entry.name}: no utterance of {run.dataset} has a {entry.target}; give the source a column for it"
        )
    return table


def sided(table: pa.Table, split: SplitSpec | InnerSplit) -> pa.Table:
    """The rows with the side that a split gives each."""
    if isinstance(split, InnerSplit):
        sides = assign_inner(split, split_rows(table, fields_of(split.outer)))
    else:
        sides = assign(split, split_rows(table, fields_of(split)))
    return table.append_column("side", pa.array(sides.tolist())).drop_columns(list(TOGETHER))


def job_of(run: Run, entry: Any, rows: pa.Table, copies: pa.Table | None = None) -> TrainJob:
    """The training of an entry on these rows, and on what it mixes in."""
    return job_with(run, entry, rows, mixed_rows(run, entry), copies)


def job_with(run: Run, entry: Any, rows: pa.Table, mixed: pa.Table | None, copies: pa.Table | None = None) -> TrainJob:
    """The same where the mixed rows are at hand: reading them takes long, and many trainings share them."""
    assert run.prepared is not None
    entry = with_rooms(run, entry)
    return TrainJob(
        store=run.store,
        dataset=run.dataset,
        version=run.prepared.version.name,
        name=entry.name,
        model=pretrained.resolve(entry.model),
        objective=entry.objective,
        audio=run.pipeline.audio,
        feature=run.feature_of(entry),
        tokens=entry.tokens,
        target=entry.target,
        separator=entry.separator,
        normalizer="basic",
        train=entry.train,
        rows=rows,
        copies=copies,
        augment=f"{entry.copies} {fingerprint(entry.copy_augment)}" if entry.copies else "",
        mixed=mixed,
        mixed_versions=mixed_versions(run, entry),
        loader_workers=_loader_workers(entry),
    )


def with_rooms(run: Run, entry: Any) -> Any:
    """The entry with what its recorded rooms hold. Raises RequestError where some cannot be used."""
    rate = run.pipeline.audio.sample_rate
    heard = rooms.resolve(entry.train.wave_augment, rate)
    train = dataclasses.replace(entry.train, wave_augment=heard)
    return dataclasses.replace(entry, train=train, copy_augment=rooms.resolve(entry.copy_augment, rate))


def mixed_rows(run: Run, entry: Any) -> pa.Table | None:
    """The training rows of the datasets that the entry mixes in, with the share of epochs each takes part in."""
    found = []
    for data in entry.data:
        other = run.mixed[run.maker(entry, data.dataset).name]
        theirs_too = fingerprint(run.feature_of(entry))
        same = [str(spec.name) for spec in other.pipeline.features if fingerprint(spec) == theirs_too]
        rows = rows_of(other, dataclasses.replace(entry, features=same[0] if same else ""))
        rows = rows.filter(pc.equal(rows.column("side"), TRAIN))
        theirs = pc.binary_join_element_wise(data.dataset, rows.column("speaker"), "/")  # f1 here is not f1 there
        rows = rows.set_column(rows.column_names.index("speaker"), "speaker", theirs)
        found.append(rows.append_column("share", pa.array([data.weight] * len(rows), pa.float64())))
    return pa.concat_tables(found) if found else None


def mixed_versions(run: Run, entry: Any) -> tuple[dict[str, Any], ...]:
    """Which version of each dataset the entry mixes in, and by which weight: for the bundle and MLflow."""
    makers = {data.dataset: run.mixed[run.maker(entry, data.dataset).name] for data in entry.data}
    return tuple(
        {"dataset": data.dataset, "version": prepared.version.name, "weight": data.weight}
        for data in entry.data
        if (prepared := makers[data.dataset].prepared) is not None
    )


def _loader_workers(entry: Any) -> int:
    """On-the-fly features are made ahead in other processes, where there is a processor to spare."""
    return min(4, (os.cpu_count() or 1) - 1) if entry.train.input != "features" else 0


def _share_processors(loader_workers: int) -> None:
    """Threads of torch and loader processes that outnumber the processors slow each other down several times over."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) - loader_workers))


def train(run: Run, entry: Any) -> Trained:
    """One stage: train this entry's model (or find it) and note it in the run."""
    with run.stage(f"train {entry.name}") as stage:
        rows = rows_of(run, entry)
        copies = copies_of(run, entry, rows.filter(pc.equal(rows.column("side"), TRAIN))) if entry.copies else None
        job = job_of(run, entry, rows, copies)
        is_new = not bundles.exists(run.store, job.key)
        for sentence in differences(job) if is_new else ():
            run.reporter.say(f"train {entry.name}: {sentence}")
        if entry.processes > 1 and is_new:
            trained = train_together(run, job, entry.processes)
        else:
            _share_processors(job.loader_workers)
            trained = train_model(job, _teller(run, entry))
        stage["audio_seconds"] = trained.audio_seconds
        run.trained[entry.name] = trained
    if trained.reused:
        run.reporter.say(f"train {entry.name}: nothing to do, the model {trained.key[:8]} is trained already")
    else:
        best = f"best epoch {trained.best_epoch} of {len(trained.history)}"
        run.reporter.say(f"train {entry.name}: model {trained.key[:8]}, {best}, {trained.seconds:.0f} s")
    return trained


def _teller(run: Run, entry: Any) -> Any:
    monitor = entry.train.monitor

    def tell(progress: Any) -> None:
        interrupt.check()
        note = f"epoch {progress.epoch}/{progress.epochs}, loss {progress.loss:.3f}"
        if progress.metric is not None:
            note += f", dev {monitor} {progress.metric:.3f}"
        done = (progress.epoch - 1) * progress.steps + progress.step
        left = None if math.isnan(progress.seconds_left) else progress.seconds_left
        total = progress.epochs * progress.steps
        run.reporter.progress(
            Progress(stage=f"train {entry.name}", done=min(done, total), total=total, note=note, seconds_left=left)
        )

    return tell


def copies_of(run: Run, entry: Any, rows: pa.Table) -> pa.Table:
    """Augmented copies of these rows, cached beside the originals; those that are there are not made again."""
    feature, entry = run.feature_of(entry), with_rooms(run, entry)
    found = []
    isolated = (PREPARED_AUDIO, run.pipeline.max_deaths)
    for copy in range(1, entry.copies + 1):
        made = {"augment": entry.copy_augment, "seed": entry.train.seed, "copy": copy}
        units = featurize_units(run.work(), rows, [feature], run.runner.workers, **made)
        todo = [unit for unit in units if not references.is_whole(unit.store, unit.ledger)]
        run_units(run.runner, run.reporter, f"copy {copy} of {entry.copies}", featurize_unit, todo, *isolated)
        done = pa.concat_tables([ledger.features_of(parts.read_table(unit.store.path(unit.ledger))) for unit in units])
        places = ("feature_part", "feature_row", "num_frames")
        spec = feature_spec_key(run.pipeline.audio, feature, **made)
        found.append(with_features(rows.drop_columns(list(places)), done, spec).select(rows.column_names))
    copies = pa.concat_tables(found)
    return copies.filter(pc.is_valid(copies.column("feature_part")))
