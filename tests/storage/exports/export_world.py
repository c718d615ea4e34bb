"""A small dataset with everything an export must carry, and how it is exported and read back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from conftest import RATE, World, tone
from numpy.typing import NDArray

from flows.export import with_splits
from sorigil.split_specs import FieldSplit
from storage import archives, files
from storage.dataset import StoredRows
from storage.exports import ExportJob, export, export_table
from storage.sources import scan

SAID = ("text", "label", "speaker", "lang", "split")
SPANS = ("uri", "start", "seconds", "channel")


def fill(world: World, **more: dict[str, Any]) -> World:
    """Whole files and stretches of one, mono and stereo, with and without words; `more` adds to the rows by id."""
    world.add("kim-1", text="하나 둘", label="예", speaker="kim", lang="ko", split="train", note={"mic": 2})
    world.add("kim-2", text="three", speaker="kim", split="dev", rate=16000)
    long = world.add(
        "lee-1", text="first", speaker="lee", split="test", name="long.wav", seconds=1.0, start=0.1, end=0.35
    )
    world.rows.append({"id": "lee-2", "audio": long.name, "start": 0.35, "end": 0.9, "text": "second", "speaker": "lee",
                       "split": "test"})  # fmt: skip
    stereo = np.stack([tone(90), tone(91)], axis=1)
    soundfile.write(world.source / "stereo.wav", stereo, RATE, subtype="PCM_16")
    world.rows.append({"id": "mix", "audio": "stereo.wav", "split": "train"})
    for row in world.rows:
        if isinstance(row, dict):
            row |= more.get(row["id"], {})
    world.run()
    return world


def job(world: World, output: Path | str, format: str, audio: Any, **options: Any) -> ExportJob:
    version = world.catalog.version(world.dataset)
    assert version is not None
    table, splits = with_splits(export_table(world.catalog, version), FieldSplit(dev=0))
    given: dict[str, Any] = {"store": world.store, "dataset": world.dataset, "version": version.name, "snapshot": version.snapshot,
             "base": str(world.source), "format": format, "audio": audio, "output": str(output), "table": table}  # fmt: skip
    return ExportJob(**{**given, "splits": splits, **options})


def exported(world: World, output: Path | str, format: str, audio: Any, **options: Any) -> dict[str, Any]:
    return export(job(world, output, format, audio, **options))


def read_back(source: Any) -> dict[str, dict[str, Any]]:
    """The items of an export by id, none of which has a problem."""
    rows = scan(source).to_pylist()
    assert [row["problem"] for row in rows] == [None] * len(rows)
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def said(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {field: row[field] for field in SAID} for name, row in rows.items()}


def original(world: World) -> dict[str, dict[str, Any]]:
    """What the source said of each."""
    return {row["id"]: {name: row.get(name) for name in SAID} for row in world.rows if isinstance(row, dict)}


def prepared(world: World) -> dict[str, NDArray[np.int16]]:
    """The prepared audio of each, as it lies in the store."""
    version = world.catalog.version(world.dataset)
    assert version is not None
    table = export_table(world.catalog, version)
    rows = StoredRows(world.store, table, audio=True)
    samples = (np.round(rows.samples(index) * 32768).astype(np.int16) for index in range(len(table)))
    return dict(zip(table.column("id").to_pylist(), samples, strict=True))


def heard(base: str, row: dict[str, Any]) -> NDArray[np.int16]:
    """The sound of an item, which is a whole file."""
    assert row["start"] is row["seconds"] is row["channel"] is None
    pcm: NDArray[np.int16] = soundfile.read(
        io.BytesIO(archives.read_bytes(files.join(base, row["uri"]))), dtype="int16"
    )[0]
    return pcm


def same_sound(world: World, base: str, rows: dict[str, dict[str, Any]]) -> None:
    """Each item sounds as it lies in the store, sample for sample."""
    for name, pcm in prepared(world).items():
        assert np.array_equal(heard(base, rows[name]), pcm), name
