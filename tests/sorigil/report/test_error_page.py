"""The page of a model's errors: what users wrote is escaped, differences are aligned, one column is shown at a time."""

from __future__ import annotations

import re
from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any

import numpy as np

from sorigil.metrics.confusions import class_scores, confusions
from sorigil.metrics.slice_columns import categories
from sorigil.metrics.slices import slices, worst
from sorigil.report.error_page import ErrorPage, Shown, edits, render

EVIL = "<script>alert(1)</script>"


def found(**changes: Any) -> dict[str, Any]:
    values = [EVIL if row < 20 else "b" for row in range(60)]
    other = ["x" if row % 2 else "y" for row in range(60)]
    rows = slices(
        [int(row < 18) for row in range(60)],
        np.ones(60),
        [categories("field", values), categories("z", other)],
        np.ones(60),
    )
    return {
        "pipeline": "speech", "entry": "words", "split": "test", "version": "v1", "score": "f" * 32, "objective": "ctc",
        "errors_total": 18, "units": 60, "rate": 0.3, "utterances": 60, "columns": ["field", "z"],
        "slices": [asdict(row) for row in rows], "worst": [asdict(row) for row in worst(rows)],
        "confusions": {"words": [asdict(row) for row in confusions(["u"], [f"a {EVIL}"], ["a"], "words")]},
        "classes": [], "audited_by": ["words", "other"], "suspects": [], "worst_utterances": [], **changes,
    }  # fmt: skip


def utterance(**more: Any) -> dict[str, Any]:
    row = {"id": EVIL, "uri": "a/b.wav", "start": 61.0, "seconds": 2.0, "speaker": None, "reference": "the cat sat"}
    return {**row, "confidence": 0.9, **more}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_holds_all_and_runs_only_its_own_script() -> None:
    doubted = utterance(heard={"words": "the cap sat", "other": "the cap sat"}, agreement=1.0, words=[["cat", "cap"]])
    bad = utterance(heard="a cat sat down", errors=2)
    page = ErrorPage(
        found=found(suspects=[doubted]),
        suspects=(Shown(row=doubted, audio_flac=b"fLaC"),),
        worst=(Shown(row=bad),),
        silence={"are longer than 30 s": 1},
    )
    html = render(page)
    tags = Tags()
    tags.feed(html)
    assert EVIL not in html and html.count("&lt;script&gt;") >= 4
    assert [tag for tag, _ in tags.seen].count("script") == 1 and [tag for tag, _ in tags.seen].count("audio") == 1
    assert [each["data-column"] for _, each in tags.seen if "data-column" in each] == ["field", "z"]
    assert "at 1 min 01 s" in html and "1 utterances without sound: they are longer than 30 s." in html
    assert "words, other" in html and re.search(r"<del>cat</del><ins>cap</ins>", html)
    assert "▼ &lt;script" in html and "90.00 %" in html


def test_nothing_wrong_is_said_in_words() -> None:
    nothing = found(worst=[], slices=[], confusions={}, suspects=[])
    html = render(ErrorPage(found=nothing, suspects=(), worst=(), silence={}))
    assert "No slice is shown to be worse than the rest, of 0 by field, z." in html
    assert "nowhere the models words, other are all sure" in html
    assert 'id="confusions"' not in html and 'id="slices"' not in html


def test_the_classes_of_a_classifier_are_a_table() -> None:
    rows = [asdict(row) for row in class_scores(["a", "a", "b"], ["b", "a", "b"])]
    html = render(ErrorPage(found=found(classes=rows, objective="classification"), suspects=(), worst=(), silence={}))
    assert "taken for" in html and "b × 1" in html and "66.67 %" in html
    assert edits("big dog", "cat", text=False) == [("substitute", "big dog", "cat")]
