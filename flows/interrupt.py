"""A wish to stop that cannot get lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a callback from C or a destructor it is printed
and dropped ("Exception ignored in …"), and the run would go on to its end. So it is also remembered here, and whatever
works in steps asks between them.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_wishes: list[int] = []  # the signals that came


def listen() -> None:
    """From here on Ctrl-C and a polite kill both raise KeyboardInterrupt, and are remembered."""
    _wishes.clear()
    for each in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(each) is not signal.SIG_IGN:  # a shell's background job is to hear no Ctrl-C
            signal.signal(each, _stop)


def check() -> None:
    """Raise KeyboardInterrupt if one was asked for, even where Python dropped it."""
    if _wishes:
        raise KeyboardInterrupt


def _stop(number: int, _: Any) -> None:
    _wishes.append(number)
    raise KeyboardInterrupt


@contextlib.contextmanager
def termination_sets(stop: threading.Event) -> Iterator[None]:
    """Within this, SIGINT and SIGTERM set `stop` instead of ending the process. In another thread it changes nothing."""

    def note(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
