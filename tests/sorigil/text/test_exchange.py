"""JSON lines, TRN, CTM and plain lines: what is read, what is refused and in which words, and what belongs together."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.text.exchange import Joined, joined, read, value_of

JSONL = b'{"id": "ann-1", "text": "the cat", "speaker": "ann"}\n\n{"id": 2, "text": "", "lang": "en"}\n'
WORDS = st.lists(st.text(st.characters(categories=["L"]), min_size=1, max_size=4), max_size=5).map(" ".join)


def texts(data: bytes, name: str) -> dict[str, str]:
    return {entry.id: entry.text for entry in read(data, name).entries}


def test_json_lines() -> None:
    found = read(JSONL, "a.jsonl")
    assert found.format == "jsonl"
    assert [(entry.line, entry.id, entry.text, entry.speaker) for entry in found.entries] == [
        (1, "ann-1", "the cat", "ann"),
        (3, "2", "", None),
    ]


def test_trn() -> None:
    found = read(b";; a comment\nthe (very) cat (ann-1)\r\n(ben_2_3)\n\nno speaker (x)\n", "a.trn")
    assert [(entry.id, entry.text, entry.speaker) for entry in found.entries] == [
        ("ann-1", "the (very) cat", "ann"),
        ("ben_2_3", "", "ben"),
        ("x", "no speaker", None),
    ]


def test_ctm_is_put_in_order_of_time() -> None:
    data = b";; comment\nb 1 0.5 0.1 two 0.9\na A 9 1 later\nb 1 0.1 0.1 one\na A 0 1 first 1.0\n"
    assert texts(data, "a.ctm") == {"b": "one two", "a": "first later"}
    assert list(texts(data, "a.ctm")) == ["b", "a"]


def test_plain_lines_keep_their_places() -> None:
    assert texts("one\u2028two\n\n three\n".encode(), "a.txt") == {"1": "one\u2028two", "2": "", "3": " three"}
    assert texts(b"", "a.txt") == {}
    assert texts(b"\xef\xbb\xbfone", "a.txt") == {"1": "one"}


@pytest.mark.parametrize(
    ("data", "name", "format"),
    [
        (JSONL, "a.txt", "jsonl"),
        (b"a (1)\nb (2)\n", "a.txt", "trn"),
        (b"a (1)\nb\n", "a.txt", "lines"),
        (b"{a}\n", "a.TRN", None),
        (b"a 1 0 1 b\n", "a", "lines"),
        (b"a 1 0 1 b\n", "a.CTM", "ctm"),
    ],
)
def test_the_suffix_tells_and_else_the_lines(data: bytes, name: str, format: str | None) -> None:
    if format is None:
        with pytest.raises(RequestError, match="cannot be read as TRN"):
            read(data, name)
    else:
        assert read(data, name).format == format


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b'{"id": "a", "text": "x"}\nfoo\n', "a.jsonl", "a.jsonl:2: not JSON"),
        (b"[1]\n", "a.jsonl", "a.jsonl:1: JSON but not an object"),
        (b'{"text": "x"}\n', "a.jsonl", 'a.jsonl:1: no "id"'),
        (b'{"id": "a", "text": null}\n', "a.jsonl", 'a.jsonl:1: a has no "text"'),
        (b'{"id": "a", "text": "\\ud800"}\n', "a.jsonl", "half of a surrogate pair"),
        (b'{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n', "a.jsonl", "a.jsonl:2: the id a is on line 1"),
        (b"a (1)\nb\n", "a.trn", "a.trn:2: no .id. at the end"),
        (b"{ a / b } (1)\n", "a.trn", "a.trn:1: alternatives"),
        (b"a 1 0 1\n", "a.ctm", "a.ctm:1: not `recording channel"),
        (b"a 1 zero 1 b\n", "a.ctm", "a.ctm:1: not `recording channel"),
        (b"a 1 nan 1 b\n", "a.ctm", "a.ctm:1: not `recording channel"),
        (b"a 1 0 1 b\na 2 0 1 b\n", "a.ctm", "a.ctm:2: a has a second channel"),
        (b"a 1 * * <ALT_BEGIN>\n", "a.ctm", "a.ctm:1"),
        (b"a 1 0 1 <ALT_BEGIN>\n", "a.ctm", "alternatives <ALT"),
        (b"fine\n\xff\n", "a.txt", "a.txt:2: not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(data: bytes, name: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read(data, name)


def test_many_mistakes_are_counted() -> None:
    with pytest.raises(RequestError, match=r"(?s)a\.jsonl:5: .*… and 7 more$"):
        read(b"x\n" * 12, "a.jsonl")


def test_files_are_joined_in_the_order_of_the_reference() -> None:
    reference = read(b"one (b-1)\ntwo (a-1)\n", "r.trn")
    hypothesis = read(b'{"id": "a-1", "text": "2"}\n{"id": "b-1", "text": "1"}\n', "h.jsonl")
    expected = Joined(
        ids=("b-1", "a-1"), columns=(("one", "two"), ("1", "2")), speakers=("b", "a"), silent=((),)
    )  # fmt: skip
    assert joined(reference, hypothesis) == expected
    assert joined(hypothesis, reference).speakers is None


def test_missing_ids_are_named_on_both_sides() -> None:
    reference, hypothesis = read(b"x (a)\nx (b)\nx (c)\n", "r.trn"), read(b"x (a)\nx (d)\n", "h.trn")
    with pytest.raises(RequestError, match=r"2 ids \(b, c\) of r.trn not in h.trn; 1 id \(d\) of h.trn not in r.trn"):
        joined(reference, hypothesis)


def test_a_ctm_may_lack_what_was_silent_but_have_nothing_more() -> None:
    reference, hypothesis = read(b"x (a)\nx (b)\n", "r.trn"), read(b"a 1 0 1 x\n", "h.ctm")
    found = joined(reference, hypothesis)
    assert found.columns[1] == ("x", "") and found.silent == (("b",),)
    with pytest.raises(RequestError, match=r"1 id \(b\) of r.trn not in h.ctm"):
        joined(hypothesis, reference)


def test_lines_go_with_lines_of_the_same_number() -> None:
    lines, named = read(b"x\ny\n", "r.txt"), read(b"x (a)\n", "h.trn")
    with pytest.raises(RequestError, match=r"r\.txt has plain lines without ids, h.trn is TRN"):
        joined(lines, named)
    with pytest.raises(RequestError, match=r"r\.txt has 2 lines, h\.txt has 1"):
        joined(lines, read(b"x\n", "h.txt"))


@settings(deadline=None)
@given(said=st.lists(WORDS, min_size=1, max_size=5))
def test_all_formats_say_the_same(said: list[str]) -> None:
    rows = [(f"u{number}", text) for number, text in enumerate(said)]
    jsonl = "".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in rows)
    trn = "".join(f"{text} ({name})\n" for name, text in rows)
    ctm = "".join(f"{name} 1 {at} 1 {word}\n" for name, text in rows for at, word in enumerate(text.split()))
    read_ones = [read(text.encode(), name) for text, name in ((jsonl, "r.jsonl"), (trn, "h.trn"), (ctm, "h.ctm"))]
    found = joined(*read_ones)
    assert found.columns[0] == found.columns[1] == found.columns[2] == tuple(said)


def test_confidences_are_read_where_they_are_shares() -> None:
    lines = b'{"id": "a", "text": "x", "confidence": 0.25}\n{"id": "b", "text": "x", "confidence": 97}\n{"id": "c", "text": "x"}\n'
    assert [each.confidence for each in read(lines, "h.jsonl").entries] == [0.25, None, None]
    words = b"a 1 0 1 x 0.5\na 1 1 1 y 1.0\nb 1 0 1 x 0.5\nb 1 1 1 y\n"
    assert [each.confidence for each in read(words, "h.ctm").entries] == [0.75, None]


def test_labels_are_read_where_they_are_asked_for() -> None:
    lines = b'\xef\xbb\xbf\n{"id": "a", "label": "yes"}\n{"id": "b", "label": "no"}\n'
    assert value_of(lines) == "label"
    assert [each.text for each in read(lines, "h.jsonl", "label").entries] == ["yes", "no"]
    with pytest.raises(RequestError, match='b has no "label"'):
        read(b'{"id": "a", "label": "yes"}\n{"id": "b", "text": "no"}\n', "h.jsonl", "label")


@pytest.mark.parametrize("data", [b"", b"a word (b)\n", b'{"id": "a", "text": "x", "label": "y"}', b'["label"]', b"{"])
def test_all_else_holds_texts(data: bytes) -> None:
    assert value_of(data) == "text"
