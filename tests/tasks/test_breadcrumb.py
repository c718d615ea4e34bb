"""A breadcrumb says what a process works on, outlives the process, and belongs to it alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage import scratch
from tasks import breadcrumb
from tasks.breadcrumb import Breadcrumb, Crumb, Deadline, crumb_of, crumb_of_the_dead, end_if_overdue

WORKER = """
import ctypes, time
from tasks.breadcrumb import Breadcrumb, Deadline, FatalNote
note = FatalNote()
with Breadcrumb("unit-1", Deadline(seconds={seconds})) as crumb:
    crumb.drop("하나.wav")
    print("ready", flush=True)
    {end}
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def worker(end: str, seconds: float = 60.0) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    code = WORKER.format(end=end, seconds=seconds)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_the_item_in_hand_and_how_long_it_may_take() -> None:
    before = time.monotonic()
    with Breadcrumb("unit", Deadline(seconds=10.0, seconds_per_mb=2.0)) as dropped:
        assert crumb_of(os.getpid()) is None
        for item, size, allowed in (("a long name.wav", 3_000_000, 16.0), ("b", None, 10.0)):
            dropped.drop(item, size)
            crumb = crumb_of(os.getpid())
            assert crumb is not None and (crumb.unit, crumb.item, crumb.allowed) == ("unit", item, allowed)
            assert before <= crumb.began <= time.monotonic() and not crumb.overdue
    assert crumb_of(os.getpid()) is None and not list(scratch.folder().iterdir())


def test_the_living_are_not_asked_and_not_ended() -> None:
    with Breadcrumb("unit") as dropped:
        dropped.drop("a")
        assert crumb_of_the_dead("unit") is None and end_if_overdue(os.getpid()) is None
        breadcrumb.sweep()
        assert crumb_of(os.getpid()) is not None


def test_what_crashed_says_where() -> None:
    process = worker("ctypes.string_at(0)")
    assert process.wait() == -signal.SIGSEGV
    assert crumb_of_the_dead("another unit") is None
    crumb = crumb_of_the_dead("unit-1")
    assert crumb is not None and (crumb.item, crumb.fatal) == ("하나.wav", "Segmentation fault")
    assert crumb_of_the_dead("unit-1") is None and not list(scratch.folder().iterdir())


def test_a_crash_in_our_code_is_told_with_its_line(tmp_path: Path) -> None:
    (scratch.folder() / "999999999.fatal").write_text(
        "Fatal Python error: Segmentation fault\n\nCurrent thread 0x01 (most recent call first):\n"
        '  File "/usr/lib/python3/ctypes.py", line 519 in string_at\n'
        '  File "/home/me/sorigil/audio/decode.py", line 101 in decode\n'
        '  File "/home/me/tasks/prepare.py", line 50 in prepare_unit\n'
    )
    assert breadcrumb._last_words(999999999) == "Segmentation fault in sorigil/audio/decode.py:101"


def test_what_hangs_is_ended_past_its_deadline_and_not_before() -> None:
    process = worker("ctypes.PyDLL(None).pause()", seconds=1.0)
    assert end_if_overdue(process.pid) is None and process.poll() is None
    time.sleep(1.05)
    crumb = end_if_overdue(process.pid)
    assert process.wait(timeout=10) == -signal.SIGKILL
    assert crumb is not None and crumb.item == "하나.wav" and crumb.allowed == 1.0
    assert end_if_overdue(process.pid) is None, "the number may be somebody else's by now"


def test_what_the_killed_leave_is_swept_up() -> None:
    process = worker("time.sleep(60)")
    process.kill()
    process.wait()
    assert len(list(scratch.folder().iterdir())) == 2
    breadcrumb.sweep()
    assert not list(scratch.folder().iterdir())


def test_a_torn_crumb_is_none() -> None:
    (scratch.folder() / "7.now").write_bytes(b'{"unit": "u", "it')
    assert crumb_of(7) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"seconds": 0.0}, "seconds is 0.0; it must be above 0"), ({"seconds_per_mb": -1.0}, "seconds_per_mb is -1.0")],
)
def test_impossible_deadlines_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Deadline(**wrong)


def test_a_folder_that_is_somebody_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"sorigil-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(Exception, match="is not a folder of ours"):
        scratch.folder()


def test_a_crumb_of_the_last_boot_is_not_overdue() -> None:
    """Monotonic time begins anew then: an old file must not end a process that has the same number now."""
    assert not Crumb(unit="u", item="a", began=time.monotonic() + 1e6, allowed=1.0).overdue
