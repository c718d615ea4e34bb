"""Gather what the page of a model's errors shows besides `found`: the sound of doubted and of worst utterances, bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sorigil.report.error_page import ErrorPage, Shown
from storage.layout import Store
from tasks.sounds import Sounds

SUSPECTS = 60  # on the page; the JSON has all
SOUND_BYTES = 12 << 20  # of them all; the page is a third larger


def errors_page(store: Store, found: Mapping[str, Any]) -> ErrorPage:
    """The page of what `sorigil errors --json` prints."""
    sounds = Sounds(store=store, budget=SOUND_BYTES)
    doubted, worst = (
        tuple(Shown(row=row, audio_flac=sounds.of(row)) for row in rows)
        for rows in (found["suspects"][:SUSPECTS], found["worst_utterances"])
    )
    return ErrorPage(found=found, suspects=doubted, worst=worst, silence=sounds.without)
