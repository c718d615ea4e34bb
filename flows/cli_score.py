"""The verbs `score` and `compare`. Kept light, as `cli.py` is."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_normalize import NormalizerOption
from flows.cli_options import Json, print_json

Reference = Annotated[str, typer.Argument(help="what was said: JSON lines with id and text, TRN, CTM, or plain lines")]
Hypothesis = Annotated[str, typer.Argument(help="what was recognised, with the same ids (or as many lines)")]
Differences = Annotated[bool, typer.Option("--differences", help="also every utterance with an error, aligned")]

System = Annotated[
    str, typer.Argument(help="what it recognised: a file as for score, or utterances.parquet of a score")
]
Said = Annotated[str | None, typer.Option("--reference", help="what was said; the table of a score brings its own")]
Most = Annotated[int, typer.Option("--limit", min=0, help="show at most so many utterances that got better, and worse")]


def register(app: typer.Typer) -> None:
    """Put the verbs into the command line."""
    app.command()(score)
    app.command()(compare)


def score(
    reference: Reference,
    hypothesis: Hypothesis,
    normalizer: NormalizerOption = "basic",
    differences: Differences = False,
    json: Json = False,
) -> None:
    """Score one file of texts against another: error rates with intervals, counts, aligned differences."""
    from flows.normalize import asked
    from flows.score import score_files, score_text

    found = score_files(reference, hypothesis, asked(normalizer), show=differences)
    if json:
        print_json(found)
    else:
        print(score_text(found))


def compare(
    a: System,
    b: System,
    reference: Said = None,
    normalizer: NormalizerOption = "basic",
    limit: Most = 5,
    json: Json = False,
) -> None:
    """Whether B is better than A on the same utterances, and what changed."""
    from flows.compare import compare_files, compare_text
    from flows.normalize import asked

    found = compare_files(a, b, reference, asked(normalizer))
    if json:
        print_json(found)
    else:
        print(compare_text(found, limit))
