"""The verbs `score` and `compare`. Kept light, as `cli.py` is."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import typer

from flows.cli_normalize import NormalizerOption
from flows.cli_options import DEFAULT, File, Json, Set, load, print_json, print_text

Reference = Annotated[str, typer.Argument(help="what was said: JSON lines with id and text, TRN, CTM, or plain lines")]
Hypothesis = Annotated[str, typer.Argument(help="what was recognised, with the same ids (or as many lines)")]
Differences = Annotated[bool, typer.Option("--differences", help="also every utterance with an error, aligned")]

System = Annotated[
    str,
    typer.Argument(
        help="a file as for score; PIPELINE.ENTRY (its newest scores); a version; a run; the key of a score or model"
    ),
]
Said = Annotated[str | None, typer.Option("--reference", help="what was said; the table of a score brings its own")]
Anew = Annotated[
    str | None, typer.Option("--normalizer", help="compare both by this one; else as the scores were, files by basic")
]
Split = Annotated[str, typer.Option("--split", help="which of the scores of an entry")]
By = Annotated[str, typer.Option("--by", help="slice by these columns only: speaker,snr_db; all there are else")]
Log = Annotated[bool, typer.Option("--log/--no-log", help="keep the comparison of two runs in MLflow, with B's run")]
Page = Annotated[str | None, typer.Option("--html", help="write the comparison here too, as one page with its sounds")]
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
        print_text(score_text(found))


def compare(
    a: System,
    b: System,
    split: Split = "test",
    reference: Said = None,
    normalizer: Anew = None,
    by: By = "",
    limit: Most = 5,
    html: Page = None,
    log: Log = True,
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Whether B is better than A on the same utterances, and what changed."""
    from flows.compare import compared, page
    from flows.compare_log import log_comparison
    from flows.compare_pair import pair
    from flows.compare_sides import Sides
    from flows.compare_text import compare_text
    from flows.normalize import asked
    from flows.output import try_file
    from storage import files

    if html:
        try_file("--html", html)
    sides = Sides(lambda: load(file, set).storage.store(), split, runs=log)
    both = pair(a, b, sides, reference, asked(normalizer) if normalizer else None)
    store = sides.known_store()
    found = compared(both, store, [each.strip() for each in by.split(",") if each.strip()])

    @cache
    def as_page() -> bytes:
        return page(both, found, store)

    if html:
        files.write_bytes(html, as_page())
    found["logged"] = log_comparison(both, found, as_page, sides) if log else None
    if json:
        print_json(found)
    else:
        print_text(compare_text(found, limit) + (f"\n\npage: {html}" if html else ""))
