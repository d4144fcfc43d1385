"""What `Monitor.track` costs, beside a bare append and the usual prometheus-client monitor, in the same run.

Each contender runs in turn, several rounds; reported are medians and the ratio to the bare append, which tells how
noisy the machine was. `python -m benchmarks.monitor_track`, about 15 s.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from watchkeeper_monitor import Log, Monitor, RotatingFile
from watchkeeper_monitor.capture import encoded

CLASSES = [f"intent-{number}" for number in range(77)]
TEXT = "I am still waiting for my new card, when will it finally arrive?"
BATCH = 20_000
ROUNDS = 15


def bare() -> Callable[[str], Any]:
    rows: list[Any] = []

    def track(name: str) -> None:
        rows.append((name, 0.92, 0.031, 31))
        if len(rows) >= 1024:
            rows.clear()

    return track


def watchkeeper(monitor: Monitor) -> Callable[[str], Any]:
    track = monitor.track
    return lambda name: track(name, confidence=0.92, latency_seconds=0.031, input_length=31)


def with_text(monitor: Monitor) -> Callable[[str], Any]:
    track = monitor.track
    return lambda name: track(name, confidence=0.92, latency_seconds=0.031, text=TEXT)


def encoding(monitor: Monitor) -> Callable[[], None]:
    """Fold, and make ready what would be sent; nothing is sent."""

    def finish() -> None:
        monitor.flush()
        for _, rows in monitor.captured():
            encoded(rows)

    return finish


def prometheus(*, cached: bool) -> Callable[[str], Any]:
    registry = CollectorRegistry()
    counted = Counter("p", "p", ["version", "prediction_class"], registry=registry)
    confidence = Histogram("c", "c", ["version"], buckets=(0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1), registry=registry)
    latency = Histogram("l", "l", ["version"], buckets=(0.01, 0.05, 0.1, 0.5, 1, 2, 5), registry=registry)
    length = Histogram("n", "n", ["version"], buckets=(8, 16, 32, 64, 128, 256), registry=registry)
    children = {name: counted.labels("1", name) for name in CLASSES}
    c, s, n = confidence.labels("1"), latency.labels("1"), length.labels("1")

    def with_children(name: str) -> None:
        children[name].inc()
        c.observe(0.92)
        s.observe(0.031)
        n.observe(31)

    def plain(name: str) -> None:
        counted.labels("1", name).inc()
        confidence.labels("1").observe(0.92)
        latency.labels("1").observe(0.031)
        length.labels("1").observe(31)

    return with_children if cached else plain


def round_of(track: Callable[[str], Any], finish: Callable[[], Any] | None) -> float:
    """Seconds of CPU a call, of all threads of this process: folding elsewhere counts, other processes do not."""
    names = CLASSES * (BATCH // len(CLASSES))
    began = time.process_time()
    for name in names:
        track(name)
    if finish is not None:
        finish()
    return (time.process_time() - began) / len(names)


def pauses(monitor: Monitor, seconds: float) -> tuple[float, float]:
    """(p99, longest) of single calls, in seconds by the clock on the wall, at 1,000 calls in 50 ms."""
    spent: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for name in CLASSES * 13:
            began = time.perf_counter()
            monitor.track(name, confidence=0.92, latency_seconds=0.031, input_length=31)
            spent.append(time.perf_counter() - began)
        time.sleep(0.05)
    spent.sort()
    return spent[int(len(spent) * 0.99)], spent[-1]


def import_seconds() -> float:
    """Of CPU: the class, which is what a server pays when it starts."""
    code = "import time; t=time.process_time(); from watchkeeper_monitor import Monitor; print(time.process_time()-t)"
    return statistics.median(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    monitor = Monitor("support-bot", version="1")
    logged = Monitor("support-bot", version="1", log=Log(RotatingFile("/dev/null"), share=0.01))
    reading = Monitor("support-bot", version="1", vocabulary=TEXT.split()[:9])
    nowhere = "http://127.0.0.1:9"  # nothing listens there, and nothing is sent before an hour is over
    kept = Monitor("support-bot", version="1", server=nowhere, push_seconds=3600, records=1.0)
    contenders: dict[str, tuple[Callable[[str], Any], Callable[[], Any] | None]] = {
        "bare append": (bare(), None),
        "track, folding included": (watchkeeper(monitor), monitor.flush),
        "track, 1 in 100 logged": (watchkeeper(logged), logged.flush),
        "track, with a text": (with_text(reading), reading.flush),
        "track, all records kept": (watchkeeper(kept), encoding(kept)),
        "prometheus-client, cached": (prometheus(cached=True), None),
        "prometheus-client": (prometheus(cached=False), None),
    }
    for track, finish in contenders.values():
        round_of(track, finish)
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, (track, finish) in contenders.items():
            rounds[name].append(round_of(track, finish))
    medians = {name: statistics.median(each) * 1e6 for name, each in rounds.items()}
    p99, longest = pauses(monitor, 3)
    shares = [0.92] * 1_000_000
    began = time.process_time()
    monitor.track_batch(CLASSES[:1] * 1_000_000, confidences=shares)
    lists = 1_000_000 / (time.process_time() - began)
    said, sure = np.zeros(1_000_000, np.int64), np.full(1_000_000, 0.92)
    began = time.process_time()
    monitor.track_batch(said, confidences=sure)
    scalars = 1_000_000 / (time.process_time() - began)
    for name, micros in medians.items():
        print(f"{name:<28} {micros:6.2f} µs of CPU   {micros / medians['bare append']:5.1f} x a bare append")
    print(f"one call, wall clock: p99 {p99 * 1e6:.2f} µs, longest {longest * 1e3:.2f} ms")
    loaded = import_seconds()
    print(f"import {loaded * 1000:.0f} ms of CPU")
    print(f"batches of lists {lists / 1e6:.1f}, of arrays {scalars / 1e6:.1f} million rows a second")
    if given.json:
        figures = {"cpu_microseconds": medians, "p99_microseconds": p99 * 1e6, "longest_milliseconds": longest * 1e3}
        figures |= {"import_milliseconds": loaded * 1000, "cores": os.cpu_count()}
        figures |= {"load": os.getloadavg()[0], "scalar_columns_rows_a_second": scalars, "lists_rows_a_second": lists}
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
