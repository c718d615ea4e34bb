"""Gather a run's results from the store and write its page: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sorigil.metrics.per_tag import TagScore
from sorigil.report import model as page
from sorigil.report.measures import MEASURES
from sorigil.report.studies import choice_rows, counts, spread_rows, study_rows
from sorigil.types import Rejection
from storage import bundles, files, parts
from storage.catalog import Catalog
from storage.dataset import StoredRows, open_dataset
from storage.layout import Store
from storage.versions import Version
from tasks.reliability import reliability_of
from tasks.sounds import Sounds

WORST = 20  # utterances shown per evaluation, each with its sound
PICTURES = 3
EXAMPLES_PER_REASON = 3


def write_report(store: Store, catalog: Catalog, result: Mapping[str, Any], scores: Mapping[str, list[str]]) -> str:
    """Write the page of a run (`result` as `--json` prints it) beside its result; returns where it is.

    `scores` names the score keys of each train entry.
    """
    from sorigil.report.page import render

    place = store.path(f"{store.run(str(result['run']))}/report.html")
    files.write_bytes(place, render(build_page(store, catalog, result, scores)).encode("utf-8", "replace"))
    return place


def build_page(store: Store, catalog: Catalog, result: Mapping[str, Any], scores: Mapping[str, list[str]]) -> page.Page:
    dataset = str(result["dataset"])
    version = catalog.version(dataset, result["version"]) if result["version"] else None
    return page.Page(
        title=f"{result['pipeline']} · {result['run']}",
        pipeline=str(result["pipeline"]),
        version=version.name if version else None,
        when=str(result["finished"]),
        commands=tuple(next_commands(str(result["pipeline"]))),
        books=_books(result),
        columns=_columns(catalog, version) if version else None,
        pictures=_pictures(store, catalog, version) if version else (),
        training=tuple(_training(store, name, key) for name, key in result["models"].items()),
        evaluations=tuple(_evaluation(store, dataset, name, key) for name, keys in scores.items() for key in keys),
        studies=tuple(_study(study) for study in result.get("studies", ())),  # results of older runs have none
        stages=tuple(
            page.Stage(name=row["name"], seconds=row["seconds"], audio_seconds=row["audio_seconds"] or None)
            for row in result["stages"]
        ),
        transcripts=tuple(_transcript(row) for row in result["transcripts"]),
    )


def next_commands(pipeline: str) -> list[tuple[str, str]]:
    """What to type next."""
    return [
        ("look at runs and curves", "sorigil dashboard"),
        ("this run's page again", f"sorigil report {pipeline}"),
        ("where a model errs", f"sorigil errors {pipeline}"),
        ("what was rejected", f"sorigil quarantine list {pipeline}"),
        ("the versions of the data", f"sorigil versions list {pipeline}"),
        ("your own recordings", "sorigil run NAME --file your-pipelines.yaml"),
    ]


def _books(result: Mapping[str, Any]) -> page.Books | None:
    if not result["books"]:
        return None
    rows = result["quarantine"]["rows"]
    reasons: dict[str, int] = {}
    examples = []
    for row in rows:
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
        if reasons[row["reason"]] <= EXAMPLES_PER_REASON:
            examples.append(Rejection(**row))
    return page.Books(
        rows={name: (int(line["items"]), line["seconds"]) for name, line in result["books"].items()},
        work={name: (int(line["items"]), line["seconds"]) for name, line in (result["work"] or {}).items()},
        quarantine=reasons,
        filtered=result["quarantine"].get("filtered", {}),  # results of older runs do not say
        examples=tuple(examples),
        table=result["quarantine"]["table"],
    )


def _columns(catalog: Catalog, version: Version) -> page.Columns:
    table = open_dataset(catalog, version)
    seconds = pc.divide(pc.cast(table.column("num_samples"), pa.float64()), table.column("sample_rate"))

    def column(name: str) -> Any:
        values = table.column(name)
        return None if values.null_count == len(values) else np.asarray(values.to_pylist(), dtype=object)

    return page.Columns(
        durations=np.asarray(seconds.to_numpy()),
        speakers=column("speaker"),
        labels=column("label"),
        languages=column("lang"),
        splits=column("split"),
        sample_rates=np.asarray(table.column("sample_rate").to_numpy()),
        measures=read_measures(catalog, version),
    )


def read_measures(catalog: Catalog, version: Version) -> dict[str, NDArray[np.float64]]:
    """The measures of the signal of every kept utterance, by column; what is not known is NaN."""
    table = catalog.read(version, "utterances", tuple(measure.column for measure in MEASURES))
    return {name: np.asarray(table.column(name).cast(pa.float64()).to_numpy()) for name in table.column_names}


def _pictures(store: Store, catalog: Catalog, version: Version) -> tuple[page.Picture, ...]:
    """Spectrograms of a few utterances, spread over the dataset, each with its sound."""
    import json

    features = catalog.read(version, "features")
    specs = pc.unique(features.column("spec")).to_pylist()
    if not specs:
        return ()
    table = open_dataset(catalog, version, specs[0])
    table = table.filter(pc.is_valid(table.column("feature_part")))
    if not len(table):
        return ()
    table = table.take(pa.array(np.unique(np.linspace(0, len(table) - 1, PICTURES).astype(int))))
    stored = StoredRows(store, table)
    metadata = parts.open_parquet(store.path(table.column("feature_part")[0].as_py())).schema_arrow.metadata
    spec = json.loads(metadata[b"sorigil.spec"])
    rows, sounds = table.to_pylist(), Sounds(store=store)
    return tuple(
        page.Picture(
            title=row["id"],
            features=stored.features(index),
            seconds_per_frame=spec["hop_length"] / row["prepared_rate"],
            kind=spec["kind"],
            caption=row["reference"] or row["label"] or "",
            audio_flac=sounds.of(row),
        )
        for index, row in enumerate(rows)
    )


def _training(store: Store, name: str, key: str) -> page.TrainingRun:
    found = bundles.facts(store, key)
    facts = found["facts"]
    return page.TrainingRun(
        name=name,
        model=found["model"]["kind"],
        objective=found["objective"],
        parameters={
            "model": found["model"],
            "train": facts["train"],
            "rows": facts["rows"],
            "seconds": facts["seconds"],
        },
        history=tuple(_history_row(row) for row in facts["history"]),
        best_epoch=facts["best_epoch"],
    )


def _history_row(row: Mapping[str, float]) -> dict[str, float]:
    """The loop's names for a report's reader: what is measured on dev says so."""
    names = {"loss": "dev_loss", "wer": "dev_wer", "accuracy": "dev_accuracy", "map": "dev_map"}
    return {names.get(name, name): value for name, value in row.items()}


def _evaluation(store: Store, dataset: str, name: str, key: str) -> page.Evaluation:

    scored = files.read_json(store.path(f"{store.score(key)}/score.json"))
    table = parts.read_table(store.path(scored["table"]))
    return page.Evaluation(
        name=name,
        dataset=dataset,
        split=scored["split"],
        metrics=tuple(
            page.Metric(
                name=row["metric"],
                value=row["value"],
                interval=tuple(row["interval"]) if row["interval"] else None,
                interval_by_speaker=tuple(row["interval_by_speaker"]) if row.get("interval_by_speaker") else None,
                n=row["n"],
                detail={each: value for each, value in row["detail"].items() if isinstance(value, int | float)},
            )
            for row in scored["scores"]
        ),
        confusion=_confusion(table) if scored["objective"] == "classification" else None,
        reliability=reliability_of(table, scored["objective"]),
        tags=tuple(TagScore(**row) for row in scored.get("tags", ())),  # scores of older runs have none
        worst=_worst(store, table, words=scored["objective"] == "ctc"),
    )


def _study(study: Mapping[str, Any]) -> page.Study:
    return page.Study(
        name=study["run"],
        note=counts(study),
        spread=tuple(map(tuple, spread_rows(study))),
        choices=tuple(map(tuple, choice_rows(study))),
        trials=tuple(map(tuple, study_rows(study))),
    )


def _confusion(table: pa.Table) -> page.Confusion:
    from sorigil.metrics.classification import confusion

    counted = confusion(table.column("reference").to_pylist(), table.column("hypothesis").to_pylist())
    return page.Confusion(labels=tuple(counted.classes), matrix=counted.counts)


def _worst(store: Store, table: pa.Table, *, words: bool) -> tuple[page.UtteranceRow, ...]:
    """The utterances with the most errors, the model's surest mistakes first among equals."""
    wrong = table.filter(pc.greater(table.column("errors"), 0))
    order = pc.sort_indices(wrong, [("errors", "descending"), ("confidence", "descending")])
    rows, sounds = wrong.take(order[:WORST]).to_pylist(), Sounds(store=store)
    return tuple(
        page.UtteranceRow(
            id=row["id"],
            reference=row["reference_compared"],
            hypothesis=row["hypothesis_compared"],
            errors=row["errors"],
            speaker=row["speaker"],
            difference=_difference(row["reference_compared"], row["hypothesis_compared"]) if words else (),
            audio_flac=sounds.of(row),
            confidence=row["confidence"],
        )
        for row in rows
    )


def _difference(reference: str, hypothesis: str) -> tuple[page.Edit, ...]:
    from sorigil.metrics.align import align_words

    return tuple(
        (each.op, " ".join(each.reference), " ".join(each.hypothesis)) for each in align_words(reference, hypothesis)
    )


def _transcript(row: Mapping[str, Any]) -> page.Transcript:
    return page.Transcript(recording=row["uri"], minutes=row["seconds"] / 60, words=row["words"], excerpt=row["text"])
