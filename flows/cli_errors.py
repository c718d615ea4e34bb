"""The verb `errors`. Kept light, as `cli.py` is."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_options import DEFAULT, File, Json, Name, Set, load, print_json, print_text

Entry = Annotated[str, typer.Argument(help="the train entry; the first that was scored where not given")]
Split = Annotated[str, typer.Option("--split", help="which score: test, dev, …")]
By = Annotated[str, typer.Option("--by", help="only these columns: speaker,snr_db; all there are where not given")]
Page = Annotated[str | None, typer.Option("--html", help="also as a page, with the sound of what is doubted and worst")]
Most = Annotated[int, typer.Option("--limit", min=0, help="show at most so many rows of a table; --json has all")]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command()(errors)


def errors(
    name: Name,
    entry: Entry = "",
    split: Split = "test",
    by: By = "",
    limit: Most = 10,
    html: Page = None,
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Where a model errs: its worst slices, what it takes for what, and references to doubt."""
    config = load(file, set, name)
    from flows.errors import find_errors
    from flows.errors_text import errors_text
    from flows.output import try_file

    if html:
        try_file("--html", html)
    store, found = find_errors(config, name, entry, split, [each.strip() for each in by.split(",") if each.strip()])
    if html:
        from sorigil.report.error_page import render
        from storage import files
        from tasks.errors_page import errors_page

        files.write_bytes(html, render(errors_page(store, found)).encode())
    if json:
        print_json(found)
    else:
        print_text(errors_text(found, limit) + (f"\n\npage: {html}" if html else ""))
