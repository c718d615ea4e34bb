"""Two runs that want to commit wait for each other first, so that they surely meet; Python imports this at its start.

Only where a test has put this folder on PYTHONPATH. Each leaves a file in the folder `SORIGIL_TEST_MEETING` on its first
commit, and goes on when there are two.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from storage.catalog import Catalog

_commit = Catalog.commit
_folder = Path(os.environ["SORIGIL_TEST_MEETING"])


def _together(self: Catalog, *arguments: Any, **options: Any) -> Any:
    (_folder / str(os.getpid())).touch()
    until = time.monotonic() + 120
    while len(list(_folder.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    return _commit(self, *arguments, **options)


Catalog.commit = _together  # type: ignore[method-assign]
