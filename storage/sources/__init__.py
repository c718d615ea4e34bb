"""Where audio comes from: one file a kind, one line a kind in `SCANNERS`.

A source is scanned into one Arrow table, a row per utterance, without opening any audio. What is wrong with a row (no
such file, an unreadable line) is a value in its column `problem`, so that it ends in the quarantine and not in a traceback.
A spec's `base` is the folder that the items' uris are relative to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from storage.sources.demo import DemoSource, scan_demo
from storage.sources.folder import FolderSource, scan_folder
from storage.sources.items import ITEMS
from storage.sources.manifest import ManifestSource, scan_manifest

SourceSpec = FolderSource | ManifestSource | DemoSource

SCANNERS: dict[str, Callable[[Any], pa.Table]] = {
    "folder": scan_folder,
    "manifest": scan_manifest,
    "demo": scan_demo,
}

__all__ = ["ITEMS", "SCANNERS", "DemoSource", "FolderSource", "ManifestSource", "SourceSpec", "scan"]


def scan(source: SourceSpec) -> pa.Table:
    """The source as a table of `items.ITEMS`. Raises RequestError where there is nothing to read."""
    return SCANNERS[source.kind](source)
