"""What is compared, and who is told to have changed it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.domain.making import CACHE, T0, after, fix, plan, step
from watchkeeper.domain import Fix, StepRecord
from watchkeeper.domain.change import Difference, Fingerprint, compare, made_by, merged

MINE = frozenset({CACHE.id})
RAISED = Difference("maxmemory", "8388608", "12582912")
RESTARTED = Difference("started", "a", "b")


def print_of(incarnation: str = "first", **values: str) -> Fingerprint:
    return Fingerprint(CACHE.id, incarnation, values, T0)


def done(tool: str = "grow", before: Any = None, after_: Any = None, **more: Any) -> Fix:
    given: dict[str, Any] = {"status": "done", "started_at": T0, "finished_at": after(2), "arguments": {}} | more
    arguments: Mapping[str, Any] = given.pop("arguments")
    record = StepRecord(0, tool, CACHE.id, arguments, before=before, after=after_, **given)
    return replace(fix(plan(step(tool, **arguments))), steps=(record,))


def test_what_is_another_now_is_told_with_before_and_after() -> None:
    assert compare(print_of(maxmemory="1", timeout="0"), print_of(maxmemory="2", timeout="0")) == (
        Difference("maxmemory", "1", "2"),
    )


@pytest.mark.parametrize(
    ("before", "now"), [({"maxmemory": "1"}, {}), ({}, {"maxmemory": "1"})], ids=["not read now", "not known before"]
)
def test_what_only_one_look_could_read_is_no_change(before: dict[str, str], now: dict[str, str]) -> None:
    assert compare(print_of(**before), print_of(**now)) == ()


def test_what_could_not_be_read_for_a_while_is_still_compared_afterwards() -> None:
    known = merged(print_of(maxmemory="1", timeout="0"), print_of(timeout="0"))

    assert compare(known, print_of(maxmemory="2", timeout="0")) == (Difference("maxmemory", "1", "2"),)


def test_of_what_was_made_anew_its_start_is_not_told_besides() -> None:
    found = compare(print_of(image="a", started="1"), print_of("second", image="b", started="2"))

    assert found == (Difference("image", "a", "b"),)


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("image", "image"), ("cpus", "limits"), ("started", "restart"), ("timeout", "config"), ("command", "config")],
)
def test_each_setting_has_its_kind(setting: str, kind: str) -> None:
    assert Difference(setting, "a", "b").kind == f"change.{kind}"


def test_a_value_that_our_step_recorded_is_our_change() -> None:
    ours = done(before=8388608, after_=12582912, arguments={"value": 12582912})

    assert made_by(RAISED, T0, [ours], MINE) == ours


def test_a_setting_among_what_our_step_recorded_is_our_change() -> None:
    ours = done(before={"value": True, "altered": False}, after_={"value": False, "altered": True})

    assert made_by(Difference("default_transaction_read_only", "on", "off"), T0, [ours], MINE) == ours
    assert made_by(Difference("default_transaction_read_only", "off", "on"), T0, [ours], MINE) is None


def test_a_step_that_was_cut_off_counts_by_what_it_was_to_set() -> None:
    cut_off = done(before=8388608, status="unknown", arguments={"value": 12582912})

    assert made_by(RAISED, T0, [cut_off], MINE) == cut_off


@pytest.mark.parametrize(
    "theirs",
    [
        done(before=8388608, after_=9000000, arguments={"value": 9000000}),
        done(before=9000000, after_=12582912, arguments={"value": 12582912}),
        done("redis_memory_purge"),
        done(before=8388608, status="refused", arguments={"value": 12582912}),
    ],
    ids=["another value", "from another value", "a tool that sets nothing", "never done"],
)
def test_what_no_step_of_ours_explains_is_not_ours(theirs: Fix) -> None:
    assert made_by(RAISED, T0, [theirs], MINE) is None


def test_the_same_on_another_resource_is_not_ours() -> None:
    ours = done(before=8388608, after_=12582912)

    assert made_by(RAISED, T0, [ours], frozenset({"docker/lab/redis/other"})) is None


def test_a_restart_is_ours_only_while_our_step_was_at_it() -> None:
    ours = done("redis_restart", before={"start_count": 1})

    assert made_by(RESTARTED, after(1), [ours], MINE) == ours
    assert made_by(RESTARTED, after(600), [ours], MINE) is None
    assert made_by(RESTARTED, after(-600), [ours], MINE) is None


def test_of_a_long_text_only_what_differs_is_told() -> None:
    before, now = (
        f"serve --maxmemory {size} --appendonly yes --dir /data --maxmemory-policy noeviction" for size in (1, 2)
    )

    assert Difference("command", before, now).text == "command … 1 … → … 2 …"


def test_the_first_start_is_no_restart() -> None:
    assert compare(print_of(started=""), print_of(started="1")) == ()
