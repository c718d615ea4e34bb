"""The flow that the tests of `serve` put on a clock: it notes that it ran and for when, and takes as long as a file says."""

from __future__ import annotations

import os
import time
from pathlib import Path

from prefect import flow, runtime


@flow(name="sorigil-stub", persist_result=False)
def scheduled_run(file: str, pipeline: str, steps: list[str]) -> None:
    folder = Path(file).parent
    with (folder / f"{pipeline}.ran").open("a") as ran:
        ran.write(f"{os.getpid()} {runtime.flow_run.scheduled_start_time.isoformat()} {' '.join(steps)}\n")
    patience = folder / f"{pipeline}.seconds"
    time.sleep(float(patience.read_text()) if patience.exists() else 0.0)
