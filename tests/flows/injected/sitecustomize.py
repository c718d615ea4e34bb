"""Real crashes, hangs and floods of memory in the decoder, for the files that ask for them; Python imports this at its start.

Only where a test has put this folder on PYTHONPATH: in the processes of the run under test, its workers among them. A file
asks by a chunk of its WAV header (`poison.py`), so that the fault is a property of the content, as it is in life; prepared
audio by the hash in its FLAC header, which `SORIGIL_TEST_FAULTS` (`HEX=crash,HEX=hang`) has.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

import miniaudio
import soundfile

MARK = b"sorigil-fault:"


def crash() -> None:
    ctypes.string_at(0)  # SIGSEGV in this very thread


def hang() -> None:
    ctypes.PyDLL(None).pause()  # in C for ever, and it never lets go of Python's lock


def flood() -> None:
    held = []
    while True:
        held.append(bytearray(b"x") * (16 << 20))
        time.sleep(0.005)  # the nanny looks ten times a second


ASKED = {
    bytes.fromhex(mark): fault.encode()
    for mark, _, fault in (each.partition("=") for each in os.environ.get("SORIGIL_TEST_FAULTS", "").split(",") if each)
}
FAULTS = {b"crash": crash, b"hang": hang, b"flood": flood}
_open = soundfile.SoundFile.__init__


def fail_as_asked(head: bytes) -> None:
    """Do what the first bytes of a file ask for, if they ask for anything."""
    if MARK in head:
        FAULTS[head.split(MARK, 1)[1].split(b";", 1)[0]]()
    for mark, asked in ASKED.items():
        if mark in head:
            FAULTS[asked]()


def _poisoned(self: Any, file: Any, *arguments: Any, **options: Any) -> None:
    head = b""
    if hasattr(file, "read"):
        file.seek(0)
        head = file.read(256)
        file.seek(0)
    elif isinstance(file, str):
        with open(file, "rb") as stream:  # noqa: PTH123
            head = stream.read(256)
    fail_as_asked(head)
    _open(self, file, *arguments, **options)


class _PoisonedLibrary:
    """miniaudio's C functions, of which the one that opens a FLAC file in memory does what the file asks for."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def ma_dr_flac_open_memory(self, data: bytes, *arguments: Any) -> Any:
        fail_as_asked(data[:256])
        return self._library.ma_dr_flac_open_memory(data, *arguments)


soundfile.SoundFile.__init__ = _poisoned
miniaudio.lib = _PoisonedLibrary(miniaudio.lib)
