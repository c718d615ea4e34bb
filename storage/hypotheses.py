"""What models said of utterances: a folder for each model and decoder, a row for each utterance by the key of its audio.

Which utterances lie in which file is of no account: files are added, never changed, and read together. Whoever erases a
person deletes the files that hold them; what else was in these is heard again when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from sorigil.fingerprint import digest
from storage import files, parts, tables
from storage.layout import Store

SCHEMA = pa.schema(
    [
        pa.field("audio_key", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # or the label, or the tags
        pa.field("confidence", pa.float64()),
        pa.field("probabilities", pa.list_(pa.float64())),  # of a model's outputs, where those are labels
        pa.field("word_confidences", pa.list_(pa.float64())),  # of the words of `text`, of models that say words
        pa.field("n_best", pa.list_(pa.struct([("text", pa.string()), ("score", pa.float64())]))),
        pa.field("audio_seconds", pa.float64(), nullable=False),
        pa.field("decoding_seconds", pa.float64()),  # this row's share of what its file took
    ]
)


def read(store: Store, key: str, columns: Iterable[str] = SCHEMA.names) -> pa.Table:
    """All rows of a folder, some perhaps twice; none where there is no such folder."""
    columns = list(columns)
    folder = store.path(store.hypotheses(key))
    there = files.walk(folder) if files.is_url(folder) or files.exists(folder) else ()
    found = [parts.read_table(entry.uri, columns) for entry in there if entry.uri.endswith(".parquet")]
    return pa.concat_tables([tables.empty(SCHEMA).select(columns), *found])


def write(store: Store, key: str, rows: pa.Table) -> None:
    """Add a file, named by whose audio it is about."""
    name = digest(*rows.column("audio_key").to_pylist())
    parts.write_table(store.path(f"{store.hypotheses(key)}/{name}.parquet"), rows.cast(SCHEMA))
