"""The road on real recordings: sixty odd and broken files accounted for, and a recogniser that learns yes from no."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows import config
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_data,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="the labelled recordings (../shared/data) are not beside this checkout"
    ),
]
# What the data's own manifest expects of each file, and what may become of it here.
DECODED = frozenset({"kept", "too_short", "silent"})
REJECTED, EITHER = frozenset({"rejected"}), frozenset({"kept", "rejected"})
FATES = {
    **dict.fromkeys(("decode", "decode_with_hint", "decode_by_content"), DECODED),
    **dict.fromkeys(("reject", "empty", "silent", "decode_then_reject"), REJECTED),
    **dict.fromkeys(("may_reject", "no_crash", "reject_or_partial"), EITHER),
}

FORMATS = """\
version: 1
storage: {{root: {root}/store}}
pipelines:
  formats:
    source: {{kind: manifest, uri: "{manifest}", raw: {{sample_rate: 16000}}}}
    features: [log_mel, mfcc]
    max_rejected: 1.0
"""


def run(path: Path, name: str, *changes: str, steps: tuple[str, ...]) -> dict[str, Any]:
    loaded = config.load(path, changes, pipeline=name)
    return execute(loaded, name, Options(local=True, steps=steps), PlainReporter(quiet=True))


@pytest.mark.parametrize("archive", [None, "tar", "zip"])
def test_every_odd_file_ends_where_its_manifest_expects(tmp_path: Path, archive: str | None) -> None:
    rows = [json.loads(line) for line in (DATA / "formats/manifest.jsonl").read_text().splitlines()]
    manifest = DATA / "formats/manifest.jsonl"
    if archive is not None:
        manifest = tmp_path / "manifest.jsonl"
        shutil.make_archive(str(tmp_path / "odd"), archive, DATA / "formats", "audio")
        inside = ({**row, "audio": f"odd.{archive}!{row['audio']}"} for row in rows)
        manifest.write_text("".join(json.dumps(row) + "\n" for row in inside))
    path = tmp_path / "pipelines.yaml"
    path.write_text(FORMATS.format(root=tmp_path, manifest=manifest))
    result = run(path, "formats", steps=("ingest", "prepare"))
    assert result["status"] == "completed", result["errors"]
    books = {name: line["items"] for name, line in result["books"].items()}
    assert books["scanned"] == len(rows) == books["kept"] + books["quarantined"] + books["duplicate"]
    rejected = {row["id"]: row["reason"] for row in result["quarantine"]["rows"]}
    wrong = {
        row["id"]: rejected.get(row["id"], "kept")
        for row in rows
        if not {fate_of(rejected.get(row["id"])), rejected.get(row["id"])} & FATES[row["expect"]]
    }
    # What decodes may still hold too little for a word (header cases of a few samples) or nothing but silence.
    assert not wrong


def fate_of(reason: str | None) -> str:
    return "kept" if reason is None else "rejected"


def test_yes_and_no_are_told_apart(tmp_path: Path) -> None:
    steps = ("ingest", "prepare", "train", "evaluate")
    changes = (f"storage.root={tmp_path}/store", f"source.uri={DATA}/yesno/manifest.jsonl")
    result = run(ROOT / "pipelines.yaml", "yesno", *changes, steps=steps)
    assert result["status"] == "completed", result["errors"]
    wer = next(row["value"] for row in result["scores"] if row["metric"] == "wer")
    assert wer <= 0.05
