import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
import psutil
from tasks.heap import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
array = np.ones(20 << 20, np.uint8)
held = psutil.Process().memory_info().rss
del array
print(held - psutil.Process().memory_info().rss)
"""


def given_back(how: str) -> int:
    """The bytes that a process of its own gives back to the system when it drops an array of 20 MiB."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told")
def test_freed_memory_stays_with_the_process() -> None:
    assert given_back("keep") < 1 << 20
    assert given_back("as it is") > 16 << 20
