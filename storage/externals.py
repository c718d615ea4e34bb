"""The files of externals: grammars. What they hold goes into the spec, and so into the key."""

from __future__ import annotations

from dataclasses import replace

from sorigil.errors import RequestError
from sorigil.external.specs import ExternalSpec
from storage import files


def resolve(spec: ExternalSpec) -> ExternalSpec:
    """The spec with what its files say. Raises RequestError where one cannot be read."""
    return replace(spec, grammar_text=_text(spec.grammar)) if spec.grammar else spec


def _text(uri: str) -> str:
    try:
        return files.read_bytes(uri).decode("utf-8-sig")
    except OSError as wrong:
        raise RequestError(f"{uri}: the file cannot be read ({wrong.strerror or wrong})") from wrong
    except UnicodeDecodeError as wrong:
        raise RequestError(f"{uri}: not UTF-8 text ({wrong.reason}); convert the file first") from wrong
