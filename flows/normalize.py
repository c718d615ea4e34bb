"""`sorigil normalize`, and the normaliser that a command line asks for: a name, a mapping in YAML, or a file with one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO, ClassVar, cast

from sorigil.errors import RequestError
from sorigil.fingerprint import to_dict
from sorigil.text import normalize
from sorigil.text.normalize import NormalizerSpec

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What a normaliser stands in: the schema checks mappings."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    normalizer: NormalizerSpec


def asked(text: str) -> NormalizerSpec:
    """Return the spec of `english`, of `{kind: korean, numbers: spoken}`, or of what a file `mine.yaml` holds.

    Raises RequestError with everything that is wrong with it.
    """
    if not text.endswith(SUFFIXES):
        return _read(text, "--normalizer")
    from storage import files

    try:
        return _read(files.read_bytes(text).decode("utf-8-sig"), text)
    except (OSError, UnicodeDecodeError) as wrong:
        raise RequestError(f"--normalizer {text}: the file cannot be read ({wrong})") from wrong


def normalized(spec: NormalizerSpec, lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Each line with what the normaliser makes of it."""
    clean = normalize.normalizer(spec)
    return ({"text": line, "normalized": clean(line)} for line in lines)


def lines_of(stream: BinaryIO) -> Iterator[str]:
    """The lines of a stream of UTF-8, as they come. Raises RequestError at the first that is none."""
    for number, line in enumerate(stream, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as wrong:
            raise RequestError(f"line {number} of stdin is not UTF-8 ({wrong.reason}); convert it first") from wrong


def described(spec: NormalizerSpec) -> dict[str, Any]:
    """What `--json` says of a normaliser: its label, its version and its options."""
    return {"normalizer": normalize.label(spec), "version": normalize.version(spec), "options": to_dict(spec)}


def _read(text: str, place: str) -> NormalizerSpec:
    from flows.config import yaml
    from flows.config.problems import ConfigError, Problem, dotted

    tree = yaml.read(text, place, os.environ, base=("normalizer",))
    spec, faults = (None, tree.faults) if tree.faults else _schema().validate({"normalizer": tree.data})
    if faults:
        problems = [
            Problem(file=place, line=tree.place(fault.path).line, path=dotted(fault.path), seen=fault.seen,
                    expected=fault.expected, hint=fault.hint)
            for fault in faults
        ]  # fmt: skip
        raise ConfigError(problems)
    return cast(_Asked, spec).normalizer


@cache
def _schema() -> Any:
    from flows.config.schema import Schema

    return Schema(_Asked, {"NormalizerSpec": NormalizerSpec})
