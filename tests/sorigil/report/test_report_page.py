"""The page: nothing outside it, nothing of the user's taken for HTML, every number there, every section optional."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from sorigil.metrics.calibration import reliability
from sorigil.metrics.per_tag import TagScore
from sorigil.report import numbers
from sorigil.report.model import (
    Books,
    Columns,
    Confusion,
    Evaluation,
    Metric,
    Page,
    Picture,
    Stage,
    TrainingRun,
    Transcript,
    UtteranceRow,
)
from sorigil.report.page import flat, relative_link, render
from sorigil.types import Rejection

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&{{ 7*7 }}"
VOID = {"meta", "input", "img", "br", "hr", "link"}
LABELS = tuple(f"낱말 {number}" for number in range(30))


class Balance(HTMLParser):
    """Every opened tag is closed in order; gathers tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def tag_score(tag: str, items: int) -> TagScore:
    """Of a tag that no item has, nothing is known but how often it was said."""
    names = ("average_precision", "area", "precision", "recall", "f1", "best_f1", "threshold")
    values = (0.8321, 0.9187, 0.6543, 0.7456, 0.6969, 0.7071, 0.3125) if items else (None,) * 7
    return TagScore(tag=tag, items=items, said=240, **dict(zip(names, values, strict=True)))


def full_page() -> Page:
    matrix = np.diag(np.arange(40, 70))
    matrix[3, 7], matrix[7, 3] = 13, 5
    edits = (
        ("equal", "그래서 우리는", "그래서 우리는"),
        ("substitute", "내일", "매일"),
        ("delete", "남은", ""),
        ("insert", "", "어"),
    )
    worst = UtteranceRow(
        id="a/0093",
        speaker="voice-02",
        reference="그래서 우리는 내일 남은",
        hypothesis="그래서 우리는 매일 어",
        errors=3,
        difference=edits,  # type: ignore[arg-type]
        audio_flac=b"fLaC\x00\x01",
        confidence=0.4312,
    )
    history = tuple(
        {
            "epoch": e,
            "train_loss": 2.0 / e,
            "dev_loss": 2.5 / e,
            "dev_wer": 0.9 / e,
            "learning_rate": 1e-4 * e,
            "seconds": 12.25,
        }
        for e in range(1, 9)
    )
    return Page(
        title="quickstart",
        pipeline="quickstart",
        version="17",
        when="2026-01-14 03:12 +09:00",
        commands=(("Experiments", "sorigil dashboard --port 5001"),),
        books=Books(
            rows={
                "scanned": (2140, 3912.4),
                "kept": (2110, 3890.1),
                "filtered": (4, 8.2),
                "duplicate": (6, 14.1),
                "quarantined": (20, None),
            },
            work={"new": (41, 75.0), "reused": (2069, 3815.0)},
            quarantine={"not_audio": 14, "truncated": 6},
            filtered={"snr_db_below_min": 4},
            examples=(
                Rejection(
                    id="bad-1", uri="x/시험.wav", stage="decode", reason="not_audio", detail="a text file named .wav"
                ),
            ),
            table="store/quarantine",
        ),
        columns=Columns(
            durations=np.linspace(0.5, 3.0, 60),
            speakers=np.array([f"voice-{i % 6}" for i in range(60)], dtype=object),
            labels=np.array([LABELS[i % 30] for i in range(60)], dtype=object),
            languages=np.array(["ko", None] * 30, dtype=object),
            splits=np.array(["train"] * 47 + ["test"] * 13),
            sample_rates=np.array([8000, 44100] * 30),
        ),
        pictures=(
            Picture(
                title="불을 켜",
                features=np.random.default_rng(0).normal(size=(90, 40)),
                seconds_per_frame=0.01,
                kind="log_mel",
            ),
        ),
        training=(
            TrainingRun(
                name="words",
                model="deepspeech2",
                objective="ctc",
                parameters={"augment": {"speed": [0.78, 1.28]}},
                history=history,
                best_epoch=8,
            ),
        ),
        evaluations=(
            Evaluation(
                name="words",
                dataset="quickstart",
                split="test",
                metrics=(
                    Metric(
                        name="wer",
                        value=0.0417,
                        interval=(0.031, 0.0552),
                        n=4012,
                        detail={"substitutions": 101, "deletions": 44, "insertions": 22},
                    ),
                ),
                worst=(worst,),
            ),
            Evaluation(
                name="which",
                dataset="quickstart",
                split="test",
                metrics=(Metric(name="accuracy", value=0.9712, n=1635),),
                confusion=Confusion(labels=LABELS, matrix=matrix),
                reliability=tuple(reliability(np.array([0.55, 0.95, 0.97, 0.99]), np.array([0, 1, 0, 1], dtype=bool))),
            ),
            Evaluation(
                name="sounds",
                dataset="quickstart",
                split="test",
                metrics=(Metric(name="map", value=0.8123, n=1635),),
                tags=(tag_score("dog", 210), tag_score("여우", 0)),
            ),
        ),
        stages=(Stage(name="prepare", seconds=21.4, audio_seconds=3890.0),),
        transcripts=(
            Transcript(recording="회의.m4a", minutes=4.2, words=1612, excerpt="그래서", link="transcripts/a.txt"),
        ),
    )


@pytest.fixture(scope="module")
def html() -> str:
    return render(full_page())


def test_the_page_needs_nothing_outside_it(html: str) -> None:
    assert not re.search(r"https?://|url\(|@import|src=.//", html)
    for _tag, attributes in Balance(html).tags:
        for name in ("src", "href"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")) or address == "transcripts/a.txt"


def test_the_content_policy_allows_our_script_and_no_other(html: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "default-src 'none'" in html


def test_tags_are_balanced(html: str) -> None:
    assert Balance(html).open == []


def test_ids_are_unique_and_links_inside_lead_somewhere(html: str) -> None:
    tags = Balance(html).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    inside = [a["href"] for _, a in tags if (a.get("href") or "").startswith("#")]
    assert len(inside) == 8
    assert {link[1:] for link in inside if link} <= set(ids)


@pytest.mark.parametrize(
    "shown",
    [
        *("2,140", "2,110", "1.09 h", "8.20 s", "14.1 s", "41", "2,069", "1 min 15 s", "1.06 h"),  # books
        *("not audio", "14", "bad-1", "a text file named .wav", "x/시험.wav", "store/quarantine"),
        *("8000", "44100", "47", "13", "voice-5", "낱말 29", "(not given)"),  # data
        *("0.78, 1.28", "augment.speed", "0.1125", "0.25", "0.0008", "12.25", "best: epoch 8"),  # training
        *("4.17 %", "3.10 – 5.52 %", "4,012", "101 substitutions", "44 deletions", "22 insertions", "97.12 %", "1,635"),
        *("Reliability", "3 at 97.0% on average: 66.7% right"),
        *("낱말 3 → 낱말 7: 13 of 56", "23.2 %", "76.79 %"),  # confusion: 13 of 13 + 43; recall 43/56
        *("여우", "83.21 %", "91.87 %", "65.43 %", "74.56 %", "69.69 %", "70.71 %", "0.3125", "240"),  # tags
        *("3 errors", "0.4312", "voice-02", "매일", "내일", "남은", "어"),
        *("1,612", "4.2", "회의.m4a", "21.4 s", "× 182", "sorigil dashboard --port 5001", "17", "2026-01-14"),
    ],
)
def test_what_was_given_is_on_the_page(html: str, shown: str) -> None:
    assert shown in Balance(html).text


def test_audio_and_pictures_are_inside(html: str) -> None:
    assert base64.b64encode(b"fLaC\x00\x01").decode() in html
    pictures = [a["href"] for tag, a in Balance(html).tags if tag == "image"]
    assert len(pictures) == 1
    assert base64.b64decode((pictures[0] or "").removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")


def test_text_of_users_is_never_html() -> None:
    page = full_page()
    assert page.books is not None
    assert page.columns is not None
    row = UtteranceRow(
        id=HOSTILE,
        speaker=HOSTILE,
        reference=HOSTILE,
        hypothesis=HOSTILE,
        errors=1,
        difference=(("insert", "", HOSTILE), ("equal", HOSTILE, HOSTILE)),
    )
    names: Any = np.array([HOSTILE] * 60, dtype=object)
    page = replace(
        page,
        title=HOSTILE,
        pipeline=HOSTILE,
        version=HOSTILE,
        when=HOSTILE,
        commands=((HOSTILE, HOSTILE),),
        books=replace(
            page.books,
            rows={HOSTILE: (1, 1.0)},
            quarantine={HOSTILE: 1},
            table=HOSTILE,
            examples=(Rejection(id=HOSTILE, uri=HOSTILE, stage=HOSTILE, reason=HOSTILE, detail=HOSTILE),),
        ),
        columns=replace(page.columns, speakers=names, labels=names, languages=names, splits=names, sample_rates=names),
        pictures=tuple(replace(p, title=HOSTILE, caption=HOSTILE, kind=HOSTILE) for p in page.pictures),
        training=(
            TrainingRun(
                name=HOSTILE,
                model=HOSTILE,
                objective=HOSTILE,
                parameters={HOSTILE: HOSTILE},
                history=({"epoch": 1, f"dev_{HOSTILE}": 0.5, "note": HOSTILE},),
            ),
        ),
        evaluations=(
            Evaluation(
                name=HOSTILE,
                dataset=HOSTILE,
                split=HOSTILE,
                note=HOSTILE,
                worst=(row,),
                metrics=(Metric(name=HOSTILE, value=0.5, detail={HOSTILE: 1}),),
                confusion=Confusion(labels=(HOSTILE, "b"), matrix=np.array([[1, 2], [3, 4]])),
                tags=(tag_score(HOSTILE, 1),),
            ),
        ),
        stages=(Stage(name=HOSTILE, seconds=1.0),),
        transcripts=(Transcript(recording=HOSTILE, minutes=1.0, words=1, excerpt=HOSTILE, link="javascript:alert(1)"),),
    )
    parsed = Balance(render(page))
    assert parsed.open == []
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert "img" not in {tag for tag, _ in parsed.tags}
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert not any((attributes.get("href") or "").startswith("javascript") for _, attributes in parsed.tags)
    assert HOSTILE in "".join(parsed.texts)


@pytest.mark.parametrize(
    "field", ["books", "columns", "pictures", "training", "evaluations", "stages", "transcripts", "commands"]
)
def test_every_section_may_be_absent(field: str) -> None:
    page = full_page()
    emptied = replace(page, **{field: None if field in ("books", "columns") else ()})  # type: ignore[arg-type]
    anchor = {"columns": "data", "evaluations": "scores", "stages": "speed", "commands": "next"}.get(field, field)
    assert f'id="{anchor}"' in render(page)
    html = render(emptied)
    assert f'id="{anchor}"' not in html
    assert f'href="#{anchor}"' not in html
    assert Balance(html).open == []


def test_an_empty_page_and_empty_parts() -> None:
    bare = render(Page(title="nothing", pipeline="p"))
    assert Balance(bare).open == []
    assert "None" not in Balance(bare).text
    page = Page(
        title="empty parts",
        pipeline="p",
        books=Books(rows={"scanned": (0, 0.0), "kept": (0, 0.0)}),
        columns=Columns(durations=np.array([]), speakers=np.array([], dtype=object)),
        pictures=(Picture(title="no frames", features=np.zeros((0, 80)), seconds_per_frame=0.01, kind="log_mel"),),
        training=(
            TrainingRun(name="a", model="m", objective="ctc"),
            TrainingRun(name="b", model="m", objective="ctc", history=({"epoch": 1, "train_loss": float("nan")},)),
        ),
        evaluations=(
            Evaluation(
                name="e",
                dataset="d",
                split="test",
                metrics=(Metric(name="wer", value=None),),
                confusion=Confusion(labels=(), matrix=np.zeros((0, 0), int)),
            ),
        ),
        stages=(Stage(name="scan", seconds=0.0, audio_seconds=0.0),),
    )
    parsed = Balance(render(page))
    assert parsed.open == []
    assert "None" not in parsed.text
    assert "nan" not in parsed.text


def test_what_is_not_known_of_a_tag_is_a_dash(html: str) -> None:
    (row,) = (each for each in re.findall(r"<tr>.*?</tr>", html) if "여우" in each)
    assert row.count(f">{numbers.UNKNOWN}<") == 7 and "None" not in row


def test_why_something_was_left_out(html: str) -> None:
    for title, reason, items in (("filtered", "snr db below min", 4), ("quarantined", "not audio", 14)):
        assert re.search(rf"<h3>Why {title}</h3>.*?{reason}</td><td[^>]*>{items}</td>", html, re.S)


def test_books_that_do_not_balance_are_said_so(html: str) -> None:
    assert "do not balance" not in html
    wrong = Books(rows={"scanned": (10, 1.0), "kept": (6, 1.0), "quarantined": (1, None)})
    assert wrong.unaccounted == 3
    assert "do not balance: 3 of the scanned" in Balance(render(Page(title="t", pipeline="p", books=wrong))).text


def test_a_name_that_is_not_utf8_can_be_written() -> None:
    html = render(Page(title="bad \udc80 name", pipeline="p"))
    assert "bad ? name" in html
    html.encode("utf-8")


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("a/b.txt", True),
        ("회의 1.txt", True),
        ("https://x", False),
        ("javascript:alert(1)", False),
        ("//host/a", False),
        ("\\\\host\\a", False),
        ("/etc/passwd", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_only_links_to_files_beside_the_page_are_links(link: str, kept: bool) -> None:
    assert relative_link(link) == (link if kept else None)


def test_nested_parameters_become_dotted_names() -> None:
    assert list(flat({"a": {"b": {"c": 1}, "d": []}, "e": (1, 2), "f": {}})) == [
        ("a.b.c", 1),
        ("a.d", ""),
        ("e", "1, 2"),
        ("f", {}),
    ]


def test_a_matrix_must_fit_its_labels() -> None:
    with pytest.raises(ValueError, match="2 labels"):
        Confusion(labels=("a", "b"), matrix=np.zeros((3, 3), int))
