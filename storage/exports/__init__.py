"""A version written as what other tools read: one file a format, one line a format in `FORMATS`.

The counterpart of `storage.sources`, which reads each of them. An export is a folder of its own; the catalogue and the
parts are only read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError, RunError
from storage import outputs
from storage.exports.clips import Clips
from storage.exports.huggingface import write_huggingface
from storage.exports.kaldi import write_kaldi
from storage.exports.lhotse import write_lhotse
from storage.exports.nemo import write_nemo
from storage.exports.place import ExportPlace
from storage.exports.sound import Sound
from storage.exports.table import by_split, export_table
from storage.exports.webdataset import write_webdataset
from storage.layout import Store
from storage.outputs import Output

Audio = Literal["source", "flac", "wav"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How a format is written, and the forms of audio it can have, the default first. `holds_audio`: inside its own
    files, not beside them."""

    write: Callable[[ExportPlace, pa.Table, Sound], list[str]]
    audio: tuple[Audio, ...]
    holds_audio: bool = False


FORMATS: dict[str, Format] = {
    "lhotse": Format(write=write_lhotse, audio=("source", "flac", "wav")),
    "kaldi": Format(write=write_kaldi, audio=("wav", "flac", "source")),
    "nemo": Format(write=write_nemo, audio=("source", "flac", "wav")),
    "huggingface": Format(write=write_huggingface, audio=("flac", "wav"), holds_audio=True),
    "webdataset": Format(write=write_webdataset, audio=("flac", "wav"), holds_audio=True),
}

__all__ = ["FORMATS", "Audio", "ExportJob", "export", "export_table"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportJob:
    """What to export where. `table` is as `export_table` gives it, its column `split` being what is to be written."""

    store: Store
    dataset: str
    version: str
    snapshot: int
    base: str  # what the utterances' uris are relative to
    format: str
    audio: Audio
    output: str
    table: pa.Table
    split: str | None = None  # only this one
    splits: str = ""  # the fingerprint of what decided the splits; empty: the source


def export(job: ExportJob) -> dict[str, Any]:
    """Write the export; what exactly so is there already is left as it is.

    Returns:
        What was written: rows, seconds of audio, the same of each split, and sentences about what the format lost.

    Raises:
        RequestError: the folder holds something else, the format cannot have this audio, or no row is left.
        RunError: the disk is full, or a part of the store is gone; what was written is kept for the next time.
    """
    table = job.table if job.split is None else job.table.filter(pc.equal(job.table.column("split"), job.split))
    if not len(table):
        known = ", ".join(sorted(filter(None, pc.unique(job.table.column("split")).to_pylist()))) or "none"
        raise RequestError(
            f"{job.dataset} {job.version} has no utterance in the split {job.split}; its splits are: {known}"
        )
    request = {
        **{name: getattr(job, name) for name in ("dataset", "version", "format", "audio", "split", "splits", "base")},
        "snapshot": str(job.snapshot),
    }
    try:
        return _written(job, table, request)
    except OSError as wrong:
        raise RunError(
            f"{job.output}: the export stopped ({wrong}); mend that and run it again: it goes on where it was"
        ) from wrong


def _written(job: ExportJob, table: pa.Table, request: dict[str, Any]) -> dict[str, Any]:
    with ExportPlace(job.output, request) as place:
        outputs.note(job.store, job.dataset, Output(kind="export", place=job.output, facts=request))
        done = place.is_done()
        if done is not None:
            return {**done, "unchanged": True}
        clips = None if job.audio == "source" else Clips(job.store, table, job.audio)
        sound = Sound(place, job.base, clips)
        if not FORMATS[job.format].holds_audio:
            sound.write(table)
        notes = FORMATS[job.format].write(place, table, sound)
        facts = {"rows": len(table), "seconds": _seconds(table), "splits": _per_split(table), "notes": notes}
        place.finish(facts)
    return {**facts, "unchanged": False}


def _per_split(table: pa.Table) -> dict[str, Any]:
    return {name: {"rows": len(rows), "seconds": _seconds(rows)} for name, rows in by_split(table)}


def _seconds(table: pa.Table) -> float:
    lengths = pc.divide(pc.cast(table.column("num_samples"), pa.float64()), table.column("sample_rate"))
    return round(float(pc.sum(lengths).as_py() or 0.0), 3)
