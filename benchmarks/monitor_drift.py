"""A million rows of 20 columns against a hundred thousand, and a window of a thousand: seconds and memory.

16 numeric columns (PSI, KL, Jensen–Shannon, Kolmogorov–Smirnov, Wasserstein) and 4 categorical ones (chi-squared).
`python -m benchmarks.monitor_drift`, about 15 s.
"""

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from watchkeeper_monitor import Reference


def table(rows: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    made: dict[str, Any] = {f"n{number}": random.normal(size=rows) for number in range(16)}
    return made | {f"c{number}": random.integers(0, 20, rows).astype("U2") for number in range(4)}


def spent(reference: Reference, current: dict[str, Any], times: int) -> float:
    """Median seconds of CPU."""
    taken: list[float] = []
    for _ in range(times):
        began = time.process_time()
        reference.compare(current)
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    reference = Reference.from_data(table(100_000, 0))
    current, window = table(1_000_000, 1), table(1000, 2)
    before = peak()
    numbers = {name: column for name, column in current.items() if name.startswith("n")}
    whole, only, small = spent(reference, current, 3), spent(reference, numbers, 3), spent(reference, window, 50)
    print(f"1,000,000 x 20: {whole:.2f} s, its 16 numbers {only:.2f} s")
    print(f"1,000 x 20: {small * 1000:.1f} ms")
    plain = np.sort(np.random.default_rng(3).normal(size=1_000_000))
    began = time.process_time()
    np.sort(np.random.default_rng(3).permutation(plain))
    sort = time.process_time() - began
    print(f"(one shuffle and sort of 1,000,000 numbers on this machine now: {sort:.3f} s)")
    memory = (peak() - before) / 2**20
    print(f"memory beside the data, at most: {memory:.0f} MB")
    if given.json:
        figures = {"load": os.getloadavg()[0], "million_by_20_seconds": whole, "its_16_numbers_seconds": only}
        figures |= {"thousand_by_20_milliseconds": small * 1000, "shuffle_and_sort_seconds": sort, "memory_mb": memory}
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
