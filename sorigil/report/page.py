"""A run as one HTML page that needs nothing else: no network, no library, no file beside it.

Text comes from users' transcripts and file names, so the template escapes everything, and the page's own content policy
forbids whatever might slip through: no script but ours (by its hash), no address but `data:`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import jinja2
import numpy as np
from markupsafe import Markup

from sorigil.report import charts, numbers, svg
from sorigil.report.measures import MEASURES, spread
from sorigil.report.model import PARTS_OF_SCANNED, Columns, Confusion, Page, Picture, TrainingRun
from sorigil.report.spectrogram import COEFFICIENT_KINDS, ENERGY_KINDS, data_uri, spectrogram_png

MOST_BARS = 20
MOST_CLASSES = 60  # in a matrix; more cannot be read
SPLIT_ORDER = ("train", "dev", "test")


def render(page: Page) -> str:
    """The whole page as HTML text, to be written as UTF-8. Sections without content are left out."""
    return fill(
        "page.html.j2",
        styles=("page.css",),
        scripts=("page.js",),
        page=page,
        tiles=_tiles(page),
        data_charts=_data_charts(page.columns) if page.columns is not None else [],
        pictures=[(picture, _picture(picture)) for picture in page.pictures],
        trainings=[(run, _curves(run)) for run in page.training],
        evaluations=[(evaluation, _confusion(evaluation.confusion)) for evaluation in page.evaluations],
    )


def fill(template: str, *, styles: Sequence[str], scripts: Sequence[str], **values: Any) -> str:
    """A template of this package with its style sheets and scripts, as HTML text, to be written as UTF-8."""
    script = "\n".join(map(_resource, scripts))
    text = (
        _environment()
        .get_template(template)
        .render(
            style=Markup("\n".join(map(_resource, styles))),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            **values,
        )
    )
    # File names that are not UTF-8 arrive with lone surrogates, which no file could be written with.
    return text.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sorigil.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": numbers.count,
        "span": numbers.span,
        "times": numbers.times,
        "plain": numbers.plain,
        "spaced": charts.spaced,
        "flac": lambda data: data_uri(data, "audio/flac"),
        "relative": relative_link,
        "flat": lambda mapping: list(flat(mapping)),
    }
    environment.globals["parts_of_scanned"] = PARTS_OF_SCANNED
    environment.globals |= {"score": numbers.score, "interval": numbers.interval, "reliability": svg.reliability}
    return environment


def _resource(name: str) -> str:
    return resources.files("sorigil.report").joinpath(name).read_text(encoding="utf-8")


def relative_link(link: str) -> str | None:
    """The link if it leads to a file beside the page; None for whatever has a scheme or a host."""
    try:
        parts = urlsplit(link.replace("\\", "/"))
    except ValueError:
        return None
    return link if link and not parts.scheme and not parts.netloc and not link.startswith(("/", "\\")) else None


def flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested parameters as (dotted name, value) pairs."""
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{key}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{key}", value


def _tiles(page: Page) -> list[tuple[str, str, str]]:
    """(what, figure, small print) of what one wants to know first."""
    tiles = []
    if page.books:
        for name in ("kept", "quarantined"):
            if name in page.books.rows:
                items, seconds = page.books.rows[name]
                share = items / max(page.books.rows.get("scanned", (items, None))[0], 1)
                tiles.append((name, numbers.count(items), f"{100 * share:.1f} % of scanned"))
                if name == "kept":
                    tiles.append(("audio kept", numbers.span(seconds), f"of {page.pipeline}"))
    for evaluation in page.evaluations:
        for metric in evaluation.metrics[:1]:
            small = f"{evaluation.name} on {evaluation.dataset} {evaluation.split}"
            tiles.append((charts.spaced(metric.name), numbers.score(metric.name, metric.value), small))
    return tiles


def _data_charts(columns: Columns) -> list[dict[str, Any]]:
    """Histogram and bars in the order in which they are read."""
    histogram = charts.bins(columns.durations)
    drawn = svg.histogram(
        histogram.edges, histogram.counts, x_title="duration, s", y_title="utterances", over=histogram.over
    )
    facts = f"{len(columns.durations):,} utterances, {numbers.span(columns.hours * 3600)}"
    found: list[dict[str, Any]] = [{"title": "Duration", "note": f"{facts}{_middle(columns)}", "svg": drawn}]
    found += _measure_charts(columns)
    for title, values in (
        ("Splits", columns.splits),
        ("Labels", columns.labels),
        ("Speakers", columns.speakers),
        ("Languages", columns.languages),
        ("Sample rates of the source, Hz", columns.sample_rates),
    ):
        if values is None or not len(values):
            continue
        categories = charts.categories(values, columns.durations)
        note = f"{sum(c.label != charts.NOT_GIVEN for c in categories):,} different"
        found.append({"title": title, "note": note, "bars": charts.shortened(_ordered(title, categories), MOST_BARS)})
    return found


def _measure_charts(columns: Columns) -> Iterator[dict[str, Any]]:
    """A histogram of each measure of the signal that is known of any utterance."""
    for measure in MEASURES:
        values = measure.read(columns.measures.get(measure.column, ()))
        found = spread(values)
        if found is None:
            continue
        histogram = charts.bins(values)
        note = f"median {found.median:,.1f}; 5 % below {found.low:,.1f}, 5 % above {found.high:,.1f} {measure.unit}"
        yield {
            "title": measure.title,
            "note": f"{note}; not known of {found.unknown:,}" if found.unknown else note,
            "svg": svg.histogram(
                histogram.edges,
                histogram.counts,
                x_title=f"{measure.title.lower()}, {measure.unit}",
                y_title="utterances",
                over=histogram.over,
            ),
        }


def _middle(columns: Columns) -> str:
    known = np.asarray(columns.durations, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return ""
    return f"; median {numbers.span(float(np.median(known)))}, longest {numbers.span(float(known.max()))}"


def _ordered(title: str, categories: list[charts.Category]) -> list[charts.Category]:
    if title.startswith("Sample rates"):
        return sorted(categories, key=lambda c: (not c.label.isdigit(), int(c.label) if c.label.isdigit() else 0))
    if title == "Splits":
        return sorted(
            categories, key=lambda c: SPLIT_ORDER.index(c.label) if c.label in SPLIT_ORDER else len(SPLIT_ORDER)
        )
    return categories


def _picture(picture: Picture) -> Markup:
    frames, columns = picture.features.shape
    evenly_in_hz = picture.highest_hz is not None and picture.kind in ENERGY_KINDS
    name = "coefficient" if picture.kind in COEFFICIENT_KINDS else "mel band" if "mel" in picture.kind else "bin"
    return svg.framed_image(
        data_uri(spectrogram_png(picture.features, picture.kind), "image/png"),
        seconds=max(frames, 1) * picture.seconds_per_frame,
        top=(picture.highest_hz or 0.0) / 1000 if evenly_in_hz else float(max(columns, 1)),
        x_title="time, s",
        y_title="frequency, kHz" if evenly_in_hz else name,
        label=f"{picture.kind} of {picture.title}",
    )


def _curves(run: TrainingRun) -> list[dict[str, Any]]:
    best = None if run.best_epoch is None else float(run.best_epoch)
    return [
        {
            "title": panel.title,
            "names": [name for name, _ in panel.curves],
            "svg": svg.line_chart(
                panel.curves, x_title="epoch", y_title=panel.unit, mark=best, mark_label=f"best: epoch {run.best_epoch}"
            ),
        }
        for panel in charts.panels(run.history)
    ]


def _confusion(confusion: Confusion | None) -> dict[str, Any] | None:
    if confusion is None or not confusion.labels:
        return None
    labels, matrix = charts.worst_classes(confusion.labels, confusion.matrix, MOST_CLASSES)
    return {
        "svg": svg.confusion_matrix(labels, matrix),
        "left_out": len(confusion.labels) - len(labels),
        "classes": charts.class_scores(confusion.labels, confusion.matrix),
        "pairs": charts.confusions(confusion.labels, confusion.matrix),
    }
