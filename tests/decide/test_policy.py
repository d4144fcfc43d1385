"""What policy says, against a plain reference, for every combination."""

from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.making import resource
from watchkeeper.connectors import Registry
from watchkeeper.decide import Facts, Policy
from watchkeeper.domain import LOOP, ConfigurationError, Effect, Hold, Principal
from watchkeeper.settings import DEFAULT_TABLE, Mode, PolicySettings

ADA = Principal("person", "ada", "operator")
VIEWER = Principal("person", "anybody", "viewer")
AGENT = Principal("agent", "claude", "agent")
PRINCIPALS = (LOOP, ADA, VIEWER, AGENT)
MODES: tuple[Mode, ...] = ("observe", "approve", "auto")
ENVIRONMENTS = ("production", "staging", "lab", "somewhere-else")
POLICIES = {mode: Policy(PolicySettings(), mode) for mode in MODES}
LIMIT = 6


def allowed(
    mode: Mode, effect: Effect, environment: str, who: Principal, may_act: bool, approved: bool, confirm: bool, n: int
) -> bool:
    """The design in plain Python: whether a call may be made now."""
    if confirm and not approved:
        return False
    cell = DEFAULT_TABLE.get(environment, DEFAULT_TABLE["production"])[effect.value]
    if cell == "deny" or (cell == "ask" and not approved):
        return False
    if effect is Effect.READ:
        return True
    if not may_act or who.role == "viewer":
        return False
    if mode == "observe" and who.kind != "person":
        return False
    if mode == "approve" and not approved:
        return False
    return who.kind == "person" or approved or n < LIMIT


COMBINATIONS = list(
    product(MODES, Effect, ENVIRONMENTS, PRINCIPALS, (True, False), (True, False), (True, False), (0, 5, 6))
)


def test_policy_says_what_the_reference_says_for_every_combination() -> None:
    wrong: list[Any] = []
    for combination in COMBINATIONS:
        mode, effect, environment, who, may_act, approved, confirm, changes = combination
        decision = POLICIES[mode].decide(
            effect,
            resource(environment=environment, may_act=may_act),
            who,
            tool="t",
            approved=approved,
            confirm=confirm,
            facts=Facts(changes),
        )
        now = allowed(mode, effect, environment, who, may_act, approved, confirm, changes)
        then = allowed(mode, effect, environment, who, may_act, True, confirm, changes)
        expected = "allow" if now else "ask" if then else "deny"
        if decision.outcome != expected:
            wrong.append((combination, decision, expected))
    assert not wrong[:5]


NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
holds = st.one_of(st.none(), st.just(Hold(NOON, "it holds")))


@given(
    mode=st.sampled_from(MODES),
    effect=st.sampled_from(Effect),
    environment=st.sampled_from(ENVIRONMENTS),
    who=st.sampled_from(PRINCIPALS),
    may_act=st.booleans(),
    approved=st.booleans(),
    confirm=st.booleans(),
    facts=st.builds(Facts, st.sampled_from([0, 5, 6]), holds, holds, holds),
)
@settings(max_examples=600)
def test_what_holds_the_hands_still_means_what_the_reference_says(
    mode: Mode,
    effect: Effect,
    environment: str,
    who: Principal,
    may_act: bool,
    approved: bool,
    confirm: bool,
    facts: Facts,
) -> None:
    """Windows and breakers forbid everybody but a person; a cooldown only what nobody would have been asked for."""

    def may(*, approved: bool, cooldown: bool, maintenance: bool = facts.maintenance is not None) -> bool:
        if not allowed(mode, effect, environment, who, may_act, approved, confirm, facts.changes):
            return False
        if effect is Effect.READ or who.kind == "person":
            return True
        return not maintenance and facts.breaker is None and not (cooldown and not approved)

    cooling = facts.cooldown is not None
    if may(approved=approved, cooldown=cooling):
        expected, until = "allow", None
    elif may(approved=approved, cooldown=False):
        expected, until = "deny", NOON
    elif may(approved=True, cooldown=cooling):
        expected, until = "ask", None
    else:
        passes = may(approved=True, cooldown=False, maintenance=False) and facts.maintenance is not None
        expected, until = "deny", NOON if passes else None

    said = POLICIES[mode].decide(
        effect,
        resource(environment=environment, may_act=may_act),
        who,
        tool="t",
        approved=approved,
        confirm=confirm,
        facts=facts,
    )

    assert (said.outcome, said.until) == (expected, until), said
    holding = {"maintenance": facts.maintenance, "cooldown": facts.cooldown, "breaker/t": facts.breaker}
    if said.policy in holding:
        assert (said.outcome, said.reason) == ("deny", "it holds")
        assert holding[said.policy] is not None
    acts = said.outcome == "allow" and effect is not Effect.READ and who.kind == "person"
    assert bool(said.warnings) == (acts and (any(holding.values()) or facts.changes >= LIMIT))


cells = st.sampled_from(["allow", "ask", "deny"])
tables = st.dictionaries(
    st.sampled_from(["production", "staging", "lab", "qa", "größe", 'quo"te']),
    st.dictionaries(st.sampled_from(Effect), cells),
    max_size=4,
)


@given(
    table=tables, effect=st.sampled_from(Effect), environment=st.sampled_from(["production", "qa", "größe", 'quo"te'])
)
def test_any_table_means_what_it_says(table: Any, effect: Effect, environment: str) -> None:
    policy = Policy(PolicySettings(table=table), "auto")
    default = DEFAULT_TABLE["production"] | {e.value: outcome for e, outcome in table.get("production", {}).items()}
    base = DEFAULT_TABLE["production"] if environment in table else default
    expected = (dict(base) | {e.value: outcome for e, outcome in table.get(environment, {}).items()})[effect.value]
    assert policy.decide(effect, resource(environment=environment), LOOP).outcome == expected


def test_an_unknown_environment_is_production() -> None:
    for effect in Effect:
        unknown = POLICIES["auto"].decide(effect, resource(environment="who-knows"), LOOP)
        assert unknown == POLICIES["auto"].decide(effect, resource(environment="production"), LOOP)


@pytest.mark.parametrize(("may_act", "who", "policy"), [(False, LOOP, "not-permitted"), (True, VIEWER, "role")])
def test_nobody_is_asked_for_an_approval_that_would_not_help(may_act: bool, who: Principal, policy: str) -> None:
    decision = POLICIES["approve"].decide(Effect.REVERSIBLE, resource(may_act=may_act), who)
    assert (decision.outcome, decision.policy) == ("deny", policy)
    assert decision.approvers == frozenset()


def test_a_decision_to_ask_says_why_and_who_may_approve() -> None:
    decision = POLICIES["approve"].decide(Effect.REVERSIBLE, resource(), LOOP)
    assert (decision.outcome, decision.policy) == ("ask", "mode/approve")
    assert "waits for a person" in decision.reason
    assert "approver" in decision.approvers


def test_a_decision_names_the_cell_that_made_it() -> None:
    auto = POLICIES["auto"]
    assert auto.decide(Effect.REVERSIBLE, resource(), LOOP).policy == "lab/reversible"
    assert auto.decide(Effect.REVERSIBLE, resource(environment="production"), LOOP).policy == "production/reversible"
    destructive = auto.decide(Effect.DESTRUCTIVE, resource(environment="unheard-of"), LOOP)
    assert (destructive.outcome, destructive.policy) == ("deny", "production/destructive")


def with_cedar(tmp_path: Path, cedar: str, mode: Mode = "auto") -> Policy:
    file = tmp_path / "policy.cedar"
    file.write_text(cedar)
    return Policy(PolicySettings(cedar=file), mode)


def test_a_forbid_of_the_user_is_honoured(tmp_path: Path) -> None:
    policy = with_cedar(
        tmp_path,
        '@id("no-flush") @reason("We never flush.") forbid(principal, action, resource) '
        'when { context.tool == "redis_flush" };',
    )
    decision = policy.decide(Effect.REVERSIBLE, resource(), ADA, tool="redis_flush", approved=True)
    assert (decision.outcome, decision.policy, decision.reason) == ("deny", "no-flush", "We never flush.")
    assert policy.decide(Effect.REVERSIBLE, resource(), ADA, tool="redis_purge", approved=True).outcome == "allow"


def test_a_forbid_of_the_user_that_approval_lifts_asks_and_says_why(tmp_path: Path) -> None:
    policy = with_cedar(
        tmp_path,
        '@id("sundays") @reason("Today somebody must agree.") forbid(principal, action, resource) '
        "unless { context.approved };",
    )
    decision = policy.decide(Effect.REVERSIBLE, resource(), LOOP)
    assert (decision.outcome, decision.policy, decision.reason) == ("ask", "sundays", "Today somebody must agree.")


def test_whatever_restarts_something_can_be_asked_for_and_what_does_not_is_not(tmp_path: Path) -> None:
    """A terminated session, a reload and a command within a container restart nothing."""
    policy = with_cedar(
        tmp_path,
        '@id("asked") forbid(principal, action, resource) when { context.restarts && !context.approved };',
    )
    tools = Registry.installed().tools
    names = ("postgres_restart", "postgres_scale_connections", "redis_restart", "docker_restart", "docker_start")
    for name in (*names, "service_restart"):
        facts = Facts(restarts=tools[name].revives)
        assert policy.decide(Effect.REVERSIBLE, resource(), LOOP, tool=name, facts=facts).outcome == "ask", name
    for name in ("postgres_kill_idle_sessions", "postgres_kill_long_queries", "nginx_reload", "redis_own_folder"):
        facts = Facts(restarts=tools[name].revives)
        assert policy.decide(Effect.REVERSIBLE, resource(), LOOP, tool=name, facts=facts).outcome == "allow", name


def test_a_permit_of_the_user_lifts_no_forbid(tmp_path: Path) -> None:
    policy = with_cedar(tmp_path, '@id("all") permit(principal, action, resource);')
    assert policy.decide(Effect.DESTRUCTIVE, resource(environment="production"), LOOP).outcome == "allow"
    assert policy.decide(Effect.REVERSIBLE, resource(may_act=False), LOOP).outcome == "deny"


@pytest.mark.parametrize(
    "cedar",
    [
        "forbid(principal, action, resource",
        "forbid(principal, action, resource) when { context.nothing > 3 };",
        'forbid(principal, action == Action::"delete", resource);',
        "forbid(principal, action, resource) when { resource.environment > 3 };",
    ],
)
def test_invalid_cedar_is_a_configuration_error(tmp_path: Path, cedar: str) -> None:
    with pytest.raises(ConfigurationError, match="policy"):
        with_cedar(tmp_path, cedar)


def test_a_policy_file_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.cedar cannot be read"):
        Policy(PolicySettings(cedar=tmp_path / "nowhere.cedar"), "auto")


@pytest.mark.parametrize("name", ["jürgen", 'o"neil', "back\\slash", "tab\there", "日本", "o'hara", "\x07"])
def test_any_name_of_person_and_resource_can_be_judged(name: str) -> None:
    who = Principal("person", name, "operator")
    assert POLICIES["auto"].decide(Effect.REVERSIBLE, resource(name), who).outcome == "allow"


def test_the_limit_can_be_set() -> None:
    policy = Policy(PolicySettings(changes_per_hour=1), "auto")
    assert policy.decide(Effect.REVERSIBLE, resource(), LOOP, facts=Facts(0)).outcome == "allow"
    assert policy.decide(Effect.REVERSIBLE, resource(), LOOP, facts=Facts(1)).outcome == "ask"


@pytest.mark.parametrize("mode", ["auto", "approve"])
def test_over_the_limit_a_person_is_asked_and_told_how_many_it_would_be(mode: Mode) -> None:
    over = Facts(LIMIT)
    said = POLICIES[mode].decide(Effect.REVERSIBLE, resource(), LOOP, facts=over)
    assert (said.outcome, said.policy) == ("ask", "limit/changes-per-hour")
    assert said.reason.startswith("This would be change 7 of it within an hour; unasked it makes 6")
    assert POLICIES[mode].decide(Effect.REVERSIBLE, resource(), LOOP, facts=over, approved=True).outcome == "allow"
    denied = POLICIES[mode].decide(Effect.DESTRUCTIVE, resource(environment="production"), LOOP, facts=over)
    assert (denied.outcome, denied.policy) == ("deny", "production/destructive")


def test_two_people_are_needed_where_the_configuration_wants_it() -> None:
    policy = Policy(PolicySettings(two_people=[Effect.DESTRUCTIVE]), "auto")
    assert policy.needs_two(Effect.DESTRUCTIVE)
    assert not policy.needs_two(Effect.DISRUPTIVE)


def test_a_policy_can_name_a_role(tmp_path: Path) -> None:
    forbid = """
        @id("own/no-operator")
        forbid(principal in Role::"operator", action, resource);
    """
    said = with_cedar(tmp_path, forbid, "auto")
    lab = resource(environment="lab")
    assert said.decide(Effect.REVERSIBLE, lab, ADA).policy == "own/no-operator"
    assert said.decide(Effect.REVERSIBLE, lab, Principal("person", "ada", "approver")).outcome == "allow"


@pytest.mark.parametrize(("role", "own"), [("viewer", False), ("operator", False), ("approver", True), ("admin", True)])
def test_only_who_may_approve_needs_nobody_elses_approval(role: Any, own: bool) -> None:
    assert POLICIES["auto"].approves(Principal("person", "ada", role)) is own
    assert not POLICIES["auto"].approves(Principal("agent", "ada", role))
