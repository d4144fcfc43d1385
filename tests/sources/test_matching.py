"""Which series are a resource's is said or told, never guessed."""

import pytest

from watchkeeper.sources.matching import NotMatched, find, selector

ONE = {"instance": "10.0.0.5:6379", "job": "redis"}
OTHER = {"instance": "cache.internal:9121", "job": "redis"}
THIRD = {"instance": "10.0.0.7:9121", "job": "redis", "cluster": "b"}
NAMES = ("instance", "job")


def found(match: dict[str, str] | None = None, at: tuple[str, ...] = (), called: tuple[str, ...] = ()) -> str:
    return find("redis_up", [ONE, OTHER, THIRD], NAMES, match or {}, at, called).selector


def test_labels_that_are_said_decide() -> None:
    assert found({"cluster": "b"}) == 'instance="10.0.0.7:9121",job="redis",cluster="b"'


@pytest.mark.parametrize("written", ["10.0.0.5:6379", "redis://10.0.0.5:6379", "redis://10.0.0.5:6379/0"])
def test_an_address_tells(written: str) -> None:
    candidates = [ONE | {"instance": written}, OTHER]

    assert find("redis_up", candidates, NAMES, {}, ["10.0.0.5:6379"], []).values[0] == written


def test_a_name_tells() -> None:
    assert found(called=("cache.internal",)) == 'instance="cache.internal:9121",job="redis"'


def test_what_could_be_two_is_an_error_that_says_what_to_write() -> None:
    with pytest.raises(
        NotMatched, match=r'3 series redis_up have the labels .*Say which it is: match: \{instance: "10'
    ) as raised:
        found({"job": "redis"})
    assert 'instance="cache.internal:9121"' in str(raised.value)


def test_one_that_nothing_tells_is_not_taken_because_it_is_alone() -> None:
    with pytest.raises(NotMatched, match="no series redis_up has its address or its name"):
        find("redis_up", [THIRD], NAMES, {}, ["10.0.0.5:6379"], ["cache"])


def test_an_exporter_beside_another_server_of_the_same_machine_is_not_taken_for_it() -> None:
    with pytest.raises(NotMatched):
        found(at=("10.0.0.7:6380",))


def test_two_that_the_labels_cannot_tell_apart_are_refused() -> None:
    twins = [ONE | {"cluster": "a"}, ONE | {"cluster": "b"}]

    with pytest.raises(NotMatched, match="cluster"):
        find("redis_up", twins, NAMES, {}, ["10.0.0.5:6379"], [])
    assert find("redis_up", twins, NAMES, {"cluster": "b"}, [], []).values == ("10.0.0.5:6379", "redis", "b")


def test_values_are_quoted_for_promql() -> None:
    assert selector(("a",), [('say "x"\\',)]) == 'a="say \\"x\\"\\\\"'
    assert selector(("a", "b"), [("1.2", "x"), ("1+2", "x")]) == 'a=~"1\\\\+2|1\\\\.2",b="x"'
