"""A store that was moved or copied to another folder, bucket or prefix: its addresses made true again.

Sorigil's own references are relative to the root; Iceberg's and MLflow's are absolute. Everything is rewritten in place,
a file at a time and the catalogue's database last, so whoever is killed runs the same command again. Only files below
the new root are touched: where the store was copied, the original stays as it is.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sorigil.errors import RunError
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
    result = Relocated()
    root = store.root.rstrip("/") if files.is_url(store.root) else files.local_uri(store.root)
    for dataset, name, location in catalog.locations():
        inside = f"/{store.table(dataset, name)}/"
        old = location.split(inside)[0]
        if old == root or inside not in location:
            continue
        result.files += _rewrite_table(store.path(store.table(dataset, name)), _mover(old, root))
        catalog.relocate(dataset, name, location, root + location.removeprefix(old))
        result.tables[f"{dataset}.{name}"] = old
    for old in sorted(set(result.tables.values())):
        result.mlflow_rows += _rewrite_mlflow(store, old, root)
    return result


def _mover(old: str, new: str) -> Change:
    def move(address: str) -> str:
        return new + address.removeprefix(old) if address.startswith(f"{old}/") else address

    return move


def _rewrite_table(folder: str, move: Change) -> int:
    """Manifests, then the lists that hold their lengths, then the metadata that names the lists."""
    found = [entry.uri for entry in files.walk(f"{folder}/metadata")]
    avro = [uri for uri in found if uri.endswith(".avro")]
    for uri in sorted(avro, key=lambda each: each.rsplit("/", 1)[1].startswith("snap-")):
        files.write_bytes(uri, _moved_avro(files.read_bytes(uri), move))
    documents = [uri for uri in found if uri.endswith(".metadata.json")]
    for uri in documents:
        files.write_bytes(uri, json.dumps(_moved(json.loads(files.read_bytes(uri)), move)).encode())
    return len(avro) + len(documents)


def _moved(value: Any, move: Change) -> Any:
    if isinstance(value, dict):
        return {key: _moved(each, move) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, move) for each in value]
    return move(value) if isinstance(value, str) else value


def _moved_avro(data: bytes, move: Change) -> bytes:
    """A manifest, or a list of manifests: the same records with other addresses."""
    from pyiceberg.avro.file import AvroFile, AvroOutputFile
    from pyiceberg.io.pyarrow import PyArrowFileIO

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.avro", Path(folder) / "after.avro"
        before.write_bytes(data)
        with AvroFile[Any](PyArrowFileIO().new_input(files.local_uri(str(before)))) as reader:
            records, schema, meta = list(reader), reader.schema, dict(reader.header.meta)
        for record in records:
            _move_record(record, schema, move)
        name = json.loads(meta.pop("avro.schema"))["name"]
        output = PyArrowFileIO().new_output(files.local_uri(str(after)))
        with AvroOutputFile[Any](output, schema, name, metadata=meta) as writer:
            writer.write_block(records)
        return after.read_bytes()


def _move_record(record: Any, schema: Any, move: Change) -> None:
    at = {each.name: number for number, each in enumerate(schema.fields)}
    if "manifest_path" in at:
        record[at["manifest_path"]] = move(record[at["manifest_path"]])
        record[at["manifest_length"]] = _size(record[at["manifest_path"]])
        return
    data_file = at["data_file"]
    inner = {each.name: number for number, each in enumerate(schema.fields[data_file].field_type.fields)}
    record[data_file][inner["file_path"]] = move(record[data_file][inner["file_path"]])


def _size(address: str) -> int:
    found = files.entry(address)
    if found is None:
        raise RunError(f"{address} is not there; copy the whole store, then run `sorigil repair` again")
    return found.size


def _pairs(old: str, new: str) -> dict[str, str]:
    """Old roots and new ones, in every way MLflow may have written them: it escapes what Iceberg's libraries do not."""
    if files.is_url(new):
        address = path = new
    else:
        address, path = files.local_path(new).as_uri(), str(files.local_path(new))
    if files.is_url(old):
        return {old: address}
    return {files.local_path(old).as_uri(): address, old: address, str(files.local_path(old)): path}


def _rewrite_mlflow(store: Store, old: str, new: str) -> int:
    """Where artefacts and models are, in a SQLite database; a server's own is not ours to change."""
    path = Path(store.mlflow.removeprefix("sqlite:///"))
    if not store.mlflow.startswith("sqlite:///") or not path.exists():
        return 0
    count = 0
    pairs = _pairs(old, new)
    with closing(sqlite3.connect(path)) as database, database:
        for table, column in _MLFLOW:
            there = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            for before, after in pairs.items() if column in there else ():
                change = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
                given = (after, len(before) + 1, len(before) + 1, f"{before}/")
                count += database.execute(change, given).rowcount
    return count
