"""Align texts with their sound: those of the pipeline's dataset, or of other recordings; find what is done, do the rest.

The work is `tasks.align`'s, one recording after the other. It goes by utterances: as many as had a text are aligned or
named with the reason why not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.config.specs import TranscribeDeadline
from flows.export import with_splits
from flows.recordings import erased_recordings, parted
from flows.run import AlignRequest, Run
from flows.runtime import Isolation, run_units
from sorigil.errors import RequestError
from sorigil.types import Rejection
from storage import files, outputs, sources, tables
from storage.dataset import TOGETHER, open_dataset
from storage.outputs import Output
from storage.sources import FolderSource, ManifestSource
from tasks.align import UTTERANCE, AlignUnit, align_unit, found_alignment
from tasks.by_recording import reject_recordings

_RECORDINGS = Isolation(reject_recordings)
_BYTES_A_SECOND = 32_000  # what the catalogue does not know: of 16 bits at 16 kHz
WINDOW_SECONDS, OVERLAP_SECONDS = 30.0, 1.0  # where the pipeline transcribes nothing, whose windows would be taken
_MANIFESTS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


def entry_of(pipeline: Any, request: AlignRequest) -> Any:
    """The train entry whose model aligns. RequestError where there is none."""
    able = {entry.name: entry for entry in pipeline.train if entry.objective == "ctc"}
    if not able:
        raise RequestError(f"{pipeline.name} trains no model with objective ctc, and no other can align")
    if request.model is not None and request.model not in able:
        there = f"there is {', '.join(able)}"
        raise RequestError(f"--model {request.model}: {pipeline.name} has no such entry with objective ctc; {there}")
    return able[request.model or next(iter(able))]


def check(pipeline: Any, request: AlignRequest) -> None:
    """RequestError where the request cannot be carried out, whatever there is in the store."""
    entry_of(pipeline, request)
    if request.source is not None and request.split is not None:
        raise RequestError("--split chooses among the dataset's utterances; --source has others: leave one of them out")


def aligns(run: Run, entry: Any) -> bool:
    """Whether this train entry's model is what aligns in this run."""
    request = run.options.align
    return request is not None and entry is entry_of(run.pipeline, request)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Of the recordings in `items`, which are done and the units of the rest; `refused`: utterances that nobody need hear."""

    items: pa.Table
    done: list[dict[str, Any]]
    units: list[AlignUnit]
    refused: list[Rejection]


def align(run: Run) -> None:
    """One stage: every utterance has its words' times, or a rejection that says why not."""
    request = _request(run)
    with run.stage("align") as stage:
        plan = plan_align(run)
        if plan.units:
            outputs.note(run.store, run.dataset, Output(kind="transcripts", place=files.absolute(request.output)))
        isolated = (align_unit, plan.units, _RECORDINGS, run.pipeline.max_deaths)
        reports: list[Any] = run_units(run.runner, run.reporter, "align", *isolated) if plan.units else []
        new = [row for report in reports for row in report.rows]
        run.alignments = sorted((*plan.done, *new), key=lambda row: str(row["uri"]))
        refused = [rejection for report in reports for rejection in report.rejections]
        run.recording_rejections += [*plan.refused, *_each(refused, plan.items), *_inside(run.alignments)]
        stage["audio_seconds"] = sum(row["seconds"] for row in new)
    aligned, words = (sum(row[what] for row in run.alignments) for what in ("utterances", "words"))
    bad = len(run.recording_rejections)
    said = f"align: {aligned:,} utterances ({words:,} words) in {len(run.alignments):,} recordings"
    said += f", {len(plan.done):,} of these done before"
    said += f"; {bad:,} utterances could not be (see below)" if bad else ""
    run.reporter.say(f"{said}; in {request.output}")


def _request(run: Run) -> AlignRequest:
    assert run.options.align is not None, "aligning was not asked for"
    return run.options.align


def plan_align(run: Run) -> Plan:
    """What is there and what is to do. RequestError where the model is not trained."""
    request = _request(run)
    name = entry_of(run.pipeline, request).name
    if name not in run.trained:
        raise RequestError(f"align: the model {name} is not trained; run the step train first")
    table, source = _of_dataset(run, request) if request.source is None else _of_source(request.source)
    table, refused = _usable(table)
    items = by_recording(table)
    asked = run.pipeline.transcribe
    unit = AlignUnit(
        store=run.store,
        base=source.base,
        unit="",
        model_key=run.trained[name].key,
        output=request.output,
        formats=tuple(dict.fromkeys((*request.formats, "json"))),  # the JSON is the record of what was done
        max_seconds=asked.max_seconds if asked else WINDOW_SECONDS,
        overlap_seconds=asked.overlap_seconds if asked else OVERLAP_SECONDS,
        raw=getattr(source, "raw", None),
        deadline=asked.deadline if asked else TranscribeDeadline(),
        erased=erased_recordings(run),
        items=items.slice(0, 0),
    )
    work = parted(run, unit, items, lambda row: found_alignment(unit, row))
    return Plan(items=items, done=work.done, units=work.units, refused=[*refused, *_each(work.refused, items)])


# -- what there is to align --------------------------------------------------------------------------------------------


def _of_dataset(run: Run, request: AlignRequest) -> tuple[pa.Table, Any]:
    """The utterances of the dataset's latest version, with their reference as text, and the source they are from."""
    assert run.prepared is not None
    table = open_dataset(run.catalog, run.prepared.version, more=("stamp", "start", "channel", *TOGETHER))
    if request.split is not None:
        table, _ = with_splits(table, run.pipeline.split)
        chosen = pc.equal(table.column("split"), request.split)
        if not pc.any(chosen).as_py():
            there = ", ".join(sorted(pc.unique(table.column("split").drop_null()).to_pylist())) or "none"
            raise RequestError(f"--split {request.split}: {run.dataset} has no such utterance; its splits: {there}")
        table = table.filter(pc.fill_null(chosen, False))
    rate = table.column("sample_rate").cast(pa.float64())
    start, seconds = (pc.divide(table.column(name).cast(pa.float64()), rate) for name in ("start", "num_samples"))
    made = {
        "start": start,
        "seconds": seconds,
        "size": pc.multiply(pc.add(start, seconds), _BYTES_A_SECOND).cast(pa.int64(), safe=False),
        "text": table.column("reference"),
        "problem": pa.nulls(len(table), pa.string()),
    }
    same = {name: table.column(name) for name in ("id", "uri", "stamp", "channel")}
    return pa.table({**same, **made}), run.pipeline.source


def _of_source(place: str) -> tuple[pa.Table, Any]:
    """The utterances of a manifest or a folder, and the source that it is."""
    place = files.absolute(place)
    manifest = files.suffix(place) in _MANIFESTS
    source = ManifestSource(uri=place) if manifest else FolderSource(uri=place, text="sidecar")
    return sources.scan(source), source


def _usable(table: pa.Table) -> tuple[pa.Table, list[Rejection]]:
    """The utterances that can be tried, and those without a text or with a problem that the scan has found."""
    text = pc.utf8_trim_whitespace(pc.fill_null(table.column("text"), ""))
    problem = pc.if_else(pc.equal(text, ""), "no_text: it has no text, so there is nothing to align", None)
    problem = pc.coalesce(table.column("problem"), problem)
    rows = table.set_column(table.column_names.index("problem"), "problem", problem)
    refused = []
    for row in rows.filter(pc.is_valid(problem)).select(["id", "uri", "problem"]).to_pylist():
        reason, _, detail = row["problem"].partition(": ")
        refused.append(Rejection(id=row["id"], uri=row["uri"], stage="align", reason=reason, detail=detail))
    return table.filter(pc.is_null(problem)), refused


def by_recording(table: pa.Table) -> pa.Table:
    """One row per recording: its uri (as its id, too), stamp, size, and its utterances in the order of their ids."""
    table = table.sort_by([("uri", "ascending"), ("id", "ascending")]).combine_chunks()
    uris = tables.flat(table.column("uri"))
    new = np.asarray(pc.not_equal(uris.slice(1), uris.slice(0, max(0, len(uris) - 1))))
    first = np.flatnonzero(np.r_[True, new][: len(uris)])
    columns = [tables.flat(table.column(field.name)).cast(field.type) for field in UTTERANCE]
    utterances = pa.StructArray.from_arrays(columns, fields=list(UTTERANCE))
    sizes = np.maximum.reduceat(table.column("size").to_numpy(), first) if len(first) else np.zeros(0, np.int64)
    head = table.take(pa.array(first))
    return pa.table(
        {
            "id": head.column("uri"),
            "uri": head.column("uri"),
            "stamp": head.column("stamp"),
            "size": sizes,
            "utterances": pa.ListArray.from_arrays(np.r_[first, len(uris)].astype(np.int32), utterances),
        }
    )


# -- what could not be -------------------------------------------------------------------------------------------------


def _each(rejections: Iterable[Rejection], items: pa.Table) -> list[Rejection]:
    """Rejections of recordings as rejections of each of their utterances."""
    places = {uri: place for place, uri in enumerate(items.column("uri").to_pylist())}
    return [
        replace(rejection, id=utterance["id"])
        for rejection in rejections
        for utterance in items.column("utterances")[places[rejection.uri]].as_py()
    ]


def _inside(alignments: Iterable[dict[str, Any]]) -> list[Rejection]:
    """The utterances that could not be aligned in recordings that could."""
    return [
        Rejection(uri=row["uri"], stage="align", **rejection) for row in alignments for rejection in row["rejections"]
    ]
