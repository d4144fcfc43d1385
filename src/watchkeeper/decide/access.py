"""Who may what, besides what policy says of steps: roles as groups in Cedar, and the user's own policies."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cedarpy

from watchkeeper.decide.policy import literal
from watchkeeper.domain import ConfigurationError, Principal
from watchkeeper.domain.access import MAY

_ROLES = "entity Role;\nentity Principal in [Role] { kind: String, name: String, role: String };\nentity System;\n"
_APPLIES = "appliesTo { principal: Principal, resource: System }"
_SYSTEM = {"type": "System", "id": "watchkeeper"}
NEVER = """
@id("access/people-only")
@reason("An agent never approves, and administers nothing.")
forbid(principal, action in [Action::"approve", Action::"administer"], resource) when { principal.kind != "person" };

@id("access/senders-only-send")
@reason("A sender may push profiles, records and labels, and nothing else.")
forbid(principal in Role::"sender", action in [Action::"submit", Action::"operate", Action::"approve",
  Action::"administer"], resource);
"""
"""What no policy of the user's lifts."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """By which policy, and why; both empty where nothing permits it."""

    policy: str = ""
    reason: str = ""


class Access:
    """`operations`: what there is to be done, by the group that permits it by default. Raises ConfigurationError for
    policies that do not fit."""

    def __init__(self, path: Path | None, operations: Mapping[str, Iterable[str]]) -> None:
        self._known = {name for names in operations.values() for name in names} | set(MAY)
        self.schema = _ROLES + "".join(f"action {literal(group)} {_APPLIES};\n" for group in MAY)
        self.schema += "".join(
            f"action {literal(name)} in [{literal(group)}] {_APPLIES};\n"
            for group, names in sorted(operations.items())
            for name in sorted(set(names) - set(MAY))
        )
        self.cedar = _defaults() + NEVER + _read(path)
        checked: Any = cedarpy.validate_policies(self.cedar, self.schema)  # pyright: ignore[reportUnknownMemberType]
        if not checked.validation_passed:
            said = "; ".join(dict.fromkeys(error.error for error in checked.errors))
            raise ConfigurationError(
                f"policy.access, {path}: the policy is not valid: {said}.", "docs/access.md shows what it may name."
            )
        self._policies = cedarpy.PolicySet.from_str(self.cedar)
        self._schema = cedarpy.Schema.from_str(self.schema)
        known: dict[str, Any] = json.loads(cedarpy.policies_to_json_str(self.cedar))
        said = [policy.get("annotations", {}) for policy in known.get("staticPolicies", {}).values()]
        self._reasons = {one["id"]: one["reason"] for one in said if "id" in one and "reason" in one}

    def refusal(self, who: Principal, group: str, operation: str | None = None) -> Refusal | None:
        """None where they may. An operation that is not known is asked for as its group."""
        action = operation if operation in self._known else group
        role = {"type": "Role", "id": who.role}
        entities: list[dict[Any, Any]] = [
            {
                "uid": {"type": "Principal", "id": who.id},
                "attrs": {"kind": who.kind, "name": who.name, "role": who.role},
                "parents": [role],
            },
            {"uid": role, "attrs": {}, "parents": []},
            {"uid": _SYSTEM, "attrs": {}, "parents": []},
        ]
        request: dict[str, Any] = {
            "principal": f"Principal::{literal(who.id)}",
            "action": f"Action::{literal(action or group)}",
            "resource": 'System::"watchkeeper"',
            "context": {},
        }
        answer: Any = cedarpy.is_authorized(request, self._policies, entities, self._schema)  # pyright: ignore[reportUnknownMemberType]
        if answer.allowed and not answer.diagnostics.errors:
            return None
        named: dict[str, str] = answer.diagnostics.id_annotations_by_reason
        ids = [named.get(reason) or reason for reason in answer.diagnostics.reasons]
        return Refusal(ids[0], self._reasons.get(ids[0], "")) if ids else Refusal()

    def allows(self, who: Principal, group: str, operation: str | None = None) -> bool:
        return self.refusal(who, group, operation) is None


def _defaults() -> str:
    """The roles as they are without any policy of the user's."""
    return "\n".join(
        f"@id({literal(f'access/{group}')})\npermit(principal, action in Action::{literal(group)}, resource)\n"
        f"when {{ principal in [{', '.join(f'Role::{literal(role)}' for role in roles)}] }};"
        for group, roles in MAY.items()
    )


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return "\n" + path.read_text()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"policy.access: {path} cannot be read: {problem}.") from None
