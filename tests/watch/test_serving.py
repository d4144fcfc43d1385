"""What has to be served again before a fix is proven."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from tests.domain.making import alert, reading, situation
from tests.watch.test_correlation import graph, named
from watchkeeper.domain import Alert, Reading
from watchkeeper.watch.serving import served_by

CHAIN = graph("shop>orders", "shop>cache", "pool>orders", carriers="orders:box")


def watching(*alerts: Alert, off: str = "") -> Any:
    def at(keys: tuple[str, ...]) -> Any:
        seen: list[Reading] = [replace(reading(), resource=key, off=key == off) for key in keys]
        there = [CHAIN[key] for key in keys]
        return situation(*there, readings=tuple(seen), alerts=tuple(a for a in alerts if a.resource in keys))

    return SimpleNamespace(fleet=SimpleNamespace(resources=CHAIN), situation=at)


def test_what_runs_on_what_was_started_has_to_answer_and_so_has_what_needs_it() -> None:
    assert list(served_by(named("box"), [], watching())) == sorted(map(named, ("orders", "pool", "shop")))
    assert list(served_by(named("box"), [named("orders")], watching())) == sorted(map(named, ("pool", "shop")))


def test_what_needs_something_else_that_is_ill_or_stopped_says_nothing_of_it() -> None:
    without_shop = sorted(map(named, ("orders", "pool")))
    assert list(served_by(named("box"), [], watching(alert(named("cache"))))) == without_shop
    assert list(served_by(named("box"), [], watching(off=named("cache")))) == without_shop
