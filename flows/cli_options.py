"""The options that verbs share, and how verbs read a configuration, run steps and print JSON. Kept light, as `cli.py` is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Name = Annotated[str, typer.Argument(help="the pipeline, as it is called in the file")]
File = Annotated[Path, typer.Option("--file", "-f", help="the configuration")]
Set = Annotated[list[str] | None, typer.Option("--set", help="change a value: --set train.words.epochs=3 (repeatable)")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="the first N items only, as a dataset of their own")]
Local = Annotated[bool, typer.Option("--local", help="no Prefect, no Dask: the same work in this process")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout; all else on stderr")]
Version = Annotated[str | None, typer.Option("--version", help="v3, or a tag; the latest where not given")]
Reason = Annotated[str | None, typer.Option("--reason", help="only this reason")]

DEFAULT = Path("pipelines.yaml")


_VISIBLE = {
    **{code: 0x2400 + code for code in range(32) if chr(code) != "\n"},
    **dict.fromkeys(range(0x7F, 0xA0), 0xFFFD),
}


def print_json(value: Any) -> None:
    """One object on one line; what is not UTF-8 (a file's name may not be) as an escape."""
    text = json.dumps(value, ensure_ascii=False)
    print(json.dumps(value) if any("\ud800" <= character <= "\udfff" for character in text) else text)


def print_text(text: str) -> None:
    """For a person: control characters, which ids and transcripts may hold, as pictures, so that they steer no terminal."""
    print(text.translate(_VISIBLE))


def load(file: Path, changes: list[str] | None, pipeline: str | None = None) -> Any:
    from flows import config

    return config.load(file, changes or (), pipeline=pipeline)


def run_steps(config: Any, name: str, local: bool, as_json: bool, **options: Any) -> None:
    """Run steps of a pipeline (`options` are those of `flows.run:Options`) and say what came of it; ends with code 1
    where it failed."""
    from storage.quiet import be_quiet

    be_quiet()
    from flows.pipeline import execute
    from flows.run import Options

    result = execute(config, name, Options(local=local, **options))
    if as_json:
        print_json(result)
    else:
        from sorigil.report.summary import summary
        from tasks.report import next_commands

        print(summary(result, next_commands(name)), end="")
    if result["status"] != "completed":
        sys.exit(1)
