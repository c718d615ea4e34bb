"""Systems in the order of what they score, a board for each slice and metric: as Markdown, as one HTML page, as plain text.

Only scores of the same utterances under the same normaliser stand on one board. What stands in a column is said on the page
and in docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from markupsafe import Markup

from sorigil.report import markdown, numbers
from sorigil.report.charts import spaced
from sorigil.report.page import fill
from sorigil.report.summary import table

HEAD = ("rank", "model", "value", "95 % by utterance", "95 % by speaker", "RTFx", "decoder", "learned from")
_RIGHT = (0, 2, 3, 4, 5, 7)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A system on a board. `rank` is null where it has none: it learned from the utterances, or there is no test for the
    metric. `rtfx`: seconds of audio by seconds that a worker took, null where hypotheses came from a file. `seen`:
    utterances that it learned from, null where nobody knows."""

    model: str
    key: str
    rank: int | None
    value: float
    interval: tuple[float, float] | None
    interval_by_speaker: tuple[float, float] | None
    rtfx: float | None
    decoder: str
    seen: int | None
    score: str  # its key
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Seeds:
    """How the scores of trainings lie apart that differ in nothing but the seed. `std`: of a sample."""

    models: tuple[str, ...]
    n: int
    mean: float
    std: float | None
    min: float
    max: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """The rows of a slice and a metric, best first. `main`: the metric by which its objective is judged."""

    slice: str
    slice_key: str
    dataset: str
    version: str
    side: str
    objective: str
    target: str
    metric: str
    main: bool
    normalizer: str | None
    utterances: int
    seconds: float
    rows: tuple[Row, ...]
    seeds: tuple[Seeds, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.slice}: {spaced(self.metric)}"

    @property
    def about(self) -> str:
        """What is scored, in a line."""
        normalizer = f", normaliser {self.normalizer}" if self.normalizer else ""
        return (
            f"{self.dataset} {self.version}, {numbers.count(self.utterances)} utterances with a {self.target}, "
            f"{numbers.span(self.seconds)}{normalizer}; slice {self.slice_key[:8]}"
        )

    def cells(self) -> Iterator[tuple[str, ...]]:
        """The rows as `HEAD` names their columns."""
        for row in self.rows:
            yield (
                numbers.UNKNOWN if row.rank is None else str(row.rank),
                row.model,
                numbers.score(self.metric, row.value),
                numbers.interval(self.metric, row.interval),
                numbers.interval(self.metric, row.interval_by_speaker),
                numbers.times(row.rtfx),
                row.decoder,
                numbers.UNKNOWN if row.seen is None else numbers.count(row.seen),
            )

    def notes(self) -> list[str]:
        return [f"{row.model}: {note}" for row in self.rows for note in row.notes]

    def spreads(self) -> list[str]:
        """The seeds in words."""
        found = []
        for each in self.seeds:
            mean, std, least, most = (
                numbers.score(self.metric, value) for value in (each.mean, each.std, each.min, each.max)
            )
            found.append(
                f"{', '.join(each.models)}: one training with {each.n} seeds, mean {mean}, std {std}, {least} to {most}"
            )
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaderboard:
    """All boards of a matrix, those of a slice and objective one after the other, and the cells without a score."""

    boards: tuple[Board, ...]
    missing: tuple[tuple[str, str, str], ...] = ()  # model, slice, reason
    when: str = ""
    commands: tuple[tuple[str, str], ...] = field(default=())


def to_markdown(found: Leaderboard) -> str:
    """Every board as a table, the main metric of each slice first."""
    parts = ["# Leaderboard"]
    for board in found.boards:
        parts += [f"## {board.title}", board.about, markdown.table([HEAD, *board.cells()])]
        said = [*board.spreads(), *(board.notes() if board.main else [])]
        parts += ["\n".join(f"- {each}" for each in said)] if said else []
    if found.missing:
        parts += ["## Not scored", markdown.table([("model", "dataset", "why"), *found.missing])]
    return "\n\n".join(parts) + "\n"


def to_text(found: Leaderboard, metrics: Sequence[str] = ()) -> str:
    """The boards of the main metrics and of those that were asked for, and what was not scored, for a terminal."""
    lines: list[str] = []
    for board in (each for each in found.boards if each.main or each.metric in metrics):
        lines += ["", board.title, f"  {board.about}", *table([HEAD, *board.cells()], right=_RIGHT)]
        lines += [f"  seeds: {each}" for each in board.spreads()]
        lines += [f"  note: {note}" for note in board.notes()]
    if found.missing:
        lines += ["", "Not scored", *table([("model", "dataset", "why"), *found.missing])]
    if found.commands:
        lines += ["", "Next", *table(list(found.commands))]
    return "\n".join(lines).lstrip("\n")


def to_html(found: Leaderboard) -> str:
    """One page that needs nothing else, to be written as UTF-8."""
    slices = [list(several) for _, several in groupby(found.boards, lambda board: (board.slice, board.objective))]
    return fill(
        "leaderboard.html.j2",
        styles=("page.css",),
        scripts=("page.js",),
        found=found,
        slices=[(boards[0], [(board, _scale(board)) for board in boards]) for boards in slices],
        head=HEAD,
        right=_RIGHT,
    )


def _scale(board: Board) -> list[Markup]:
    """Each row's value and interval on one scale: to the highest bound, from 0 or, where all are high, from the lowest."""
    bounds = [bound for row in board.rows for bound in (row.value, *(row.interval or ()))]
    low, high = min(bounds), max(*bounds, 1e-9)
    low = low if low < 0 or high / 2 < low < high else 0.0
    return [_whisker(row.value, row.interval or (row.value, row.value), low, high) for row in board.rows]


def _whisker(value: float, interval: Sequence[float], low: float, high: float) -> Markup:
    places = [4 + 152 * (each - low) / (high - low) for each in (*interval, value)]
    return Markup(
        '<svg class="whisker" viewBox="0 0 160 14" width="160" height="14" aria-hidden="true">'
        '<line class="grid" x1="4" x2="156" y1="7" y2="7"/>'
        '<line class="line series1" x1="{:.1f}" x2="{:.1f}" y1="7" y2="7"/><circle class="dot series1" cx="{:.1f}" cy="7" r="3.5"/>'
        "</svg>"
    ).format(*places)
