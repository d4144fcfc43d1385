"""Every connector there is: ours and those of other packages, found by entry point."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from watchkeeper.connectors.definitions import load_rules, load_runbooks
from watchkeeper.domain import (
    ConfigurationError,
    Connector,
    HearsModels,
    NotFound,
    Reading,
    Resource,
    Rule,
    Runbook,
    Tool,
)
from watchkeeper.settings import ResourceSettings

Origin = Literal["packaged", "file", "changed", "learned"]


class Registry:
    """The connectors by kind, and what they bring, by name."""

    def __init__(self, connectors: Iterable[Connector[Any]]) -> None:
        self._by_kind: dict[str, Connector[Any]] = {}
        self._own_rules: tuple[Rule, ...] = ()
        self._own_runbooks: tuple[Runbook, ...] = ()
        self._learned: tuple[Runbook, ...] = ()
        self._changed: tuple[Runbook, ...] = ()
        self._left_out: tuple[str, ...] = ()
        self._own_metrics: dict[str, dict[str, float]] = {}
        self.broken: dict[str, str] = {}
        """Entry points that could not be loaded, and why: told by `doctor`, the rest goes on."""
        for connector in connectors:
            self.add(connector)

    @classmethod
    def installed(cls) -> "Registry":
        """All connectors of the entry point group `watchkeeper.connectors`."""
        registry = cls(())
        for entry in entry_points(group="watchkeeper.connectors"):
            try:
                registry.add(entry.load())
            except ConfigurationError as problem:
                registry.broken[entry.name] = str(problem)
            except Exception as problem:
                registry.broken[entry.name] = f"{type(problem).__name__}: {problem}"
        return registry

    def add(self, connector: Connector[Any]) -> None:
        """Raises ConfigurationError where a name of its is taken already."""
        if connector.kind in self._by_kind:
            raise ConfigurationError(f"Two connectors call themselves `{connector.kind}`.", "Uninstall one of them.")
        for tool in connector.tools:
            if tool.name in self.tools:
                raise ConfigurationError(f"Two connectors bring a tool `{tool.name}`.", "Uninstall one of them.")
        self._by_kind[connector.kind] = connector

    def hear(self, predictions: Any) -> None:
        """From now on this takes what model servers push."""
        for kind, connector in list(self._by_kind.items()):
            if isinstance(connector, HearsModels):
                self._by_kind[kind] = connector.hearing(predictions)

    def measure(self, resources: Iterable[ResourceSettings]) -> None:
        """From now on the user's own rules and runbooks may name the user's own metrics."""
        for said in resources:
            for kind in [said.kind] if said.kind else self._by_kind:
                self._own_metrics.setdefault(kind, {}).update(dict.fromkeys(said.metrics, 1.0))

    def sample(self, kind: str) -> Reading:
        """An example of a reading, with the user's own metrics. Raises NotFound."""
        sample = self.kind(kind).sample
        own = self._own_metrics.get(kind)
        return replace(sample, metrics={**own, **sample.metrics}) if own else sample

    def extend(self, folder: Path) -> None:
        """Add a user's own rules and runbooks: `KIND/rules.yaml`, `KIND/runbooks/*.md`. One that bears the name of a
        shipped one takes its place. Raises ConfigurationError."""
        if not folder.is_dir():
            raise ConfigurationError(
                f"The folder of runbooks {folder} is not there.", "Set `runbooks:` to one that is."
            )
        for part in sorted(path for path in folder.iterdir() if path.is_dir()):
            connector = self._by_kind.get(part.name)
            if connector is None:
                kinds = ", ".join(self._by_kind)
                raise ConfigurationError(f"{part}: there is no connector `{part.name}`.", f"Installed: {kinds}.")
            sample = self.sample(part.name)
            try:
                if (part / "rules.yaml").exists():
                    self._own_rules += load_rules(part / "rules.yaml", kind=part.name, sample=sample)
                self._own_runbooks += load_runbooks(
                    part / "runbooks", kind=part.name, sample=sample, tools=connector.tools
                )
            except ConfigurationError as problem:
                raise ConfigurationError(f"{part}: {problem.what}", problem.next_step) from None

    def leave_out(self, names: Sequence[str]) -> None:
        """From now on there are no runbooks of these names: `KIND/NAME`, globs allowed. Raises ConfigurationError where
        one leaves out nothing."""
        known = [f"{runbook.kind}/{runbook.name}" for runbook in self.runbooks]
        for name in names:
            if not any(fnmatchcase(one, name) for one in known):
                near = difflib.get_close_matches(name, known, n=1) or [k for k in known if k.endswith(f"/{name}")]
                hint = f"; did you mean `{near[0]}`?" if near else "."
                raise ConfigurationError(
                    f"without_runbooks: there is no runbook `{name}`{hint}",
                    "Write KIND/NAME; `watchkeeper runbooks` lists them.",
                )
        self._left_out = tuple(names)

    def __iter__(self) -> Iterator[Connector[Any]]:
        return iter(self._by_kind.values())

    def of(self, resource: Resource) -> Connector[Any]:
        """The connector for a resource. Raises NotFound."""
        return self.kind(resource.kind)

    def kind(self, kind: str) -> Connector[Any]:
        """Raises NotFound."""
        if kind not in self._by_kind:
            raise NotFound(f"No connector for `{kind}` is installed.", f"Installed: {', '.join(self._by_kind)}.")
        return self._by_kind[kind]

    @property
    def tools(self) -> Mapping[str, Tool[Any]]:
        return {tool.name: tool for connector in self for tool in connector.tools}

    @property
    def kind_of_tool(self) -> Mapping[str, str]:
        return {tool.name: connector.kind for connector in self for tool in connector.tools}

    @property
    def runbooks(self) -> tuple[Runbook, ...]:
        """Those in force: what somebody has written while it runs stands in the place of the one of its name, or first;
        then the user's own, and last those that were learned here."""
        changed = {(runbook.kind, runbook.name): runbook for runbook in self._changed}
        known = [changed.pop((runbook.kind, runbook.name), runbook) for runbook in self.settled]
        return (*changed.values(), *known)

    @property
    def settled(self) -> tuple[Runbook, ...]:
        """The same without what somebody has changed while it runs."""
        taken = {(runbook.kind, runbook.name) for runbook in self._own_runbooks}
        shipped = (runbook for connector in self for runbook in connector.runbooks)
        known = (*self._own_runbooks, *(r for r in shipped if (r.kind, r.name) not in taken))
        names = {runbook.name for runbook in known}
        there = (*known, *(runbook for runbook in self._learned if runbook.name not in names))
        if not self._left_out:
            return there
        return tuple(r for r in there if not any(fnmatchcase(f"{r.kind}/{r.name}", out) for out in self._left_out))

    def origin(self, runbook: Runbook) -> Origin:
        """Where a runbook comes from."""
        places: tuple[tuple[Origin, tuple[Runbook, ...]], ...] = (
            ("changed", self._changed),
            ("file", self._own_runbooks),
            ("learned", self._learned),
        )
        for name, found in places:
            if any(one is runbook for one in found):
                return name
        return "packaged"

    def learn(self, runbooks: Iterable[Runbook]) -> None:
        """From now on these are those that were learned here; one that bears the name of another is left out."""
        self._learned = tuple(runbooks)

    def change(self, runbooks: Iterable[Runbook]) -> None:
        """From now on these are those that somebody has written while it runs."""
        self._changed = tuple(runbooks)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The user's own first."""
        taken = {rule.id for rule in self._own_rules}
        shipped = (rule for connector in self for rule in connector.rules)
        return (*self._own_rules, *(rule for rule in shipped if rule.id not in taken))
