"""The files of externals: grammars and hypotheses. What they hold goes into the spec, and so into the key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sorigil.errors import RequestError
from sorigil.external.specs import ExternalSpec, FileSpec, PocketsphinxSpec
from sorigil.text import exchange
from storage import files


def resolve(spec: ExternalSpec) -> ExternalSpec:
    """The spec with what its files say. Raises RequestError where one is missing or cannot be used."""
    found: ExternalSpec = RESOLVE[spec.kind](spec)
    return found


def hypotheses(spec: FileSpec) -> exchange.Texts:
    """What a resolved spec's file holds. Raises RequestError where it is another than when it was resolved."""
    data = _bytes(spec.uri)
    if hashlib.sha256(data).hexdigest() != spec.sha256:
        raise RequestError(f"{spec.uri}: the file is another than when the run began; start it again")
    return exchange.read(data, spec.uri, "text" if spec.objective == "ctc" else "label")


def _grammar(spec: PocketsphinxSpec) -> PocketsphinxSpec:
    return replace(spec, grammar_text=_text(spec.grammar)) if spec.grammar else spec


def _file(spec: FileSpec) -> FileSpec:
    data = _bytes(spec.uri)
    value = exchange.value_of(data)
    if exchange.read(data, spec.uri, value).format == "lines":
        raise RequestError(f"{spec.uri}: plain lines have no ids; write JSON lines, TRN or CTM")
    return replace(
        spec,
        sha256=hashlib.sha256(data).hexdigest(),
        objective="ctc" if value == "text" else "classification",
    )


def _text(uri: str) -> str:
    try:
        return _bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise RequestError(f"{uri}: not UTF-8 text ({wrong.reason}); convert the file first") from wrong


def _bytes(uri: str) -> bytes:
    try:
        return files.read_bytes(uri)
    except OSError as wrong:
        raise RequestError(f"{uri}: the file cannot be read ({wrong.strerror or wrong})") from wrong


RESOLVE: dict[str, Callable[[Any], Any]] = {
    "pocketsphinx": _grammar,
    "file": _file,
}
