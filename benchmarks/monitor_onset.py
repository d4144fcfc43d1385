"""Where a change in a stream is seen: this monitor's kernel beside river's ADWIN, on the same streams.

ADWIN in a virtual environment of its own (`python -m venv X; X/bin/pip install river numpy`), with
`PYTHONPATH=.:packages/monitor/src X/bin/python -m benchmarks.monitor_onset --json …`. ADWIN tells when it noticed, and
by the length of what it keeps where the change lies; ours tells the latter at the end of the stream, to 100 rows.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.changes import change_points, cohens_h, population_shift

ROWS, WINDOW = 10_000, 100


@dataclass(frozen=True, slots=True)
class Stream:
    """`rate`: of ones; else a share of the beta distribution."""

    name: str
    seed: int
    before: tuple[float, ...]
    after: tuple[float, ...]
    change: int | None

    def values(self) -> NDArray[np.float64]:
        random = np.random.default_rng(self.seed)
        change = ROWS if self.change is None else self.change
        return np.concatenate([_drawn(random, self.before, change), _drawn(random, self.after, ROWS - change)])


def _drawn(random: np.random.Generator, said: tuple[float, ...], rows: int) -> NDArray[np.float64]:
    return (random.random(rows) < said[0]).astype(float) if len(said) == 1 else random.beta(*said, rows)


def _streams() -> Iterator[Stream]:
    kinds: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
        "accuracy 0.92 to 0.80": ((0.92,), (0.80,)),
        "error rate 0.01 to 0.05": ((0.01,), (0.05,)),
        "confidence, mean 0.80 to 0.70": ((8, 2), (7, 3)),
        "confidence, same mean, wider": ((16, 4), (4, 1)),
    }
    for name, (before, after) in kinds.items():
        for seed, change in enumerate((3000, 6000, 9000)):
            yield Stream(name, seed, before, after, change)
        for seed in (10, 11, 12):
            yield Stream(f"{name}: never", seed, before, after, None)


STREAMS = tuple(_streams())


def found(values: NDArray[np.float64]) -> int | None:
    """The row that our latest change begins with."""
    rate = bool(np.isin(values, (0, 1)).all())
    places = values.astype(int) if rate else np.minimum(9, (values * 10).astype(int))
    windows = places.reshape(-1, WINDOW)
    counts = np.stack([np.bincount(window, minlength=2 if rate else 10) for window in windows])
    points = change_points(counts)
    for place in reversed(points):
        before, after = counts[:place].sum(0), counts[place:].sum(0)
        shares = [each[1] / each.sum() for each in (before, after)]
        if (cohens_h(*shares) >= 0.2) if rate else (population_shift(before, after) >= 0.1):
            return place * WINDOW
    return None


def adwin(values: NDArray[np.float64]) -> tuple[int | None, int | None]:
    """The row that its last window begins with, and the row at which it last noticed something."""
    detector: Any = import_module("river.drift").ADWIN()
    noticed = None
    for row, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            noticed = row
    return (None, None) if noticed is None else (values.size - int(detector.width), noticed)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    rows: list[dict[str, Any]] = []
    for stream in STREAMS:
        values = stream.values()
        begins, noticed = adwin(values)
        ours = found(values)
        rows.append({"name": stream.name, "change": stream.change, "ours": ours, "adwin": begins, "noticed": noticed})
        print(
            f"{stream.name:<40} change {stream.change}: ours {ours}, ADWIN's window begins {begins}, noticed {noticed}"
        )
    if given.json:
        version: str = import_module("importlib.metadata").version("river")
        given.json.write_text(json.dumps({"river": version, "rows": ROWS, "streams": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
