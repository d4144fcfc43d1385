from collections.abc import Sequence
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.domain.making import after, alert, incident, resource
from watchkeeper.domain import Alert, Health, Incident, Resource
from watchkeeper.watch import incident_for, reach, root_of
from watchkeeper.watch.correlation import (
    WINDOW,
    cause_of,
    neighbours,
    roots_of,
    served,
    standing,
    suffering,
    upstream,
)

Graph = dict[str, Resource]


def graph(*edges: str, carriers: str = "") -> Graph:
    """`"a>b"`: a needs b. `carriers="a:c"`: a runs on c."""
    names = {name for edge in edges for name in edge.split(">")} | {n for n in carriers.replace(":", " ").split() if n}
    runs_on = dict(pair.split(":") for pair in carriers.split())
    key = {name: resource(name).id for name in names}
    return {
        key[name]: resource(
            name,
            depends_on=tuple(key[e.split(">")[1]] for e in edges if e.split(">")[0] == name and ">" in e),
            runs_on=key.get(runs_on.get(name, "")),
        )
        for name in sorted(names)
    }


def named(name: str) -> str:
    return resource(name).id


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Random acyclic graphs: an edge leads only to a later name; some edges are to a carrier."""
    size = draw(st.integers(1, 7))
    names = [f"r{number}" for number in range(size)]
    made: Graph = {}
    for number, name in enumerate(names):
        later = names[number + 1 :]
        needs = draw(st.lists(st.sampled_from(later), unique=True, max_size=3)) if later else []
        carried = draw(st.sampled_from([None, *later]))
        made[named(name)] = resource(
            name, depends_on=tuple(map(named, needs)), runs_on=named(carried) if carried else None
        )
    return made


@st.composite
def outages(draw: st.DrawFn) -> tuple[Graph, list[Alert]]:
    resources = draw(graphs())
    where = draw(st.lists(st.sampled_from(sorted(resources)), min_size=1, max_size=8))
    seconds = draw(st.lists(st.integers(0, 500), min_size=len(where), max_size=len(where), unique=True))
    ranks = draw(st.lists(st.sampled_from([Health.DEGRADED, Health.FAILED]), min_size=len(where), max_size=len(where)))
    told = zip(where, seconds, ranks, strict=True)
    return resources, [alert(key, id=f"a{at}", at=after(at), health=health) for key, at, health in told]


@given(outages())
def test_the_root_is_one_of_those_that_alert(outage: tuple[Graph, list[Alert]]) -> None:
    resources, alerts = outage
    assert root_of(alerts, resources) in {known.resource for known in alerts}


@given(outages())
def test_no_other_candidate_explains_the_root(outage: tuple[Graph, list[Alert]]) -> None:
    resources, alerts = outage
    alerting = {known.resource for known in alerts}
    failed = {known.resource for known in alerts if known.health is Health.FAILED}
    carriers = {resources[key].runs_on for key in alerting}
    merely_degraded = (carriers & alerting) - failed
    candidates = alerting - merely_degraded or alerting
    root = root_of(alerts, resources)
    assert not candidates.intersection(upstream(root, resources))


@given(outages(), st.randoms(use_true_random=False))
def test_the_order_of_the_alerts_does_not_matter(outage: tuple[Graph, list[Alert]], chance) -> None:
    resources, alerts = outage
    shuffled = list(alerts)
    chance.shuffle(shuffled)
    assert root_of(shuffled, resources) == root_of(alerts, resources)


def test_the_first_alert_of_a_resource_counts_whichever_is_told_first() -> None:
    resources = graph("shop>cache", "shop>orders")
    early, late = alert(named("orders"), at=after(1)), alert(named("orders"), rule="slow", at=after(9))
    between = alert(named("cache"), at=after(5))
    assert root_of([early, between, late], resources) == root_of([late, between, early], resources) == named("orders")


def test_two_faults_with_one_victim_are_two_roots_and_the_victim_is_none() -> None:
    resources = graph("shop>cache", "shop>orders", "front>shop")
    alerts = [alert(named(name), id=name, at=after(at)) for at, name in enumerate(("front", "orders", "shop", "cache"))]
    assert set(roots_of(alerts, resources)) == {named("cache"), named("orders")}


def test_one_fault_is_one_root_also_where_what_carries_it_alerts_too() -> None:
    resources = graph("shop>cache", carriers="cache:box")
    stopped = [alert(named(name), id=name, at=after(1), health=Health.FAILED) for name in ("cache", "box", "shop")]
    assert roots_of(stopped, resources) == (named("box"),)
    full = [alert(named(name), id=name, at=after(1), health=Health.DEGRADED) for name in ("cache", "box", "shop")]
    assert roots_of(full, resources) == (named("cache"),)


@given(outages())
def test_the_first_of_all_roots_is_the_root_and_none_needs_another(outage: tuple[Graph, list[Alert]]) -> None:
    resources, alerts = outage
    roots = roots_of(alerts, resources)
    assert roots[0] == root_of(alerts, resources)
    assert not any(set(upstream(later, resources)) & set(roots[:at]) for at, later in enumerate(roots))


@given(outages(), st.permutations(range(7)))
def test_names_do_not_matter(outage: tuple[Graph, list[Alert]], order: Sequence[int]) -> None:
    resources, alerts = outage
    new = {key: named(f"z{order[int(key.rsplit('r', 1)[1])]}") for key in resources}
    renamed = {
        new[key]: replace(
            known,
            id=new[key],
            depends_on=tuple(new[needed] for needed in known.depends_on),
            runs_on=new[known.runs_on] if known.runs_on else None,
        )
        for key, known in resources.items()
    }
    told = [replace(known, resource=new[known.resource]) for known in alerts]
    assert root_of(told, renamed) == new[root_of(alerts, resources)]


@st.composite
def tangles(draw: st.DrawFn) -> tuple[Graph, list[Alert]]:
    """Any graph, with cycles and things that need themselves; any alerts on it."""
    names = [f"r{number}" for number in range(draw(st.integers(1, 6)))]
    needs = {name: draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) for name in names}
    made: Graph = {named(name): resource(name, depends_on=tuple(map(named, needs[name]))) for name in names}
    where = draw(st.lists(st.sampled_from(sorted(made)), min_size=1, max_size=6))
    ranks = draw(st.lists(st.sampled_from([Health.DEGRADED, Health.FAILED]), min_size=len(where), max_size=len(where)))
    told = enumerate(zip(where, ranks, strict=True))
    return made, [alert(key, id=f"a{at}", at=after(at), health=health) for at, (key, health) in told]


def needed_by(resources: Graph) -> set[tuple[str, str]]:
    """Every pair of which the first needs the second, directly or not: edges joined until nothing new comes."""
    pairs = {(key, needed) for key, known in resources.items() for needed in known.upstream}
    while more := {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs:
        pairs |= more
    return pairs


@given(tangles())
def test_nothing_that_alerts_explains_the_root_unless_each_needs_the_other(outage: tuple[Graph, list[Alert]]) -> None:
    resources, alerts = outage
    needs = needed_by(resources)
    root = root_of(alerts, resources)
    alerting = {known.resource for known in alerts}
    assert root in alerting
    assert [other for other in alerting if (root, other) in needs and (other, root) not in needs] == []


@given(tangles(), st.randoms(use_true_random=False))
def test_an_alert_joins_only_an_incident_it_is_connected_to_whatever_order_they_are_in(
    outage: tuple[Graph, list[Alert]], chance: Random
) -> None:
    """As the desk does: joined where one is found, else opened."""
    resources, alerts = outage
    needs = needed_by(resources)
    known: list[Incident] = []
    for told in alerts:
        here = told.resource
        found = incident_for(told, known, resources, told.pending_at)
        shuffled = chance.sample(known, len(known))
        assert incident_for(told, shuffled, resources, told.pending_at) == found
        if found is None:
            assert all(here not in incident.resources for incident in known)
            known.append(incident(here, id=f"inc-{len(known)}", at=told.pending_at))
        else:
            assert any(r == here or (here, r) in needs or (r, here) in needs for r in found.resources)
            known[known.index(found)] = found.touching(here)


def test_in_a_circle_of_dependencies_what_only_suffers_from_it_is_not_the_root() -> None:
    resources = graph("a>b", "b>a", "c>a")
    alerts = [alert(named("a"), at=after(5)), alert(named("b"), at=after(6)), alert(named("c"), health=Health.FAILED)]
    assert root_of(alerts, resources) == named("a")


def test_what_others_need_explains_them() -> None:
    resources = graph("shop>cache", "web>shop")
    alerts = [alert(named(name), at=after(at)) for name, at in (("web", 0), ("shop", 1), ("cache", 2))]
    assert root_of(alerts, resources) == named("cache")


def test_a_carrier_that_is_merely_degraded_is_not_the_root_of_its_service() -> None:
    resources = graph(carriers="cache:box")
    alerts = [alert(named("cache"), at=after(5)), alert(named("box"), at=after(0))]
    assert root_of(alerts, resources) == named("cache")


def test_a_carrier_that_failed_is_the_root_of_its_service() -> None:
    resources = graph(carriers="cache:box")
    alerts = [alert(named("cache"), health=Health.FAILED), alert(named("box"), health=Health.FAILED, at=after(5))]
    assert root_of(alerts, resources) == named("box")


def test_a_degraded_carrier_is_the_root_when_its_service_is_well() -> None:
    assert root_of([alert(named("box"))], graph(carriers="cache:box")) == named("box")


def test_of_two_that_nothing_explains_the_worse_is_the_root() -> None:
    resources = graph("shop>cache", "shop>orders")
    alerts = [alert(named("cache")), alert(named("orders"), health=Health.FAILED, at=after(9))]
    assert root_of(alerts, resources) == named("orders")


@given(graphs())
def test_reach_is_mutual(resources: Graph) -> None:
    for one in resources:
        assert one in reach(one, resources)
        for other in reach(one, resources):
            assert one in reach(other, resources)


@given(graphs())
def test_neighbours_are_one_step_away_and_never_oneself(resources: Graph) -> None:
    for key, known in resources.items():
        near = set(neighbours((key,), resources))
        assert near == {*known.upstream, *(k for k, other in resources.items() if key in other.upstream)} - {key}


def test_a_dependency_cycle_ends() -> None:
    resources = graph("a>b", "b>a")
    assert root_of([alert(named("a")), alert(named("b"), at=after(1))], resources) == named("a")
    assert reach(named("a"), resources) == {named("a"), named("b")}


def test_an_alert_joins_the_incident_of_what_it_needs() -> None:
    resources = graph("shop>cache")
    known = incident(named("cache"))
    assert incident_for(alert(named("shop")), [known], resources, after(30)) is known


def test_an_alert_joins_the_incident_of_what_needs_it() -> None:
    resources = graph("shop>cache")
    known = incident(named("shop"))
    assert incident_for(alert(named("cache")), [known], resources, after(30)) is known


def test_an_alert_without_a_dependency_path_does_not_join() -> None:
    resources = graph("shop>cache", "mail>queue")
    assert incident_for(alert(named("queue")), [incident(named("cache"))], resources, after(1)) is None


def test_siblings_do_not_join_each_other() -> None:
    resources = graph("shop>cache", "shop>orders")
    assert incident_for(alert(named("orders")), [incident(named("cache"))], resources, after(1)) is None


def test_long_after_its_opening_an_incident_takes_only_alerts_of_its_own_resources() -> None:
    resources = graph("shop>cache")
    known = incident(named("cache"))
    late = after(WINDOW.total_seconds() + 1)
    assert incident_for(alert(named("shop")), [known], resources, late) is None
    assert incident_for(alert(named("cache")), [known], resources, late) is known


def test_of_several_incidents_the_oldest_is_joined() -> None:
    resources = graph("shop>cache", "shop>orders")
    younger = incident(named("orders"), id="inc-2", at=after(5))
    older = incident(named("cache"), id="inc-1")
    assert incident_for(alert(named("shop")), [younger, older], resources, after(9)) is older


def test_in_a_circle_with_victims_the_root_is_of_the_circle() -> None:
    resources = graph("a>b", "b>a", "shop>a", "web>shop")
    alerts = [alert(named(n), at=after(t)) for n, t in (("web", 0), ("shop", 1), ("b", 2), ("a", 3))]
    assert root_of(alerts, resources) == named("b")


def test_of_several_that_explain_the_root_explains_the_most() -> None:
    resources = graph("shop-1>cache", "shop-2>cache", "shop-2>mail")
    alerts = [alert(named(n), at=after(t)) for n, t in (("mail", 0), ("shop-1", 1), ("shop-2", 1), ("cache", 2))]
    assert root_of(alerts, resources) == named("cache")


def test_what_only_shares_a_victim_is_an_incident_of_its_own() -> None:
    resources = graph("shop>cache", "shop>orders")
    known = incident(named("cache"), resources=(named("cache"), named("shop")))
    assert incident_for(alert(named("orders")), [known], resources, after(5)) is None
    assert incident_for(alert(named("orders")), [known], resources, after(5), {known.id: named("cache")}) is None


def test_what_comes_to_explain_the_root_joins_it() -> None:
    resources = graph("shop>cache")
    known = incident(named("shop"))
    assert incident_for(alert(named("cache")), [known], resources, after(5), {known.id: named("shop")}) is known


def test_a_victim_joins_however_late_while_its_cause_still_alerts() -> None:
    resources = graph("web>shop", "shop>cache")
    known = incident(named("cache"))
    late = after(WINDOW.total_seconds() * 5)
    assert incident_for(alert(named("web")), [known], resources, late, {known.id: named("cache")}) is known
    assert incident_for(alert(named("web")), [known], resources, late) is None


def test_what_suffers_is_elsewhere() -> None:
    resources = graph("shop>cache", "web>shop", "shop>orders", carriers="cache:box")
    assert suffering(named("cache"), resources) == suffering(named("box"), resources) == {named("shop"), named("web")}


def test_what_is_served_needs_it_at_first_hand() -> None:
    resources = graph("shop>cache", "web>shop", "shop>orders", carriers="cache:box")
    assert served(named("cache"), resources) == served(named("box"), resources) == {named("shop")}
    assert served(named("web"), resources) == served("docker/lab/redis/gone", resources) == frozenset()


@given(outages())
def test_circles_end_and_the_root_is_one_that_alerts(outage: tuple[Graph, list[Alert]]) -> None:
    resources, alerts = outage
    first, *_, last = [*sorted(resources), sorted(resources)[-1]]
    circle = resources | {last: replace(resources[last], depends_on=(first,))}
    assert root_of(alerts, circle) in {known.resource for known in alerts}
    assert last not in suffering(last, circle)


def test_a_service_that_tells_why_its_container_ended_is_the_root() -> None:
    resources = graph(carriers="postgres:container")
    ended = alert(named("container"), id="ended", health=Health.FAILED)
    down = alert(named("postgres"), id="down", health=Health.FAILED)
    assert root_of([ended, down], resources) == named("container")
    full = replace(alert(named("postgres"), id="full", health=Health.FAILED), explains_host=True)
    assert root_of([ended, down, full], resources) == named("postgres")


def test_more_of_what_is_wrong_with_a_root_joins_its_own_incident_not_that_of_a_common_victim() -> None:
    resources = graph("front>one", "front>other")
    first = incident(named("one"), id="inc-1", resources=(named("one"), named("front")))
    second = incident(named("other"), id="inc-2", at=after(1))
    fires = {"inc-1": named("front"), "inc-2": named("other")}  # the first's root is well by now, its victim not yet
    again = alert(named("other"), rule="unhealthy", at=after(9))
    found = incident_for(again, [first, second], resources, after(9), fires)
    assert found is not None
    assert found.id == "inc-2"


def test_a_broken_file_of_its_own_is_explained_by_nothing_it_needs() -> None:
    web, db = named("web"), named("db")
    resources = graph("web>db")
    broken = replace(alert(web, rule="configuration-broken"), own_cause=True)
    full = alert(db, rule="connections-exhausted", id="full")
    slow = alert(web, rule="errors", id="slow")
    mine, theirs = incident(web, id="inc-web"), incident(db, id="inc-db", at=after(1))
    apart = frozenset({"inc-web"})
    assert incident_for(full, [mine], resources, after(5), {"inc-web": web}, apart) is None
    assert incident_for(full, [mine], resources, after(5), {"inc-web": web}) is mine  # with a cause that may be there
    assert incident_for(broken, [theirs], resources, after(5), {"inc-db": db}) is None
    assert incident_for(slow, [theirs], resources, after(5), {"inc-db": db}) is theirs
    assert incident_for(broken, [mine], resources, after(5), {"inc-web": web}, apart) is mine
    firing = {"inc-web": [broken, slow], "inc-db": [full]}
    assert cause_of(mine, [mine, theirs], firing, resources) is None
    assert cause_of(mine, [mine, theirs], {"inc-web": [slow], "inc-db": [full]}, resources) is theirs
    assert standing(firing, resources) == ({"inc-web": web, "inc-db": db}, apart)


def test_what_a_thing_runs_on_may_explain_its_broken_file() -> None:
    web, box = named("web"), named("box")
    resources = graph("web", carriers="web:box")
    broken = replace(alert(web, rule="configuration-broken"), own_cause=True)
    stopped = alert(box, rule="stopped", id="stopped", health=Health.FAILED)
    assert stopped.covers_services
    assert incident_for(stopped, [incident(web)], resources, after(5), {}, {incident(web).id}) is not None
    assert incident_for(broken, [incident(box)], resources, after(5)) is not None
