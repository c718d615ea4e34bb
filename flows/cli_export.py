"""The verb `export`. Kept light, as `cli.py` is."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_options import DEFAULT, File, Json, Name, Set, Version, load, print_json

To = Annotated[str, typer.Option("--to", help="lhotse, kaldi, nemo, huggingface or webdataset")]
Output = Annotated[str, typer.Option("--output", help="the folder (or address) to write; nothing else may be in it")]
Split = Annotated[str | None, typer.Option("--split", help="only this one: train, dev, test, …")]
Audio = Annotated[
    str | None, typer.Option("--audio", help="source (named where it lies), flac or wav (prepared, written)")
]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command()(export)


def export(
    name: Name,
    to: To,
    output: Output,
    version: Version = None,
    split: Split = None,
    audio: Audio = None,
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Write a version as what other tools read."""
    config = load(file, set, name)
    from flows.export import export_text, export_version
    from flows.output import try_folder

    try_folder("--output", output)
    found = export_version(config, name, to=to, output=output, version=version, split=split, audio=audio)
    if json:
        print_json(found)
    else:
        print(export_text(found))
