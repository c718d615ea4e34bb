"""`sorigil export`: which version, which splits, which audio; the writing is in `storage.exports`."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError
from sorigil.fingerprint import fingerprint
from sorigil.report import numbers
from sorigil.split_specs import FieldSplit, fields_of
from sorigil.splits import NAMES, TEST, TRAIN, assign
from storage import files
from storage.catalog import Catalog
from storage.dataset import split_rows
from storage.exports import FORMATS, ExportJob, export, export_table


def export_version(
    config: Any, name: str, *, to: str, output: str, version: str | None, split: str | None, audio: str | None
) -> dict[str, Any]:
    """Export a version of the pipeline's dataset; returns what the verb prints with `--json`.

    Raises RequestError where the request cannot be carried out as it is.
    """
    pipeline = config.pipeline(name)
    store = config.storage.store().open()
    catalog = Catalog(store.catalog, store.root)
    found = catalog.version(pipeline.dataset, version)
    if found is None:
        raise RequestError(f"{pipeline.dataset} has no version yet; `sorigil prepare {name}` makes the first")
    wanted = _audio(to, audio)
    table, decided_by = with_splits(export_table(catalog, found), pipeline.split)
    job = ExportJob(
        store=store, dataset=pipeline.dataset, version=found.name, snapshot=found.snapshot, base=pipeline.source.base,
        format=to, audio=wanted, output=files.absolute(output), table=table, split=split, splits=decided_by,
    )  # fmt: skip
    asked = {"dataset": job.dataset, "version": job.version, "format": to, "audio": wanted, "output": job.output}
    return {"schema": 1, "status": "completed", "errors": [], **asked, **export(job)}


def _audio(to: str, audio: str | None) -> Any:
    if to not in FORMATS:
        raise RequestError(f"--to {to}: there is no such format; there are {', '.join(FORMATS)}")
    there = FORMATS[to].audio
    if audio is not None and audio not in there:
        raise RequestError(f"--audio {audio}: {to} can have {', '.join(there)}")
    return audio or there[0]


def with_splits(table: pa.Table, spec: Any) -> tuple[pa.Table, str]:
    """The table with the splits that training would use, and the fingerprint of what decided them.

    A dataset without both a train and a test split of its own has nothing to train on: it keeps what the source says.
    """
    given = table.column("split")
    if isinstance(spec, FieldSplit):
        known = {NAMES.get((each or "").lower()) for each in pc.unique(given).to_pylist()}
        if not {TRAIN, TEST} <= known:
            return table, ""
    sides = pa.array(assign(spec, split_rows(table, fields_of(spec))).tolist(), pa.string())
    return table.set_column(table.column_names.index("split"), "split", sides), fingerprint(spec)


def export_text(found: dict[str, Any]) -> str:
    """The same for a person."""
    state = "was exported before, and is as it was" if found["unchanged"] else "exported"
    lines = [
        f"{found['dataset']} {found['version']} {state}: {found['format']}, audio {found['audio']}, in {found['output']}",
        f"  {found['rows']:,} utterances, {numbers.span(found['seconds'])}",
    ]
    lines += [
        f"  {split}: {line['rows']:,} utterances, {numbers.span(line['seconds'])}"
        for split, line in found["splits"].items()
    ]
    return "\n".join([*lines, *(f"  note: {note}" for note in found["notes"])])
