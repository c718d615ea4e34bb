"""Find a learning rate for one of a pipeline's models, on the latest version of its dataset."""

from __future__ import annotations

import dataclasses
from typing import Any

from flows.progress import PlainReporter
from flows.run import Run
from flows.steps import latest
from flows.train import job_of, rows_of
from sorigil.errors import RequestError
from storage import files


def find(config: Any, name: str, model: str | None, steps: int, folder: str) -> dict[str, Any]:
    """Sweep the rates of the train entry `model` (default: the first) and put a picture into the folder.

    It learns from the dataset's own training rows; what the entry mixes in and augmented copies are left out.
    """
    from sorigil.report.figures import sweep_png
    from tasks.train import find_rate

    run = Run(config=config, pipeline=config.pipeline(name), reporter=PlainReporter(quiet=True))
    entry = entry_of(run, model)
    latest(run)
    alone = dataclasses.replace(entry, data=(), copies=0)
    sweep = find_rate(job_of(run, alone, rows_of(run, alone)), steps)
    picture = files.join(folder, f"find-lr-{entry.name}.png")
    drawn = sweep_png(sweep.rates, sweep.losses, sweep.smoothed, sweep.suggestion, title=entry.name)
    files.write_bytes(picture, drawn)
    return {
        "model": entry.name,
        "learning_rate": sweep.suggestion,
        "now": entry.train.learning_rate,
        "picture": picture,
        "rates": list(sweep.rates),
        "losses": list(sweep.losses),
    }


def entry_of(run: Run, model: str | None, objective: str = "") -> Any:
    """The train entry of that name, or the first; where an objective is named, of those that have it."""
    able = {entry.name: entry for entry in run.pipeline.train if not objective or entry.objective == objective}
    kind = f" with objective {objective}" if objective else ""
    if not able:
        raise RequestError(f"{run.pipeline.name} trains no model{kind}: there is none under train")
    if model is not None and model not in able:
        raise RequestError(f"{run.pipeline.name} has no train entry {model!r}{kind}; there are {', '.join(able)}")
    return able[model or next(iter(able))]


def found_text(found: dict[str, Any]) -> str:
    """The suggestion in words."""
    tried = f"{len(found['rates'])} rates from {found['rates'][0]:.1e} to {found['rates'][-1]:.1e}"
    return (
        f"{found['model']}: learning_rate: {found['learning_rate']:.1e}  (it is {found['now']:.1e})\n"
        f"the loss fell fastest there, of {tried}; see {found['picture']}"
    )
