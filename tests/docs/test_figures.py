"""The README shows what was measured, and nothing else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_the_readme_is_that_of_the_results() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "bench-table", "--check"], check=False)
    assert done.returncode == 0, "run scripts/bench-table"
