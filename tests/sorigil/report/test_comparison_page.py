"""The page of a comparison: what it says, that it shows every change it was given, that nothing in it is run or loaded."""

from __future__ import annotations

import re
from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any

import pytest

from sorigil.metrics.comparison import changes as changes_of
from sorigil.metrics.comparison import compare, label_changes
from sorigil.report.comparison import ComparisonPage, Heard, render
from sorigil.report.comparison_tables import verdict

EVIL = "</script><script>alert(1)</script>"


def found(references: list[str], a: list[str], b: list[str], **more: Any) -> dict[str, Any]:
    row = compare("wer", references, a, b)
    changed = changes_of([f"u{number}" for number in range(len(references))], references, a, b)
    metric = {"a": row.a, "b": row.b, "delta": row.delta.value, "interval": row.delta.interval, "better": row.better}
    metric |= {"interval_by_speaker": None, "test": asdict(row.test)}
    sides = [{"name": name, "model": None, "split": None, "score": None, "run": None} for name in "ab"]
    return {
        "a": "a", "b": "b", "sides": sides, "reference": "r", "objective": "ctc", "normalizer": "basic",
        "utterances": len(references), "speakers": None, "metrics": {"wer": metric}, "seeds": {}, "pooled": {},
        "slice_metric": "wer", "slices": [], "notes": [],
        "better": sum(each.gain > 0 for each in changed), "worse": sum(each.gain < 0 for each in changed),
        "otherwise": sum(each.gain == 0 for each in changed), "words": {"mended": [["b", 2]], "broken": []},
        "changes": [asdict(each) for each in changed], **more,
    }  # fmt: skip


def page(given: dict[str, Any], silence: dict[str, int] | None = None, **facts: Any) -> str:
    names = ("id", "errors_a", "errors_b", "columns")
    heard = [Heard(**{name: change[name] for name in names}, **facts) for change in given["changes"]]
    return render(ComparisonPage(found=given, heard=tuple(heard), silence=silence or {}))


def stack(changed: str, said: str, *answers: str) -> str:
    """A column of words as the page writes it; of an answer the last letter is its mark."""
    rows = [f"<span>{said}</span>"]
    for answer in answers:
        fault = "" if answer.endswith("✓") else ' class="fault"'
        rows.append(f"<span{fault}>{answer[:-1]}<sup>{answer[-1]}</sup></span>")
    return f'<span class="word {changed}">{"".join(rows)}</span>'


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_each_change_stands_in_three_rows_with_marks_that_need_no_colour() -> None:
    html = page(found(["a b c", "d", "e"], ["a x c", "d y", "z"], ["a b c", "d", "w"]), speaker="ann", seconds=1.5)
    for changed, *rows in (
        ("mended", "b", "xS", "b✓"),
        ("mended", "·", "yI", "·✓"),
        ("other", "e", "zS", "wS"),
    ):
        assert stack(changed, *rows) in html
    assert html.count("▲ better</b>") == 2 and html.count("◆ otherwise</b>") == 1 and "· ann · 1.50 s" in html
    assert "B has fewer word errors in <b>2</b> utterances, more in <b>0</b>" in html


def test_texts_are_shown_and_never_run() -> None:
    html = page(
        {
            **found([f"a {EVIL}"], [EVIL], [f"a {EVIL} 'x\""], words={"mended": [[f'"{EVIL}', 1]], "broken": []}),
            "a": EVIL,
        }
    )
    assert EVIL not in html and html.count("<script>") == 1
    tags = Tags(html).tags
    assert [chip["data-word"] for tag, chip in tags if chip.get("class") == "chip"] == [f'"{EVIL}']
    policy = next(each["content"] or "" for tag, each in tags if each.get("http-equiv"))
    assert policy.startswith("default-src 'none'") and "sha256-" in policy
    assert not [name for _, each in tags for name in each if name.startswith("on")]
    assert not re.search(r"(src|href)=\"(?!#|data:)", html)


def test_a_comparison_with_itself_has_nothing_to_list() -> None:
    html = page(found(["a b"] * 3, ["a x"] * 3, ["a x"] * 3, words={"mended": [], "broken": []}))
    assert "No difference is shown: the WER of both is 50.00 %." in html
    assert 'id="changes"' not in html and 'id="words"' not in html and "3 are heard alike" in html


def test_the_slices_that_changed_come_first_and_are_drawn() -> None:
    row = {"column": "lang", "utterances": 12, "a": 0.5, "b": 0.5, "delta": 0.0, "interval": (0, 0), "p": 1, "q": 1}
    slices = [
        {**row, "value": "en", "groups": 1, "p": None, "q": None, "change": None},
        {**row, "value": "ko", "groups": 3, "change": None},
        {**row, "value": EVIL, "groups": 3, "delta": -0.2, "q": 0.01, "change": "better"},
    ]
    html = page(found(["a"] * 3, ["x"] * 3, ["a"] * 3, slices=slices))
    assert "B is better in 1 and worse in 0 of 3 slices." in html and html.count("<svg") == 2 and EVIL not in html
    changed, every = html.split("<summary>all slices (3)</summary>")
    assert changed.count("▲ better</b>") == 1 and '<td class="name">en</td>' not in changed
    assert (
        every.index("▲ better</b>") < every.index('<td class="name">ko</td>') < every.index('<td class="name">en</td>')
    )
    html = page(found(["a"] * 3, ["x"] * 3, ["a"] * 3, slices=slices[:1]))
    assert "In none of 1 slices a difference is shown." in html and html.count("<svg") == 1


def test_a_heading_has_room_for_names_but_not_for_paths() -> None:
    given = found(["a"], ["x"], ["a"])
    long, score = f"/far/{'x' * 90}/a.jsonl", f"store/scores/{'f' * 32}/utterances.parquet"
    sides = [
        {**given["sides"][0], "name": long},
        {**given["sides"][0], "name": score, "score": "f" * 32, "model": "words"},
    ]
    html = page({**given, "sides": sides})
    heading = html.split("<h1>")[1].split("</h1>")[0]
    assert len(heading) < 200 and "/a.jsonl" in heading and f"words {'f' * 12}" in heading
    assert f'<dd class="id">{long}' in html and f'<dd class="id">{score}' in html


def test_the_spread_over_seeds_is_said() -> None:
    seeds = {"wer": {"a": {"n": 3, "mean": 0.1, "std": 0.02}, "b": None}}
    html = page(found(["a"] * 3, ["x"] * 3, ["a"] * 3, seeds=seeds))
    assert (
        "WER of A over 3 seeds: mean 10.00 % (standard deviation 2.00 %); compared is the first." in html
        and "of B over" not in html
    )


def test_what_is_not_on_the_page_is_said() -> None:
    given = found(["a"] * 3, ["x"] * 3, ["a"] * 3)
    html = page({**given, "better": 1200}, silence={"are longer than 30 s": 2})
    assert "Of the 1,200 that are better the 3 that changed most are on this page." in html
    assert "2 without sound: they are longer than 30 s." in html


def test_sound_and_controls_are_reached_by_the_keyboard() -> None:
    tags = Tags(page(found(["a"], ["x"], ["a"]), audio_flac=b"fLaC")).tags
    (audio,) = (each for tag, each in tags if tag == "audio")
    assert audio["aria-label"] == "u0" and (audio["src"] or "").startswith("data:audio/flac;base64,")
    assert [each["type"] for tag, each in tags if tag == "button"] == ["button"] * 5
    assert {"select", "input"} <= {tag for tag, _ in tags}


@pytest.mark.parametrize(
    ("metric", "row", "says"),
    [
        ("wer", (0.2, 0.1, (-0.15, -0.05), 0.001, "b"),
         "B is better: WER 10.00 % instead of A's 20.00 %, a difference of −10.00 points "
         "(95 % interval −15.00 to −5.00, p = 0.001)."),
        ("accuracy", (0.9, 0.8, (-0.15, -0.05), 1e-9, "a"),
         "A is better: accuracy 90.00 % instead of B's 80.00 %, a difference of −10.00 points "
         "(95 % interval −15.00 to −5.00, p < 0.0001)."),
        ("accuracy", (0.9, 0.8, (-0.25, 0.05), 0.3, None),
         "No difference is shown: accuracy 90.00 % of A and 80.00 % of B, a difference of −10.00 points "
         "(95 % interval −25.00 to +5.00, p = 0.3), which may be chance."),
        ("tag_errors", (1.0, 0.5, (-0.7, -0.1), 0.01, "b"),
         "B is better: wrong tags an utterance 0.5 instead of A's 1, a difference of −0.5 "
         "(95 % interval −0.7 to −0.1, p = 0.01)."),
    ],
)  # fmt: skip
def test_the_verdict_is_a_sentence(metric: str, row: tuple[Any, ...], says: str) -> None:
    a, b, interval, p, better = row
    given = {"a": a, "b": b, "delta": b - a, "interval": interval, "test": {"p_exact": p}, "better": better}
    assert verdict(metric, {**given, "interval_by_speaker": None}) == says
    assert verdict(metric, {**given, "interval_by_speaker": (-0.4, -0.1)}) == says
    doubt = verdict(metric, {**given, "interval_by_speaker": (-0.4, 0.1)}).removeprefix(says)
    assert doubt.startswith(" Of other speakers it may not hold: the interval by speaker is −") if better else not doubt


def test_labels_of_several_words_stay_whole() -> None:
    changed = label_changes(["u"], ["view glass"], ["sea"], ["view glass"], [1], [0])
    given = found(["a"], ["x"], ["a"], objective="classification", changes=[asdict(each) for each in changed])
    assert "<span>view glass</span>" in page(given) and "wrong answers" in page(given)
