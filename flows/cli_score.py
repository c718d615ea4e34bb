"""The verb `score`. Kept light, as `cli.py` is."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_normalize import NormalizerOption
from flows.cli_options import Json, print_json

Reference = Annotated[str, typer.Argument(help="what was said: JSON lines with id and text, TRN, CTM, or plain lines")]
Hypothesis = Annotated[str, typer.Argument(help="what was recognised, with the same ids (or as many lines)")]
Differences = Annotated[bool, typer.Option("--differences", help="also every utterance with an error, aligned")]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command()(score)


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
