"""Windows, silences and breakers, as they are typed."""

import re

import pytest

from tests.cli.conftest import Run, Shop


def test_a_window_is_started_shown_and_ended(shop: Shop, run: Run) -> None:
    started = run(*shop.where, "maintenance", "start", "sessions", "--for", "2h", "--reason", "a move")
    key = started.out.split(":")[0]
    assert re.fullmatch(r"mnt-[0-9a-f]{8}", key), started
    listed = run(*shop.where, "maintenance")
    row = next(line for line in listed.out.splitlines() if line.startswith(key))
    assert "▲ now" in row
    assert "a move" in row
    assert f"({key}) of sessions: a move" in run(*shop.where, "status").out
    assert run(*shop.where, "maintenance", "end", key).out.startswith(f"{key} is over")
    again = run(*shop.where, "maintenance", "end", key)
    assert (again.code, f"{key} is over since" in again.err) == (2, True)
    assert "No maintenance now" in run(*shop.where, "maintenance", "list").out


def test_a_silence_is_added_shown_and_expired(shop: Shop, run: Run) -> None:
    added = run(*shop.where, "silence", "add", "sessions", "--severity", "warning", "--for", "90m")
    key = added.out.split(":")[0]
    assert "nobody is told about sessions, severity warning until" in added.out
    assert "Requests for approval are told all the same" in added.out
    (listed,) = run(*shop.where, "silence", "list", "--json").json["items"]
    assert (listed["id"], listed["kept_back"]) == (key, {})
    assert run(*shop.where, "silence", "expire", key).out == f"{key} is over; it kept back 0 messages.\n"
    assert run(*shop.where, "silence").out == "Nothing is silenced.\n"
    assert key in run(*shop.where, "silence", "list", "--all").out


def test_a_rule_changed_twice_keeps_what_the_second_change_does_not_name(shop: Shop, run: Run) -> None:
    try:
        run(*shop.where, "rules", "set", "redis-slow-commands", "--for", "7m")
        said = run(*shop.where, "rules", "set", "redis-slow-commands", "--severity", "info")
        assert "for 7 min: info" in said.out, said
    finally:
        run(*shop.where, "rules", "unset", "redis-slow-commands")


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (("maintenance", "start", "sesions", "--for", "1h"), "sessions"),
        (("maintenance", "start", "all", "--for", "soon"), "not a duration"),
        (("maintenance", "end", "mnt-none"), "There is no maintenance window"),
        (("silence", "add", "--for", "1h"), "say what it is about"),
        (("silence", "expire", "sil-none"), "There is no silence"),
        (("rules", "set", "redis-memory-ful", "--for", "1m"), "did you mean 'redis-memory-full'"),
        (("tools", "reset", "redis_memory_purge"), "No breaker of redis_memory_purge is open"),
        (("tools", "reset", "redis_memory_purg"), "did you mean 'redis_memory_purge'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(typed: tuple[str, ...], why: str, shop: Shop, run: Run) -> None:
    said = run(*shop.where, *typed)
    assert said.code == 2
    assert why in said.err
    assert "Traceback" not in said.err
    assert "Value error" not in said.err
