"""How far the recordings of a version are from what their headers promise; what is clearly short was never kept."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

HEADER_COLUMNS = ("place", "piece", "num_samples", "sample_rate", "header_samples", "left_out_samples")
_WHOLE = "\x1f\x1f\x1f"  # in a place: neither a start nor a length is given


def header_differences(utterances: pa.Table) -> dict[str, Any]:
    """Of the utterances that are whole recordings: how many have another length than their header claims, and by how many
    seconds at most."""
    whole = pc.match_substring(utterances.column("place"), _WHOLE)
    one_stream = pc.fill_null(pc.match_substring_regex(utterances.column("piece"), r"^ch\d+$"), True)
    uncut = pc.is_null(utterances.column("left_out_samples"))
    rows = utterances.filter(pc.and_(pc.and_(whole, one_stream), uncut))
    apart = pc.abs(pc.subtract(rows.column("header_samples"), rows.column("num_samples")))
    seconds = pc.divide(pc.cast(apart, pa.float64()), rows.column("sample_rate"))
    different = pc.fill_null(pc.greater(apart, 0), False)
    return {"recordings": pc.sum(different).as_py() or 0, "seconds": pc.max(seconds).as_py() or 0.0}
