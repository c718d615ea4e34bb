"""README's table: the recognisers of the spine and of the shelf, and PocketSphinx, on the real sets.

python -m benchmarks.recognisers: `recognisers.yaml` says who learns from what. Its pipelines are run (what `make shelf` has
trained with seed 0 is found), then the evaluation matrix, each by a command that is printed. It can be stopped and continued.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.tables import markdown
from flows import config
from sorigil.report import numbers

RECIPES = Path(__file__).with_name("recognisers.yaml")
OUTPUT = Path("data/shelf/leaderboard")

LEARNED = ("fsdd", "yesno", "an4")  # each network was trained on each of these
METRICS = dict.fromkeys((*LEARNED, "keywords", "read_english"), "wer") | {"korean": "cer"}
WHOLE = ("read_english", "korean")  # nobody learned from these: whatever side they are on
GENERAL = {"all": "an4.all", "spine": "spine.words", "pocketsphinx": "pocketsphinx"}
GRAMMAR = "pocketsphinx:benchmarks/digits.jsgf"  # for FSDD; from the repository's root


def main() -> None:
    for name in (*METRICS, "spine"):
        _sorigil("run", name, "--json")
    models = [f"{name}.{network}" for name in LEARNED for network in _networks()]
    asked = (
        "--models",
        ",".join([*models, *GENERAL.values(), GRAMMAR]),
        "--datasets",
        ",".join(map(_dataset, METRICS)),
    )
    said = _sorigil("evaluate", *asked, "--output", str(OUTPUT), "--json")
    print(f"{table(said['boards'])}\n\nthe whole boards: {OUTPUT / 'leaderboard.md'}")


def _networks() -> list[str]:
    entries = config.load(RECIPES).pipeline("fsdd").train
    return [entry.name for entry in entries]


def _dataset(name: str) -> str:
    return f"{name}:all" if name in WHOLE else name


def _sorigil(*words: str) -> dict[str, Any]:
    """What the command says with --json. Its progress goes where ours does."""
    command = [sys.executable, "-m", "flows.cli", *words, "--file", str(RECIPES)]
    print(shlex.join(["sorigil", *command[3:]]), file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table(boards: list[dict[str, Any]]) -> str:
    """A line for each recogniser: what it scores on each set with its interval, and how fast it is in the median.

    A network is one recogniser for each set that it learned from; sets that none learned from are heard by AN4's.
    """
    cells = {
        (_asked(row["model"]), _set(board)): row
        for board in boards
        if board["metric"] == METRICS[_set(board)]
        for row in board["rows"]
    }
    lines = {name: {each: f"{each if each in LEARNED else 'an4'}.{name}" for each in METRICS} for name in _networks()}
    lines |= {name: dict.fromkeys(METRICS, model) for name, model in GENERAL.items()}
    lines |= {"pocketsphinx, digits only": {"fsdd": GRAMMAR}}
    body = [[name, *_line(cells, models)] for name, models in lines.items()]
    return markdown(["", *_heads(boards), "RTFx"], body)


def _asked(model: str) -> str:
    """fsdd.gru/2 -> fsdd.gru"""
    return model if model.startswith("pocketsphinx:") else model.split("/")[0]


def _set(board: dict[str, Any]) -> str:
    """fsdd:test -> fsdd"""
    return str(board["slice"].split(":")[0])


def _line(cells: dict[tuple[str, str], Any], models: dict[str, str]) -> Iterator[str]:
    speeds = []
    for name in METRICS:
        row = cells.get((models.get(name, ""), name))
        if row is None:
            yield numbers.UNKNOWN
            continue
        low, high = row["interval"]
        yield f"{100 * row['value']:.1f} [{100 * low:.0f}, {100 * high:.0f}]"
        speeds.append(row["rtfx"])
    yield f"{median(speeds):,.0f}" if speeds else numbers.UNKNOWN


def _heads(boards: list[dict[str, Any]]) -> Iterator[str]:
    """Each set with its metric, its normaliser and how much of it there is."""
    for name, metric in METRICS.items():
        board = next(each for each in boards if _set(each) == name and each["metric"] == metric)
        yield f"{name}, {metric.upper()} % ({board['normalizer']}; {board['utterances']})"


if __name__ == "__main__":
    main()
