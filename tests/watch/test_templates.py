import random
import string
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.making import T0, after, alert, fix, resource
from watchkeeper.domain import Level, StepRecord, Verdict
from watchkeeper.store import Masker
from watchkeeper.watch.clues import logged
from watchkeeper.watch.listening import MOST, Listening
from watchkeeper.watch.templates import SAMPLE, TEMPLATES, WHOLE, Miner, chance


def as_is(text: str) -> str:
    return text


def say(
    miner: Miner, line: str, at: datetime, level: Level | None = None, masked: Callable[[str], str] = as_is
) -> None:
    miner.learn(line, level, at, masked)


def every(miner: Miner, line: str, first: float, last: float, step: float, level: Level | None = None) -> None:
    """The line with a number that counts, every `step` seconds."""
    at = first
    while at < last:
        say(miner, line.format(n=int(at)), after(at), level)
        at += step


def texts(miner: Miner, at: float = 60) -> list[str]:
    return [template.text for template in miner.templates(after(at))]


def told(miner: Miner, begin: float, until: float) -> list[str]:
    return [one.said for one in miner.remarkable(after(begin), after(until))]


def test_lines_that_differ_only_in_what_varies_are_one_template() -> None:
    miner = Miner(T0)
    for n in range(20):
        say(miner, f"2026-03-01 12:00:{n:02d} accepted 10.0.0.{n}:4{n}07 in {n}.5 ms for order {n}a7f09be1c", after(n))
    assert [(t.text, t.count) for t in miner.templates(after(30))] == [
        ("<time> accepted <ip> in <n> ms for order <hex>", 20)
    ]


def test_a_level_keeps_lines_apart_and_the_worst_comes_first() -> None:
    miner = Miner(T0)
    every(miner, "connection {n} closed", 0, 10, 1)
    every(miner, "connection {n} closed", 0, 3, 1, "ERROR")
    assert [(t.level, t.count) for t in miner.templates(after(20))] == [("ERROR", 3), (None, 10)]


def test_an_access_log_is_told_apart_by_the_class_of_its_status() -> None:
    miner = Miner(T0)
    for status in (200, 204, 502, 500):
        say(miner, f'10.0.0.1 - - "GET /cart/{status} HTTP/1.1" {status} 12', T0)
    assert sorted(t.count for t in miner.templates(after(1))) == [2, 2]
    assert any("5xx" in text for text in texts(miner))


def test_of_a_traceback_the_exception_is_what_it_says() -> None:
    miner = Miner(T0)
    say(miner, 'Traceback (most recent call last):\n  File "a.py", line 3\nKeyError: cart', T0, "ERROR")
    assert texts(miner) == ["Traceback: KeyError: cart"]


def test_a_line_never_seen_in_all_the_time_before_is_new() -> None:
    miner = Miner(T0)
    every(miner, "request {n} served", 0, 1200, 5)
    every(miner, "pool exhausted, {n} are waiting", 1150, 1200, 10)
    (said,) = told(miner, 1100, 1200)
    assert said == "new in its log, 5 ×, never in the 19 min before"


def test_nothing_is_new_while_it_has_only_begun_to_learn() -> None:
    miner = Miner(T0)
    every(miner, "request {n} served", 20, 120, 5)
    every(miner, "cannot connect to {n}", 20, 120, 5, "ERROR")
    assert told(miner, 0, 120) == []


def test_an_error_is_new_sooner_and_how_long_it_has_been_learning_is_said() -> None:
    miner = Miner(T0)
    every(miner, "request {n} served", 0, 200, 5)
    every(miner, "plain words {n}", 180, 200, 5)
    every(miner, "cannot connect to {n}", 180, 200, 5, "ERROR")
    assert told(miner, 150, 200) == ["new in its log, 4 ×, never in the 3 min before"]


def test_what_came_before_the_time_asked_for_is_not_new() -> None:
    miner = Miner(T0)
    every(miner, "request {n} served", 0, 2000, 5)
    every(miner, "pool exhausted, {n} are waiting", 900, 910, 5)
    assert told(miner, 1900, 2000) == []


def test_what_has_become_sharply_more_frequent_is_told_with_how_much() -> None:
    miner = Miner(T0)
    every(miner, "retry {n}", 0, 1800, 30)
    every(miner, "retry {n}", 1800, 1845, 0.5)
    (one,) = miner.remarkable(after(1800), after(1845))
    assert not one.new
    assert one.at == after(1800)
    assert "more frequent in its log" in one.said
    assert "2 a minute before" in one.said


def test_what_goes_on_as_before_is_nothing() -> None:
    miner = Miner(T0)
    every(miner, "retry {n}", 0, 3000, 3)
    assert told(miner, 2900, 3000) == []


def test_a_burst_like_those_before_is_nothing() -> None:
    miner = Miner(T0)
    for begin in range(0, 3600, 600):
        every(miner, "flushing {n}", begin, begin + 15, 0.5)
    assert told(miner, 2990, 3020) == []


def test_twice_as_often_is_not_sharply() -> None:
    miner = Miner(T0)
    every(miner, "retry {n}", 0, 3000, 1)
    every(miner, "retry {n}", 3000, 3120, 0.5)
    assert told(miner, 3000, 3120) == []


@given(st.integers(1, 40), st.integers(1, 10), st.integers(0, 60), st.integers(8, 60))
def test_chance_is_never_underrated(often: int, bins: int, before: int, past: int) -> None:
    number, p = often + before, bins / (bins + past)
    exact = sum(comb(number, k) * p**k * (1 - p) ** (number - k) for k in range(often, number + 1))
    assert chance(often, bins, before, past) >= exact * (1 - 1e-9)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_chatter_at_a_steady_rate_is_almost_never_told(seed: int) -> None:
    rng, miner = random.Random(seed), Miner(T0)
    for second in range(1500):
        if rng.random() < 0.2:
            say(miner, f"tick {second}", after(second))
    assert told(miner, 1440, 1500) == []


def junk(rng: random.Random, number: int) -> list[str]:
    return [" ".join("".join(rng.choices(string.ascii_letters, k=6)) for _ in range(9)) for _ in range(number)]


def test_templates_are_bounded_and_what_was_let_go_is_counted() -> None:
    miner = Miner(T0)
    for number, line in enumerate(junk(random.Random(1), 3 * TEMPLATES)):
        say(miner, line, after(number))
    assert len(miner.templates(after(700))) == TEMPLATES
    assert miner.dropped == 2 * TEMPLATES


def test_what_may_have_been_known_and_forgotten_is_not_called_new() -> None:
    miner = Miner(T0)
    for number, line in enumerate(junk(random.Random(2), 3 * TEMPLATES)):
        say(miner, line, after(number))
    every(miner, "cannot connect to {n}", 700, 720, 5, "ERROR")
    assert told(miner, 690, 720) == []


def test_a_flood_is_sampled_and_its_count_is_about_right() -> None:
    miner = Miner(T0)
    for n in range(10_000):
        say(miner, f"flood {n}", after(n / 2000))
    (flood,) = miner.templates(after(5))
    assert 0.9 < flood.count / 10_000 <= 1.0
    assert miner.lines == 10_000
    assert miner.sampled == 10_000 - 5 * WHOLE


def test_a_flood_of_chatter_hides_no_error() -> None:
    miner = Miner(T0)
    for n in range(WHOLE * SAMPLE):
        say(miner, f"flood {n}", T0)
    say(miner, "out of memory", T0, "CRITICAL")
    assert next((t.level, t.count) for t in miner.templates(after(1))) == ("CRITICAL", 1)


def test_a_clock_set_back_breaks_nothing() -> None:
    miner = Miner(T0)
    every(miner, "retry {n}", 7200, 7300, 5)
    every(miner, "retry {n}", 0, 100, 5)
    (retry,) = miner.templates(after(100))
    assert retry.count == 40


def test_secrets_never_enter_a_template() -> None:
    masker = Masker()
    masker.learn("hunter22")
    miner = Miner(T0)
    say(miner, f"{'x' * 590} AUTH hunter22 failed for redis://:hunter22@cache", T0, masked=masker.text)
    (template,) = miner.templates(after(1))
    assert "hunt" not in template.text + template.example


def heard(**miners: Miner) -> Listening:
    listening = Listening(None, 1.0)  # type: ignore[arg-type]
    listening.miners = {resource(name).id: miner for name, miner in miners.items()}
    return listening


def test_a_diagnosis_rests_on_what_the_logs_say_of_its_root_and_of_what_that_needs() -> None:
    shop, cache, other = resource("shop", depends_on=(resource("cache").id,)), resource("cache"), resource("other")
    miners: dict[str, Miner] = {}
    for name in ("shop", "cache", "other"):
        miners[name] = Miner(T0)
        every(miners[name], "cannot allocate {n}", 1000, 1003, 1, "ERROR")
    known = {one.id: one for one in (shop, cache, other)}
    found = logged(shop.id, [alert(shop, at=after(1000))], known, heard(**miners), after(1010))
    assert [evidence.resource for evidence in found] == [shop.id, cache.id]
    assert found[0].what.endswith("ERROR: cannot allocate 1002")  # the latest


def test_of_all_that_is_behind_its_root_a_diagnosis_rests_on_the_errors() -> None:
    edge, shop, pool, store = chain = [resource(name) for name in ("edge", "shop", "pool", "store")]
    for number, behind in enumerate(chain[1:]):
        chain[number] = replace(chain[number], depends_on=(behind.id,))
    miners = {name: Miner(T0) for name in ("pool", "store")}
    for miner in miners.values():
        every(miner, "password authentication failed for user {n}", 1000, 1003, 1, "CRITICAL")
        every(miner, "slow to log in user {n}, who waits", 1000, 1003, 1, "WARNING")
    known = {one.id: one for one in chain}
    found = logged(edge.id, [alert(edge, at=after(1000))], known, heard(**miners), after(1010))
    assert [evidence.resource for evidence in found] == [pool.id, store.id]
    assert all("password authentication failed" in evidence.what for evidence in found)
    nearer = logged(shop.id, [alert(shop, at=after(1000))], known, heard(**miners), after(1010))
    assert [evidence.resource for evidence in nearer if "slow to log in" in evidence.what] == [pool.id]


def test_where_no_error_is_new_the_one_that_goes_on_is_told() -> None:
    shop, miner = resource("shop"), Miner(T0)
    every(miner, "cannot reach ledger {n}", 0, 1010, 30, "ERROR")
    every(miner, "cannot reach mail {n}", 0, 1010, 5, "ERROR")
    alerts = [alert(shop, at=after(1000))]
    (going_on,) = logged(shop.id, alerts, {shop.id: shop}, heard(shop=miner), after(1010))
    assert going_on.what == "in its log meanwhile, 19 ×, as before: ERROR: cannot reach mail 1005"
    every(miner, "disk full {n}", 1000, 1003, 1, "ERROR")
    (new,) = logged(shop.id, alerts, {shop.id: shop}, heard(shop=miner), after(1010))
    assert "disk full" in new.what


def test_the_log_of_what_runs_in_a_container_is_the_containers() -> None:
    box = resource("box", kind="container")
    known = {one.id: one for one in (box, resource("cache", runs_on=box.id))}
    miner = Miner(T0)
    every(miner, "cannot allocate {n}", 1000, 1003, 1, "ERROR")
    assert len(logged(box.id, [alert(box, at=after(1000))], known, heard(cache=miner), after(1010))) == 1


@pytest.mark.parametrize(
    ("line", "level", "helped", "told"),
    [
        ("Memory overcommit must be enabled", "WARNING", True, False),
        ("Memory overcommit must be enabled", "WARNING", False, False),
        ("FATAL: cannot open the append only file", "ERROR", True, False),
        ("FATAL: cannot open the append only file", "ERROR", False, True),  # why it did not help
    ],
)
def test_what_a_log_says_of_a_restart_of_ours_is_no_evidence_of_what_was_before_it(
    line: str, level: Level, helped: bool, told: bool
) -> None:
    cache, miner = resource("cache"), Miner(T0)
    every(miner, "cannot allocate {n}", 1000, 1003, 1, "ERROR")
    say(miner, line, after(1012), level)
    done = StepRecord(0, "redis_restart", cache.id, {}, "done", started_at=after(1010), finished_at=after(1011))
    verdict = Verdict("healed" if helped else "not_healed", ())
    ours = replace(fix(), steps=(done,), verdict=verdict, finished_at=after(1015))
    alerts = [alert(cache, at=after(1000))]
    said = [one.what for one in logged(cache.id, alerts, {cache.id: cache}, heard(cache=miner), after(1060), [ours])]
    assert "cannot allocate" in said[0]
    assert any(line in one for one in said) is told
    without = logged(cache.id, alerts, {cache.id: cache}, heard(cache=miner), after(1060))
    assert any(line in one.what for one in without)


def test_more_than_a_few_remarkable_templates_are_counted() -> None:
    miner = Miner(T0)
    for word in (
        "one",
        "two two",
        "three three three",
        "four four four four",
        "f i v e e",
        "s i x x x x",
        "s e v e n n n",
    ):
        every(miner, f"{word} {{n}}", 1000, 1003, 1, "ERROR")
    found = heard(cache=miner).evidence([resource("cache").id], after(900), after(900) + timedelta(seconds=200))
    assert len(found) == MOST + 1
    assert found[-1].what.startswith("2 more log templates")
