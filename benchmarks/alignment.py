"""How far the words of `sorigil align` are from where they are said: an alignment of a demo archive against its true times.

`python -m benchmarks.alignment ALIGNED ARCHIVE`: the folder that was written, and the one that was aligned, in which each
recording's `.reference.json` has its words' times from the synthesiser.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import markdown

CLOSE_MS = 50.0
HEAD = (
    "recording",
    "words",
    "start, ms",
    "end, ms",
    "median start",
    "median end",
    f"starts within {CLOSE_MS:.0f} ms",
    "ends",
)


def errors_ms(aligned: Path, reference: Path) -> NDArray[np.float64]:
    """By how much each word begins and ends too late, (words, 2). Raises ValueError where the words are not the same."""
    utterances = json.loads(aligned.read_bytes())["utterances"]
    found = [word for utterance in utterances for word in utterance["words"]]
    true = json.loads(reference.read_bytes())["words"]
    if [word["text"] for word in found] != [text for _, _, text in true]:
        raise ValueError(f"{aligned} holds other words than {reference}: was another text aligned?")
    pairs = zip(found, true, strict=True)
    return 1000 * np.array([(word["start"] - start, word["end"] - end) for word, (start, end, _) in pairs])


def rows(aligned: Path, archive: Path) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Each recording with its words' errors, and all of them together."""
    every = []
    for place in sorted(aligned.glob("*.json")):
        name = json.loads(place.read_bytes())["uri"]
        every.append(errors_ms(place, archive / f"{name}.reference.json"))
        yield name, every[-1]
    if not every:
        raise ValueError(
            f"{aligned} holds no alignment: run `sorigil align NAME --source {archive} --output {aligned}`"
        )
    yield "all", np.concatenate(every)


def line(name: str, errors: NDArray[np.float64]) -> list[str]:
    """A row of the table: means and medians of the magnitudes."""
    sizes = np.abs(errors)
    figures = [f"{value:.1f}" for value in (*sizes.mean(axis=0), *np.median(sizes, axis=0))]
    return [name, f"{len(errors):,}", *figures, *(f"{100 * share:.1f} %" for share in (sizes <= CLOSE_MS).mean(axis=0))]


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python -m benchmarks.alignment ALIGNED ARCHIVE")
    aligned, archive = map(Path, sys.argv[1:])
    try:
        print(markdown(HEAD, [line(name, errors) for name, errors in rows(aligned, archive)]))
    except (OSError, ValueError) as wrong:
        sys.exit(str(wrong))


if __name__ == "__main__":
    main()
