"""What counting errors costs, beside jiwer, and what stands around it: normalising, intervals, tests between two systems.

python -m benchmarks.scoring [--utterances 10000] [--rounds 5]: made-up sentences of 4 to 20 words (of 5,000 different ones) with
5, 10 and 20 % of their words wrong. Processor time in milliseconds, medians over rounds in which ours and jiwer alternate, in a
process that has loaded the compiled loops, as one has that scored many utterances before.
"""

from __future__ import annotations

import argparse
import statistics
import string
import time
from collections.abc import Callable

import jiwer
import numpy as np

import sorigil.metrics.edit_counts  # noqa: F401 - the loops are loaded
from benchmarks.tables import markdown
from sorigil.metrics.errors import character_error_columns, word_error_columns
from sorigil.metrics.intervals import bootstrap_interval
from sorigil.metrics.paired import matched_pairs, paired_bootstrap
from sorigil.text.normalize import NORMALIZERS, KoreanNormalizer, normalizer

Texts = list[str]


def pairs(utterances: int, share: float, seed: int = 0) -> tuple[Texts, Texts]:
    """References, and hypotheses with this share of errors: half substitutions, three tenths deletions, the rest insertions."""
    generator = np.random.default_rng(seed)
    letters = list(string.ascii_lowercase)
    vocabulary = np.array(["".join(generator.choice(letters, generator.integers(2, 10))) for _ in range(5000)])
    references, hypotheses = [], []
    for _ in range(utterances):
        said = generator.choice(vocabulary, generator.integers(4, 21)).tolist()
        heard = []
        for word, luck in zip(said, generator.random(len(said)), strict=True):
            if luck >= 0.3 * share:
                heard.append(str(generator.choice(vocabulary)) if luck < 0.8 * share else word)
            if luck > 1 - 0.2 * share:
                heard.append(str(generator.choice(vocabulary)))
        references.append(" ".join(said))
        hypotheses.append(" ".join(heard))
    return references, hypotheses


def milliseconds(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median processor time of each call; all of them once in each round."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.process_time()
            call()
            spent[name].append(1000 * (time.process_time() - began))
    return {name: statistics.median(times) for name, times in spent.items()}


def beside_jiwer(utterances: int, rounds: int) -> list[list[str]]:
    return [
        row for share in (0.05, 0.1, 0.2) for row in _rows(*pairs(utterances, share), f"{100 * share:.0f} %", rounds)
    ]


def _rows(said: Texts, heard: Texts, share: str, rounds: int) -> list[list[str]]:
    spent = milliseconds(
        {
            "words": lambda: word_error_columns(said, heard),
            "jiwer's words": lambda: jiwer.process_words(said, heard),
            "characters": lambda: character_error_columns(said, heard, spaces=True),
            "jiwer's characters": lambda: jiwer.process_characters(said, heard),
        },
        rounds,
    )
    times = [(unit, spent[unit], spent[f"jiwer's {unit}"]) for unit in ("words", "characters")]
    return [
        [f"{share} wrong, {unit}", f"{ours:.0f}", f"{theirs:.0f}", f"{theirs / ours:.1f} ×"]
        for unit, ours, theirs in times
    ]


def around(utterances: int, rounds: int) -> list[list[str]]:
    said, heard = pairs(utterances, 0.1)
    _, other = pairs(utterances, 0.1)
    counts = word_error_columns(said, heard)
    spoken = normalizer(KoreanNormalizer(numbers="spoken"))
    calls: dict[str, Callable[[], object]] = {
        **{f"normaliser {name}": lambda name=name: list(map(normalizer(name), said)) for name in NORMALIZERS},  # type: ignore[misc]
        "normaliser korean, numbers spoken": lambda: list(map(spoken, said)),
        "bootstrap interval, 1,000 draws": lambda: bootstrap_interval(counts.errors, counts.totals),
        "paired bootstrap, 1,000 draws": lambda: paired_bootstrap(counts.errors, counts.errors[::-1], counts.totals),
        "matched pairs": lambda: matched_pairs(said, heard, other),
    }
    return [[name, f"{spent:.0f}"] for name, spent in milliseconds(calls, rounds).items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(
        markdown(
            [f"{asked.utterances:,} utterances, ms", "ours", "jiwer", ""], beside_jiwer(asked.utterances, asked.rounds)
        )
    )
    print()
    print(markdown([f"{asked.utterances:,} utterances", "ms"], around(asked.utterances, asked.rounds)))


if __name__ == "__main__":
    main()
