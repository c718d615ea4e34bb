"""The demo corpus as a source: made once below a folder, then read like any manifest.

The manifest and the marker come last, so a corpus that was cut off in the making is made again. `<uri>/archive` holds
longer recordings to transcribe, each with its text beside it, and with the times of its phrases and words.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pyarrow as pa

from sorigil.demo.corpus import DemoSpec
from sorigil.fingerprint import fingerprint, to_dict
from storage import files
from storage.sources.manifest import ManifestSource, scan_manifest

_MARKER = "corpus.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoSource:
    """Synthesised speech (espeak-ng; needs the extra `demo`), written below the folder `uri`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["demo"] = "demo"
    uri: str
    corpus: DemoSpec = field(default_factory=DemoSpec)

    @property
    def base(self) -> str:
        return self.uri.rstrip("/")

    @property
    def manifest(self) -> ManifestSource:
        return ManifestSource(uri=files.join(self.uri, "manifest.jsonl"))


def scan_demo(source: DemoSource) -> pa.Table:
    """The corpus' rows; makes the corpus first where it is not there (or is another one)."""
    marker = files.join(source.uri, _MARKER)
    wanted = fingerprint(source.corpus)
    if not files.exists(marker) or json.loads(files.read_bytes(marker)).get("fingerprint") != wanted:
        files.remove(marker)  # while the corpus is in the making it is neither the old one nor the new
        _make(source)
        facts = {"fingerprint": wanted, "spec": to_dict(source.corpus)}
        files.write_bytes(marker, json.dumps(facts, indent=1).encode())
    return scan_manifest(source.manifest)


def _make(source: DemoSource) -> None:
    from sorigil.demo import generate, generate_archive

    workers = os.cpu_count() or 1
    rows = []
    for item in generate(source.corpus, workers):
        _write(files.join(source.uri, f"audio/{item.name}"), item.data)
        fields = ("id", "text", "label", "speaker", "lang", "split", "note")
        row = {name: getattr(item, name) for name in fields}
        rows.append(
            {"audio": f"audio/{item.name}", **{name: value for name, value in row.items() if value is not None}}
        )
    for recording in generate_archive(source.corpus, workers):
        place = files.join(source.uri, f"archive/{recording.name}")
        _write(place, recording.data)
        _write(files.join(source.uri, f"archive/{recording.id}.txt"), f"{recording.text}\n".encode())
        reference = {"text": recording.text, "segments": recording.segments, "words": recording.words}
        _write(place + ".reference.json", json.dumps(reference, ensure_ascii=False, indent=1).encode())
    manifest = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    files.write_bytes(source.manifest.uri, manifest.encode())


def _write(uri: str, data: bytes) -> None:
    """Plain writing: these files can be made again, and thousands of them need no fsync each."""
    if files.is_url(uri):
        files.write_bytes(uri, data)
        return
    path = files.local_path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
