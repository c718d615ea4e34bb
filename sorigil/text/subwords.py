"""Byte-pair encoding: subwords learned from the training texts (Sennrich et al. 2016, arXiv:1508.07909).

The library `tokenizers` learns the merges and applies them; here is how words are marked. Each word carries the space
before it (" the", " c" + "at"), so tokens are plain text, and joining them gives the text back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sorigil.errors import RequestError

SPACE = " "
Merges = tuple[tuple[str, str], ...]


def learn(texts: Sequence[str], size: int) -> tuple[list[str], Merges]:
    """Return up to `size` subwords of these texts, in the order they were learned, and the merges that make them.

    White space must be folded. First come all characters, by code point; a small corpus is used up before `size` is
    reached. The order of the texts does not matter. Raises `RequestError` when there are more characters than `size`.
    """
    from tokenizers import models, trainers

    characters = set(SPACE).union(*texts)
    if len(characters) > size:
        raise RequestError(
            f"the training texts hold {len(characters)} different characters, each a token of its own, and the blank is "
            f"one more; a bpe of {size + 1} tokens cannot hold them: make its size larger"
        )
    made = _tokenizer(models.BPE())
    made.train_from_iterator(
        (SPACE + text for text in texts), trainers.BpeTrainer(vocab_size=size, show_progress=False)
    )
    model = json.loads(made.to_str())["model"]
    merges = tuple((str(left), str(right)) for left, right in model["merges"])
    return sorted(model["vocab"], key=model["vocab"].__getitem__), merges


def encoder(ids: dict[str, int], merges: Merges) -> Callable[[str], list[int]]:
    """Return what turns a text (white space folded, no character that is no token) into ids.

    Raises `ValueError` where a merge names what is no token.
    """
    from tokenizers import models

    try:
        made = _tokenizer(models.BPE(vocab=ids, merges=list(merges)))
    except Exception as wrong:  # the library raises nothing narrower
        raise ValueError(f"the merges do not fit the tokens ({wrong})") from wrong

    def encode(text: str) -> list[int]:
        found: list[int] = made.encode(SPACE + text).ids if text else []
        return found

    return encode


def _tokenizer(model: Any) -> Any:
    from tokenizers import Tokenizer, pre_tokenizers

    made = Tokenizer(model)
    made.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    return made
