"""What the driver holds of a row: bounded, or a million of them would not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import catalogue

ROWS = 40_000
MOST_BYTES = 1400  # of Arrow for each row, at the worst moment: two fifths of it are the row itself
NIGHT = """
import sys
from pathlib import Path
import pyarrow
from benchmarks.catalogue import night
from storage import iceberg, ledger, tables
iceberg._FILE_ROWS, ledger._IN_MEMORY, tables.SLICE = 4096, 1, 4096  # of a fixed size, and large for so few rows
night("night", Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
print(pyarrow.default_memory_pool().max_memory())
"""


@pytest.mark.slow
def test_a_row_costs_so_much_memory_and_no_more(tmp_path: Path) -> None:
    catalogue.generate(tmp_path, ROWS + 1)
    for first, last in ((0, ROWS), (ROWS, ROWS), (ROWS, ROWS + 1)):
        command = [sys.executable, "-c", NIGHT, str(tmp_path), str(first), str(last)]
        said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout
        assert int(said.split()[-1]) / ROWS < MOST_BYTES, (first, last)
