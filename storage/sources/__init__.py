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
from storage.sources.huggingface import HuggingFaceSource, scan_huggingface
from storage.sources.items import ITEMS
from storage.sources.kaldi import KaldiSource, scan_kaldi
from storage.sources.lhotse import LhotseSource, scan_lhotse
from storage.sources.manifest import ManifestSource, scan_manifest
from storage.sources.nemo import NemoSource, scan_nemo
from storage.sources.webdataset import WebDatasetSource, scan_webdataset

SourceSpec = (
    FolderSource
    | ManifestSource
    | LhotseSource
    | KaldiSource
    | NemoSource
    | HuggingFaceSource
    | WebDatasetSource
    | DemoSource
)

SCANNERS: dict[str, Callable[[Any], pa.Table]] = {
    "folder": scan_folder,
    "manifest": scan_manifest,
    "lhotse": scan_lhotse,
    "kaldi": scan_kaldi,
    "nemo": scan_nemo,
    "huggingface": scan_huggingface,
    "webdataset": scan_webdataset,
    "demo": scan_demo,
}

__all__ = [
    "ITEMS",
    "SCANNERS",
    "DemoSource",
    "FolderSource",
    "HuggingFaceSource",
    "KaldiSource",
    "LhotseSource",
    "ManifestSource",
    "NemoSource",
    "SourceSpec",
    "WebDatasetSource",
    "scan",
]


def scan(source: SourceSpec) -> pa.Table:
    """The source as a table of `items.ITEMS`. Raises RequestError where there is nothing to read."""
    return SCANNERS[source.kind](source)
