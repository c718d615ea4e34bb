"""Bring two transcripts to the same spelling before they are compared, or a text to the symbols a model learns.

Not a tokenizer, and no score: the normaliser is part of what a score means, so its label stands in every score's row and
key. Here are the specs and the table; what the normalisers do is in `normalize_plain`, `normalize_korean` and
`normalize_rules`. Scripts are never broken: no step splits a Hangul syllable or takes a vowel sign away.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sorigil.errors import RequestError
from sorigil.fingerprint import fingerprint
from sorigil.text import normalize_korean, normalize_plain, normalize_rules
from sorigil.text.normalize_korean import Dual, Numbers

NormalizerName = Literal["none", "basic", "english", "korean"]
Normalizer = Callable[[str], str]

VERSIONS: dict[NormalizerName, int] = {
    "none": 1,
    "basic": 1,
    "english": 1,
    "korean": 1,
}  # raised when an output changes

_FORBID: dict[str, Any] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainNormalizer:
    """A normaliser without options; in YAML its plain name (`normalizer: english`)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    kind: Literal["none", "basic", "english"] = "basic"


@dataclass(frozen=True, kw_only=True, slots=True)
class KoreanNormalizer:
    """Korean: `numbers: spoken` reads digits and units out; `dual` takes one side of transcriptions in two spellings."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    kind: Literal["korean"] = "korean"
    numbers: Numbers = "keep"
    dual: Dual = "keep"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Put `put` wherever the regular expression `match` is found; `\\1` in it is what the first group held."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    match: str
    put: str = ""

    def __post_init__(self) -> None:
        try:
            re.compile(self.match).sub(self.put, "")
            re.compile(f"(?:{self.match})?").sub(self.put, "")  # an unknown group shows only where something matches
        except (re.error, IndexError) as wrong:
            raise ValueError(f"match is {self.match!r}, put is {self.put!r}: not a replacement ({wrong})") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomNormalizer:
    """Rules of one's own: `rules` one after another, then the normaliser `base`, then whole words by `words`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    kind: Literal["custom"] = "custom"
    name: str
    rules: tuple[Rule, ...] = ()
    base: NormalizerName = "basic"
    words: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^\W_][\w.-]*", self.name) or self.name in (*VERSIONS, "custom"):
            raise ValueError(
                f"name is {self.name!r}; it must be of letters, digits, '-', '_' and '.', and none of {', '.join(VERSIONS)}"
            )
        clean = normalizer(self.base)
        for word in self.words:
            if not word.strip() or clean(word) != word:
                raise ValueError(
                    f"words has {word!r}, which {self.base} never leaves; write it as it is after that: {clean(word)!r}"
                )


NormalizerSpec = PlainNormalizer | KoreanNormalizer | CustomNormalizer

NORMALIZERS: dict[NormalizerName, Normalizer] = {
    "none": normalize_plain.none,
    "basic": normalize_plain.basic,
    "english": normalize_plain.english,
    "korean": normalize_korean.korean,
}


def normalizer(asked: str | NormalizerSpec) -> Normalizer:
    """Return the normaliser of a name or a spec. Raises `RequestError` with the nearest name when there is none."""
    if isinstance(asked, str):
        asked = spec_of(asked)
    if isinstance(asked, CustomNormalizer):
        rules = [(rule.match, rule.put) for rule in asked.rules]
        return normalize_rules.custom(rules, NORMALIZERS[asked.base], asked.words)
    if isinstance(asked, KoreanNormalizer):
        return normalize_korean.reader(asked.numbers, asked.dual)
    return NORMALIZERS[asked.kind]


def spec_of(name: str) -> PlainNormalizer | KoreanNormalizer:
    """Return the spec of a plain name. Raises `RequestError` with the nearest one when there is none."""
    for known in NORMALIZERS:
        if known == name:
            return KoreanNormalizer() if known == "korean" else PlainNormalizer(kind=known)
    near = difflib.get_close_matches(name, NORMALIZERS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise RequestError(f"normalizer {name!r} is not known; there are {', '.join(NORMALIZERS)}{hint}")


def version(spec: NormalizerSpec) -> int:
    """Which version of the code this is, of a custom one that of its base: raised whenever an output changes."""
    return VERSIONS[spec.base if isinstance(spec, CustomNormalizer) else spec.kind]


def label(spec: NormalizerSpec) -> str:
    """What a score's key and row call it: `english`; `english v2` for a later version; and with options of its own the
    first digits of its fingerprint: `korean 1f0a5b2c9d3e`. Equal labels are the same normaliser."""
    custom = isinstance(spec, CustomNormalizer)
    name = spec.name if isinstance(spec, CustomNormalizer) else spec.kind
    later = f" v{version(spec)}" if version(spec) > 1 else ""
    options = f" {fingerprint(spec)[:12]}" if custom or spec != type(spec)(kind=spec.kind) else ""  # type: ignore[arg-type,call-arg]
    return f"{name}{later}{options}"
