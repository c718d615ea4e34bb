"""Turn text into the symbols a CTC model emits, and back.

The tokens are learned from the training texts and travel in the model bundle. There is no collapsing of repeats here:
that is decoding's work (`sorigil.decoding.ctc`). Index 0 is always the CTC blank.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast, get_args

from sorigil.errors import RequestError

TokenKind = Literal["characters", "jamo", "words"]

BLANK = "<blank>"
BLANK_ID = 0
SPACE = " "  # the word boundary of "characters" and "jamo"
SHOWN = 10  # symbols named in an error message


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokenizer:
    """A model's symbols; a token's id is its place in `tokens`.

    - `characters`: NFC code points, the space among them as the word boundary; one Hangul syllable is one token.
    - `jamo`: NFD code points: a Hangul syllable is its two or three conjoining jamo, put together again by `decode`.
    - `words`: whatever stands between spaces.
    """

    kind: TokenKind
    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.kind not in get_args(TokenKind):
            raise ValueError(f"kind is {self.kind!r}; it must be one of {', '.join(get_args(TokenKind))}")
        if not self.tokens or self.tokens[BLANK_ID] != BLANK:
            raise ValueError(f"tokens begin with {self.tokens[:1]}; the first must be {BLANK!r}")
        if len(set(self.tokens)) != len(self.tokens):
            raise ValueError("tokens hold the same token twice; each must stand there once")

    @classmethod
    def train(cls, kind: TokenKind, texts: Iterable[str]) -> Tokenizer:
        """Collect the symbols of the training texts, sorted by code point: the same texts in any order give the same.

        Raises `RequestError` when the texts hold no symbol at all.
        """
        found: set[str] = set()
        for text in texts:
            found.update(_symbols(kind, text))
        if not found:
            raise RequestError("no training text holds a single symbol: are the transcripts empty?")
        if BLANK in found:
            raise RequestError(f"a training text holds the word {BLANK!r}, which is the CTC blank's name: rename it")
        return cls(kind=kind, tokens=(BLANK, *sorted(found)))

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str, *, skip_unknown: bool = False) -> list[int]:
        """Return the ids of a text's symbols; white space is folded first, and no id is the blank's.

        A symbol that training never saw raises `RequestError`, because leaving it out in silence would teach or measure
        another text. `skip_unknown=True` leaves it out knowingly (the loss on a dev set; scores compare strings).
        """
        index = _index(self.tokens)
        symbols = _symbols(self.kind, text)
        missing = sorted({symbol for symbol in symbols if symbol not in index})
        if missing and not skip_unknown:
            named = ", ".join(repr(symbol) for symbol in missing[:SHOWN])
            raise RequestError(f"the text {text[:60]!r} holds symbols that the training texts did not: {named}")
        return [index[symbol] for symbol in symbols if symbol in index]

    def decode(self, ids: Sequence[int]) -> str:
        """Write ids as text, in NFC; blanks are left out and repeats stay (collapse them before)."""
        tokens = [self.tokens[i] for i in ids if i != BLANK_ID]
        return unicodedata.normalize("NFC", (SPACE if self.kind == "words" else "").join(tokens))

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """List the symbols of these texts that are no tokens, sorted: a model can never get them right."""
        index = _index(self.tokens)
        return sorted({symbol for text in texts for symbol in _symbols(self.kind, text) if symbol not in index})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, as the model bundle keeps them."""
        return {"kind": self.kind, "tokens": list(self.tokens)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tokenizer:
        """Read what `to_json` gave. Raises `RequestError` when it is something else."""
        try:
            return cls(kind=cast(TokenKind, data["kind"]), tokens=tuple(str(token) for token in data["tokens"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RequestError(f"this is no tokenizer: {error}") from error


def _symbols(kind: TokenKind, text: str) -> list[str]:
    form: Literal["NFC", "NFD"] = "NFD" if kind == "jamo" else "NFC"
    words = unicodedata.normalize(form, text).split()
    return words if kind == "words" else list(SPACE.join(words))


@lru_cache(maxsize=32)
def _index(tokens: tuple[str, ...]) -> dict[str, int]:
    return {token: i for i, token in enumerate(tokens) if i != BLANK_ID}
