"""How one Iceberg table is read and written by pieces: a data file or a slice of rows at a time, so that memory stays
small where the table is not. `catalog.py` says what is written, and when it counts.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from storage import tables

_READERS = 4  # data files that are read at once
_FILE_ROWS = 1 << 17  # in one data file: what is written, or written anew, is in memory whole

# It says of each dictionary that it reads, each time, that Iceberg would not know it. It is asked for none to be written.
logging.getLogger("pyiceberg.io.pyarrow").addFilter(lambda record: "dictionary type" not in record.getMessage())


def scanned(scan: Any, wanted: pa.Schema) -> pa.Table:
    """The rows of a scan. Data files are read one by one, dictionaries as such, and made alike: an older one lacks columns,
    and pyiceberg does not join a dictionary to a column of nulls."""
    from pyiceberg.io.pyarrow import ArrowScan

    words = tuple(field.name for field in wanted if pa.types.is_dictionary(field.type))
    reader = ArrowScan(scan.table_metadata, scan.io, scan.projection(), scan.row_filter, dictionary_columns=words)
    with ThreadPoolExecutor(_READERS) as threads:
        found = threads.map(lambda task: tables.conform(reader.to_table([task]), wanted), scan.plan_files())
        return pa.concat_tables([tables.empty(wanted), *found])


def append(transaction: Any, rows: pa.Table, schema: pa.Schema, properties: dict[str, str]) -> None:
    """Add rows a slice, a data file and a snapshot at a time, none of which is seen before the transaction ends; always one
    slice, which carries the properties."""
    for start in range(0, max(len(rows), 1), _FILE_ROWS):
        part = tables.conform(rows.slice(start, _FILE_ROWS), schema)
        transaction.append(part, snapshot_properties=properties)


def columns_at(table: Any, snapshot: int) -> set[str]:
    """The columns that a table had when a snapshot was made."""
    schema = table.schemas().get(table.snapshot_by_id(snapshot).schema_id, table.schema())
    return {field.name for field in schema.fields}


def add_new_columns(table: Any, schema: pa.Schema) -> None:
    """Give a table made by an older program the columns that came since, all nullable; what is written stays as it is."""
    if set(schema.names) - {field.name for field in table.schema().fields}:
        with table.update_schema() as update:
            update.union_by_name(schema)


def remove(transaction: Any, key: tuple[str, ...], removed: Any, properties: dict[str, str]) -> None:
    """Take out the rows with these values of the (single) key column."""
    from pyiceberg.expressions import In

    (column,) = key
    transaction.delete(In(column, removed.to_pylist()), snapshot_properties=properties)


def remove_all(transaction: Any, properties: dict[str, str]) -> None:
    from pyiceberg.expressions import AlwaysTrue

    transaction.delete(AlwaysTrue(), snapshot_properties=properties)
