"""Two logs flood at once while a Redis is full: it is healed, and every line is kept or counted."""

import os
from pathlib import Path

import pytest
from benchmarks.flood import plain, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="plain processes of others are followed as root alone")


def test_a_fault_beside_a_flood_of_logs_is_healed_and_no_line_of_it_is_lost_uncounted(tmp_path: Path) -> None:
    found = run(tmp_path, plain, number=2, megabytes=10)
    assert found["outcome"].startswith("healed")
    assert found["all_counted"], found
    assert found["lines_kept"] <= 2 * 2 * 300, "at most 300 a minute of each, and it may last over a minute's end"
    assert found["store_grew_mb"] < 10, "the flood was of 20 MB; the write-ahead log may take 4"
    assert found["rss_peak_mb"] - found["rss_before_mb"] < 60, found
