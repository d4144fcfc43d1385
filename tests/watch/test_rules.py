"""The life of an alert, against a plain reference."""

import math
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tests.domain.making import after, reading, rule
from watchkeeper.domain import Alert, Rule
from watchkeeper.watch.rules import next_alert

Look = tuple[float, float | None]
"""Seconds since the look before, and `used` (None: not known)."""


def run(of: Rule, looks: list[Look]) -> list[str]:
    """The status after each look: `quiet`, `pending`, `firing`, or `resolved` in the moment it ends."""
    said: list[str] = []
    alert: Alert | None = None
    at = 0.0
    for gap, used in looks:
        at += gap
        seen = reading(at=after(at)) if used is None else reading(at=after(at), used=used)
        alert = next_alert(of, alert, seen, seen.scope(), seen.at)
        said.append(alert.status if alert else "quiet")
        if alert and alert.status == "resolved":
            alert = None
    return said


@dataclass
class Reference:
    """Prometheus' life with hysteresis, in words: what a look does in each state."""

    wait: float
    full: float
    clear: float
    state: str = "quiet"
    since: float = 0.0

    def look(self, at: float, used: float | None) -> str:
        if self.state == "resolved":
            self.state = "quiet"
        if used is None:
            return self.state
        if self.state == "quiet" and used > self.full:
            self.state, self.since = "pending", at
        if self.state == "pending":
            if used <= self.full:
                self.state = "quiet"
            elif at - self.since >= self.wait:
                self.state = "firing"
        elif self.state == "firing" and used <= self.full and used < self.clear:
            self.state = "resolved"
        return self.state


looks = st.lists(
    st.tuples(st.integers(1, 5).map(float), st.sampled_from([0.5, 0.85, 0.9, 0.95, 1.0, None])), max_size=30
)


@given(looks=looks, wait=st.sampled_from([0.0, 1.0, 4.0, 9.0]), clear=st.sampled_from([0.9, 0.85, 0.6]))
def test_an_alert_lives_as_the_reference_says(looks: list[Look], wait: float, clear: float) -> None:
    reference = Reference(wait, 0.9, clear)
    expected: list[str] = []
    at = 0.0
    for gap, used in looks:
        at += gap
        expected.append(reference.look(at, used))
    assert run(rule(seconds=wait, clear=f"reading.used < {clear}"), looks) == expected


jumps = st.lists(
    st.tuples(
        st.sampled_from([-7200.0, -1.0, 0.0, 0.2, 2.0, 5.0, 7200.0]),
        st.sampled_from([0.5, 0.85, 0.88, 0.9, 0.95, math.inf, -math.inf, math.nan, None]),
    ),
    max_size=30,
)


@given(looks=jumps, wait=st.sampled_from([0.0, 4.0, 3600.0]), clear=st.sampled_from([0.9, 0.85]))
def test_neither_absurd_numbers_nor_a_clock_that_jumps_change_that(
    looks: list[Look], wait: float, clear: float
) -> None:
    """What is no finite number is no data; `for` is measured by the clock as it is read."""
    reference = Reference(wait, 0.9, clear)
    expected: list[str] = []
    at = 0.0
    for gap, used in looks:
        at += gap
        expected.append(reference.look(at, used if used is not None and math.isfinite(used) else None))
    assert run(rule(seconds=wait, clear=f"reading.used < {clear}"), looks) == expected


@given(looks=looks)
def test_without_clear_it_resolves_when_it_holds_no_more(looks: list[Look]) -> None:
    plain = run(rule(seconds=2.0), looks)
    assert plain == run(rule(seconds=2.0, clear="reading.used <= 0.9"), looks)


def test_it_fires_only_after_its_for() -> None:
    assert run(rule(seconds=4.0), [(1, 1.0), (3, 1.0), (1, 1.0)]) == ["pending", "pending", "firing"]


def test_without_for_it_fires_at_once() -> None:
    assert run(rule(seconds=0.0), [(1, 1.0)]) == ["firing"]


def test_a_good_look_in_between_starts_the_for_anew() -> None:
    assert run(rule(seconds=4.0), [(1, 1.0), (3, 0.5), (3, 1.0), (3, 1.0)]) == [
        "pending",
        "quiet",
        "pending",
        "pending",
    ]


def test_no_data_neither_fires_nor_resolves() -> None:
    assert run(rule(seconds=0.0), [(1, None)]) == ["quiet"]
    assert run(rule(seconds=2.0), [(1, 1.0), (9, None)]) == ["pending", "pending"]
    assert run(rule(seconds=0.0), [(1, 1.0), (9, None)]) == ["firing", "firing"]


def test_between_clear_and_when_a_firing_alert_goes_on_and_a_quiet_one_stays_quiet() -> None:
    wide = rule(seconds=0.0, clear="reading.used < 0.6")
    assert run(wide, [(1, 0.8), (1, 1.0), (1, 0.8), (1, 0.5), (1, 0.8)]) == [
        "quiet",
        "firing",
        "firing",
        "resolved",
        "quiet",
    ]


def test_a_clear_that_nobody_can_tell_does_not_resolve() -> None:
    unknown = rule(seconds=0.0, clear="reading.other < 1.0")
    assert run(unknown, [(1, 1.0), (1, 0.1)]) == ["firing", "firing"]


def test_an_alert_says_when_it_began_fired_and_ended() -> None:
    of = rule(seconds=2.0, metric="used")
    seen = [reading(at=after(at), used=used) for at, used in ((0, 0.95), (2, 0.99), (5, 0.1))]
    alert = None
    for look in seen:
        alert = next_alert(of, alert, look, look.scope(), look.at)
    assert alert is not None
    assert (alert.pending_at, alert.firing_at, alert.resolved_at) == (after(0), after(2), after(5))
    assert (alert.value, alert.resource, alert.rule) == (0.95, seen[0].resource, "full")
