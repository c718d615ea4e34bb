"""By what the utterances of a comparison are sliced: what the table of a score and the catalogue know of them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from flows.compare_pair import Pair
from sorigil.errors import SorigilError
from sorigil.metrics.comparison import METRICS_OF
from sorigil.metrics.paired_slices import PairedSlice, paired_slices
from storage.catalog import Catalog
from storage.layout import Store
from tasks.slices import catalogued, columns_of, speakers_of


def slices_of(found: Pair, store: Store | None = None, by: Sequence[str] = ()) -> tuple[list[PairedSlice], list[str]]:
    """Where B got better and worse, by the first metric of the objective, and what is to be noted; `by`: only these
    columns. Raises RequestError for a column that is none."""
    metric, table = METRICS_OF[found.objective][0], _table(found)
    try:
        known, notes = _known(table, store), []
    except SorigilError as wrong:  # that of a copied store names the files of the other one
        known, notes = None, [f"slices are of the score's own columns: {wrong}"]
    columns = columns_of(table, found.objective, known, by)
    return paired_slices(metric, *found.counted(metric), columns, speakers_of(table)), notes


def _table(found: Pair) -> pa.Table:
    """The rows of a score with the references as they are compared; of files the speakers are known."""
    rows = next((rows for side in (found.a, found.b) if (rows := found.rows(side)) is not None), None)
    references = pa.array(found.columns[0], pa.string())
    if rows is None:
        speakers = found.there.speakers or [None] * len(references)
        return pa.table({"speaker": pa.array(speakers, pa.string()), "reference_compared": references})
    there = rows.drop_columns(["reference_compared"]) if "reference_compared" in rows.column_names else rows
    return there.append_column("reference_compared", references)


def _known(table: pa.Table, store: Store | None) -> pa.Table | None:
    """What the newest version of the dataset says of the rows; None where no dataset is known."""
    if store is None or "audio_part" not in table.column_names:
        return None
    part = next((each for each in pc.unique(table.column("audio_part")).to_pylist() if each), "")
    dataset = part.split("/")[1] if part else ""
    catalog = Catalog(store.catalog, store.root)
    version = catalog.version(dataset) if dataset else None
    return catalogued(catalog, version, table) if version else None
