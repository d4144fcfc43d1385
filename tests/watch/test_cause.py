"""Which of several open incidents is part of another, and what speaks against a root."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.domain.making import T0, after, alert, incident
from tests.watch.test_correlation import Graph, graph, named, needed_by, tangles
from watchkeeper.domain import Alert, Health, Incident, Resource
from watchkeeper.domain.dependency import Dependency, How
from watchkeeper.watch import reach, root_of
from watchkeeper.watch.contradictions import against
from watchkeeper.watch.correlation import (
    LATER,
    WINDOW,
    cause_of,
    incident_for,
    neighbours,
    standing,
    suffering,
    ties,
    upstream,
)

Outage = tuple[Graph, list[Alert]]


def plain_place(key: str, resources: Graph) -> set[str]:
    carrier = resources[key].runs_on or key
    return {key, *(k for k, known in resources.items() if carrier in (k, known.runs_on))}


@given(tangles())
def test_all_that_is_asked_of_the_graph_is_as_in_the_plain_reference(outage: Outage) -> None:
    resources, _ = outage
    needs = needed_by(resources)
    for key in resources:
        up, down = {b for a, b in needs if a == key}, {a for a, b in needs if b == key}
        here = plain_place(key, resources)
        assert set(upstream(key, resources)) == up - {key}
        assert reach(key, resources) == up | down | {key}
        assert suffering(key, resources) == {a for a, b in needs if b in here} - here


class Walked(Mapping[str, Resource]):
    """Counts how often everything is gone through."""

    def __init__(self, of: Graph) -> None:
        self.of = of
        self.walks = 0

    def __getitem__(self, key: str) -> Resource:
        return self.of[key]

    def __iter__(self) -> Iterator[str]:
        self.walks += 1
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)


def test_however_often_it_is_asked_everything_is_gone_through_once() -> None:
    walked = Walked(graph("shop>cache", "web>shop", "shop>orders", carriers="cache:box"))
    ties(walked)
    once = walked.walks
    for key in list(walked.of):
        reach(key, walked), upstream(key, walked), suffering(key, walked), neighbours((key,), walked)
        root_of([alert(key)], walked)
    assert walked.walks == once


def fires(*alerts: tuple[str, Alert]) -> dict[str, list[Alert]]:
    found: dict[str, list[Alert]] = {}
    for key, known in alerts:
        found.setdefault(key, []).append(known)
    return found


CHAIN = graph("shop>cache", "shop>orders", "web>shop")
CACHE, SHOP, ORDERS, WEB = (named(name) for name in ("cache", "shop", "orders", "web"))


def test_an_incident_is_part_of_the_one_whose_root_explains_it() -> None:
    mine, other = incident(WEB, id="inc-1"), incident(CACHE, id="inc-2", at=after(30))
    firing = fires(("inc-1", alert(WEB)), ("inc-2", alert(CACHE, at=after(30))))
    assert cause_of(mine, [mine, other], firing, CHAIN) == other
    assert cause_of(other, [mine, other], firing, CHAIN) is None


def test_two_with_causes_of_their_own_stay_two() -> None:
    mine, other = incident(ORDERS, id="inc-1"), incident(CACHE, id="inc-2")
    firing = fires(("inc-1", alert(ORDERS)), ("inc-1", alert(SHOP)), ("inc-2", alert(CACHE)))
    assert cause_of(mine, [mine, other], firing, CHAIN) is None
    assert cause_of(other, [mine, other], firing, CHAIN) is None


def test_what_began_long_after_explains_nothing_of_before() -> None:
    late = after(WINDOW.total_seconds() + 1)
    mine, other = incident(WEB, id="inc-1"), incident(CACHE, id="inc-2", at=late)
    assert cause_of(mine, [mine, other], fires(("inc-1", alert(WEB)), ("inc-2", alert(CACHE, at=late))), CHAIN) is None


def test_what_stopped_after_it_all_had_begun_explains_nothing_of_it() -> None:
    began = after(LATER.total_seconds() + 1)
    mine, other = incident(WEB, id="inc-1"), incident(CACHE, id="inc-2", at=began)
    stopped = alert(CACHE, at=began, health=Health.FAILED)
    firing = fires(("inc-1", alert(WEB)), ("inc-2", stopped))
    assert cause_of(mine, [mine, other], firing, CHAIN) is None
    assert cause_of(mine, [mine, other], firing | {"inc-2": [replace(stopped, health=Health.DEGRADED)]}, CHAIN) == other
    assert incident_for(stopped, [mine], CHAIN, began, {"inc-1": WEB}) is None
    soon = replace(stopped, pending_at=after(9))
    assert incident_for(soon, [mine], CHAIN, began, {"inc-1": WEB}) == mine


def test_what_has_its_cause_in_itself_keeps_it_after_that_is_mended_while_what_came_of_it_lasts() -> None:
    mine, other = incident(WEB, id="inc-1"), incident(CACHE, id="inc-2")
    broken = replace(alert(WEB, own_cause=True), status="resolved")
    lasts = alert(WEB, at=after(2), rule="container-restarting")
    roots, apart = standing({"inc-1": [broken, lasts], "inc-2": [alert(CACHE)]}, CHAIN)
    assert (roots, apart) == ({"inc-1": WEB, "inc-2": CACHE}, {"inc-1"})
    assert incident_for(alert(CACHE), [mine], CHAIN, T0, roots, apart) is None
    firing = fires(("inc-1", lasts), ("inc-2", alert(CACHE)))
    assert cause_of(mine, [mine, other], firing, CHAIN, apart) is None
    assert cause_of(mine, [mine, other], firing, CHAIN) == other


def test_a_carrier_merely_short_of_something_takes_over_nothing() -> None:
    resources = graph("shop>cache", carriers="cache:box")
    mine, other = incident(named("cache"), id="inc-1"), incident(named("box"), id="inc-2")
    box = alert(named("box"))
    firing = fires(("inc-1", alert(named("cache"))), ("inc-2", box))
    assert cause_of(mine, [mine, other], firing, resources) is None
    failed = replace(box, health=Health.FAILED)
    assert cause_of(mine, [mine, other], firing | {"inc-2": [failed]}, resources) == other


def test_where_nothing_fires_there_is_nothing_to_explain() -> None:
    mine, other = incident(WEB, id="inc-1"), incident(CACHE, id="inc-2")
    assert cause_of(mine, [mine, other], fires(("inc-2", alert(CACHE))), CHAIN) is None
    assert cause_of(mine, [mine, other], fires(("inc-1", alert(WEB))), CHAIN) is None


def test_what_one_had_tried_is_not_begun_again_in_the_other() -> None:
    mine = incident(WEB, id="inc-1", tried=("runbook:a#1@web",), absorbed=("inc-0",))
    into = incident(CACHE, id="inc-2", tried=("runbook:b#1@cache",)).absorb(mine)
    assert (into.tried, into.absorbed) == (("runbook:b#1@cache", "runbook:a#1@web"), ("inc-1", "inc-0"))
    over = mine.merge("inc-2", after(9), "it is part of inc-2")
    assert (over.status, over.outcome, over.merged_into) == ("closed", "merged", "inc-2")


@given(tangles(), st.randoms(use_true_random=False))
def test_merging_ends_in_one_way_and_leaves_no_incident_that_another_explains(outage: Outage, chance: Random) -> None:
    """As the loop does: each in turn, in any order, until nothing changes."""
    resources, alerts = outage
    needs = needed_by(resources)
    firing = fires(*((f"inc-{told.resource}", told) for told in alerts))
    active = [incident(told[0].resource, id=key, at=T0) for key, told in firing.items()]
    opened = len(active)
    for _ in range(opened):
        chance.shuffle(active)
        for one in list(active):
            if (cause := cause_of(one, active, firing, resources)) is not None:
                assert (root_of(firing[one.id], resources), root_of(firing[cause.id], resources)) in needs
                assert cause_of(one, chance.sample(active, len(active)), firing, resources) == cause
                firing[cause.id] = [*firing[cause.id], *firing.pop(one.id)]
                active.remove(one)
    roots = {one.id: root_of(firing[one.id], resources) for one in active}
    assert sum(map(len, firing.values())) == len(alerts)
    assert [(a, b) for a in roots.values() for b in roots.values() if a != b and (a, b) in needs] == []


# What speaks against a root ----------------------------------------------------------------------------------------


def seen(resources: Graph, how: How = "connections") -> list[Dependency]:
    return [Dependency(key, up, how, "", T0, T0) for key, known in resources.items() for up in known.upstream]


def objections(
    root: str, alerts: list[Alert], resources: Graph, edges: list[Dependency] | None = None, **health: Health
) -> list[str]:
    stands = {named(name): said for name, said in health.items()}
    firing = {told.resource: told.health for told in alerts}

    def of(key: str) -> Health:
        return stands.get(key, firing.get(key, Health.HEALTHY))

    known = seen(resources) if edges is None else edges
    found = against(named(root), alerts, resources, known, of, after(60), timedelta(seconds=2))
    return [evidence.what for evidence in found]


def test_a_plain_cascade_has_nothing_against_it() -> None:
    resources = graph("shop>cache", "web>shop")
    alerts = [alert(CACHE), alert(SHOP, at=after(3)), alert(WEB, at=after(6))]
    assert objections("cache", alerts, resources) == []


def test_a_victim_that_showed_it_before_the_root_is_said() -> None:
    alerts = [alert(CACHE, at=after(12)), alert(SHOP)]
    (said,) = objections("cache", alerts, graph("shop>cache"))
    assert said.startswith("shop showed it 12 s before cache")
    assert objections("cache", [alert(CACHE, at=after(1)), alert(SHOP)], graph("shop>cache")) == []


def test_what_is_healthy_between_the_root_and_its_victim_is_said() -> None:
    alerts = [alert(CACHE), alert(WEB, at=after(3))]
    assert objections("cache", alerts, graph("shop>cache", "web>shop"), shop=Health.HEALTHY) == [
        "web needs cache only through shop, which is healthy",
        "shop needs cache too, and was healthy then",
    ]
    assert objections("cache", alerts, graph("shop>cache", "web>shop", "web>cache"), shop=Health.UNKNOWN) == []


def test_an_edge_that_is_only_said_is_said_to_be_so() -> None:
    resources = graph("shop>cache")
    (said,) = objections("cache", [alert(CACHE), alert(SHOP)], resources, seen(resources, "declared"))
    assert said == "that shop needs cache is said (by hand, or by its connector), and no connection has shown it"


def test_what_the_root_does_not_explain_is_said() -> None:
    (said,) = objections(
        "cache", [alert(CACHE), alert(ORDERS)], graph("shop>cache", "shop>orders"), shop=Health.UNKNOWN
    )
    assert said == "orders alerts too (full) and is not known to need cache: it may have a cause of its own"


def test_who_needs_the_root_too_and_is_well_is_said() -> None:
    resources = graph(*(f"shop-{n}>cache" for n in range(1, 6)))
    alerts = [alert(CACHE), alert(named("shop-1"))]
    assert objections("cache", alerts, resources) == [
        "shop-2, shop-3, shop-4 and 1 more need cache too, and were healthy then"
    ]


def test_what_the_root_needs_and_cannot_be_seen_is_said() -> None:
    (said,) = objections("shop", [alert(SHOP)], graph("shop>cache"), cache=Health.UNKNOWN)
    assert said == "cache, which shop needs, gives no data: it may begin there"


@given(tangles())
def test_what_is_against_a_root_never_fails_and_names_only_what_there_is(outage: Outage) -> None:
    resources, alerts = outage
    root = root_of(alerts, resources)
    found = against(root, alerts, resources, seen(resources), lambda _: Health.HEALTHY, T0, timedelta(0))
    assert {evidence.resource for evidence in found} <= set(resources)


def test_incidents_are_told_apart_by_id_where_they_opened_at_the_same_time() -> None:
    resources = graph("a>b", "b>a")
    one, two = (incident(named(name), id=f"inc-{name}") for name in ("a", "b"))
    both: list[Incident] = [one, two]
    firing = fires((one.id, alert(named("a"))), (two.id, alert(named("b"), at=after(-1))))
    merged = [known.id for known in both if cause_of(known, both, firing, resources)]
    assert len(merged) <= 1
