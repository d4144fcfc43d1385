"""When failures are over: shown by what was answered since. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from watchkeeper.connectors.nginx.bouts import CALM, LEAST, Bout
from watchkeeper.connectors.nginx.connector import NginxConnector
from watchkeeper.connectors.nginx.traffic import ENDED_WINDOW, ERRORS_WINDOW, WINDOW, Traffic

FORMAT = '$remote_addr "$request" $status $upstream_addr'
REFUSED = (
    "2026/01/01 10:00:00 [error] 7#7: *5 connect() failed (111: Connection refused) while connecting to upstream, "
    'client: 10.0.0.9, server: , request: "GET / HTTP/1.1", upstream: "http://{peer}/", host: "shop"'
)
UNRESOLVED = "2026/01/01 10:00:00 [error] 7#7: *5 shop could not be resolved (3: Host not found), client: 10.0.0.9"
ONE, OTHER = "10.0.0.1:8000", "10.0.0.2:8000"


def answered(status: int, peer: str) -> str:
    return f'10.0.0.9 "GET / HTTP/1.1" {status} {peer}'


def failing(until: float = 10.0, line: str = REFUSED.format(peer=ONE)) -> Traffic:
    """Ten failures a second, which visitors see as 502."""
    traffic = Traffic()
    for tenth in range(int(until * 10)):
        traffic.line(tenth / 10, line, [FORMAT])
        traffic.line(tenth / 10, answered(502, ONE), [FORMAT])
    return traffic


def answers(traffic: Traffic, peer: str, since: float, seconds: float, per_second: int = 15) -> None:
    for number in range(int(seconds * per_second)):
        traffic.line(since + (number + 1) / per_second, answered(200, peer), [FORMAT])


def metrics(traffic: Traffic, at: float) -> dict[str, float]:
    return traffic.told(at, since=-60.0, access=True, errors=True)[0]


def test_an_upstream_that_answers_again_is_well_before_its_failures_leave_the_window() -> None:
    traffic = failing()
    assert metrics(traffic, 10.0)["upstream_errors"] == 100
    answers(traffic, ONE, 10.0, CALM + 0.5)
    told = metrics(traffic, 10.0 + CALM + 0.5)
    assert (told["upstream_errors"], told["upstream_errors_lately"]) == (0, 0)
    assert (told["bad_gateway_ratio"], told["server_errors_ratio"]) == (0, 0)
    assert told["upstream_refused"] == 100  # what it was is told still


def test_that_another_upstream_answers_says_nothing_of_the_one_that_failed() -> None:
    traffic = failing()
    answers(traffic, OTHER, 10.0, ENDED_WINDOW - 1)
    assert metrics(traffic, 10.0 + ENDED_WINDOW - 1)["upstream_errors_lately"] > 0
    assert metrics(traffic, 10.0 + ENDED_WINDOW + 1)["upstream_errors_lately"] == 0


def test_where_few_come_three_bad_gateways_in_a_row_are_told_and_a_single_one_is_not() -> None:
    rule = next(rule for rule in NginxConnector.rules if rule.id == "nginx-upstream-gone")
    traffic = Traffic()
    fires: list[bool | None] = []
    for second in (1.0, 4.0, 7.0, 10.0):  # one request every three seconds
        traffic.line(second, answered(502, ONE), [FORMAT])
        known = NginxConnector.sample.metrics | metrics(traffic, second)
        fires.append(rule.when.holds(replace(NginxConnector.sample, metrics=known).scope()))
    assert fires == [False, False, True, True]
    traffic.line(13.0, answered(200, ONE), [FORMAT])
    traffic.line(13.1, answered(502, ONE), [FORMAT])
    assert metrics(traffic, 13.2)["bad_gateway_row"] == 1.0


@pytest.mark.parametrize(("share", "down"), [(0.4, False), (0.6, True), (1.0, True)])
def test_a_site_that_fails_for_most_of_its_visitors_is_critical(share: float, down: bool) -> None:
    rule = next(rule for rule in NginxConnector.rules if rule.id == "nginx-failing")
    assert (rule.severity, rule.for_seconds) == ("critical", 30.0)
    traffic = Traffic()
    for tenth in range(300):
        traffic.line(tenth / 10, answered(500 if tenth % 10 < share * 10 else 200, ONE), [FORMAT])
    known = NginxConnector.sample.metrics | metrics(traffic, 30.0)
    assert rule.when.holds(replace(NginxConnector.sample, metrics=known).scope()) is down


COMBINED = '$remote_addr "$request" $status "$http_user_agent"'


def down(lines: Sequence[tuple[float, str]], at: float) -> list[bool | None]:
    """Whether the condition of a site that is down holds, second by second for as long as its rule wants it to."""
    rule = next(rule for rule in NginxConnector.rules if rule.id == "nginx-failing")
    traffic, found, todo = Traffic(), list[bool | None](), deque(sorted(lines))
    for second in range(int(at) + 1):
        while todo and todo[0][0] <= second:
            traffic.line(*todo.popleft(), [COMBINED])
        known = NginxConnector.sample.metrics | metrics(traffic, float(second))
        found.append(rule.when.holds(replace(NginxConnector.sample, metrics=known).scope()))
    return found[-int(rule.for_seconds) :]


def visits(every: float, until: float, status: int, path: str = "/", who: str = "Mozilla/5.0", since: float = 0.0):
    return [
        (since + n * every, f'10.0.0.9 "GET {path} HTTP/1.1" {status} "{who}"')
        for n in range(int((until - since) / every))
    ]


def test_a_site_with_few_visitors_of_whom_none_is_served_is_down_within_a_minute() -> None:
    assert all(down(visits(2.0, 60.0, 500), 60.0))
    assert all(down([*visits(2.0, 300.0, 200), *visits(2.0, 362.0, 500, since=300.0)], 360.0))  # it was well before
    assert not any(down([*visits(2.0, 60.0, 500), *visits(2.0, 120.0, 200, since=60.0)], 120.0))  # and is again


@pytest.mark.parametrize(
    "more",
    [
        visits(2.0, 60.0, 503, "/healthz?full=1"),  # a health check, and nobody else
        visits(2.0, 60.0, 503, "/", "kube-probe/1.29"),
        [*visits(1.0, 60.0, 503, "/api/ready/"), *visits(5.0, 60.0, 200)],  # and a few visitors who are served
        visits(0.05, 1.0, 500),  # one page whose parts all failed, and nobody came since
        visits(10.0, 60.0, 500),  # too few to say so
    ],
)
def test_what_only_a_health_check_is_told_or_one_visitor_saw_is_no_site_that_is_down(more: list[Any]) -> None:
    assert not all(down(more, 60.0))


def test_three_bad_gateways_of_one_page_are_no_row() -> None:
    traffic = Traffic()
    for tenth in range(3):
        traffic.line(tenth / 10, answered(502, ONE), [FORMAT])
    told = metrics(traffic, 8.0)
    assert (told["bad_gateway_row"], told["bad_gateway_row_seconds"] < 1.0) == (3.0, True)
    assert metrics(traffic, 100.0)["bad_gateway_row"] == 0.0


def test_whose_an_error_is_is_only_said_where_the_log_tells() -> None:
    silent, telling = Traffic(), Traffic()
    for tenth in range(100):
        silent.line(tenth / 10, '10.0.0.9 "GET / HTTP/1.1" 500', ['$remote_addr "$request" $status'])
        telling.line(tenth / 10, answered(500, "-" if tenth % 2 else ONE), [FORMAT])
    assert metrics(silent, 10.0)["server_errors_ratio"] == metrics(telling, 10.0)["server_errors_ratio"] == 1.0
    assert "own_errors_ratio" not in metrics(silent, 10.0)
    assert metrics(telling, 10.0)["own_errors_ratio"] == pytest.approx(0.5, abs=0.01)


def test_silence_proves_nothing() -> None:
    traffic = failing()
    told = metrics(traffic, 10.0 + WINDOW / 2)
    assert told["bad_gateway_ratio"] == 1.0
    assert told["upstream_errors"] == 100


def test_a_few_answers_and_many_within_a_moment_prove_nothing() -> None:
    few, sudden = failing(), failing()
    answers(few, ONE, 10.0, 3.0, per_second=2)
    assert metrics(few, 13.0)["upstream_errors"] > 0
    answers(sudden, ONE, 10.0, CALM / 2, per_second=500)
    assert metrics(sudden, 10.0 + CALM / 2)["bad_gateway_ratio"] > 0


def test_what_fails_now_and_then_needs_so_many_answers_that_it_would_have_shown() -> None:
    bout = Bout()
    for number in range(1000):
        bout.took(number / 10, failed=number % 20 == 0)  # one in twenty
    assert bout.needed == pytest.approx(60, abs=5)
    assert failing_every(20)
    assert failing_every(12)
    assert not failing_every(0)


def failing_every(number: int) -> bool:
    """Whether one that goes on to fail so often (0: not any more) is still counted after a while."""
    traffic = failing()
    for turn in range(1, 9 * 15):
        at, bad = 10.0 + turn / 15, number and turn % number == 0
        traffic.line(at, REFUSED.format(peer=ONE) if bad else answered(200, ONE), [FORMAT])
    return metrics(traffic, 19.0)["upstream_errors"] > 0


def test_a_name_that_cannot_be_resolved_is_well_when_enough_of_all_requests_are_answered() -> None:
    traffic = failing(line=UNRESOLVED)
    answers(traffic, OTHER, 10.0, CALM + 1)
    assert metrics(traffic, 11.0 + CALM)["upstream_errors"] == 0


def test_what_fails_for_few_requests_is_not_proven_to_be_well_by_the_many() -> None:
    traffic = Traffic()
    for number in range(25 * 60):
        rare = number % 50 == 0  # one request in fifty, every two seconds
        traffic.line(number / 25, UNRESOLVED if rare else answered(200, OTHER), [FORMAT])
    assert metrics(traffic, 60.0)["upstream_errors"] > 10
    answers(traffic, OTHER, 60.0, 3.0, per_second=25)
    assert metrics(traffic, 63.0)["upstream_errors"] > 0
    answers(traffic, OTHER, 63.0, 3.0, per_second=25)
    assert metrics(traffic, 66.0)["upstream_errors"] == 0


def test_failures_that_come_back_count_again() -> None:
    traffic = failing()
    answers(traffic, ONE, 10.0, CALM + 1)
    traffic.line(14.0, REFUSED.format(peer=ONE), [FORMAT])
    assert metrics(traffic, 14.0)["upstream_errors"] == 1


def test_what_is_forgotten_is_forgotten_altogether() -> None:
    traffic = failing()
    metrics(traffic, 10.0 + ERRORS_WINDOW + 1)
    assert not traffic.upstreams


def test_too_few_are_never_enough() -> None:
    bout = Bout()
    bout.took(0.0, failed=True)
    for number in range(LEAST - 1):
        bout.took(5.0 + number, failed=False)
    assert bout.standing(0.0)
    bout.took(99.0, failed=False)
    assert not bout.standing(0.0)


def test_a_site_that_serves_again_is_not_down_because_it_was() -> None:
    failing_then_well = [*visits(0.2, 40.0, 500), *visits(0.2, 44.0, 200, since=40.0)]
    assert down(failing_then_well, 40.0)[-1]
    assert not down(failing_then_well, 44.0)[-1]
