"""The report is one file that fetches nothing, runs nothing, and takes no orders from the names in it."""

import re
from pathlib import Path

import html5lib
import numpy as np

from watchkeeper_monitor import Monitor, Reference

HOSTILE = '<script>alert("x")</script><img src=http://evil.example/x onerror=a()> \'"&\ud800\x00\x1b'


def filled(name: str = "age") -> Monitor:
    random = np.random.default_rng(1)
    reference = Reference.from_data(
        {name: random.normal(40, 10, 3000), f"country {name}": random.choice(["de", "us"], 3000), "flat": [1.0] * 3000}
    )
    monitor = Monitor(f"bot {name}", "1.4.0", reference=reference)
    monitor.track_batch(
        [name] * 2000,
        confidences=random.beta(8, 2, 2000),
        features={
            name: random.normal(60, 10, 2000),
            f"country {name}": random.choice(["de", "us", name], 2000),
            "flat": np.ones(2000),
        },
    )
    monitor.error(name)
    return monitor


def test_a_report_draws_each_column_over_its_reference(tmp_path: Path) -> None:
    monitor = filled()
    text = monitor.report(tmp_path / "bot.html")
    assert (tmp_path / "bot.html").read_text() == text
    found = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    figures = found.findall(".//figure")
    assert [figure.find("h3").text.strip() for figure in figures] == [each.name for each in monitor.drift().columns]
    numeric = next(figure for figure in figures if figure.find("h3").text.strip() == "age")
    assert [path.get("class") for path in numeric.findall(".//{*}path")] == ["usual", "now"]
    assert "Drift: 2 of 3 columns have shifted" in text
    assert len(text) < 200_000


def test_hostile_names_are_text_and_nothing_is_fetched() -> None:
    text = filled(HOSTILE).report()
    found = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    assert {each.tag for each in found.iter() if isinstance(each.tag, str)}.isdisjoint(
        {"script", "img", "link", "iframe"}
    )
    assert not re.search(r"(?:src|href)\s*=(?![^<]*onerror)|url\(|@import", re.sub(r">[^<]*<", "><", text))
    assert "&lt;script&gt;" in text


def test_an_empty_monitor_has_a_report_that_says_so() -> None:
    text = Monitor("bot").report()
    assert "no labels yet" in text
    assert "There is no reference" in text


def test_a_model_that_ranks_is_headed_by_how_good_its_rankings_are() -> None:
    monitor = Monitor("search", "7")
    for _ in range(20):
        monitor.track(["a", "b"], true_label="b")
    page, said = monitor.report(), str(monitor.summary())
    assert "<dt>ndcg@10</dt><dd>63.1%" in page
    assert "<dt>accuracy, latest</dt>" not in page
    assert "labels                       100.0% of the predictions" in said


def test_names_are_whole_on_the_page_and_cut_in_a_terminal_and_figures_stand_below_each_other() -> None:
    monitor, long = Monitor("bot"), "wrong_exchange_rate_for_cash_withdrawal_abroad_on_a_day_in_august"
    monitor.track(long, true_label="card")
    monitor.count(long)
    said = str(monitor.summary()).splitlines()
    assert long in monitor.report()
    (row,) = [line for line in said if "wrong_exchange" in line and "taken for" not in line and "worst" not in line]
    assert row == f"  {long[:59]}… 1"
