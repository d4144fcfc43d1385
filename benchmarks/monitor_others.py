"""What others need for the drift of `monitor_drift`'s tables, each in a virtual environment of its own.

`python -m venv X; X/bin/pip install NEEDS`, then `PYTHONPATH=.:packages/monitor/src X/bin/python -m
benchmarks.monitor_others NAME --json benchmarks/results/monitor-others.json`; `--help` tells the names and what each
needs. A file that is there is added to. Each compares what it has by itself for numbers and categories (`does`), from
data that lies ready as it wants it; of a million rows, or of as many as it ends with in five minutes of CPU.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.monitor_drift import table

Tables = tuple[dict[str, Any], dict[str, Any]]
SECONDS = 300
"""Of CPU, for one comparison and what comes before it."""
SIZES = (1_000_000, 300_000, 100_000, 30_000, 10_000)


def numeric(usual: dict[str, Any]) -> list[str]:
    return [name for name in usual if name.startswith("n")]


def categorical(usual: dict[str, Any]) -> list[str]:
    return [name for name in usual if name.startswith("c")]


def frames(tables: Tables) -> tuple[Any, Any]:
    pandas: Any = import_module("pandas")
    usual, current = (pandas.DataFrame(each) for each in tables)
    return usual, current


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


def evidently(tables: Tables) -> Callable[[], Any]:
    library: Any = import_module("evidently")
    drift: Any = import_module("evidently.metrics").ValueDrift
    definition = library.DataDefinition(
        numerical_columns=numeric(tables[0]), categorical_columns=categorical(tables[0])
    )
    usual, current = (library.Dataset.from_pandas(each, data_definition=definition) for each in frames(tables))
    metrics = [drift(column=name, method=by) for name in numeric(tables[0]) for by in ("psi", "ks", "wasserstein")]
    metrics += [drift(column=name, method="chisquare") for name in categorical(tables[0])]
    return lambda: library.Report(metrics).run(current, usual).dict()


def nannyml(tables: Tables) -> Callable[[], Any]:
    library: Any = import_module("nannyml")
    usual, current = frames(tables)
    calculator = library.UnivariateDriftCalculator(
        column_names=list(usual.columns),
        treat_as_categorical=categorical(tables[0]),
        continuous_methods=["jensen_shannon", "kolmogorov_smirnov", "wasserstein"],
        categorical_methods=["chi2"],
        chunk_number=1,
    )
    calculator.fit(usual)
    return lambda: calculator.calculate(current)


def alibi_detect(tables: Tables) -> Callable[[], Any]:
    numpy: Any = import_module("numpy")
    detector: Any = import_module("alibi_detect.cd").TabularDrift

    def plain(of: dict[str, Any]) -> Any:  # it wants one array of numbers
        return numpy.column_stack([column.astype(float) for column in of.values()])

    usual, current = (plain(each) for each in tables)
    places = {list(tables[0]).index(name): None for name in categorical(tables[0])}
    made = detector(usual, categories_per_feature=places)
    return lambda: made.predict(current, drift_type="feature")


def whylogs(tables: Tables) -> Callable[[], Any]:
    why: Any = import_module("whylogs")
    drift: Any = import_module("whylogs.viz.drift.column_drift_algorithms")
    usual, current = frames(tables)
    known = why.log(usual).view()
    return lambda: drift.calculate_drift_scores(why.log(current).view(), known)


@dataclass(frozen=True, slots=True)
class Contender:
    make: Callable[[Tables], Callable[[], Any]]
    does: str
    needs: tuple[str, ...]
    imports: str
    """What its drift needs: some load nothing until it is asked for."""


CONTENDERS = {
    "watchkeeper": Contender(
        watchkeeper,
        "PSI, KL, Jensen-Shannon, KS, Wasserstein; chi-squared",
        ("numpy",),
        "from watchkeeper_monitor import Reference",
    ),
    "frouros": Contender(
        frouros,
        "PSI, KS, Wasserstein; chi-squared",
        ("frouros",),
        "import frouros.detectors.data_drift.batch",
    ),
    "evidently": Contender(
        evidently,
        "PSI, KS, Wasserstein; chi-squared",
        ("evidently", "pandas<3"),
        "from evidently import Report; from evidently.metrics import ValueDrift",
    ),
    "nannyml": Contender(
        nannyml,
        "Jensen-Shannon, KS, Wasserstein; chi-squared",
        ("nannyml", "statsmodels", "pandas<3"),
        "from nannyml import UnivariateDriftCalculator",
    ),
    "alibi-detect": Contender(
        alibi_detect,
        "KS; chi-squared",
        ("alibi-detect",),
        "from alibi_detect.cd import TabularDrift",
    ),
    "whylogs": Contender(
        whylogs,
        "KS (sketched); chi-squared; with its profile of the new rows",
        ("whylogs", "ipython", "scipy", "pandas<3", "numpy<2"),
        "import whylogs; from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores",
    ),
}


def imported(statement: str) -> float:
    """Seconds of CPU, the median of three."""
    code = f"import time; t=time.process_time()\n{statement}\nprint(time.process_time()-t)"
    spent = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    return statistics.median(float(each.stdout.strip().splitlines()[-1]) for each in spent)


def memory(which: str) -> int:
    """Of this process, in KiB: what it holds (VmRSS), or the most it held (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{which}:"))


def _short(seconds: float) -> float:
    return float(f"{seconds:.3g}")


def one(name: str, rows: int) -> dict[str, Any]:
    """One comparison, in a process that may take `SECONDS` of CPU."""
    make = CONTENDERS[name].make
    compare = make((table(100_000, 0), table(rows, 1)))
    most, times = (20 if rows <= 1000 else 1), 0
    if most > 1:
        compare()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: making the tables took more
    before = memory("VmRSS")
    wall, began = time.perf_counter(), time.process_time()
    while times < most and time.process_time() - began < 60:
        compare()
        times += 1
    return {
        "rows": rows,
        "cpu_seconds": _short((time.process_time() - began) / times),
        "seconds": _short((time.perf_counter() - wall) / times),
        "more_memory_mb": round((memory("VmHWM") - before) / 1024),
    }


def tried(name: str, rows: int) -> dict[str, Any] | None:
    """None where it takes too long."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    quiet = os.environ | {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}  # some tell their makers
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.monitor_others", name, "--one", str(rows)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, preexec_fn=limited, env=quiet)
    if done.returncode < 0:
        return None
    if done.returncode:
        raise SystemExit(f"{name} failed with {rows} rows")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    needs = "; ".join(f"{name}: {' '.join(each.needs)}" for name, each in CONTENDERS.items())
    options = argparse.ArgumentParser(description=__doc__, epilog=f"What to install: {needs}")
    options.add_argument("name", choices=sorted(CONTENDERS))
    options.add_argument("--json", type=Path)
    options.add_argument("--one", type=int, help="rows of one comparison, in this process")
    given = options.parse_args()
    if given.one:
        print(json.dumps(one(given.name, given.one)))
        return
    contender = CONTENDERS[given.name]
    whole = next(found for rows in SIZES if (found := tried(given.name, rows)) is not None)
    small = tried(given.name, 1000)
    found: dict[str, Any] = {
        "version": "this" if given.name == "watchkeeper" else version(given.name),
        "numpy": version("numpy"),
        "does": contender.does,
        **whole,
        "thousand_by_20_cpu_seconds": None if small is None else small["cpu_seconds"],
        "import_cpu_seconds": round(imported(contender.imports), 2),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps({given.name: found}, indent=2))
    if given.json:
        there: dict[str, Any] = json.loads(given.json.read_text()) if given.json.exists() else {}
        there[given.name] = found
        given.json.write_text(json.dumps(dict(sorted(there.items())), indent=2) + "\n")


if __name__ == "__main__":
    main()
