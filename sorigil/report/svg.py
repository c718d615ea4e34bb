"""Small charts as inline SVG: lines, bars, a matrix and a framed image, with sensible ticks, titles and units.

The browser writes the text, so every script has its glyphs, and colours are classes that the page's style sheet maps to
light and dark. It draws what it is given and computes no statistics. All text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from sorigil.metrics.calibration import ReliabilityBin

Point = tuple[float, float]
LINE_STYLES = 4  # classes series1 ... series4 of the style sheet


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten apart) that lie within [low, high]."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    rough = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [0.0 if index == 0 else round(index * step, 12) for index in range(first, last + 1)]


def tick_label(value: float) -> str:
    """Short: 0.25, 1,200, 3e-04."""
    if value != 0 and abs(value) < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def _frame(width: float, height: float, body: list[Markup], label: str) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(_n(width), _n(height), _n(width), _n(height), label, Markup("").join(body))


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, text: str, css: str, turn: float = 0) -> Markup:
    turned = Markup(' transform="rotate({} {} {})"').format(_n(turn), _n(x), _n(y)) if turn else Markup("")
    return Markup('<text x="{}" y="{}" class="{}"{}>{}</text>').format(_n(x), _n(y), css, turned, text)


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(_n(x1), _n(y1), _n(x2), _n(y2), css)


class _Axes:
    """A plotting area with linear scales; `parts` gathers what is drawn."""

    def __init__(self, size: Point, x: Point, y: Point, left: float = 64.0) -> None:
        self.width, self.height = size
        self.left, self.right, self.top, self.bottom = left, size[0] - 24, 18.0, size[1] - 42
        self.x_range, self.y_range = _widened(x), _widened(y)
        self.parts: list[Markup] = []

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def draw(
        self, x_title: str, y_title: str, *, grid: bool = True, whole_x: bool = False, whole_y: bool = False
    ) -> None:
        for value in ticks(*self.y_range, about=4):
            if whole_y and not value.is_integer():
                continue
            if grid:
                self.parts.append(_line(self.left, self.y(value), self.right, self.y(value), "grid"))
            self.parts.append(_text(self.left - 7, self.y(value) + 4, tick_label(value), "tick end"))
        self.draw_x(x_title, whole=whole_x)
        self.parts.append(_text(13, (self.top + self.bottom) / 2, y_title, "name middle", turn=-90))

    def draw_x(self, title: str, *, whole: bool = False) -> None:
        for value in ticks(*self.x_range, about=max(2, int((self.right - self.left) / 75))):
            if not whole or value.is_integer():
                self.parts.append(_line(self.x(value), self.bottom, self.x(value), self.bottom + 4, "axis"))
                self.parts.append(_text(self.x(value), self.bottom + 17, tick_label(value), "tick middle"))
        self.parts.append(_line(self.left, self.bottom, self.right, self.bottom, "axis"))
        self.parts.append(_text((self.left + self.right) / 2, self.height - 6, title, "name middle"))


def _widened(bounds: Point) -> Point:
    low, high = bounds
    if high > low:
        return bounds
    margin = abs(low) * 0.1 or 1.0
    return low - margin, high + margin


def _span(values: Sequence[float]) -> Point:
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def line_chart(
    series: Sequence[tuple[str, Sequence[Point]]],
    *,
    x_title: str,
    y_title: str,
    mark: float | None = None,
    mark_label: str = "",
) -> Markup:
    """Lines over a common x; values that are not finite leave a gap. `mark` draws a vertical line (the best epoch).

    The y axis begins at 0 when all values are positive, so that a small change does not look like a large one.
    """
    xs = [x for _, points in series for x, _ in points]
    low, high = _span([y for _, points in series for _, y in points])
    axes = _Axes((400, 236), _span(xs), (min(low, 0.0), high + (high - min(low, 0.0)) * 0.05))
    axes.draw(x_title, y_title, whole_x=True)
    if mark is not None:
        axes.parts.append(_line(axes.x(mark), axes.top, axes.x(mark), axes.bottom, "mark"))
        near_end = axes.x(mark) > axes.width * 0.65
        axes.parts.append(
            _text(axes.x(mark) + (-5 if near_end else 5), axes.top - 4, mark_label, "tick end" if near_end else "tick")
        )
    for place, (name, points) in enumerate(series):
        number = place % LINE_STYLES + 1
        axes.parts.append(_polyline(axes, points, number))
        axes.parts.extend(_dots(axes, name, points, number))
    return _frame(
        axes.width, axes.height, axes.parts, f"{y_title} by {x_title}: {', '.join(name for name, _ in series)}"
    )


def _polyline(axes: _Axes, points: Sequence[Point], number: int) -> Markup:
    commands, pen_down = [], False
    for x, y in points:
        if not math.isfinite(y):
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{_n(axes.x(x))} {_n(axes.y(y))}")
        pen_down = True
    return Markup('<path d="{}" class="line series{}"/>').format(" ".join(commands), number)


def _dots(axes: _Axes, name: str, points: Sequence[Point], number: int) -> list[Markup]:
    """Small circles that tell their value under the pointer; only where they do not crowd the line."""
    radius = 2.5 if len(points) <= 60 else 1.2
    dot = Markup('<circle cx="{}" cy="{}" r="{}" class="dot series{}"><title>{}</title></circle>')
    return [
        dot.format(_n(axes.x(x)), _n(axes.y(y)), radius, number, f"{name}, {tick_label(x)}: {y:.4g}")
        for x, y in points
        if math.isfinite(y)
    ]


def histogram(edges: Sequence[float], counts: Sequence[int], *, x_title: str, y_title: str, over: int = 0) -> Markup:
    """Bars between edges (one more than counts). `over`: how many lie beyond the last edge, said beside the axis."""
    axes = _Axes((520, 250), (edges[0], edges[-1]), (0, max([*counts, 1]) * 1.05))
    axes.draw(x_title, y_title, whole_y=True)
    bar = Markup('<rect x="{}" y="{}" width="{}" height="{}" class="bar"><title>{}</title></rect>')
    for low, high, number in zip(edges[:-1], edges[1:], counts, strict=True):
        if number:
            x, y = axes.x(low), axes.y(number)
            tip = f"{low:.4g} to {high:.4g}: {number:,}"
            axes.parts.append(
                bar.format(_n(x + 0.5), _n(y), _n(max(axes.x(high) - x - 1, 0.8)), _n(axes.bottom - y), tip)
            )
    if over:
        axes.parts.append(_text(axes.right, axes.top + 10, f"and {over:,} beyond {edges[-1]:.4g} →", "tick end"))
    return _frame(axes.width, axes.height, axes.parts, f"{y_title} by {x_title}")


def interval_chart(
    rows: Sequence[tuple[str, float, Sequence[float], bool]], *, x_title: str, mark: float = 0.0
) -> Markup:
    """A line a row: (name, value, (low, high), whether it is shown to differ from `mark`), with a full dot or a hollow one.

    A dashed line stands at `mark`, which is always in the picture."""
    names = [_shortened(name, 34) for name, *_ in rows]
    margin = max(_text_width(name, 12) for name in names) + 20
    bounds = _span([mark, *(bound for _, value, ends, _ in rows for bound in (value, *ends))])
    edge = (bounds[1] - bounds[0]) * 0.05
    axes = _Axes((560, 74 + 26 * len(rows)), (bounds[0] - edge, bounds[1] + edge), (0, len(rows)), left=margin)
    axes.draw_x(x_title)
    axes.parts.append(_line(axes.x(mark), axes.top, axes.x(mark), axes.bottom, "mark"))
    for place, (name, value, ends, shown) in enumerate(rows):
        y = axes.y(len(rows) - place - 0.5)
        tip = f"{name}: {value:.4g}, 95 % interval {ends[0]:.4g} to {ends[1]:.4g}"
        axes.parts.append(_text(axes.left - 10, y + 4, names[place], "label end"))
        axes.parts.append(_line(axes.x(ends[0]), y, axes.x(ends[1]), y, "span"))
        dot = Markup('<circle cx="{}" cy="{}" r="5" class="estimate{}"><title>{}</title></circle>')
        axes.parts.append(dot.format(_n(axes.x(value)), _n(y), " shown" if shown else "", tip))
    return _frame(axes.width, axes.height, axes.parts, x_title)


def framed_image(uri: str, *, seconds: float, top: float, x_title: str, y_title: str, label: str) -> Markup:
    """A picture whose columns are time and whose rows run from 0 (below) to `top`, with axes."""
    axes = _Axes((520, 230), (0.0, seconds), (0.0, top), left=50)
    image = Markup('<image href="{}" x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none"/>')
    axes.parts.append(
        image.format(uri, _n(axes.left), _n(axes.top), _n(axes.right - axes.left), _n(axes.bottom - axes.top))
    )
    axes.draw(x_title, y_title, grid=False)
    return _frame(axes.width, axes.height, axes.parts, label)


def reliability(bins: Sequence[ReliabilityBin]) -> Markup:
    """A bar a bin, as high as the share that was right, a dot at its mean confidence, and the line where the two agree."""
    axes = _Axes((400, 300), (0, 1), (0, 1))
    axes.draw("confidence", "share right")
    bar = Markup('<rect x="{}" y="{}" width="{}" height="{}" class="bar" fill-opacity=".45"><title>{}</title></rect>')
    dot = Markup('<circle cx="{}" cy="{}" r="3" class="dot series2"><title>{}</title></circle>')
    axes.parts.append(_line(axes.x(0), axes.y(0), axes.x(1), axes.y(1), "mark"))
    for each in bins:
        if each.right is None or each.confidence is None:
            continue
        x, y = axes.x(each.low), axes.y(each.right)
        tip = f"{each.items:,} at {each.confidence:.1%} on average: {each.right:.1%} right"
        axes.parts.append(
            bar.format(_n(x + 0.5), _n(y), _n(axes.x(each.high) - x - 1), _n(max(axes.bottom - y, 0.8)), tip)
        )
        axes.parts.append(dot.format(_n(axes.x(each.confidence)), _n(y), tip))
    return _frame(axes.width, axes.height, axes.parts, "share right by confidence")


def _text_width(text: str, size: float) -> float:
    """A guess at the drawn width: wide characters (Hangul, kanji) take about a whole em, others a little over half."""
    return sum(size if ord(character) > 0x1100 else size * 0.58 for character in text)


def _shortened(text: str, longest: int = 22) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def confusion_matrix(labels: Sequence[str], matrix: npt.NDArray[np.integer]) -> Markup:
    """Rows are references, columns hypotheses; a cell's shade is its share of the row, right and wrong in two colours.

    The shade of errors grows with the square root of the share, so that rare confusions are seen.
    """
    number = len(labels)
    cell = 34.0 if number <= 12 else 26.0 if number <= 24 else 22.0
    size = 12.0 if cell > 24 else 10.5
    names = [_shortened(label) for label in labels]
    margin = max([_text_width(name, 12) for name in names] + [20.0]) + 12
    left, top = margin + 20, margin * 0.75 + 24
    width, height = left + cell * number + margin * 0.7, top + cell * number + 8
    totals = np.maximum(np.asarray(matrix).sum(axis=1), 1)
    parts = [
        _text(left + cell * number / 2, 14, "hypothesis", "name middle"),
        _text(12, top + cell * number / 2, "reference", "name middle", turn=-90),
    ]
    for index, (name, label) in enumerate(zip(names, labels, strict=True)):
        middle = (index + 0.5) * cell
        full = Markup("<title>{}</title>").format(label)
        parts.append(_text(left - 7, top + middle + 4, Markup("{}{}").format(name, full), "label end"))
        parts.append(_text(left + middle + 3, top - 7, Markup("{}{}").format(name, full), "label", turn=-50))
    for row in range(number):
        parts.append(_line(left, top + row * cell, left + number * cell, top + row * cell, "grid"))
        for column in range(number):
            value = int(matrix[row, column])
            if value:
                tip = f"{labels[row]} → {labels[column]}: {value:,} of {totals[row]:,}"
                place = (left + column * cell, top + row * cell, cell, size)
                parts.append(_cell(place, value, value / totals[row], right=row == column, tip=tip))
    parts.append(_line(left, top + number * cell, left + number * cell, top + number * cell, "grid"))
    return _frame(width, height, parts, f"confusion matrix of {number} classes")


def _cell(place: tuple[float, float, float, float], value: int, share: float, *, right: bool, tip: str) -> Markup:
    x, y, cell, size = place
    shade = max(0.15, share if right else math.sqrt(share) * 0.95)
    shape = Markup(
        '<g><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" class="{}" fill-opacity="{}"/>'
    ).format(tip, _n(x + 0.5), _n(y + 0.5), _n(cell - 1), _n(cell - 1), "right" if right else "wrong", f"{shade:.2f}")
    text = f"{value}" if value < 10_000 else f"{value // 1000}k"
    small = min(size, cell * 1.55 / len(text))
    style = Markup('<text x="{}" y="{}" class="value middle{}" style="font-size:{}px">{}</text></g>').format(
        _n(x + cell / 2), _n(y + cell / 2 + small * 0.36), " on" if shade > 0.55 else "", _n(small), text
    )
    return shape + style
