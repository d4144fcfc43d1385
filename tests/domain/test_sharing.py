"""Executors that decide by the same rule from the same rows end with fair shares, each group in one hand."""

from collections.abc import Collection
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.domain.making import resource
from watchkeeper.domain import Resource
from watchkeeper.domain.sharing import Share, components, decide

Groups = list[frozenset[str]]


def groups_of(sizes: Collection[int]) -> Groups:
    return [frozenset(f"{index}-{number}" for number in range(size)) for index, size in enumerate(sizes)]


class Table:
    """The rows all of them see; `turn` is what one of them does."""

    def __init__(self, alive: Collection[str], groups: Groups, pinned: Collection[str] = ()) -> None:
        self.alive = set(alive)
        self.groups = groups
        self.pinned = set(pinned)
        self.shares: dict[str, Share] = {}

    def turn(self, me: str, *, waited: bool = False) -> bool:
        """Whether anything changed."""
        before = dict(self.shares)
        moves = decide(me, self.alive, self.shares, self.groups, self.pinned, lambda _: waited)
        for key in moves.take:
            self.shares[key] = Share(me)
        for key, share in self.shares.items():
            if share.holder == me:
                self.shares[key] = Share(me, key in moves.offer)
        return before != self.shares

    def settle(self) -> None:
        for _ in range(200):
            changed = {me: self.turn(me, waited=True) for me in sorted(self.alive)}
            if not any(changed.values()):
                return
        raise AssertionError("they never agree")

    def load(self, who: str) -> int:
        return sum(share.holder == who for share in self.shares.values())

    def holders(self, group: frozenset[str]) -> set[str]:
        return {self.shares[key].holder for key in group}


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(1, 4))
def test_everything_is_held_by_one_and_no_move_would_make_it_fairer(sizes: list[int], number: int) -> None:
    alive = [f"exec-{n}" for n in range(number)]
    table = Table(alive, groups_of(sizes))
    table.settle()
    assert all(len(table.holders(group)) == 1 for group in table.groups)
    least = min(table.load(who) for who in alive)
    for group in table.groups:
        (holder,) = table.holders(group)
        assert table.load(holder) - len(group) < least + len(group) or table.load(holder) == least


@given(st.lists(st.integers(1, 3), min_size=2, max_size=8), st.data())
def test_what_has_an_incident_is_never_given_away_and_at_once_taken_over(sizes: list[int], data: st.DataObject) -> None:
    groups = groups_of(sizes)
    sick = data.draw(st.sampled_from(groups))
    table = Table(["exec-a"], groups, sick)
    table.settle()
    table.alive.add("exec-b")
    table.settle()
    assert table.holders(sick) == {"exec-a"}
    table.alive.discard("exec-a")
    table.turn("exec-b")
    assert table.holders(sick) == {"exec-b"}


def test_what_grows_together_ends_in_one_hand() -> None:
    table = Table(["exec-a", "exec-b"], groups_of([2, 1]))
    table.shares = {"0-0": Share("exec-a"), "0-1": Share("exec-a"), "1-0": Share("exec-b")}
    table.groups = [frozenset(table.shares)]
    table.settle()
    assert table.holders(table.groups[0]) == {"exec-a"}


def test_what_grows_together_waits_for_the_end_of_an_incident() -> None:
    table = Table(["exec-a", "exec-b"], groups_of([2, 1]), {"1-0"})
    table.shares = {"0-0": Share("exec-a"), "0-1": Share("exec-a"), "1-0": Share("exec-b")}
    table.groups = [frozenset(table.shares)]
    table.settle()
    assert table.shares["1-0"].holder == "exec-b"
    table.pinned = set()
    table.settle()
    assert table.holders(table.groups[0]) == {"exec-a"}


def test_what_is_free_is_left_to_who_has_less_to_do_for_a_while() -> None:
    table = Table(["exec-a", "exec-b"], groups_of([1, 1]))
    table.shares = {"0-0": Share("exec-a")}
    assert not table.turn("exec-a")
    assert table.turn("exec-b")
    assert table.shares["1-0"] == Share("exec-b")


def test_who_cannot_reach_something_does_not_take_it() -> None:
    table = Table(["exec-a", "exec-b"], groups_of([1, 1, 1, 1]))
    table.turn("exec-a", waited=True)
    there = table.groups
    for _ in range(5):
        table.groups = there[:1]
        table.turn("exec-b")
        table.groups = there
        table.turn("exec-a")
    assert table.load("exec-b") == 1
    assert table.load("exec-a") == 3


def linked(name: str, **more: object) -> Resource:
    return replace(resource(name), **more)  # type: ignore[arg-type]


def test_what_depends_or_runs_on_another_belongs_together() -> None:
    host, other = linked("host"), linked("other")
    redis = linked("redis", runs_on=host.id)
    shop = linked("shop", depends_on=(redis.id, "not/watched/by/anybody"))
    found = components({known.id: known for known in (shop, redis, host, other)})
    assert sorted(map(len, found)) == [1, 3]
    assert frozenset({shop.id, redis.id, host.id}) in found
