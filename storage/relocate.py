"""A store that was moved or copied to another folder: its addresses made true again.

Sorigil's own references are relative to the root; Iceberg's and MLflow's are absolute. Everything is rewritten in place,
a file at a time and the catalogue's database last, so whoever is killed runs the same command again. Only files below
the new root are touched: where the store was copied, the original stays as it is.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sorigil.errors import RequestError
from storage import files
from storage.catalog import Catalog
from storage.layout import Store

_MLFLOW = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
Change = Callable[[str], str]


@dataclass(kw_only=True, slots=True)
class Relocated:
    """What was changed: old roots by table, files, rows of MLflow's database."""

    tables: dict[str, str] = field(default_factory=dict)
    files: int = 0
    mlflow_rows: int = 0


def relocate(store: Store, catalog: Catalog) -> Relocated:
    """Make every address of the store's tables and experiments one below its root."""
    if files.is_url(store.root):
        raise RequestError(f"{store.root}: only a store in a local folder can be repaired after a move")
    result = Relocated()
    root = files.local_uri(store.root)
    for dataset, name, location in catalog.locations():
        inside = f"/{store.table(dataset, name)}/"
        old = location.split(inside)[0]
        if old == root or inside not in location:
            continue
        result.files += _rewrite_table(
            Path(files.local_path(store.path(store.table(dataset, name)))), _mover(old, root)
        )
        catalog.relocate(dataset, name, location, root + location.removeprefix(old))
        result.tables[f"{dataset}.{name}"] = old
    for old in sorted(set(result.tables.values())):
        result.mlflow_rows += _rewrite_mlflow(store, old, root)
    return result


def _mover(old: str, new: str) -> Change:
    def move(address: str) -> str:
        return new + address.removeprefix(old) if address.startswith(f"{old}/") else address

    return move


def _rewrite_table(folder: Path, move: Change) -> int:
    """Manifests, then the lists that hold their lengths, then the metadata that names the lists."""
    metadata = folder / "metadata"
    avro = sorted(metadata.glob("*.avro"))
    for path in sorted(avro, key=lambda each: each.name.startswith("snap-")):
        _rewrite_avro(path, move)
    documents = sorted(metadata.glob("*.metadata.json"))
    for path in documents:
        text = json.dumps(_moved(json.loads(path.read_bytes()), move))
        files.write_bytes(str(path), text.encode())
    return len(avro) + len(documents)


def _moved(value: Any, move: Change) -> Any:
    if isinstance(value, dict):
        return {key: _moved(each, move) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, move) for each in value]
    return move(value) if isinstance(value, str) else value


def _rewrite_avro(path: Path, move: Change) -> None:
    """A manifest, or a list of manifests: the same records with other addresses."""
    from pyiceberg.avro.file import AvroFile, AvroOutputFile
    from pyiceberg.io.pyarrow import PyArrowFileIO

    source = PyArrowFileIO()
    with AvroFile[Any](source.new_input(files.local_uri(str(path)))) as reader:
        records, schema, meta = list(reader), reader.schema, dict(reader.header.meta)
    for record in records:
        _move_record(record, schema, move)
    name = json.loads(meta.pop("avro.schema"))["name"]
    temporary = path.with_name(f".{path.name}.{'0' * 8}.tmp")
    with AvroOutputFile[Any](source.new_output(files.local_uri(str(temporary))), schema, name, metadata=meta) as writer:
        writer.write_block(records)
    temporary.replace(path)


def _move_record(record: Any, schema: Any, move: Change) -> None:
    at = {each.name: number for number, each in enumerate(schema.fields)}
    if "manifest_path" in at:
        record[at["manifest_path"]] = move(record[at["manifest_path"]])
        record[at["manifest_length"]] = files.local_path(record[at["manifest_path"]]).stat().st_size
        return
    data_file = at["data_file"]
    inner = {each.name: number for number, each in enumerate(schema.fields[data_file].field_type.fields)}
    record[data_file][inner["file_path"]] = move(record[data_file][inner["file_path"]])


def _rewrite_mlflow(store: Store, old: str, new: str) -> int:
    """Where artefacts and models are, in a SQLite database; a server's own is not ours to change."""
    path = Path(store.mlflow.removeprefix("sqlite:///"))
    if not store.mlflow.startswith("sqlite:///") or not path.exists():
        return 0
    count = 0
    paths = [files.local_path(each) for each in (old, new)]
    escaped = paths[1].as_uri()  # MLflow escapes what Iceberg's libraries do not
    pairs = {paths[0].as_uri(): escaped, old: escaped, str(paths[0]): str(paths[1])}
    with closing(sqlite3.connect(path)) as database, database:
        for table, column in _MLFLOW:
            there = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            for before, after in pairs.items() if column in there else ():
                change = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
                given = (after, len(before) + 1, len(before) + 1, f"{before}/")
                count += database.execute(change, given).rowcount
    return count
