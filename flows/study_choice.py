"""Which point of a sweep is best in each fold: by the dev rows or the inner folds of its training rows, never by a score."""

from __future__ import annotations

import math

from flows.config.sweeps import word
from flows.run import Run
from flows.study import Choice, Study, Trial, by_fold
from sorigil.errors import RunError
from sorigil.objectives import OBJECTIVES


def choose(study: Study) -> None:
    """Fill in the study's choices: in every fold the point with the best mean over its trainings, the first of equals.

    A point that lacks a training cannot be chosen. Where there is one point, nothing is asked of it.
    """
    study.choices = []
    for fold, trials in by_fold(study.compared()).items():
        points: dict[str, list[Trial]] = {}
        for trial in trials:
            points.setdefault(str(trial.point), []).append(trial)
        found = [
            Choice(fold=fold, point=several[0].point, values=tuple(trial.dev() for trial in several))
            for several in points.values()
        ]
        best = min(found, key=lambda choice: _rank(study, choice))
        if len(found) == 1 or math.isfinite(_rank(study, best)):
            best.chosen = True
        study.choices += found


def tell_choices(run: Run, study: Study) -> None:
    """Say what was chosen; a fold in which nothing could be is an error of the run."""
    if not study.chooses:
        return
    stage, monitor = f"train {study.entry.name}", study.entry.train.monitor
    how = f"inner {monitor}" if study.entry.inner_folds else f"dev {monitor}"
    for fold in by_fold(study.trials):
        there = [choice for choice in study.choices if choice.fold == fold]
        chosen = next((choice for choice in there if choice.chosen), None)
        if chosen is None:
            where = f"in fold {fold}, " if fold else ""
            wrong = RunError(f"{where}no point of the sweep has all its trainings: there is nothing to choose from")
            run.note_error(stage, wrong)
            continue
        said = ", ".join(f"{key}={word(value)}" for key, value in chosen.point.items())
        best = sorted(there, key=lambda choice: _rank(study, choice))[:3]
        values = ", ".join(f"{choice.mean:.4g}" for choice in best)
        run.reporter.say(f"{stage}{f' ({fold})' if fold else ''}: {said} is chosen by {how}: {values} (best first)")


def _rank(study: Study, choice: Choice) -> float:
    """Smaller is better; a point that lacks a training comes last."""
    facts, monitor, value = OBJECTIVES[study.entry.objective], study.entry.train.monitor, choice.mean
    return math.inf if math.isnan(value) else -value if monitor == facts.metric and facts.higher_is_better else value
