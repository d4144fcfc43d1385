"""Scenarios: what is broken (or only looks so), and what a right answer is. One YAML file each, in `scenarios/`."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

import yaml

from watchkeeper_lab import disk, namespaces
from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.services import Ground
from watchkeeper_lab.stack import SHOP, Stack
from watchkeeper_lab.survivors import SURVIVORS

Expected = Literal["healed", "escalated", "no_action"]
FIELDS = {
    "name", "kind", "description", "root", "roots", "one_incident", "accepted_tools", "expect", "ends", "survives",
    "unless_logged", "needs", "because", "seconds", "names", "unscraped", "unforeseen", "foreseen_by", "script",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Root:
    """The resource that is at the root of a fault: its kind and its service; `shop` means any replica of it."""

    kind: str
    service: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, as its file tells it.

    `roots` are empty for a control; `root:` in a file is short for one. Several roots are several faults at once, each
    with an incident of its own or named by a common one. `one_incident` is a cascade: what follows from the root joins
    its incident. `expect` is the right answer; a fault may be one that is to be escalated, with no tool accepted.
    `unscraped` is why no usual exporter of Prometheus tells of it, where none does.
    `names` are words that the cause must contain as it is told to people: what it is, and between whom.
    `ends` are services that are to be stopped when it is over, because somebody stopped them on purpose. `survives` are
    things that run through it and through its fix, and have to live: see `watchkeeper_lab.survivors`; but where the
    first root's service logs `unless_logged`, the fault itself has ended them. `needs` is `container` where plain
    processes cannot have it, `disk` where it also takes a disk of PostgreSQL's own, `network` where the containers'
    networks must be handled here as root, `because` of what. `seconds`
    is how long a control is watched, where that is longer than usual: it is then none of the suite `lab`. `unforeseen`
    are faults for which there is no runbook that acts; only the suite of that name runs them, together with those that
    name in `foreseen_by` the runbooks (`KIND/NAME`) that are taken away there. `script` is what the scripted model
    hands in: `steps`, or `nothing`, with a `cause`.
    """

    name: str
    kind: Literal["fault", "control"]
    description: str
    roots: tuple[Root, ...]
    accepted_tools: frozenset[str]
    expect: Expected
    one_incident: bool = False
    ends: Mapping[str, Literal["stopped"]] = field(default_factory=lambda: dict[str, Literal["stopped"]]())
    survives: tuple[str, ...] = ()
    unless_logged: str = ""
    needs: Literal["", "container", "disk", "network"] = ""
    because: str = ""
    seconds: float = 0.0
    names: tuple[str, ...] = ()
    unscraped: str = ""
    unforeseen: bool = False
    foreseen_by: tuple[str, ...] = ()
    script: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())

    @property
    def is_control(self) -> bool:
        """Whether the right answer is to do nothing."""
        return self.kind == "control"

    @property
    def is_long(self) -> bool:
        """Whether it takes so long that it is run only where it is asked for."""
        return self.seconds > 0


def parse(text: str, source: str, stack: Stack = SHOP) -> Scenario:
    """Read one scenario file of a stack; raises `LabError` naming `source` where it is not a valid one."""
    raw: Any = yaml.safe_load(text)
    if not isinstance(raw, dict):
        raise LabError(f"{source} is not a mapping.", "See the other files in the folder.")
    given = cast(dict[str, Any], raw)
    if unknown := sorted(set(given) - FIELDS):
        raise LabError(f"{source}: unknown key `{unknown[0]}`.", f"Known are {', '.join(sorted(FIELDS))}.")
    try:
        roots = [*([given["root"]] if given.get("root") else []), *given.get("roots", [])]
        found = Scenario(
            name=given["name"],
            kind=given["kind"],
            description=given["description"],
            roots=tuple(Root(**root) for root in roots),
            accepted_tools=frozenset(given["accepted_tools"]),
            expect=given["expect"],
            one_incident=given.get("one_incident", False),
            ends=dict(given.get("ends", {})),
            survives=tuple(given.get("survives", [])),
            unless_logged=given.get("unless_logged", ""),
            needs=given.get("needs", ""),
            because=given.get("because", ""),
            seconds=float(given.get("seconds", 0.0)),
            names=tuple(given.get("names", [])),
            unscraped=given.get("unscraped", ""),
            unforeseen=given.get("unforeseen", False),
            foreseen_by=tuple(given.get("foreseen_by", [])),
            script=dict(given.get("script", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LabError(f"{source}: {error} is missing or wrong.", "See the other files in the folder.") from None
    _check(found, source, stack)
    return found


def _check(found: Scenario, source: str, stack: Stack) -> None:
    """Raise `LabError` where its parts contradict each other."""
    right = {"fault": ({"healed", "escalated"}, True), "control": ({"no_action"}, False)}.get(found.kind)
    if right is None or found.expect not in right[0] or bool(found.roots) != right[1]:
        raise LabError(
            f"{source}: kind, expect and root do not fit together.",
            "A fault expects `healed` or `escalated` and has a root; a control expects `no_action` and has none.",
        )
    if bool(found.accepted_tools) != (found.expect == "healed") and not (found.accepted_tools and found.roots):
        raise LabError(f"{source}: accepted_tools and expect do not fit together.", "What is to be healed takes tools.")
    if wrong := sorted({*found.ends.values()} - {"stopped"}):
        raise LabError(f"{source}: `ends: {wrong[0]}` is not known.", "It names services, as in `{redis: stopped}`.")
    known = {*stack.services, *stack.replicas, "machine"}
    if unknown := sorted({*found.ends, *(root.service for root in found.roots)} - known):
        there_are = ", ".join(sorted(stack.services))
        raise LabError(f"{source}: there is no service `{unknown[0]}`.", f"There are {there_are}.")
    if unknown := sorted(set(found.survives) - set(SURVIVORS)):
        raise LabError(f"{source}: nothing called `{unknown[0]}` survives.", f"Known are {', '.join(SURVIVORS)}.")
    if found.unless_logged and not (found.survives and found.roots):
        raise LabError(f"{source}: `unless_logged` excuses nothing.", "It goes with `survives` and a root.")
    if found.seconds and not found.is_control:
        raise LabError(f"{source}: `seconds` is for controls.", "A fault takes as long as it takes.")
    if found.names and not found.roots:
        raise LabError(f"{source}: `names` names no cause.", "It goes with a root.")
    if found.needs not in {"", "container", "disk", "network"} or bool(found.needs) != bool(found.because):
        raise LabError(f"{source}: needs and because do not fit together.", "`needs: container` takes a `because`.")


@cache
def scenarios(stack: Stack = SHOP) -> dict[str, Scenario]:
    """All scenarios of a stack by name, faults first."""
    folder = files("watchkeeper_lab").joinpath(*stack.scenarios.split("/"))
    paths = [path for path in folder.iterdir() if path.name.endswith(".yaml")]
    found = [parse(path.read_text(), path.name, stack) for path in paths]
    return {one.name: one for one in sorted(found, key=lambda one: (one.is_control, one.name))}


def left_out(ground: Ground, stack: Stack = SHOP) -> dict[str, str]:
    """What cannot be had on this ground, and why, by name."""
    lacking = {
        "container": ground != "container",
        "disk": ground != "container" or not disk.possible(),
        "network": ground != "container" or not namespaces.possible(),
    }
    return {one.name: one.because for one in scenarios(stack).values() if lacking.get(one.needs, False)}


def scenario(name: str, ground: Ground | None = None, stack: Stack = SHOP) -> Scenario:
    """The scenario of that name in a stack. An unknown name raises `BadInputError` with the nearest right ones, and so
    does one that cannot be had on this ground."""
    known = scenarios(stack)
    if ground and (why := left_out(ground, stack).get(name)):
        raise BadInputError(
            f"{name} is left out here: it needs a {known[name].needs}: {why}.",
            "`watchkeeper lab faults` lists what there is.",
        )
    if name in known:
        return known[name]
    near = [one for one in known if name and name in one] or difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else f"Known are {', '.join(known)}."
    raise BadInputError(f"There is no fault or control `{name}`.", hint)
