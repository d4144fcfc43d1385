"""Rules and runbooks as files: read, checked in full at load, and turned into values.

Everything a condition names is tried against the connector's sample reading, every tool and argument is looked up:
a runbook that could not work is refused when it is loaded, not at three in the morning.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import frontmatter
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watchkeeper.domain import (
    Condition,
    ConfigurationError,
    Health,
    Reading,
    Rule,
    Runbook,
    RungStep,
    Severity,
    Tool,
    scope,
)
from watchkeeper.domain.complaints import complain
from watchkeeper.domain.duration import seconds


class _RuleFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rule: str
    when: str
    clear: str | None = None
    for_: str | float = Field(default="0s", alias="for")
    severity: Severity
    health: Health
    why: str
    source: str
    recommend: str = ""
    runbook: str | None = None
    confirm: bool = False
    explains_host: bool = False
    explains_services: bool = False
    own_cause: bool = False
    metric: str = ""
    threshold: float | None = None
    detail: str = ""


class _StepFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tool: str
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")
    why: str = ""


class RunbookFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    when: str
    cause: str
    ladder: list[list[_StepFile]]
    healed: str | None = None
    confirm: str = ""


M = TypeVar("M", bound=BaseModel)

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there, several times as fast: each start reads what every connector brings."""


def from_yaml(text: str) -> Any:
    """What a YAML text says. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_SAFE)


def _parse(model: type[M], content: Any, where: str) -> M:
    try:
        return model.model_validate(content)
    except ValidationError as problem:
        raise complain(model, problem, where) from None


def define(
    folder: Path, *, kind: str, sample: Reading, tools: Sequence[Tool[Any]]
) -> tuple[tuple[Rule, ...], tuple[Runbook, ...]]:
    """The rules and runbooks in a connector's folder. Raises ConfigurationError that names file and fault."""
    rules = load_rules(folder / "rules.yaml", kind=kind, sample=sample)
    return rules, load_runbooks(folder / "runbooks", kind=kind, sample=sample, tools=tools)


def load_rules(path: Path, *, kind: str, sample: Reading) -> tuple[Rule, ...]:
    """Read a `rules.yaml`. Raises ConfigurationError that names file, rule and fault."""
    return parse_rules(path.read_text(), kind=kind, sample=sample, where=path.name)


def parse_rules(text: str, *, kind: str, sample: Reading, where: str) -> tuple[Rule, ...]:
    """The rules in a YAML text."""
    try:
        entries: Any = from_yaml(text) or []
    except yaml.YAMLError as problem:
        raise ConfigurationError(f"{where} is not valid YAML: {problem}".replace("\n", " ")) from None
    if not isinstance(entries, list):
        raise ConfigurationError(f"{where} must be a list of rules.", "Each begins with `- rule: name`.")
    rules = tuple(_rule(entry, kind, sample, where) for entry in cast("list[Any]", entries))
    names = [rule.id for rule in rules]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f"{where}: the rule {twice} is there twice.", "Give one of them another name.")
    return rules


def _rule(entry: Any, kind: str, sample: Reading, where: str) -> Rule:
    name = cast("dict[str, Any]", entry).get("rule", "?") if isinstance(entry, dict) else "?"
    where = f"{where}, rule {name}"
    file = _parse(_RuleFile, entry, where)
    try:
        when = Condition(file.when)
        clear = Condition(file.clear) if file.clear else None
        for condition in filter(None, (when, clear)):
            condition.check(sample.scope())
        for_seconds = seconds(file.for_)
        if file.detail and file.detail not in sample.facts:
            raise ConfigurationError(
                f"detail: a reading has no fact `{file.detail}`{_nearest(file.detail, sample.facts)}."
            )
        if file.metric and file.metric not in sample.metrics:
            raise ConfigurationError(
                f"metric: a reading has no `{file.metric}`{_nearest(file.metric, sample.metrics)}."
            )
    except ConfigurationError as problem:
        raise ConfigurationError(f"{where}: {problem.what}", problem.next_step) from None
    return Rule(
        id=file.rule,
        kind=kind,
        when=when,
        clear=clear,
        for_seconds=for_seconds,
        severity=file.severity,
        health=file.health,
        why=file.why,
        source=file.source,
        recommend=file.recommend,
        runbook=file.runbook,
        confirm=file.confirm,
        explains_host=file.explains_host,
        explains_services=file.explains_services,
        own_cause=file.own_cause,
        metric=file.metric,
        threshold=file.threshold,
        detail=file.detail,
    )


def load_runbooks(folder: Path, *, kind: str, sample: Reading, tools: Sequence[Tool[Any]]) -> tuple[Runbook, ...]:
    """Read every `*.md` in a folder. Raises ConfigurationError that names file and fault."""
    return tuple(
        parse_runbook(path.read_text(), name=path.stem, kind=kind, sample=sample, tools=tools)
        for path in sorted(folder.glob("*.md"))
    )


def parse_runbook(text: str, *, name: str, kind: str, sample: Reading, tools: Iterable[Tool[Any]]) -> Runbook:
    """One runbook: front matter (`when`, `cause`, `ladder`, `healed`) and, below it, the page for people."""
    where = f"runbook {name}"
    try:
        post = frontmatter.loads(text)
    except yaml.YAMLError as problem:
        raise ConfigurationError(f"{where}: the front matter is not valid YAML: {problem}".replace("\n", " ")) from None
    file = _parse(RunbookFile, post.metadata, where)
    known = {tool.name: tool for tool in tools}
    try:
        when = Condition(file.when)
        when.check(scope(alerts=[{"rule": "", "resource": "", "severity": "", "kind": kind}]))
        healed = Condition(file.healed) if file.healed else None
        if healed:
            healed.check(sample.scope())
        ladder = tuple(tuple(step_of(step, known, sample) for step in rung) for rung in file.ladder)
    except ConfigurationError as problem:
        raise ConfigurationError(f"{where}: {problem.what}", problem.next_step) from None
    return Runbook(name, kind, when, file.cause, ladder, healed, post.content, file.confirm, text)


def step_of(step: _StepFile, known: Mapping[str, Tool[Any]], sample: Reading) -> RungStep:
    tool = known.get(step.tool)
    if tool is None:
        raise ConfigurationError(
            f"unknown tool `{step.tool}`{_nearest(step.tool, known)}.", "`watchkeeper tools` lists them."
        )
    fields = tool.arguments.model_fields
    show = f"`watchkeeper tools show {tool.name}` lists them."
    for argument in step.with_:
        if argument not in fields:
            raise ConfigurationError(f"{tool.name} has no argument `{argument}`{_nearest(argument, fields)}.", show)
    expressions = {
        argument: Condition(value[1:].strip())
        for argument, value in step.with_.items()
        if isinstance(value, str) and value.startswith("=")
    }
    for expression in expressions.values():
        expression.check(sample.scope(), decides=False)
    plain = {argument: value for argument, value in step.with_.items() if argument not in expressions}
    missing = [n for n, f in fields.items() if f.is_required() and n not in step.with_]
    if missing:
        raise ConfigurationError(f"{tool.name} needs {', '.join(missing)}.", show)
    try:
        tool.arguments.model_validate(plain)
    except ValidationError as problem:
        wrong = [f"{e['loc'][0]}: {e['msg']}" for e in problem.errors() if e["loc"][0] not in expressions]
        if wrong:
            raise ConfigurationError(f"{tool.name} cannot be called so: {'; '.join(wrong)}.", show) from None
    return RungStep(step.tool, plain, step.why, expressions)


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""
