"""Distinct and frequent values: our counts beside Apache DataSketches' (CPC, and frequent items), on the same streams.

`.venv/bin/python -m benchmarks.monitor_sketches --json benchmarks/results/monitor-sketches.json`; half a minute. Each
within the bounds it states, on streams that are hard on both: `tests/monitor/test_profiles.py`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import numpy as np

from watchkeeper_monitor.counts import Counts

ROWS, TIMES, CHUNK, TOP = 200_000, 10, 2048, 10


def streams(random: np.random.Generator) -> dict[str, list[str]]:
    """Few values; many of which few are frequent (Zipf); all different."""
    zipf = random.zipf(1.2, ROWS)
    return {
        "77 values": [f"v{each}" for each in random.integers(0, 77, ROWS)],
        "Zipf 1.2": [f"v{each}" for each in zipf],
        "all different": [f"v{each}" for each in random.permutation(ROWS * 4)[:ROWS]],
    }


def chunks(values: list[str]) -> list[list[str]]:
    return [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]


def ours(pieces: list[list[str]]) -> tuple[int, list[str], int]:
    """As it is used: a batch is counted first. Distinct, the most frequent, bytes."""
    counts = Counts()
    for piece in pieces:
        for name, times in Counter(piece).items():
            counts.add(name, times)
    return counts.distinct, [name for name, _ in counts.top(TOP)], len(json.dumps(counts.to_dict()))


def theirs(pieces: list[list[str]]) -> tuple[int, list[str], int]:
    """CPC with lg k = 10 and frequent items with 1,024 places: of like size."""
    sketches: Any = import_module("datasketches")
    distinct, frequent = sketches.cpc_sketch(10), sketches.frequent_strings_sketch(10)
    for piece in pieces:
        for name, times in Counter(piece).items():
            distinct.update(name)
            frequent.update(name, times)
    found = frequent.get_frequent_items(sketches.frequent_items_error_type.NO_FALSE_NEGATIVES)
    top = sorted(found, key=lambda each: -each[1])[:TOP]
    size = len(distinct.serialize()) + len(frequent.serialize())
    return round(distinct.get_estimate()), [each[0] for each in top], size


def measured(counted: Callable[[list[list[str]]], tuple[int, list[str], int]], kind: str) -> dict[str, float]:
    errors: list[float] = []
    found: list[float] = []
    micros: list[float] = []
    size = 0
    for seed in range(TIMES):
        values = streams(np.random.default_rng(seed))[kind]
        truth, pieces = Counter(values), chunks(values)
        began = time.process_time()
        distinct, top, size = counted(pieces)
        micros.append((time.process_time() - began) / ROWS * 1e6)
        errors.append(abs(distinct - len(truth)) / len(truth))
        least = sorted(truth.values(), reverse=True)[TOP - 1]
        found.append(sum(truth[name] >= least for name in top) / TOP)
    return {
        "distinct_error": round(statistics.mean(errors), 4),
        "distinct_error_largest": round(max(errors), 4),
        "top_10_found": round(statistics.mean(found), 3),
        "microseconds_a_row": round(statistics.median(micros), 3),
        "bytes": size,
    }


def imported(module: str) -> float:
    code = f"import time; t=time.process_time(); import {module}; print(time.process_time()-t)"
    spent = [float(subprocess.check_output([sys.executable, "-c", code], text=True)) for _ in range(5)]
    return round(statistics.median(spent) * 1000, 1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    files = distribution("datasketches").files or []
    found: dict[str, Any] = {
        "datasketches": version("datasketches"),
        "installed_bytes": sum(Path(str(each.locate())).stat().st_size for each in files),
        "import_milliseconds": {
            "datasketches": imported("datasketches"),
            "ours": imported("watchkeeper_monitor.counts"),
        },
        "load": os.getloadavg()[0],
        "streams": {
            kind: {"ours": measured(ours, kind), "datasketches": measured(theirs, kind)}
            for kind in ("77 values", "Zipf 1.2", "all different")
        },
    }
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
