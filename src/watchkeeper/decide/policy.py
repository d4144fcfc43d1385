"""Policy: the user's table, compiled to Cedar, and what stands beside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cedarpy

from watchkeeper.domain import ConfigurationError, Decision, Effect, Hold, Outcome, Principal, Resource
from watchkeeper.domain.access import MAY
from watchkeeper.settings import Mode, PolicySettings

SCHEMA = """
entity Role;
entity Principal in [Role] { kind: String, name: String, role: String };
entity Resource { provider: String, environment: String, kind: String, name: String, slug: String, may_act: Bool };
action read, reversible, disruptive, destructive appliesTo {
  principal: Principal,
  resource: Resource,
  context: {
    approved: Bool, confirm: Bool, mode: String, tool: String, changes_last_hour: Long, changes_limit: Long,
    in_maintenance: Bool, cooldown: Bool, breaker_open: Bool, healer_at_work: Bool,
    restarts: Bool
  }
};
"""
CHANGES = '[Action::"reversible", Action::"disruptive", Action::"destructive"]'
BESIDE = f"""
@id("not-permitted")
@reason("Nothing permits changes to it.")
forbid(principal, action in {CHANGES}, resource) when {{ !resource.may_act }};

@id("role")
@reason("A viewer may only look.")
forbid(principal, action in {CHANGES}, resource) when {{ principal.role == "viewer" }};

@id("mode/observe")
@reason("In mode observe it never acts by itself.")
forbid(principal, action in {CHANGES}, resource) when {{ context.mode == "observe" && principal.kind != "person" }};

@id("maintenance")
@reason("Within a maintenance window nothing is changed by itself.")
forbid(principal, action in {CHANGES}, resource) when {{ context.in_maintenance && principal.kind != "person" }};

@id("healer")
@reason("It is for somebody else to bring it back, or to bring back what it needs.")
forbid(principal, action in {CHANGES}, resource)
when {{ context.healer_at_work && principal.kind != "person" && !context.approved }};

@id("breaker")
@reason("The tool failed too often in a row.")
forbid(principal, action in {CHANGES}, resource) when {{ context.breaker_open && principal.kind != "person" }};

@id("cooldown")
@reason("A fix has failed nearby a short while ago.")
forbid(principal, action in {CHANGES}, resource)
when {{ context.cooldown && principal.kind != "person" && !context.approved }};

@id("mode/approve")
@reason("In mode approve every change waits for a person.")
forbid(principal, action in {CHANGES}, resource) when {{ context.mode == "approve" && !context.approved }};

@id("confirm")
@reason("Nobody can tell whether this was wanted: a person must say.")
forbid(principal, action, resource) when {{ context.confirm && !context.approved }};

@id("limit/changes-per-hour")
@reason("The number of changes that are made to one resource within an hour unasked is reached.")
forbid(principal, action in {CHANGES}, resource)
when {{ principal.kind != "person" && context.changes_last_hour >= context.changes_limit && !context.approved }};
"""
LIMIT = "limit/changes-per-hour"
_FIRST = (
    "not-permitted",
    "role",
    "mode/observe",
    "maintenance",
    "healer",
    "breaker",
    "confirm",
    LIMIT,
    "mode/approve",
    "cooldown",
)
"""Where several forbid, the one that is told: the one that would have to change first."""


def compile_table(table: Mapping[str, Mapping[str, Outcome]]) -> str:
    """The table in Cedar: a permit for each `allow`, a permit with `context.approved` for each `ask`, else nothing.

    An environment that has no row is treated as production.
    """
    known = ", ".join(literal(name) for name in table if name != "production")
    policies: list[str] = []
    for environment, row in table.items():
        if environment == "production":
            where = f"!([{known}].contains(resource.environment))"
        else:
            where = f"resource.environment == {literal(environment)}"
        for effect, outcome in row.items():
            if outcome == "deny":
                continue
            also = " && context.approved" if outcome == "ask" else ""
            policies.append(
                f"@id({literal(f'{environment}/{effect}')})\n"
                f'permit(principal, action == Action::"{effect}", resource) when {{ {where}{also} }};'
            )
    return "\n".join(policies)


@dataclass(frozen=True, slots=True)
class Facts:
    """What policy is told of one call beside the call itself.

    `changes`: how many changes the resource has seen within the last hour. The others: what holds now, or None.
    """

    changes: int = 0
    maintenance: Hold | None = None
    cooldown: Hold | None = None
    breaker: Hold | None = None
    healer: Hold | None = None
    mode: str | None = None
    """None: as configured."""
    restarts: bool = False
    """The tool starts or restarts what something runs on."""

    def hold(self, policy: str) -> Hold | None:
        return {
            "maintenance": self.maintenance,
            "cooldown": self.cooldown,
            "breaker": self.breaker,
            "healer": self.healer,
        }.get(policy)


NOTHING = Facts()


@dataclass(frozen=True)
class _Answer:
    allowed: bool
    ids: tuple[str, ...]


def _not_permitted(resource: Resource) -> str:
    """With what a person would write to permit it."""
    entry = f"- {{name: {resource.slug}, kind: {resource.kind}, act: true}}"
    label = ", or label its container watchkeeper.act=true" if resource.provider == "docker" else ""
    return f"Nothing permits changes to it: write `{entry}` under `resources` in watchkeeper.yaml{label}."


class Policy:
    """Says allow, ask or deny of one call. Raises ConfigurationError when made from policies that do not validate."""

    def __init__(self, settings: PolicySettings, mode: Mode) -> None:
        self.mode: Mode = mode
        self.settings = settings
        self.table = settings.merged()
        self.cedar = compile_table(self.table) + BESIDE + _users(settings.cedar)
        checked: Any = cedarpy.validate_policies(self.cedar, SCHEMA)  # pyright: ignore[reportUnknownMemberType]
        if not checked.validation_passed:
            said = "; ".join(dict.fromkeys(error.error for error in checked.errors))
            raise ConfigurationError(f"The policy is not valid: {said}.", "docs/policy.md shows the schema.")
        self._policies = cedarpy.PolicySet.from_str(self.cedar)
        self._schema = cedarpy.Schema.from_str(SCHEMA)
        self._reasons = _reasons(self.cedar)

    def decide(
        self,
        effect: Effect,
        resource: Resource,
        principal: Principal,
        *,
        tool: str = "",
        approved: bool = False,
        confirm: bool = False,
        facts: Facts = NOTHING,
    ) -> Decision:
        """Denied, and allowed once approved, means that it needs approval; denied either way means denied: nobody is
        sent to seek an approval that would not help.
        """
        context = {
            "approved": approved,
            "confirm": confirm,
            "mode": facts.mode or self.mode,
            "tool": tool,
            "changes_last_hour": facts.changes,
            "changes_limit": self.settings.changes_per_hour,
            "in_maintenance": facts.maintenance is not None,
            "cooldown": facts.cooldown is not None,
            "breaker_open": facts.breaker is not None,
            "healer_at_work": facts.healer is not None,
            "restarts": facts.restarts,
        }
        first = self._ask(effect, resource, principal, context)
        name = first.ids[0] if first.ids else f"{self._row(resource)}/{effect}"
        if first.allowed:
            warnings = self._warnings(facts) if effect is not Effect.READ and principal.kind == "person" else ()
            return Decision("allow", name, f"{effect} is allowed on {self._row(resource)}.", warnings=warnings)
        if name in ("maintenance", "cooldown", "healer"):
            without = self.decide(
                effect,
                resource,
                principal,
                tool=tool,
                approved=approved,
                confirm=confirm,
                facts=replace(facts, **{name: None}),
            )
            for_good = without.outcome == "deny" and without.until is None
            asks = name == "cooldown" and without.outcome == "ask"  # it holds back only what nobody would be asked for
            return without if for_good or asks else self._held(name, tool, facts)
        if not approved:
            second = self._ask(effect, resource, principal, context | {"approved": True})
            if second.allowed:
                because = first.ids[0] if first.ids else second.ids[0]  # whatever forbade it, approval lifts
                reason = self._reasons.get(because) or f"{effect} on {self._row(resource)} needs a person's approval."
                if because == LIMIT:
                    reason = self._over_the_limit(facts)
                return Decision("ask", because, reason, frozenset(MAY["approve"]))
            first = second
            name = first.ids[0] if first.ids else f"{self._row(resource)}/{effect}"
        if name == "breaker":
            return self._held(name, tool, facts)
        if name == "not-permitted":
            return Decision("deny", name, _not_permitted(resource))
        reason = self._reasons.get(name) or f"{effect} is not allowed on {self._row(resource)}."
        return Decision("deny", name, reason)

    def _held(self, name: str, tool: str, facts: Facts) -> Decision:
        """Denied for now. A breaker has no time of its own to wait for: another tool may help meanwhile."""
        hold = facts.hold(name)
        if hold is None:
            raise ValueError(f"nothing holds: {name}")
        if name == "breaker":
            return Decision("deny", f"breaker/{tool}", hold.reason)
        return Decision("deny", name, hold.reason, until=hold.until)

    def _warnings(self, facts: Facts) -> tuple[str, ...]:
        said = [
            hold.reason for hold in (facts.maintenance, facts.breaker, facts.cooldown, facts.healer) if hold is not None
        ]
        if facts.changes >= self.settings.changes_per_hour:
            said.append(f"{facts.changes} changes were made here within the last hour")
        return tuple(said)

    def _over_the_limit(self, facts: Facts) -> str:
        limit = self.settings.changes_per_hour
        return (
            f"This would be change {facts.changes + 1} of it within an hour; unasked it makes {limit or 'none'} "
            "(policy.changes_per_hour). Approve it if you want it."
        )

    def needs_two(self, effect: Effect) -> bool:
        """Whether what a person submits with this effect needs another person besides."""
        return effect in self.settings.two_people

    def approves(self, principal: Principal) -> bool:
        """Whether what they submit needs nobody else's approval: an agent's and an operator's does."""
        return principal.kind == "person" and principal.role in MAY["approve"]

    def _row(self, resource: Resource) -> str:
        return resource.environment if resource.environment in self.table else "production"

    def _ask(self, effect: Effect, resource: Resource, principal: Principal, context: dict[str, Any]) -> _Answer:
        who = {"kind": principal.kind, "name": principal.name, "role": principal.role}
        role = {"type": "Role", "id": principal.role}
        what = {
            "provider": resource.provider,
            "environment": resource.environment,
            "kind": resource.kind,
            "name": resource.name,
            "slug": resource.slug,
            "may_act": resource.may_act,
        }
        entities: list[dict[Any, Any]] = [
            {"uid": {"type": "Principal", "id": principal.id}, "attrs": who, "parents": [role]},
            {"uid": role, "attrs": {}, "parents": []},
            {"uid": {"type": "Resource", "id": resource.id}, "attrs": what, "parents": []},
        ]
        request = {
            "principal": f"Principal::{literal(principal.id)}",
            "action": f'Action::"{effect}"',
            "resource": f"Resource::{literal(resource.id)}",
            "context": context,
        }
        answer: Any = cedarpy.is_authorized(request, self._policies, entities, self._schema)  # pyright: ignore[reportUnknownMemberType]
        if answer.diagnostics.errors:
            return _Answer(False, ("policy-error",))
        named: dict[str, str] = answer.diagnostics.id_annotations_by_reason
        ids: list[str] = [named.get(reason) or reason for reason in answer.diagnostics.reasons]
        return _Answer(answer.allowed, tuple(sorted(ids, key=lambda i: _FIRST.index(i) if i in _FIRST else -1)))


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "'": "\\'", "\0": "\\0"}


def literal(text: str) -> str:
    """A string literal of Cedar, in its normal form; its escapes are not JSON's."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in text) + '"'


def _users(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return "\n" + path.read_text()
    except OSError as problem:
        raise ConfigurationError(f"The policy file {path} cannot be read: {problem.strerror}.") from None


def _reasons(cedar: str) -> dict[str, str]:
    """`@id` → `@reason`, from Cedar's own parser."""
    policies: dict[str, Any] = json.loads(cedarpy.policies_to_json_str(cedar))
    annotations = [p.get("annotations", {}) for p in policies.get("staticPolicies", {}).values()]
    return {a["id"]: a["reason"] for a in annotations if "id" in a and "reason" in a}
