"""Turn text into the symbols a CTC model emits, and back.

The tokens are learned from the training texts alone and travel in the model bundle. There is no collapsing of repeats
here: that is decoding's work (`sorigil.decoding.ctc`). Index 0 is always the CTC blank.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast, get_args

from sorigil.errors import RequestError
from sorigil.text import subwords
from sorigil.text.subwords import SPACE, Merges

TokenKind = Literal["characters", "jamo", "words", "bpe"]

BLANK = "<blank>"
BLANK_ID = 0
SHOWN = 10  # symbols named in an error message
_OTHER_NAMES = {"chars": "characters", "syllables": "characters"}  # composed (NFC), a Hangul syllable is one character


@dataclass(frozen=True, kw_only=True, slots=True)
class SymbolTokens:
    """Tokens that the texts have already; `chars` and `syllables` are other names for `characters`."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["characters", "chars", "syllables", "jamo", "words"] = "characters"

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", _OTHER_NAMES.get(self.kind, self.kind))

    @property
    def name(self) -> str:
        """What names a model's tokens in its key."""
        return self.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class BpeTokens:
    """Subwords learned from the training texts: `size` tokens at most, the blank among them."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["bpe"] = "bpe"
    size: int = 500

    def __post_init__(self) -> None:
        if self.size < 2:
            raise ValueError(f"size is {self.size}; it must be at least 2, the blank and one more")

    @property
    def name(self) -> str:
        """What names a model's tokens in its key."""
        return f"{self.kind} {self.size}"


TokenSpec = SymbolTokens | BpeTokens


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokenizer:
    """A model's symbols; a token's id is its place in `tokens`.

    - `characters`: NFC code points, the space among them as the word boundary; one Hangul syllable is one token.
    - `jamo`: NFD code points: a Hangul syllable is its two or three conjoining jamo, put together again by `decode`.
    - `words`: whatever stands between spaces.
    - `bpe`: subwords of NFC text, a word's first with the space before it; `merges` says how they are put together.
    """

    kind: TokenKind
    tokens: tuple[str, ...]
    merges: Merges = ()
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _subwords: Callable[[str], list[int]] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(TokenKind):
            raise ValueError(f"kind is {self.kind!r}; it must be one of {', '.join(get_args(TokenKind))}")
        if not self.tokens or self.tokens[BLANK_ID] != BLANK:
            raise ValueError(f"tokens begin with {self.tokens[:1]}; the first must be {BLANK!r}")
        if len(set(self.tokens)) != len(self.tokens):
            raise ValueError("tokens hold the same token twice; each must stand there once")
        ids = {token: i for i, token in enumerate(self.tokens) if i != BLANK_ID}
        object.__setattr__(self, "_ids", ids)
        object.__setattr__(self, "_subwords", subwords.encoder(ids, self.merges) if self.kind == "bpe" else None)

    @classmethod
    def train(cls, spec: TokenSpec, texts: Iterable[str]) -> Tokenizer:
        """Learn the tokens of the training texts; the same texts in any order give the same.

        Symbols are sorted by code point, subwords stand as they were learned.

        Raises:
            RequestError: the texts hold no symbol at all, the word `<blank>`, or more characters than a bpe's size.
        """
        folded = [SPACE.join(_words(spec.kind, text)) for text in texts]
        tokens = sorted(alphabet(spec.kind, folded))
        if not tokens:
            raise RequestError("no training text holds a single symbol: are the transcripts empty?")
        merges: Merges = ()
        if isinstance(spec, BpeTokens):
            tokens, merges = subwords.learn(folded, spec.size - 1)
        if BLANK in tokens:
            raise RequestError(f"a training text holds the word {BLANK!r}, which is the CTC blank's name: rename it")
        return cls(kind=cast(TokenKind, spec.kind), tokens=(BLANK, *tokens), merges=merges)

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str, *, skip_unknown: bool = False) -> list[int]:
        """Return the ids of a text's symbols; white space is folded first, and no id is the blank's.

        A symbol that training never saw raises `RequestError`, because leaving it out in silence would teach or measure
        another text. `skip_unknown=True` leaves it out knowingly (the loss on a dev set; scores compare strings).
        """
        symbols = _symbols(self.kind, text)
        missing = self._missing(symbols)
        if missing and not skip_unknown:
            named = ", ".join(repr(symbol) for symbol in missing[:SHOWN])
            raise RequestError(f"the text {text[:60]!r} holds symbols that the training texts did not: {named}")
        known = [symbol for symbol in symbols if symbol in self._ids]
        if self._subwords is None:
            return [self._ids[symbol] for symbol in known]
        return self._subwords(SPACE.join("".join(known).split()))

    def decode(self, ids: Sequence[int]) -> str:
        """Write ids as text, in NFC; blanks are left out and repeats stay (collapse them before)."""
        text = (SPACE if self.kind == "words" else "").join(self.tokens[i] for i in ids if i != BLANK_ID)
        return unicodedata.normalize("NFC", text.removeprefix(SPACE) if self.kind == "bpe" else text)

    def starts_word(self, token: int) -> bool:
        """Say whether this token begins a new word (a space alone does, and is no part of it)."""
        return self.kind == "words" or self.tokens[token].startswith(SPACE)

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """List the symbols of these texts that are no tokens, sorted: a model can never get them right."""
        return self._missing(symbol for text in texts for symbol in _symbols(self.kind, text))

    def _missing(self, symbols: Iterable[str]) -> list[str]:
        return sorted({symbol for symbol in symbols if symbol not in self._ids})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, as the model bundle keeps them."""
        return {"kind": self.kind, "tokens": list(self.tokens), "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tokenizer:
        """Read what `to_json` gave; without merges, as older models have it, there are none.

        Raises `RequestError` when it is something else.
        """
        try:
            tokens = tuple(str(token) for token in data["tokens"])
            merges = tuple((str(left), str(right)) for left, right in data.get("merges", ()))
            return cls(kind=cast(TokenKind, data["kind"]), tokens=tokens, merges=merges)
        except (KeyError, TypeError, ValueError) as error:
            raise RequestError(f"this is no tokenizer: {error}") from error


def alphabet(kind: str, texts: Iterable[str]) -> set[str]:
    """Return what tokens of this kind must know of these texts: words, or characters."""
    return {symbol for text in texts for symbol in _symbols(kind, text)}


def needed_frames(ids: Sequence[int]) -> int:
    """Return how many frames CTC needs for these tokens: one each, and a blank between equal neighbours."""
    return len(ids) + sum(left == right for left, right in itertools.pairwise(ids))


def _words(kind: str, text: str) -> list[str]:
    return unicodedata.normalize("NFD" if kind == "jamo" else "NFC", text).split()


def _symbols(kind: str, text: str) -> list[str]:
    """What must be known for a text to be spelled: its words, or its characters with the spaces between them."""
    words = _words(kind, text)
    return words if kind == "words" else list(SPACE.join(words))
