"""How long one waits for one answer: utterances heard and decoded alone, one after another, by the clock on the wall.

Batches, which evaluation hears in, say how much work a machine gets done (RTFx), not how soon one answer is there. The time
is from stored features or prepared audio to text or label, with the model loaded; what else the machine does counts.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa

from sorigil.objectives import OBJECTIVES
from storage import tables
from storage.dataset import StoredRows
from tasks.answers import ONE_ROW, passes, read_text
from tasks.evaluate_job import EvaluateJob

PERCENTILES = (50, 95, 99)


def latency_of(job: EvaluateJob, bundle: Any, rows: pa.Table) -> dict[str, float]:
    """Seconds of wall time: `p50`, `p95`, `p99` over `utterances` of the rows, `job.latency` of them or all.

    They are spread evenly over the rows by length, so long and short ones have their share.
    """
    order = np.argsort(rows.column("prepared_samples").to_numpy(), kind="stable")
    places = np.unique(np.linspace(0, len(rows) - 1, min(job.latency, len(rows))).round().astype(np.int64))
    sample = tables.taken(rows, order[places])
    stored = StoredRows(job.store, sample, audio=job.from_audio)
    outputs = passes(job, bundle, sample, stored)
    decode = OBJECTIVES[bundle.objective].text
    waited_N = np.zeros(len(sample))
    for counts in (False, True):  # the first time round libraries load, kernels compile and files come into memory
        for speed in job.speeds:
            began = time.perf_counter()
            for output in outputs(speed, ONE_ROW):
                if decode:
                    read_text(job, bundle, output.log_probs)
                now = time.perf_counter()
                waited_N[output.row] += (now - began) * counts
                began = now
    found = dict(zip(PERCENTILES, np.percentile(waited_N, PERCENTILES).tolist(), strict=True))
    return {"utterances": len(sample), **{f"p{each}": round(seconds, 6) for each, seconds in found.items()}}
