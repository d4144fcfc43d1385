"""What others need for the drift of `monitor_drift`'s tables, each in a virtual environment of its own.

`python -m venv X; X/bin/pip install frouros`, then `PYTHONPATH=.:packages/monitor/src X/bin/python -m
benchmarks.monitor_others frouros --json benchmarks/results/monitor-others.json`; the same with `watchkeeper`. A file
that is there is added to. Each compares what it has by itself for numbers and categories: `does`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.monitor_drift import table

Tables = tuple[dict[str, Any], dict[str, Any]]


def watchkeeper(tables: Tables) -> Callable[[], Any]:
    reference: Any = import_module("watchkeeper_monitor").Reference.from_data(tables[0])
    return lambda: reference.compare(tables[1])


def frouros(tables: Tables) -> Callable[[], Any]:
    batch: Any = import_module("frouros.detectors.data_drift.batch")
    usual, current = tables
    pairs: list[tuple[Any, str]] = []
    for name, column in usual.items():
        kinds = (batch.PSI, batch.KSTest, batch.EMD) if name.startswith("n") else (batch.ChiSquareTest,)
        for kind in kinds:
            detector = kind()
            detector.fit(X=column)
            pairs.append((detector, name))
    return lambda: [detector.compare(X=current[name]) for detector, name in pairs]


DOES = {
    "watchkeeper": (watchkeeper, "PSI, KL, Jensen-Shannon, KS, Wasserstein; chi-squared"),
    "frouros": (frouros, "PSI, KS, Wasserstein; chi-squared"),
}


def imported(module: str) -> float:
    """Seconds of CPU, the median of three."""
    code = f"import time; t=time.process_time(); import {module}; print(time.process_time()-t)"
    spent = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    return sorted(float(each.stdout.strip().splitlines()[-1]) for each in spent)[1]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("name", choices=sorted(DOES))
    options.add_argument("--json", type=Path)
    options.add_argument("--rows", type=int, default=1_000_000)
    given = options.parse_args()
    make, does = DOES[given.name]
    tables = table(100_000, 0), table(given.rows, 1)
    compare = make(tables)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, began = time.perf_counter(), time.process_time()
    compare()
    found: dict[str, Any] = {
        "version": "this" if given.name == "watchkeeper" else version(given.name),
        "does": does,
        "rows": given.rows,
        "cpu_seconds": round(time.process_time() - began, 2),
        "seconds": round(time.perf_counter() - wall, 2),
        "more_memory_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024),
        "load": round(os.getloadavg()[0], 1),
    }
    small = make((tables[0], table(1000, 2)))
    small()
    began = time.process_time()
    small()
    found["thousand_by_20_cpu_seconds"] = round(time.process_time() - began, 4)
    found["import_cpu_seconds"] = round(imported(_module(given.name)), 2)
    print(json.dumps({given.name: found}, indent=2))
    if given.json:
        there: dict[str, Any] = json.loads(given.json.read_text()) if given.json.exists() else {}
        given.json.write_text(json.dumps(dict(sorted((there | {given.name: found}).items())), indent=2) + "\n")


def _module(name: str) -> str:
    """What its drift needs: some load nothing until it is asked for."""
    return {"frouros": "frouros.detectors.data_drift.batch", "watchkeeper": "watchkeeper_monitor.reference"}[name]


if __name__ == "__main__":
    main()
