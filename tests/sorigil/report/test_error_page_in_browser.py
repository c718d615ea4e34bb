"""The page of a model's errors in a browser: one column at a time, its slices in the order of a heading; all without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import BROWSER, see
from test_error_page import EVIL, found, utterance

from sorigil.report.error_page import ErrorPage, Shown, render

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (or Chrome) on the PATH")

DRIVER = """
const page = (await opened("errors")).contentDocument;
const chosen = () => [...page.querySelectorAll(".by-column")].filter((each) => each.offsetHeight > 0)
  .map((each) => each.querySelector("caption").dataset.column);
const column = page.getElementById("column");
const seen = {first: chosen()};
column.value = "z";
column.dispatchEvent(new Event("change"));
seen.then = chosen();
const table = [...page.querySelectorAll(".by-column")].find((each) => each.offsetHeight > 0);
const values = () => [...table.querySelectorAll("tbody tr")].map((row) => row.cells[0].textContent);
[...table.querySelectorAll("th button")].find((each) => each.textContent === "rate").click();
seen.byRate = values();
const filter = page.querySelector("input.filter");
filter.value = "dog";
filter.dispatchEvent(new Event("input"));
seen.listed = [...page.querySelectorAll("#worst-list > li")].filter((each) => each.offsetHeight > 0).length;
seen.hacked = [page.defaultView.hacked ?? null, page.querySelectorAll("script").length];
seen.narrow = (await opened("errors", {width: 400})).contentDocument.documentElement.scrollWidth;
const quiet = (await opened("errors", {scripts: false})).contentDocument;
seen.quiet = [...quiet.querySelectorAll(".by-column")].filter((each) => each.offsetHeight > 0).length;
seen.offered = [...quiet.querySelectorAll("button, select, input")].filter((each) => each.offsetHeight > 0).length;
return seen;
"""


def test_a_person_finds_a_column_an_order_and_an_utterance(tmp_path: Path) -> None:
    bad = tuple(Shown(row=utterance(heard=heard, errors=1)) for heard in ("the dog sat", f"the {EVIL} sat"))
    page = render(ErrorPage(found=found(), suspects=(), worst=bad, silence={}))
    seen, console = see({"errors": page}, DRIVER, tmp_path)
    assert (seen["first"], seen["then"]) == (["field"], ["z"])
    assert seen["byRate"] == ["x", "y"] and seen["listed"] == 1
    assert seen["hacked"] == [None, 1] and seen["narrow"] <= 400
    assert (seen["quiet"], seen["offered"]) == (2, 0)
    assert all("sandboxed" in line for line in console), console
