"""The bins of a score's reliability picture, from its table: of a classifier's answers, of a recogniser's words."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sorigil.metrics.calibration import ReliabilityBin, reliability
from sorigil.metrics.word_confidence import heard


def reliability_of(table: pa.Table, objective: str) -> tuple[ReliabilityBin, ...]:
    """Empty where nothing says how sure the model is: of others' systems, of scores of before words had confidences; and
    of taggers, whose answer is of many tags."""
    if objective == "classification" and not table.column("confidence").null_count:
        right_N = np.asarray(pc.equal(table.column("errors"), 0))
        return tuple(reliability(table.column("confidence").to_numpy(), right_N))
    if "word_confidences" not in table.column_names:
        return ()
    columns = ("reference_compared", "hypothesis_compared", "word_confidences")
    sure_W, right_W, _ = heard(*(table.column(name).to_pylist() for name in columns))
    return tuple(reliability(sure_W, right_W)) if len(sure_W) else ()
