"""What is wrong with a configuration: one `Problem` per mistake, and the error that lists them all.

It knows nothing of YAML or of pipelines; `yaml`, `overrides`, `schema` and `checks` find the
mistakes, `config.load` adds where they were written and raises.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sorigil.errors import RequestError

KeyPath = tuple[str | int, ...]
LONGEST_VALUE = 80  # characters of a wrong value that are repeated to the user

_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]+)@")
_QUERY_PASSWORD = re.compile(r"(?<=[?&])((?:password|passwd|pwd|secret|token|api_?key)=)([^&\s]+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A mistake and the path of keys that leads to it, before anyone has looked up the line."""

    path: KeyPath
    seen: str  # the value as written, or a word: "missing", "unknown key"
    expected: str = ""
    hint: str = ""
    override: str = ""  # the `--set a.b=c` that cannot be carried out; then `path` does not matter


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One mistake: where it is written, what was seen there, what is expected, and what may have been meant."""

    file: str  # a file's name, or the override: `--set features.0.n_fft=0`
    line: int | None
    path: str  # pipelines.digits.features[0].n_mel
    seen: str
    expected: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        expected = f"expected {self.expected}" if self.expected else ""
        sentence = "; ".join(part for part in (self.seen, expected, self.hint) if part)
        return f"{place}  {self.path}: {sentence}" if self.path else f"{place}  {sentence}"


class ConfigError(RequestError):
    """The configuration cannot be used. `problems` has every mistake found; the text lists them, one per line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        count = "1 mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        super().__init__("\n".join([f"the configuration has {count}:", *map(str, self.problems)]))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[Problem]]]:
        return (ConfigError, (self.problems,))


def near_name(name: object, known: Iterable[str]) -> str:
    """A hint for a mistyped name: "did you mean n_mels?", or nothing where no name is near."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean {by_lower[near[0]]}?" if near else ""


def one_of(names: Iterable[object]) -> str:
    """ "one of a, b, c", or the only one there is."""
    listed = [str(name) for name in names]
    return listed[0] if len(listed) == 1 else f"one of {', '.join(listed)}"


def shown(value: Any) -> str:
    """A value as the user knows it: YAML's words for null and booleans, text in quotes, long ones cut, no passwords."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else f"a list of {len(value)}"
    text = without_password(repr(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def dotted(path: KeyPath) -> str:
    """A path of keys as people write it: `pipelines.digits.features[0].n_mels`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def has_password(text: str) -> bool:
    """Whether a URL in the text carries a password that is written out (and not as `${NAME}`)."""
    found = [match.group(2) for match in (*_PASSWORD.finditer(text), *_QUERY_PASSWORD.finditer(text))]
    return any(not re.fullmatch(r"\$\{\w+\}", password) for password in found)


def without_password(text: str) -> str:
    """The text with `***` for every password in a URL."""
    return _QUERY_PASSWORD.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))
