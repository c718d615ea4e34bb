"""`make bench`: Sorigil and others do the same work in turn; what it cost is printed as tables. README.md has the method.

Rounds alternate: every contestant does a corpus once before any does it again, so that a machine that is slower for a
minute is slower for all.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.contestants import Contestant, everyone
from benchmarks.corpora import CORPORA, folder_of
from benchmarks.measure import Cost, FailedError, run
from benchmarks.tables import Row, markdown, of_corpus, of_steps

ROOT = Path("data/bench")


def main() -> None:
    options = _options()
    contestants = everyone(ROOT, options.contestants)
    chosen = [contestants[name] for name in options.contestants or contestants if name in contestants]
    rows: list[Row] = []
    report = [_where(options)]
    for corpus in options.corpora:
        found = list(_rounds(corpus, options.minutes, chosen, options.rounds, options.jobs))
        rows += found
        title = (
            f"{CORPORA[corpus].what}: {found[0].files:,} files, {found[0].seconds / 60:,.1f} min" if found else corpus
        )
        report.append(f"### {title}\n\n{of_corpus(found)}")
        print(report[-1], flush=True)
    last = [row for row in rows if row.contestant == "sorigil" and row.round == options.rounds - 1]
    if last:
        report.append(f"### Where the time goes\n\n{of_steps(last)}")
    if not options.no_start and options.corpora and "sorigil" in contestants:
        report.append(_start(contestants, options, rows))
    if options.hours:
        report.append(_growth(contestants, options, rows))
    _write(report, rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="of audio in each corpus (3,000 clips for 60)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="processes of each contestant")
    parser.add_argument("--corpora", type=_names, default=tuple(CORPORA), help=f"of {','.join(CORPORA)}")
    parser.add_argument("--contestants", type=_names, default=(), help="such as ceiling,sorigil,lhotse")
    parser.add_argument("--hours", type=_numbers, default=(), help="growth: 2,5,10,20 times the corpus of --grow")
    parser.add_argument("--grow", default="flac44", choices=tuple(CORPORA), help="the corpus that grows")
    parser.add_argument("--no-start", action="store_true", help="do not measure the fixed start")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


def _rounds(corpus: str, minutes: float, chosen: list[Contestant], rounds: int, jobs: int) -> Iterator[Row]:
    folder = folder_of(corpus, minutes, ROOT)
    for number in range(rounds):
        for each in chosen:
            if not each.kinds or corpus in each.kinds:
                row = _one(each, corpus, folder, minutes, number, jobs)
                if row is not None:
                    yield row


def _one(each: Contestant, corpus: str, folder: Path, minutes: float, number: int, jobs: int) -> Row | None:
    out = ROOT / "out"
    shutil.rmtree(out, ignore_errors=True)
    try:
        cost = run(each.command(folder, out, jobs), each.environment)
    except FailedError as failed:
        print(f"{each.name} on {corpus} failed and is left out: {failed}", file=sys.stderr)
        return None
    said = cost.said
    files = said["books"]["kept"]["items"] if "books" in said else said["files"]
    seconds = said["books"]["kept"]["seconds"] if "books" in said else said["audio_seconds"]
    print(
        f"{corpus} {minutes:g} min, round {number}, {each.name}: {cost.wall:.1f} s, CPU {cost.cpu:.1f} s",
        file=sys.stderr,
    )
    return Row(
        corpus=corpus, minutes=minutes, contestant=each.name, round=number, seconds=seconds, files=files, cost=cost
    )


def _start(contestants: dict[str, Contestant], options: argparse.Namespace, rows: list[Row]) -> str:
    """What a run costs before its first second of audio, and what orchestration adds to each second of the stage's work."""
    names = ("sorigil", "stage full")
    found = list(_rounds("flac44", 1 / 6, [contestants[name] for name in names], options.rounds, options.jobs))
    rows += found
    one = {name: [row.cost for row in found if row.contestant == name] for name in names}
    wall, cpu = (median(getattr(cost, what) for cost in one["sorigil"]) for what in ("wall", "cpu"))
    text = f"### Fixed start\n\nA run on one file: {wall:.1f} s by the clock, {cpu:.1f} s of the processor."
    lines = []
    for corpus in options.corpora:
        whole, stage = (_growing(rows, corpus, name, options.minutes, one[name]) for name in names)
        if whole and stage:
            lines.append([corpus, f"{stage:.1f}", f"{whole:.1f}", f"{100 * (whole / stage - 1):+.1f} %"])
    if not lines:
        return text
    table = markdown(["CPU s beyond a run on one file", "stage full", "sorigil", "more"], lines)
    return f"{text}\n\n{table}"


def _growing(rows: list[Row], corpus: str, contestant: str, minutes: float, one: list[Cost]) -> float:
    """Processor seconds that grow with the corpus: the median run's less those of a run on one file; 0 where none was made."""
    wanted = (corpus, contestant, minutes)
    costs = [row.cost.cpu for row in rows if (row.corpus, row.contestant, row.minutes) == wanted]
    return median(costs) - median(cost.cpu for cost in one) if costs and one else 0.0


def _growth(contestants: dict[str, Contestant], options: argparse.Namespace, rows: list[Row]) -> str:
    """One round of each size, with how many times as fast as the faster peer Sorigil's command is by the clock."""
    asked = options.contestants or contestants
    names = [name for name in ("ceiling", "sorigil", "lhotse", "librosa") if name in asked and name in contestants]
    body = []
    for hours in options.hours:
        found = list(_rounds(options.grow, 60 * hours, [contestants[name] for name in names], 1, options.jobs))
        rows += found
        cost = {row.contestant: row.cost for row in found}
        costs = (f"{cost[name].wall:.0f} / {cost[name].cpu:.0f}" if name in cost else "–" for name in names)
        peers = [cost[name].wall for name in ("lhotse", "librosa") if name in cost]
        ratio = f"{min(peers) / cost['sorigil'].wall:.2f}" if peers and "sorigil" in cost else "–"
        body.append([f"{hours:g} ×", *costs, ratio])
    table = markdown(["wall s / CPU s", *names, "× the faster peer"], body)
    return f"### Growth: {CORPORA[options.grow].what}, times its hour\n\n{table}"


def _where(options: argparse.Namespace) -> str:
    return (
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, Python {platform.python_version()}, {options.jobs} processes, "
        f"medians of {options.rounds} rounds."
    )


def _write(report: list[str], rows: list[Row]) -> None:
    text = "\n\n".join(report) + "\n"
    (ROOT / "results.md").write_text(text)
    (ROOT / "results.json").write_text(json.dumps([dataclasses.asdict(row) for row in rows], default=str))
    print(f"\n{text}\nwritten to {ROOT / 'results.md'}")


if __name__ == "__main__":
    main()
