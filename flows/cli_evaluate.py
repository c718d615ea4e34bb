"""The verb `evaluate`: a pipeline's own models, or any models on any datasets. Kept light, as `cli.py` is."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from flows.cli_options import DEFAULT, File, Json, Limit, Local, Set, load, print_json, print_text, run_steps

Pipeline = Annotated[str | None, typer.Argument(help="the pipeline whose own models are scored; none with --models")]
Models = Annotated[
    str | None,
    typer.Option(
        "--models",
        help="with commas between: pipeline.entry, pipeline.entry/3, pipeline.entry@alias, a run of MLflow, a bundle's key; "
        "or a system of others: pocketsphinx, transformers:FOLDER, file:HYPOTHESES",
    ),
]
Datasets = Annotated[
    str | None,
    typer.Option("--datasets", help="with commas between: NAME, NAME@version-or-tag, each with :side (test)"),
]
Normalizer = Annotated[
    str | None,
    typer.Option(
        "--normalizer", help="instead of each pipeline's own: none, basic, english, korean, or as in normalize"
    ),
]
Metrics = Annotated[str | None, typer.Option("--metrics", help="instead of each pipeline's own, with commas between")]
Output = Annotated[
    str | None, typer.Option("--output", help="the folder (or address) for the leaderboard; else it is in the store")
]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command()(evaluate)


def evaluate(
    name: Pipeline = None,
    models: Models = None,
    datasets: Datasets = None,
    normalizer: Normalizer = None,
    metrics: Metrics = None,
    output: Output = None,
    file: File = DEFAULT,
    set: Set = None,
    limit: Limit = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Score a pipeline's trained models; with --models and --datasets, any models on any datasets: a leaderboard."""
    if models is None and datasets is None:
        if name is None:
            raise typer.BadParameter("name a pipeline, or --models and --datasets")
        for option, value in (("--normalizer", normalizer), ("--metrics", metrics), ("--output", output)):
            if value is not None:
                raise typer.BadParameter(f"{option} goes with --models; a pipeline's own is in its file (--set)")
        run_steps(load(file, set, name), name, local, json, limit=limit, steps=("evaluate", "report"))
        return
    if name is not None or models is None or datasets is None or limit is not None:
        raise typer.BadParameter(
            "--models and --datasets go together, without the name of a pipeline and without --limit"
        )
    from flows.matrix import evaluate_matrix, matrix_text, read_request

    config, request = load(file, set), read_request(models, datasets, normalizer, metrics)
    found = evaluate_matrix(config, **request, output=output, local=local)
    if json:
        print_json(found.result)
    else:
        print_text(matrix_text(found, request["metrics"]))
    if found.result["status"] != "completed":
        sys.exit(1)
