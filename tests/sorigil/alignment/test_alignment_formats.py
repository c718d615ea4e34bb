"""The written forms of an alignment, read back by readers of a few lines that know only the formats."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.alignment.forced import Aligned, AlignedWord
from sorigil.alignment.formats import AlignedUtterance, Alignment, to_ctm, to_json, to_textgrid
from sorigil.types import Rejection, Word


def word(text: str, start: float, end: float, characters: bool = True) -> AlignedWord:
    step = (end - start) / len(text)
    each = [
        Word(text=sign, start=start + i * step, end=start + (i + 1) * step, confidence=0.5)
        for i, sign in enumerate(text)
    ]
    return AlignedWord(text=text, start=start, end=end, confidence=0.75, characters=tuple(each) if characters else ())


def utterance(id: str, *words: AlignedWord, channel: int | None = None) -> AlignedUtterance:
    aligned = Aligned(words=words, confidence=0.75, log_prob=-0.25)
    text = " ".join(each.text for each in words)
    return AlignedUtterance(
        id=id, start=words[0].start - 0.1, end=words[-1].end + 0.1, channel=channel, text=text, aligned=aligned
    )


def alignment(*utterances: AlignedUtterance, seconds: float = 4.0) -> Alignment:
    return Alignment(
        uri="a b/c.wav", sha256="f" * 64, seconds=seconds, sample_rate=16000, model="m", utterances=utterances,
        rejections=(Rejection(id="u9", uri="a b/c.wav", stage="align", reason="no_text", detail="nothing"),),
    )  # fmt: skip


TWO = alignment(utterance("u1", word("one", 0.5, 1.0), word('t"o', 1.0, 1.25)), utterance("u2", word("three", 2, 3)))


def tiers_of(text: str) -> dict[str, list[tuple[float, float, str]]]:
    """A TextGrid's tiers, whatever is in them."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    for part in re.split(r"\n    item \[\d+\]:\n", text)[1:]:
        name = re.search(r'name = "(.*)"', part)
        rows = re.findall(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "((?:[^"]|"")*)"', part)
        sizes = re.findall(r"intervals: size = (\d+)", part)
        assert name and sizes == [str(len(rows))]
        found[name[1]] = [(float(a), float(b), said.replace('""', '"')) for a, b, said in rows]
    assert re.search(r"^size = (\d+)$", text, re.M)[1] == str(len(found))  # type: ignore[index]
    return found


def test_a_textgrid_tiles_the_recording() -> None:
    tiers = tiers_of(to_textgrid(TWO))
    assert tiers["words"] == [
        (0, 0.5, ""), (0.5, 1, "one"), (1, 1.25, 't"o'), (1.25, 2, ""), (2, 3, "three"), (3, 4, ""),
    ]  # fmt: skip
    assert "".join(said for _, _, said in tiers["characters"]) == 'onet"othree'


@given(
    times=st.lists(st.integers(0, 2**20), min_size=2, max_size=20, unique=True), rate=st.sampled_from([50, 31.25, 3])
)
def test_a_textgrid_has_no_gap_and_no_overlap(times: list[int], rate: float) -> None:
    edges = sorted(time / rate for time in times)
    words = [word("ab", start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    for rows in tiers_of(to_textgrid(alignment(utterance("u", *words), seconds=edges[-1] + 1))).values():
        assert rows[0][0] == 0
        assert rows[-1][1] == pytest.approx(edges[-1] + 1, abs=1e-6)
        assert all(start < end for start, end, _ in rows)
        assert [end for _, end, _ in rows[:-1]] == [start for start, _, _ in rows[1:]]


def test_what_overlaps_has_a_tier_of_its_own() -> None:
    crossed = alignment(
        utterance("a", word("a", 0.5, 1.5)), utterance("b", word("b", 1, 2)), utterance("c", word("c", 2.5, 3)),
        utterance("l", word("l", 0, 1), channel=0), utterance("r", word("r", 0, 1, characters=False), channel=1),
    )  # fmt: skip
    tiers = tiers_of(to_textgrid(crossed))
    said = {name: [text for _, _, text in rows if text] for name, rows in tiers.items()}
    assert said["words"] == ["a", "c"]
    assert said["words 2"] == ["b"]
    assert said["words, channel 0"] == ["l"]
    assert said["words, channel 1"] == ["r"]
    assert "characters, channel 1" not in tiers


def test_nothing_aligned_is_an_empty_tier() -> None:
    assert tiers_of(to_textgrid(alignment())) == {"words": [(0, 4, "")]}


def test_ctm_has_a_line_for_each_word_in_order_of_time() -> None:
    both = alignment(utterance("b", word("late", 2, 3), channel=0), utterance("a", word("soon", 0.5, 1), channel=0))
    assert to_ctm(both).splitlines() == [
        "a_b/c.wav 1 0.500 0.500 soon 0.7500",
        "a_b/c.wav 1 2.000 1.000 late 0.7500",
    ]


def test_json_has_every_time_and_what_was_refused() -> None:
    found: dict[str, Any] = json.loads(json.dumps(to_json(TWO)))
    first = found["utterances"][0]
    assert (first["id"], first["start"], first["end"], first["log_prob"]) == ("u1", 0.4, 1.35, -0.25)
    assert first["words"][0]["characters"][1] == {"text": "n", "start": 0.667, "end": 0.833, "confidence": 0.5}
    assert found["rejections"] == [{"id": "u9", "reason": "no_text", "detail": "nothing"}]
