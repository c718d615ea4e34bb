"""What MLflow is told of tuned decoders: a run for the grid with the best one, a table and a figure, and below it a run for each.

A run for each is what MLflow compares and draws parallel coordinates from; at a tenth of a second each, only the best of a large
grid have one. The table has all.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from flows.config.sweeps import word
from flows.run import Run
from sorigil.fingerprint import digest, fingerprint
from sorigil.report.figures import tuning_png
from sorigil.splits import DEV
from storage.experiments import Experiments
from tasks.tune import Tuned

NUMBERS = ("beam_width", "lm_weight", "insertion", "lexicon")  # that a grid may vary
MOST_RUNS = 100


def log_grid(
    run: Run, entry: str, model_key: str, dev: str, found: Sequence[Tuned], rows: Sequence[Mapping[str, Any]]
) -> str:
    """Log the grid, the best decoder first; `rows` are the decoders as a result shows them. Returns the id of its run.

    The same grid is found, not logged twice; what a kill left out is made good.
    """
    experiments = Experiments(run.store)
    tried = sorted(fingerprint(tuned.decode) for tuned in found)
    grid = digest("tune", model_key, dev, fingerprint(run.pipeline.evaluate.normalizer), *tried)

    varied = [name for name in NUMBERS if len({getattr(tuned.decode, name) for tuned in found}) > 1]

    def log(key: str, name: str, number: int, params: Mapping[str, Any], artifacts: Mapping[str, bytes]) -> str:
        tuned = found[number]
        return experiments.log(
            experiment=run.pipeline.name,
            name=name,
            key=key,
            params={**_params(tuned, rows[number]), **params},
            tags={"dataset": run.dataset, "split": DEV, "model": model_key},
            history=(),
            metrics={"dev_wer": tuned.wer, "dev_cer": tuned.cer, "decoding_seconds": tuned.seconds},
            artifacts=artifacts,
        )

    children = []
    for number, tuned in enumerate(found[:MOST_RUNS] if varied else ()):
        key = digest("tuned", grid, fingerprint(tuned.decode))
        point = ", ".join(f"{name}={word(getattr(tuned.decode, name))}" for name in varied)
        known = experiments.find(run.pipeline.name, key)
        children.append(known or log(key, f"tune {entry} {point}", number, {}, {}))
    parent = experiments.find(run.pipeline.name, grid)
    if parent is None:
        parent = log(grid, f"tune {entry}", 0, {"tried": len(found)}, _artifacts(entry, found, rows, varied))
    experiments.adopt(parent, children)
    return parent


def _params(tuned: Tuned, row: Mapping[str, Any]) -> dict[str, Any]:
    """As a configuration says it, but every number that a grid may vary, so that runs can be put side by side."""
    decode = {**{name: getattr(tuned.decode, name) for name in NUMBERS}, **row["decode"]}
    return {f"decode.{name}": json.dumps(value, ensure_ascii=False) for name, value in decode.items()}


def _artifacts(
    entry: str, found: Sequence[Tuned], rows: Sequence[Mapping[str, Any]], varied: Sequence[str]
) -> dict[str, bytes]:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([*NUMBERS, "wer", "cer", "decoding_seconds"])
    for tuned, row in zip(found, rows, strict=True):
        numbers = [word(getattr(tuned.decode, name)) for name in NUMBERS]
        writer.writerow([*numbers, tuned.wer, tuned.cer, row["decoding_seconds"]])
    values = {name: [float(getattr(tuned.decode, name)) for tuned in found] for name in varied}
    figure = {"tried.png": tuning_png(values, [tuned.wer for tuned in found], title=f"tune {entry}")} if varied else {}
    text = json.dumps(list(rows), ensure_ascii=False, indent=1)
    return {"tried.json": text.encode(), "tried.csv": table.getvalue().encode(), **figure}
