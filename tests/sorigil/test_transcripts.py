"""Transcripts: SRT and VTT are read back to the times and the text they were made from."""

from __future__ import annotations

import html
import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.transcripts import (
    MIN_CUE_MS,
    Segment,
    Transcript,
    columns,
    cues,
    segments_from_words,
    timestamp,
    to_json,
    to_srt,
    to_txt,
    to_vtt,
    wrap,
)
from sorigil.types import Word

TIMES = re.compile(r"^(\d{2,}):([0-5]\d):([0-5]\d)([.,])(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\4(\d{3})$")


def transcript(segments: list[Segment], seconds: float = 1e6) -> Transcript:
    return Transcript(
        uri="a/b.mp3",
        sha256="0" * 64,
        seconds=seconds,
        sample_rate=44100,
        segments=tuple(segments),
        model="words@1",
        decoder="greedy",
        settings={"beam_width": 8},
        windows=((0.0, 10.0), (9.0, 20.0)),
    )


def parse(text: str, mark: str) -> list[tuple[int, int, str]]:
    """Read cues as a player would: blocks parted by blank lines, a time line, the text below it."""
    found = []
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        places = [i for i, line in enumerate(lines) if "-->" in line]
        if not places:
            assert block.strip() in ("", "WEBVTT")
            continue
        assert len(places) == 1
        match = TIMES.match(lines[places[0]])
        assert match and match[4] == mark
        numbers = [int(match[i]) for i in (1, 2, 3, 5, 6, 7, 8, 9)]
        start, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (numbers[:4], numbers[4:]))
        found.append((start, end, " ".join(lines[places[0] + 1 :])))
    return found


@st.composite
def segment_lists(draw: st.DrawFn) -> list[Segment]:
    """Segments in order without overlaps, as `segments_from_words` makes them."""
    segments, now = [], draw(st.integers(0, 500_000_000))  # up to 138 hours, in ms
    for _ in range(draw(st.integers(0, 6))):
        start = now + draw(st.integers(0, 5000))
        now = start + draw(st.integers(1, 9000))
        text = draw(st.text(alphabet=st.sampled_from("ab <>&-가 \n."), max_size=120))
        segments.append(Segment(start=start / 1000, end=now / 1000, text=text))
    return segments


@settings(deadline=None)
@given(segments=segment_lists())
@pytest.mark.parametrize(("render", "mark"), [(to_srt, ","), (to_vtt, ".")])
def test_round_trip(render: object, mark: str, segments: list[Segment]) -> None:
    assert callable(render)
    shown = [s for s in segments if s.text.split()]
    found = parse(render(transcript(segments)), mark)
    assert len(found) == len(shown)
    for (start, end, text), segment in zip(found, shown, strict=True):
        assert start == round(segment.start * 1000)
        assert end == round(segment.end * 1000) or end - round(segment.start * 1000) <= MIN_CUE_MS
        assert end >= round(segment.end * 1000)
        wanted = " ".join(segment.text.split())
        assert html.unescape(text) == wanted if mark == "." else text == wanted.replace("-->", "→")
    for (_, end, _), (start, _, _) in itertools.pairwise(found):
        assert end <= start


@settings(deadline=None)
@given(
    times=st.lists(st.tuples(st.floats(0, 50), st.floats(0, 8)), max_size=8),
)
def test_cues_never_overlap_whatever_comes_in(times: list[tuple[float, float]]) -> None:
    made = cues(transcript([Segment(start=s, end=s + length, text="x") for s, length in times]))
    assert len(made) == len(times)
    assert all(cue.start_ms < cue.end_ms for cue in made)
    assert all(first.end_ms <= second.start_ms for first, second in itertools.pairwise(made))


def test_srt_as_written() -> None:
    segments = [
        Segment(start=0.5, end=2.0, text="hello --> there"),
        Segment(start=3725.25, end=3727.0, text="Tom & <Ann>"),
    ]
    assert to_srt(transcript(segments)) == (
        "1\n00:00:00,500 --> 00:00:02,000\nhello → there\n\n2\n01:02:05,250 --> 01:02:07,000\nTom & <Ann>\n"
    )
    assert to_vtt(transcript(segments)) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nhello --&gt; there\n\n"
        "01:02:05.250 --> 01:02:07.000\nTom &amp; &lt;Ann&gt;\n"
    )
    assert to_txt(transcript(segments)) == "hello --> there\nTom & <Ann>\n"


def test_nothing_recognised() -> None:
    empty = transcript([Segment(start=0, end=1, text=" ")])
    assert (to_srt(empty), to_vtt(empty), to_txt(empty)) == ("", "WEBVTT\n", "")


def test_a_short_cue_is_held_but_not_past_what_follows() -> None:
    segments = [
        Segment(start=1.0, end=1.1, text="a"),
        Segment(start=1.3, end=1.4, text="b"),
        Segment(start=9.0, end=9.1, text="c"),
    ]
    made = cues(transcript(segments, seconds=9.5))
    assert [(cue.start_ms, cue.end_ms) for cue in made] == [(1000, 1300), (1300, 2000), (9000, 9500)]


def test_timestamps() -> None:
    assert timestamp(0, ",") == "00:00:00,000"
    assert timestamp(3_599_999, ".") == "00:59:59.999"
    assert timestamp(100 * 3_600_000 + 1, ".") == "100:00:00.001"


def test_rounding_up_carries_into_the_hour() -> None:
    (cue,) = cues(transcript([Segment(start=3599.9996, end=3601, text="x")]))
    assert timestamp(cue.start_ms, ",") == "01:00:00,000"


@settings(deadline=None)
@given(text=st.text(alphabet="abc 가나", max_size=200))
def test_wrapping(text: str) -> None:
    lines = wrap(text)
    assert " ".join(lines) == " ".join(text.split())
    assert all(columns(line) <= 42 or " " not in line for line in lines)


def test_hangul_takes_two_columns() -> None:
    assert columns("가나 ab") == 7
    assert wrap("가나다라마 " * 8) == [" ".join(["가나다라마"] * 3)] * 2 + [" ".join(["가나다라마"] * 2)]


WORDS = st.lists(st.tuples(st.floats(0, 3), st.floats(0.01, 2), st.sampled_from(["a", "가나", "x" * 90])), max_size=40)


@settings(deadline=None)
@given(rows=WORDS)
def test_segments_hold_every_word_within_the_limits(rows: list[tuple[float, float, str]]) -> None:
    words, now = [], 0.0
    for gap, length, text in rows:
        words.append(Word(text=text, start=now + gap, end=now + gap + length, confidence=0.5))
        now += gap + length
    segments = segments_from_words(words)
    assert [word for segment in segments for word in segment.words] == words
    for segment in segments:
        assert segment.text == " ".join(word.text for word in segment.words)
        assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)
        assert len(segment.words) == 1 or (segment.end - segment.start <= 7 and columns(segment.text) <= 84)
        assert all(b.start - a.end < 0.8 for a, b in itertools.pairwise(segment.words))
    for first, second in itertools.pairwise(segments):  # no break without a cause
        joined = f"{first.text} {second.words[0].text}"
        assert second.start - first.end >= 0.8 or second.words[0].end - first.start > 7 or columns(joined) > 84


def test_segments_break_at_pauses() -> None:
    spans = [("one", 0, 0.5), ("two", 0.6, 1.0), ("three", 1.8, 2.2)]
    words = [Word(text=t, start=s, end=e, confidence=c) for (t, s, e), c in zip(spans, (0.5, 1.0, 0.8), strict=True)]
    first, second = segments_from_words(words)
    assert (first.text, first.confidence, second.text) == ("one two", 0.75, "three")


def test_json_is_plain_and_says_what_was_covered() -> None:
    words = [Word(text="가", start=1.00049, end=1.5, confidence=0.87654)]
    data = json.loads(json.dumps(to_json(transcript(list(segments_from_words(words)), seconds=20.0)), allow_nan=False))
    assert data["schema"] == 1
    assert data["text"] == "가"
    assert data["segments"][0]["words"] == [{"text": "가", "start": 1.0, "end": 1.5, "confidence": 0.8765}]
    assert data["windows"] == [[0.0, 10.0], [9.0, 20.0]]
    assert data["coverage"] == {"seconds": 20.0, "windows_seconds": 20.0, "segments_seconds": 0.5, "words": 1}
    assert (data["uri"], data["model"], data["decoder"], data["settings"]) == (
        "a/b.mp3",
        "words@1",
        "greedy",
        {"beam_width": 8},
    )
