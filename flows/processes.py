"""One training by several processes, each on a worker of its own: they meet at a store that this process keeps.

A process that dies ends the training; what was saved last is gone on from by the next run.
"""

from __future__ import annotations

import dataclasses
import socket
from urllib.parse import urlsplit

from flows import interrupt
from flows.config import LocalCluster
from flows.progress import Progress
from flows.run import Run
from flows.runner import Failure
from sorigil.errors import RequestError, RunError
from sorigil.types import Report
from tasks.train import train_model
from tasks.train_job import Trained, TrainJob
from tasks.trainings import ShareUnit, Spool, train_share


def train_together(run: Run, job: TrainJob, processes: int) -> Trained:
    """Train the job's model on the workers.

    Raises:
        RequestError: there are no workers, or too few.
        RunError: a process failed; says which, and its words.
    """
    local = isinstance(run.config.cluster, LocalCluster)
    if not run.runner.protected:
        raise RequestError(f"{job.name}: processes is {processes}, and --local has no workers to train on")
    if local and run.runner.workers < processes:
        raise RequestError(f"{job.name}: processes is {processes}, but cluster.workers is {run.runner.workers}")
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host = "127.0.0.1" if local else _address_towards(run.config.cluster.scheduler)  # type: ignore[union-attr]
    store = TCPStore(host, 0, None, True, wait_for_workers=False)
    key = job.key
    reports: list[Report] = []
    spool = Spool(run.store, run.id)
    try:
        training = spool.train_unit(dataclasses.replace(job, loader_workers=0), key, job.name)
        units = [
            ShareUnit(unit=f"{key}-{rank}", training=training, rank=rank, size=processes, host=host, port=store.port)
            for rank in range(processes)
        ]
        run.reporter.say(f"train {job.name}: by {processes} processes")
        for outcome in run.runner.run(train_share, units):
            interrupt.check()
            if isinstance(outcome, Failure):
                raise RunError(
                    f"{job.name}: process {outcome.unit.rank} of {processes} failed ({outcome.error}), and the training "
                    "with it; run again to go on from the last checkpoint"
                )
            reports.append(outcome)
            run.reporter.progress(Progress(stage=f"train {job.name}", done=len(reports), total=processes))
    finally:
        spool.remove()
        run.runner.close()  # processes that wait for a dead one would wait on
    first = next(report for report in reports if report.unit == units[0].unit)
    found = train_model(job)
    return dataclasses.replace(found, reused=False, seconds=first.seconds["train"], audio_seconds=first.audio_seconds)


def _address_towards(scheduler: str) -> str:
    """This machine's address as the cluster of a scheduler sees it."""
    place = urlsplit(scheduler)
    with socket.create_connection((place.hostname, place.port or 8786), timeout=10) as connection:
        return str(connection.getsockname()[0])
