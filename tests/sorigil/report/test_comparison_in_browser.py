"""The page of a comparison in a browser: what its buttons show, that its sounds play, that nothing in it is run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import BROWSER, see
from test_comparison_page import found as found_of

from sorigil.audio.prepare import encode_flac
from sorigil.metrics.comparison import changes
from sorigil.report.comparison import ComparisonPage, Heard, render

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (or Chrome) on the PATH")

EVIL = '"><script>window.hacked = 1</script><img src=x onload="window.hacked = 2">'
SAID = {"u-mended": "one two", "u-broken": "everyone sings", "u-other": "red", EVIL: f"yes {EVIL}"}
A = ["one too", "everyone sings", "bed", f"no {EVIL}"]
B = ["one two", "everyone", "led", f"yes {EVIL}"]
SPEAKERS = {"u-mended": "ann", "u-broken": "bob", "u-other": "bob", EVIL: EVIL}


def page() -> str:
    """Four utterances that changed, of which the first two can be heard."""
    references = list(SAID.values())
    row = {"column": "lang", "groups": 2, "a": 0.5, "b": 0.5, "delta": 0.0, "interval": (0, 0), "p": 1, "q": 1}
    slices = [{**row, "value": f"v{rows}", "utterances": rows, "change": None} for rows in (20, 1000, 300)]
    found: dict[str, Any] = found_of(references, A, B, words={"mended": [["one", 1], [EVIL, 1]], "broken": []})
    changed = changes(list(SAID), references, A, B)
    sound = encode_flac((np.sin(np.arange(8000) / 5) * 9000).astype(np.int16), 16000)
    heard = [
        Heard(
            id=each.id, errors_a=each.errors_a, errors_b=each.errors_b, columns=each.columns, speaker=SPEAKERS[each.id]
        )
        for each in changed
    ]
    heard = [replace(each, audio_flac=sound, seconds=0.5) if each.id in list(SAID)[:2] else each for each in heard]
    found |= {"slices": slices, "changes": [asdict(each) for each in changed]}
    return render(ComparisonPage(found=found, heard=tuple(heard), silence={}))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    script = Path(__file__).with_name("comparison_driver.js").read_text(encoding="utf-8")
    told, console = see({"comparison": page()}, script, tmp_path_factory.mktemp("browser"))
    return {**told, "console": console}


def test_all_are_there_at_first_those_mended_most_before_those_broken(seen: dict[str, Any]) -> None:
    assert seen["first"] == ["u-mended", EVIL, "u-other", "u-broken"]
    assert seen["said"] == "4 of 4" and not seen["toolsHidden"]


def test_an_utterance_stands_in_three_rows(seen: dict[str, Any]) -> None:
    assert seen["words"] == [["one", "one", "one"], ["two", "tooS", "two✓"]]


def test_sounds_can_be_played(seen: dict[str, Any]) -> None:
    assert seen["sounds"] == {"u-mended": 0.5, "u-broken": 0.5, "u-other": None, EVIL: None}


def test_the_filter_shows_what_it_says(seen: dict[str, Any]) -> None:
    assert (seen["worse"], seen["pressed"]) == (["u-broken"], "worse 1")
    assert (seen["containing"], seen["saidContaining"]) == (["u-mended", "u-broken"], "2 of 4")
    assert seen["speaker"] == ["u-other", "u-broken"]


def test_a_chip_shows_the_whole_word_only(seen: dict[str, Any]) -> None:
    assert (seen["wholeWord"], seen["found"]) == (["u-mended"], "one")


def test_utterances_and_slices_are_put_in_order(seen: dict[str, Any]) -> None:
    assert seen["byId"] == [EVIL, "u-broken", "u-mended", "u-other"]
    assert seen["byLoss"][0] == "u-broken" and seen["byLoss"][-1] in ("u-mended", EVIL)
    assert seen["slicesUp"] == ["v20", "v300", "v1000"] == seen["slicesDown"][::-1]


def test_what_users_wrote_is_text(seen: dict[str, Any]) -> None:
    assert seen["hacked"] == [None, 0, 1]
    assert seen["text"].count(EVIL) == 3  # as a word to be clicked on, an id and a speaker
    (complaint,) = seen["console"]
    assert "sandboxed" in complaint, "only of the frame that was to run no scripts"


def test_it_is_as_wide_as_a_phone(seen: dict[str, Any]) -> None:
    assert seen["narrow"] <= 400


def test_without_scripts_all_can_be_read_and_nothing_is_offered_that_does_nothing(seen: dict[str, Any]) -> None:
    quiet = seen["quiet"]
    assert (quiet["items"], quiet["tools"], quiet["offered"]) == (4, 0, 0)
    assert "No difference is shown: WER" in quiet["text"] and "tooS" in quiet["text"]
