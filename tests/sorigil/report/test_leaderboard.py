"""The leaderboard's three forms say the same, escape what users wrote, and put a dash where nothing is known."""

from __future__ import annotations

from sorigil.report.leaderboard import Board, Leaderboard, Row, Seeds, to_html, to_markdown, to_text

EVIL = "<script>alert(1)</script>|x"


def row(model: str, value: float, rank: int | None) -> Row:
    return Row(
        model=model,
        key="k" * 32,
        rank=rank,
        value=value,
        interval=(value / 2, value * 2),
        interval_by_speaker=None,
        rtfx=12.5 if rank else None,
        decoder="greedy",
        seen=0 if rank else None,
        score="s" * 32,
        notes=() if rank else ("heard before",),
    )


def board(metric: str, main: bool) -> Board:
    return Board(
        slice="tones:test",
        slice_key="abcdef0123456789",
        dataset="tones",
        version="v1",
        side="test",
        objective="ctc",
        target="reference",
        metric=metric,
        main=main,
        normalizer="english",
        utterances=1234,
        seconds=3600.0,
        rows=(row("best", 0.05, 1), row(EVIL, 0.1, None)),
        seeds=(Seeds(models=("best", EVIL), n=2, mean=0.075, std=0.035, min=0.05, max=0.1),),
    )


FOUND = Leaderboard(boards=(board("wer", True), board("cer", False)), missing=((EVIL, "fsdd:test", "other rate"),))


def test_markdown_has_every_board_and_no_torn_table() -> None:
    text = to_markdown(FOUND)
    assert "## tones:test: wer" in text and "## tones:test: cer" in text
    assert "tones v1, 1,234 utterances with a reference, 1.00 h, normaliser english; slice abcdef01" in text
    assert "| 1 | best | 5.00 % | 2.50 – 10.00 % | – | × 12.5 | greedy | 0 |" in text
    assert f"| – | {EVIL.replace('|', chr(92) + '|')} | 10.00 % |" in text
    assert f"- {EVIL}: heard before" in text and text.count("heard before") == 1
    assert "other rate" in text


def test_the_terminal_has_the_main_metric_only() -> None:
    text = to_text(FOUND)
    assert "tones:test: wer" in text and "tones:test: cer" not in text and "Not scored" in text


def test_what_differs_in_the_seed_is_summed_up_below_each_table() -> None:
    said = "one training with 2 seeds, mean 7.50 %, std 3.50 %, 5.00 % to 10.00 %"
    assert to_text(FOUND).count(f"  seeds: best, {EVIL}: {said}") == 1
    assert to_markdown(FOUND).count(f"- best, {EVIL}: {said}") == 2 and to_html(FOUND).count(said) == 2


def test_the_page_escapes_names_and_draws_each_interval() -> None:
    page = to_html(FOUND)
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert page.count("whisker") >= 4 and 'id="missing"' in page
    assert "other metrics: cer" in page and page.index("<h2>tones:test: wer</h2>") < page.index("<h4>cer</h4>")


def test_an_empty_leaderboard_says_what_was_not_scored() -> None:
    empty = Leaderboard(boards=(), missing=FOUND.missing)
    assert "Not scored" in to_text(empty) and "Not scored" in to_markdown(empty) and "Not scored" in to_html(empty)
