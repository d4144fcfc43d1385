"""The kernels against SciPy, and verdicts that follow the effect and not the number of rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import spatial, special, stats

from watchkeeper_monitor import Monitor, Reference
from watchkeeper_monitor import drift as kernels

SAMPLES = st.lists(st.integers(-20, 20).map(lambda n: n / 4) | st.floats(-1e3, 1e3), min_size=3, max_size=40)
SHARES = st.lists(st.integers(0, 50), min_size=2, max_size=12).filter(lambda counts: sum(counts) > 0)


@settings(max_examples=40, deadline=None)
@given(SAMPLES, SAMPLES)
def test_distances_of_numbers_are_those_of_scipy(a: list[float], b: list[float]) -> None:
    x, y = np.sort(np.array(a)), np.sort(np.array(b))
    assert kernels.kolmogorov_smirnov(x, y) == pytest.approx(
        stats.ks_2samp(x, y, method="asymp").statistic, rel=1e-12, abs=1e-12
    )
    assert area(x, y) == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("rows", [60, 333, 1000, 1999])
def test_a_short_window_of_many_columns_is_compared_as_scipy_would(rows: int) -> None:
    random = np.random.default_rng(rows)
    usual: dict[str, Any] = {
        "number": random.normal(size=20_000),
        "moved": random.normal(size=20_000),
        "holes": random.normal(size=20_000),
        "long tail": random.exponential(size=20_000),
        "rounded": random.normal(size=20_000).round(3),
        "whole": random.integers(0, 9, 20_000),
        "far from zero": 1.7e9 + random.exponential(size=20_000),
        "always one": np.ones(20_000),
    }
    current = {name: random.choice(values, rows) for name, values in usual.items()}
    current["moved"] = random.normal(1.5, 2, rows)
    current["holes"][3] = np.nan
    for found in Reference.from_data(usual).compare(current).columns:
        before, now = usual[found.name], current[found.name][np.isfinite(current[found.name])]
        distance = stats.ks_2samp(before, now, method="asymp").statistic
        assert found.kolmogorov_smirnov == pytest.approx(distance, rel=1e-12, abs=1e-12)
        assert found.wasserstein == pytest.approx(stats.wasserstein_distance(before, now), rel=1e-6, abs=1e-9)
        x, y = kernels.Sorted.of(before.astype(float)), kernels.Sorted.of(now.astype(float))
        shares = (x.own, y.shares(x.edges))
        assert found.psi == pytest.approx(kernels.psi(*shares), abs=1e-12)
        assert found.kl == pytest.approx(kernels.kl(*shares), abs=1e-12)
        assert found.jensen_shannon == pytest.approx(kernels.jensen_shannon(*shares), abs=1e-7)
        assert found.unseen == pytest.approx(np.mean((now < before.min()) | (now > before.max())))


def area(x: Any, y: Any) -> float:
    return kernels.wasserstein(kernels.Sorted.of(x), kernels.Sorted.of(y))


def test_distances_of_long_samples_are_those_of_scipy() -> None:
    random = np.random.default_rng(7)
    for x, y in [
        (random.normal(size=5000), random.normal(0.3, 2, 700)),
        (random.integers(0, 9, 3000).astype(float), random.integers(2, 7, 4000).astype(float)),
        (1.7e9 + random.exponential(size=3000), 1.7e9 + random.exponential(2, size=3000)),
    ]:
        x.sort()
        y.sort()
        assert kernels.kolmogorov_smirnov(x, y) == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic)
        assert area(x, y) == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(SHARES, st.data())
def test_distances_of_shares_are_those_of_scipy(counts: list[int], data: Any) -> None:
    size = {"min_size": len(counts), "max_size": len(counts)}
    others = data.draw(st.lists(st.integers(1, 50), **size))
    p, q = np.array(counts) / sum(counts), np.array(others) / sum(others)
    assert kernels.jensen_shannon(p, q) == pytest.approx(spatial.distance.jensenshannon(p, q, 2), abs=1e-7)
    floored = np.maximum(p, kernels.FLOOR)
    if (q >= kernels.FLOOR).all():
        assert kernels.psi(p, q) == pytest.approx(
            special.rel_entr(q, floored).sum() + special.rel_entr(floored, q).sum()
        )
        assert kernels.kl(p, q) == pytest.approx(stats.entropy(q, floored))
    statistic, freedom = kernels.chi_squared(np.array(counts), np.array(others))
    truth = stats.chi2_contingency([counts, others], correction=False)
    assert statistic == pytest.approx(truth.statistic)
    assert freedom == truth.dof
    assert kernels.chi_squared_p_value(statistic, freedom) == pytest.approx(truth.pvalue, rel=1e-9)


@pytest.mark.parametrize("x", [0.05, 0.3, 0.7, 1.0, 1.17, 1.19, 1.5, 3.0])
def test_the_p_value_of_a_distance_is_that_of_scipy(x: float) -> None:
    n, m = 5000, 3000
    distance = x / np.sqrt(n * m / (n + m))
    assert kernels.ks_p_value(distance, n, m) == pytest.approx(stats.kstwobign.sf(x), rel=1e-6)


def test_correction_for_many_columns_is_that_of_scipy() -> None:
    ps = [0.01, 0.04, 0.03, 0.005, 0.9, 0.5]
    assert kernels.adjusted(ps) == pytest.approx(stats.false_discovery_control(ps).tolist())


def table(rows: int, shift: float = 0.0, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng([rows, seed])
    made: dict[str, Any] = {f"n{number}": random.normal(size=rows) for number in range(10)}
    made["n0"] = made["n0"] + shift
    made["plan"] = random.choice(np.array(["free", "pro", "team"]), size=rows, p=[0.7, 0.2, 0.1])
    return made


def test_the_column_that_moved_is_named_and_no_other() -> None:
    found = Reference.from_data(table(20_000)).compare(table(2000, shift=1.0))
    assert found.shifted == ["n0"]
    assert found.columns[0].shift == "large"
    assert found.columns[0].wasserstein == pytest.approx(1, abs=0.1)
    assert "1 of 11 columns have shifted" in str(found)


def test_a_great_number_of_rows_does_not_make_a_tiny_shift_matter() -> None:
    found = Reference.from_data(table(50_000)).compare(table(40_000, shift=0.05))
    moved = next(each for each in found.columns if each.name == "n0")
    assert moved.p_value < 0.001
    assert found.shifted == []


def test_few_rows_that_differ_by_chance_are_no_drift() -> None:
    reference = Reference.from_data(table(20_000))
    assert [name for seed in range(20) for name in reference.compare(table(200, seed=seed)).shifted] == []


def test_what_the_reference_never_saw_is_told() -> None:
    reference = Reference.from_data({"age": [1.0, 2.0, 3.0], "plan": ["free", "pro", "pro"]})
    found = reference.compare({"age": [0.5, 2.0, None, 9.0], "plan": ["gold", "pro", None, "pro"], "new": [1, 2, 3, 4]})
    by_name = {each.name: each for each in found.columns}
    assert by_name["age"].unseen == pytest.approx(2 / 3)
    assert by_name["age"].missing == pytest.approx(0.25)
    assert by_name["plan"].unseen == pytest.approx(1 / 3)
    assert found.unknown == ["new"]
    assert reference.compare({"age": [1.0]}).absent == ["plan"]


@pytest.mark.parametrize("column", [[], [None, None], [float("nan")]])
def test_an_empty_window_has_no_drift(column: list[Any]) -> None:
    reference = Reference.from_data({"age": [1.0, 2.0], "plan": ["free", "pro"]})
    assert reference.compare({"age": column, "plan": column[:1] if column == [None, None] else []}).shifted == []


def test_a_reference_outlives_its_process_in_a_file(tmp_path: Path) -> None:
    reference = Reference.from_data(table(20_000))
    reference.save(tmp_path / "reference.json", points=2000)
    again = Reference.load(tmp_path / "reference.json")
    current = table(3000, shift=0.8)
    one, other = reference.compare(current), again.compare(current)
    assert again.categories == reference.categories
    assert one.shifted == other.shifted == ["n0"]
    assert other.columns[0].psi == pytest.approx(one.columns[0].psi, rel=0.05)


def test_an_empty_column_makes_no_reference() -> None:
    with pytest.raises(ValueError, match="the reference's column age is empty"):
        Reference.from_data({"age": []})


def test_what_a_monitor_counted_is_compared_as_the_values_would_be() -> None:
    random = np.random.default_rng(3)
    training = {
        "age": random.integers(0, 6, 4000),
        "debt": random.normal(size=4000) * 100,
        "plan": random.choice(["free", "pro"], 4000),
        "prediction": random.choice(["a", "b"], 4000),
    }
    same, moved = Monitor("bot"), Monitor("bot", drift_window=1000)
    for monitor, shift in ((same, 0), (moved, 0), (moved, 2)):
        monitor.track_batch(
            random.choice(["a", "b"], 2000),
            features={
                "age": random.integers(0, 6, 2000) + shift,
                "debt": random.normal(size=2000) * 100,
                "plan": random.choice(["free", "pro"], 2000),
            },
        )
        monitor.track("a")
    reference = Reference.from_data(training)
    assert same.drift(reference).shifted == []
    found = moved.drift(reference)
    assert found.shifted == ["age"]
    assert {each.name for each in found.columns} == {"age", "debt", "plan", "prediction"}
