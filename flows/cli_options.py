"""The options that verbs share, and how verbs read a configuration and print JSON. Kept light, as `cli.py` is."""

from __future__ import annotations

import json
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


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False))


def load(file: Path, changes: list[str] | None, pipeline: str | None = None) -> Any:
    from flows import config

    return config.load(file, changes or (), pipeline=pipeline)
