"""n-gram models as ARPA text, which SRILM, KenLM and flashlight read and write too.

The format parts units by white space, so a space inside a unit (of a recogniser's tokens) is written `▁`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import numpy as np

from sorigil.errors import RequestError
from sorigil.lm.ngram import MARKS, NONE, ROOT, UNKNOWN, Ints, NGramModel

SPACE, WRITTEN_SPACE = " ", "▁"
NOT_TO_BE_WRITTEN = re.compile(rf"^$|[^\S{SPACE}]|{WRITTEN_SPACE}")
LN10 = math.log(10)
NEVER = -99.0  # how the format writes log10 of 0
UNKNOWN_NAME = MARKS[UNKNOWN]
Entry = tuple[float, float, int]  # log10 of the probability and of the backoff; the line
_LENGTH = re.compile(r"\\(\d+)-grams:")


def to_arpa(model: NGramModel) -> Iterator[str]:
    """The lines of the file, probabilities in seven digits. Raises `RequestError` where a unit cannot be written."""
    if wrong := [unit for unit in model.units if NOT_TO_BE_WRITTEN.search(unit)]:
        raise RequestError(f"{wrong[0]!r} cannot be written to an ARPA file")
    names = [unit.replace(SPACE, WRITTEN_SPACE) for unit in model.units]
    length_N = model.node_lengths()
    prob_N = np.where(model.log_prob_N == -np.inf, NEVER, model.log_prob_N / LN10).tolist()
    backoff_N = (model.backoff_N / LN10).tolist()
    parent_N, unit_N = model.parent_N.tolist(), model.unit_N.tolist()
    texts = [""] * len(length_N)
    yield "\\data\\\n"
    for length in range(1, model.order + 1):
        yield f"ngram {length}={np.count_nonzero(length_N == length)}\n"
    for length in range(1, model.order + 1):
        yield f"\n\\{length}-grams:\n"
        for node in np.flatnonzero(length_N == length).tolist():
            texts[node] = f"{texts[parent_N[node]]} {names[unit_N[node]]}".lstrip()
            backoff = f"\t{backoff_N[node]:.7g}" if length < model.order else ""
            yield f"{prob_N[node]:.7g}\t{texts[node]}{backoff}\n"
    yield "\n\\end\\\n"


def from_arpa(lines: Iterable[str]) -> NGramModel:
    """Read a model. Raises `RequestError` with the line where it is no ARPA file, or one whose n-grams do not fit together.

    A file without `<unk>` gets one that never comes; `<UNK>` is the same.
    """
    grams = _grams(lines)
    if not grams or not grams[0]:
        raise RequestError("this is no ARPA file: it has no \\1-grams:")
    own = [name for name in grams[0] if name not in MARKS]
    names = [*MARKS, *own]
    ids = {name: i for i, name in enumerate(names)}
    unigrams = [grams[0].get(name, (NEVER, 0.0, 0))[:2] for name in names]
    nodes = {name: 1 + i for i, name in enumerate(names)}
    parent, unit, values = [np.full(len(names), ROOT)], [np.arange(len(names))], [np.array(unigrams)]
    first = 1 + len(names)
    for length, found in enumerate(grams[1:], start=2):
        parent_G, unit_G = _placed(found, nodes, ids, length)
        order_G = np.lexsort((unit_G, parent_G))
        parent.append(parent_G[order_G])
        unit.append(unit_G[order_G])
        values.append(np.array([value[:2] for value in found.values()]).reshape(-1, 2)[order_G])
        texts = list(found)
        nodes = {texts[i]: first + rank for rank, i in enumerate(order_G.tolist())}
        first += len(found)
    prob_N, backoff_N = np.concatenate([np.zeros((1, 2)), *values]).T * LN10
    return NGramModel(
        order=len(grams),
        units=tuple(name.replace(WRITTEN_SPACE, SPACE) for name in names),
        parent_N=np.concatenate([[ROOT], *parent]),
        unit_N=np.concatenate([[UNKNOWN], *unit]),
        log_prob_N=np.where(prob_N <= NEVER * LN10, -np.inf, prob_N),
        backoff_N=backoff_N,
    )


def _placed(found: dict[str, Entry], nodes: dict[str, int], ids: dict[str, int], length: int) -> tuple[Ints, Ints]:
    """Each n-gram's parent, among those one unit shorter, and its last unit."""
    places = []
    for text in found:
        before, _, last = text.rpartition(SPACE)
        places.append((nodes.get(before, NONE), ids.get(last, NONE)))
        if NONE in places[-1]:
            missing = before if places[-1][0] == NONE else last
            raise RequestError(
                f"line {found[text][2]} of this ARPA file has the {length}-gram {text!r} without its part {missing!r}"
            )
    parent_G, unit_G = np.array(places, dtype=np.int64).reshape(-1, 2).T
    return parent_G, unit_G


def _grams(lines: Iterable[str]) -> list[dict[str, Entry]]:
    """Of each length the n-grams, units parted by one space."""
    grams: list[dict[str, Entry]] = []
    said: dict[int, int] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if header := _LENGTH.fullmatch(line):
            grams.append({})
            if int(header[1]) != len(grams):
                raise RequestError(f"line {number} of this ARPA file is {line!r}; expected \\{len(grams)}-grams:")
        elif line == "\\end\\":
            break
        elif grams and line:
            name, entry = _entry(line, number, len(grams))
            if name in grams[-1]:
                raise RequestError(
                    f"line {number} of this ARPA file has {name!r} again; it was in line {grams[-1][name][2]}"
                )
            grams[-1][name] = entry
        elif count := re.fullmatch(r"ngram (\d+)\s*=\s*(\d+)", line):
            said[int(count[1])] = int(count[2])
    else:
        raise RequestError("this ARPA file ends without \\end\\: is it whole?")
    if wrong := [n for n, found in enumerate(grams, start=1) if said.get(n) != len(found)]:
        raise RequestError(
            f"this ARPA file has {len(grams[wrong[0] - 1])} {wrong[0]}-grams, but says {said.get(wrong[0])}"
        )
    return grams


def _entry(line: str, number: int, length: int) -> tuple[str, Entry]:
    """The units of a line of n-grams, and its numbers."""
    fields = line.split()
    try:
        if not length < len(fields) <= length + 2:
            raise ValueError
        log_prob, backoff = float(fields[0]), float(fields[length + 1]) if len(fields) == length + 2 else 0.0
    except ValueError:
        raise RequestError(
            f"line {number} of this ARPA file is {line[:80]!r}; expected a number, {length} units, and perhaps another number"
        ) from None
    if not log_prob <= 0 or not backoff < math.inf:  # NaN is neither
        raise RequestError(
            f"line {number} of this ARPA file is {line[:80]!r}; a logarithm of a probability is at most 0, of a backoff finite"
        )
    name = SPACE.join(fields[1 : length + 1])
    return UNKNOWN_NAME if name == "<UNK>" else name, (log_prob, max(backoff, NEVER), number)
