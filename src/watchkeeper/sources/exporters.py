"""What standard exporters call our metrics: `prometheus.yaml` beside each connector, checked in full at load."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watchkeeper.connectors.definitions import from_yaml
from watchkeeper.domain import Condition, ConfigurationError, Connector, Reading
from watchkeeper.domain.complaints import complain

FILE = "prometheus.yaml"
HOLES = ("match", "by", "window")
"""`$match`: the labels that say whose series are meant; `$by`: their names; `$window`: seconds for a rate."""


class _FactFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    query: str
    label: str


class _ExporterFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    exporter: str
    source: str
    finds: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    identity: list[str] = Field(min_length=1)
    metrics: dict[str, str]
    facts: dict[str, _FactFile] = Field(default_factory=dict)
    optional: list[str] = Field(default_factory=list)
    carried: list[str] = Field(default_factory=list)
    suspect: str | None = None


@dataclass(frozen=True, slots=True)
class Exporter:
    """One exporter's names. `finds` is the series that it has once for each server; `identity` the labels that tell
    one server from another. What is `optional` may be absent without anything being wrong; what is `carried` stays
    known while the server is down. Where `suspect` holds, the server itself has more to tell of what is wrong."""

    name: str
    finds: str
    identity: tuple[str, ...]
    metrics: Mapping[str, str]
    facts: Mapping[str, tuple[str, str]]
    """By name: a query, and the label of its series that holds the fact."""
    optional: frozenset[str]
    carried: tuple[str, ...]
    suspect: Condition | None = None


@cache
def _files(path: Path, kind: str) -> tuple[_ExporterFile, ...]:
    try:
        entries: Any = from_yaml(path.read_text()) or []
    except yaml.YAMLError as problem:
        raise ConfigurationError(f"{kind}/{FILE} is not valid YAML: {problem}".replace("\n", " ")) from None
    if not isinstance(entries, list):
        raise ConfigurationError(f"{kind}/{FILE} must be a list of exporters.", "Each begins with `- exporter: name`.")
    found: list[_ExporterFile] = []
    for entry in cast("list[Any]", entries):
        try:
            found.append(_ExporterFile.model_validate(entry))
        except ValidationError as problem:
            raise complain(_ExporterFile, problem, f"{kind}/{FILE}") from None
    return tuple(found)


def exporters_of(connector: Connector[Any]) -> tuple[Exporter, ...]:
    """What is beside the connector's module; empty where there is nothing. Raises ConfigurationError that names file,
    exporter and fault."""
    module = sys.modules.get(type(connector).__module__)
    path = Path(str(module.__file__)).parent / FILE if module is not None and module.__file__ else None
    if path is None or not path.exists():
        return ()
    return parsed(path, connector.kind, connector.sample)


def parsed(path: Path, kind: str, sample: Reading) -> tuple[Exporter, ...]:
    """Every exporter of a file, tried against an example of a reading. Raises ConfigurationError."""
    return tuple(_checked(file, kind, sample) for file in _files(path, kind))


def _checked(file: _ExporterFile, kind: str, sample: Reading) -> Exporter:
    """With every name looked up. Raises ConfigurationError."""
    where = f"{kind}/{FILE}, {file.exporter}"
    for known, names in ((sample.metrics, [*file.metrics, *file.optional, *file.carried]), (sample.facts, file.facts)):
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise ConfigurationError(
                    f"{where}: a reading has no `{name}`" + (f" (did you mean `{near[0]}`?)." if near else ".")
                )
    for name, query in [*file.metrics.items(), *((name, fact.query) for name, fact in file.facts.items())]:
        template = Template(query)
        if not template.is_valid() or "match" not in template.get_identifiers():
            raise ConfigurationError(f"{where}: the query of {name} does not say whose series: {query!r}.", _HOLES)
        if unknown := set(template.get_identifiers()) - set(HOLES):
            raise ConfigurationError(f"{where}: the query of {name} has ${min(unknown)}, which is not known.", _HOLES)
    return Exporter(
        file.exporter,
        file.finds,
        tuple(file.identity),
        dict(file.metrics),
        {name: (fact.query, fact.label) for name, fact in file.facts.items()},
        frozenset(file.optional),
        tuple(file.carried),
        _suspicion(file, where),
    )


def _suspicion(file: _ExporterFile, where: str) -> Condition | None:
    """Raises ConfigurationError where it names what this exporter does not tell."""
    if file.suspect is None:
        return None
    made = Condition(file.suspect)
    if untold := sorted((made.names or frozenset()) - set(file.metrics)):
        raise ConfigurationError(f"{where}: `suspect` names `{untold[0]}`, which is not among its metrics.")
    return made


_HOLES = "It may have $match, $by and $window."


def filled(query: str, *, match: str, by: Sequence[str], window: float) -> str:
    """A query of a file, ready to be asked."""
    return Template(query).substitute(match=match, by=", ".join(by), window=f"{window:.0f}s")
