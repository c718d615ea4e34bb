"""The table of a tagger's score: whose probabilities stand in it, and what it says as matrices for the metrics.

The names of the tags and the separator of the references travel in the file, so that a table can be read alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sorigil.metrics.tag_comparison import Tagged
from sorigil.text import tags
from storage import tables

KEY = b"sorigil.tags"  # of the file's metadata: JSON with `names`, in the order of the probabilities, and `separator`


def marked(table: pa.Table, names: Sequence[str], separator: str) -> pa.Table:
    """The table with what its probabilities are of."""
    said = json.dumps({"names": list(names), "separator": separator}, ensure_ascii=False).encode()
    return table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: said})


def is_marked(schema: pa.Schema) -> bool:
    """Whether it says what its probabilities are of: older tables, and those of other objectives, do not."""
    return KEY in (schema.metadata or {})


def sets_of(table: pa.Table, column: str) -> list[set[str]]:
    """The tags of each row of `reference_compared` or `hypothesis_compared`; an older table's are read as usual."""
    return _sets(
        table.column(column).to_pylist(), _mark(table)["separator"] if is_marked(table.schema) else tags.SEPARATOR
    )


def matrices(references: Sequence[str], *sides: Sequence[pa.Table]) -> tuple[NDArray[np.bool_], list[list[Tagged]]]:
    """Which rows have which tags (N, C), and what each table of each side answered, over the tags of all."""
    found = [table for side in sides for table in side]
    truth = _sets(references, _mark(found[0])["separator"])
    names = sorted(set().union(*truth, *(_mark(table)["names"] for table in found)))
    return _matrix(truth, names), [[_tagged(table, names) for table in side] for side in sides]


def united(found: Sequence[pa.Table]) -> pa.Table:
    """Tables of several models as one, whose probabilities are of all their tags; of others than taggers as they are."""
    if not all(is_marked(table.schema) for table in found):
        return pa.concat_tables([table.replace_schema_metadata() for table in found], promote_options="default")
    names = sorted({name for table in found for name in _mark(table)["names"]})
    separators = {_mark(table)["separator"] for table in found}
    aligned = [
        table.set_column(
            table.column_names.index("probabilities"), "probabilities", lists_of(_probabilities(table, names))
        )
        for table in found
    ]
    return marked(pa.concat_tables(aligned, promote_options="default"), names, separators.pop())


def lists_of(probabilities_NC: NDArray[np.float64] | None) -> pa.Array:
    """A column of lists of float32."""
    assert probabilities_NC is not None  # taggers always give them
    values = pa.array(probabilities_NC.ravel(), pa.float32())
    return pa.ListArray.from_arrays(np.arange(len(probabilities_NC) + 1) * probabilities_NC.shape[1], values)


def _mark(table: pa.Table) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(table.schema.metadata[KEY])
    return found


def _tagged(table: pa.Table, names: Sequence[str]) -> Tagged:
    said_NC = _matrix(sets_of(table, "hypothesis_compared"), names)
    return Tagged(probabilities_NC=_probabilities(table, names), said_NC=said_NC)


def _probabilities(table: pa.Table, names: Sequence[str]) -> NDArray[np.float64]:
    """A tag that the model does not know has the probability 0."""
    place = {name: c for c, name in enumerate(names)}
    own = [place[name] for name in _mark(table)["names"]]
    lists = tables.flat(table.column("probabilities"))
    probabilities_NC = np.zeros((len(table), len(names)))
    probabilities_NC[:, own] = np.asarray(lists.flatten(), np.float64).reshape(len(table), len(own))
    return probabilities_NC


def _sets(texts: Sequence[str], separator: str) -> list[set[str]]:
    return [set(tags.split(tags.read(text, separator))) for text in texts]


def _matrix(sets: Sequence[set[str]], names: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([[name in own for name in names] for own in sets], dtype=bool).reshape(len(sets), len(names))
