"""Scenarios: what is broken (or only looks so), and what a right answer is. One YAML file each, in `scenarios/`."""

import difflib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

import yaml

from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.services import Ground

FIELDS = {"name", "kind", "description", "root", "accepted_tools", "expect", "ends", "needs", "because"}


@dataclass(frozen=True, slots=True)
class Root:
    """The resource that is at the root of a fault: its kind and its compose service."""

    kind: str
    service: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, as its file tells it.

    `root` is None for a control. `ends` is how Redis ought to be when it is over: `healthy`, or `stopped` where
    somebody stopped it on purpose. `needs` is `container` where plain processes cannot have it, `because` of what.
    """

    name: str
    kind: Literal["fault", "control"]
    description: str
    root: Root | None
    accepted_tools: frozenset[str]
    expect: Literal["healed", "no_action"]
    ends: Literal["healthy", "stopped"] = "healthy"
    needs: Literal["", "container"] = ""
    because: str = ""

    @property
    def is_control(self) -> bool:
        """Whether the right answer is to do nothing."""
        return self.kind == "control"


def parse(text: str, source: str) -> Scenario:
    """Read one scenario file; raises `LabError` naming `source` where it is not a valid one."""
    raw: Any = yaml.safe_load(text)
    if not isinstance(raw, dict):
        raise LabError(f"{source} is not a mapping.", "See the other files in the folder.")
    given = cast(dict[str, Any], raw)
    if unknown := sorted(set(given) - FIELDS):
        raise LabError(f"{source}: unknown key `{unknown[0]}`.", f"Known are {', '.join(sorted(FIELDS))}.")
    try:
        kind, expect, root = given["kind"], given["expect"], given.get("root")
        found = Scenario(
            name=given["name"],
            kind=kind,
            description=given["description"],
            root=Root(**root) if root else None,
            accepted_tools=frozenset(given["accepted_tools"]),
            expect=expect,
            ends=given.get("ends", "healthy"),
            needs=given.get("needs", ""),
            because=given.get("because", ""),
        )
    except (KeyError, TypeError) as error:
        raise LabError(f"{source}: {error} is missing or wrong.", "See the other files in the folder.") from None
    right = {"fault": ("healed", True), "control": ("no_action", False)}.get(kind)
    if right is None or (expect, root is not None) != right:
        raise LabError(
            f"{source}: kind, expect and root do not fit together.",
            "A fault expects `healed` and has a root; a control expects `no_action` and has none.",
        )
    if found.ends not in {"healthy", "stopped"}:
        raise LabError(f"{source}: `ends: {found.ends}` is not known.", "Known are healthy and stopped.")
    if found.needs not in {"", "container"} or bool(found.needs) != bool(found.because):
        raise LabError(f"{source}: needs and because do not fit together.", "`needs: container` takes a `because`.")
    return found


@cache
def scenarios() -> dict[str, Scenario]:
    """All scenarios by name, faults first."""
    paths = [path for path in (files("watchkeeper_lab") / "scenarios").iterdir() if path.name.endswith(".yaml")]
    found = [parse(path.read_text(), path.name) for path in paths]
    return {one.name: one for one in sorted(found, key=lambda one: (one.is_control, one.name))}


def left_out(ground: Ground) -> dict[str, str]:
    """What cannot be had on this ground, and why, by name."""
    return {one.name: one.because for one in scenarios().values() if one.needs not in ("", ground)}


def scenario(name: str, ground: Ground | None = None) -> Scenario:
    """The scenario of that name; an unknown name raises `BadInputError` with the nearest right ones, and so does one
    that cannot be had on this ground."""
    known = scenarios()
    if ground and (why := left_out(ground).get(name)):
        raise BadInputError(
            f"{name} is left out in a lab of plain processes: it needs a container: {why}.",
            "`watchkeeper lab faults` lists what there is.",
        )
    if name in known:
        return known[name]
    near = [one for one in known if name and name in one] or difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else f"Known are {', '.join(known)}."
    raise BadInputError(f"There is no fault or control `{name}`.", hint)
