"""The 60 awkward files beside the checkout: each is handled as its manifest line expects."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sorigil.audio.decode import Decoded, decode
from sorigil.audio.prepare import prepare, to_float
from sorigil.audio.spec import AudioSpec, RawAudio
from sorigil.errors import AudioError
from sorigil.features import LogMel, Mfcc, compute

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "formats"
MANIFEST = FOLDER / "manifest.jsonl"
LINES = [json.loads(line) for line in MANIFEST.read_text().splitlines()] if MANIFEST.exists() else []

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not LINES, reason="../shared/data/formats is not beside this checkout"),
]


def attempt(line: dict) -> Decoded | AudioError:
    raw = RawAudio(sample_rate=line["sample_rate_hint"]) if "sample_rate_hint" in line else None
    try:
        return decode((FOLDER / line["audio"]).read_bytes(), name=line["audio"], raw=raw)
    except AudioError as error:
        return error


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["id"])
def test_as_expected(line: dict) -> None:
    result, expect = attempt(line), line["expect"]
    if isinstance(result, AudioError):
        if result.reason == "needs_formats":
            pytest.skip("the extra formats is not installed")
        allowed = {"reject", "may_reject", "no_crash", "reject_or_partial", "empty"}
        assert expect in allowed, f"{result} but the manifest expects {expect}"
        assert expect != "empty" or result.reason == "no_samples"
        return
    assert expect not in {"reject", "empty"}, f"{result.container} decoded but the manifest expects {expect}"
    if line.get("duration") and expect != "no_crash":
        assert abs(result.num_samples / result.sample_rate - line["duration"]) < 0.01
    _prepare(result, expect)


def _prepare(decoded: Decoded, expect: str) -> None:
    """What decodes can be prepared and has features, or there is a reason why not."""
    try:
        prepared = prepare(decoded, AudioSpec())
    except AudioError as error:
        if not decoded.samples.any():
            expect = "silent"  # one of those to decode holds zeros only
        wanted = {"silent": "silent", "decode_then_reject": "not_finite"}.get(expect, "too_short")
        assert error.reason == wanted
        return
    assert expect not in {"silent", "decode_then_reject"}
    assert np.abs(prepared.pcm.astype(int)).max() == 32767
    for feature in compute([LogMel(), Mfcc()], to_float(prepared.pcm), prepared.sample_rate):
        assert np.isfinite(feature).all() and len(feature) == 1 + len(prepared.pcm) // 160


def test_the_documents_table_of_disagreements_is_what_the_decoders_do() -> None:
    pytest.importorskip("av")
    page = Path(__file__).parents[3] / "docs" / "formats.md"
    spec = importlib.util.spec_from_file_location("decoders", page.with_name("decoders.py"))
    assert spec is not None and spec.loader is not None
    decoders = importlib.util.module_from_spec(spec)
    sys.modules["decoders"] = decoders  # its dataclass looks itself up
    spec.loader.exec_module(decoders)
    assert decoders.table(FOLDER) in page.read_text(), "python docs/decoders.py ../shared/data/formats --write"


def test_clipping_is_noticed() -> None:
    line = next(line for line in LINES if line["id"] == "clipped")
    decoded = attempt(line)
    assert isinstance(decoded, Decoded)
    assert prepare(decoded, AudioSpec()).clipped_share > 0.01
