"""Ranks: who cannot be told from the first of a rank shares it, who can begins the next."""

from __future__ import annotations

import pytest

from sorigil.metrics.ranks import can_rank, ranks

SAID = [f"one two three {number}" for number in range(60)]


def wrong(share: int) -> list[str]:
    """Answers with one word wrong in `share` of the 60 utterances, always in the same ones."""
    return ["one two X" + text[13:] if number < share else text for number, text in enumerate(SAID)]


def test_what_cannot_be_told_apart_shares_a_rank() -> None:
    assert ranks("wer", SAID, [wrong(0), wrong(1), wrong(30), wrong(31), wrong(60)]) == [1, 1, 3, 3, 5]


def test_a_rank_goes_as_far_as_its_first_is_not_shown_to_be_better() -> None:
    # 5 more errors than the one before are never shown, 10 more than the first are.
    assert ranks("wer", SAID, [wrong(0), wrong(5), wrong(10), wrong(15)]) == [1, 1, 3, 3]


def test_one_system_or_none() -> None:
    assert ranks("cer", SAID, [wrong(7)]) == [1]
    assert ranks("cer", SAID, []) == []
    with pytest.raises(ValueError, match=r"as many|lengths"):
        ranks("wer", SAID, [wrong(0), wrong(3)[:-1]])
    assert can_rank("wer") and not can_rank("macro_f1")
