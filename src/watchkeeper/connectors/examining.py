"""Everything that is wrong in a runbook somebody writes, with the lines, as `watchkeeper check` would refuse it."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from watchkeeper.connectors.definitions import RunbookFile, parse_runbook, step_of
from watchkeeper.domain import Condition, ConfigurationError, Reading, Tool, scope
from watchkeeper.domain.complaints import complaints, knows
from watchkeeper.settings.reading import Written

_BOUNDARY = re.compile(r"^-{3,}\s*$", re.MULTILINE)
"""What the front matter stands between."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `line` counts from 1; 0 where no line is to blame."""

    line: int
    what: str
    next_step: str = ""


def faults(text: str, *, name: str, kind: str, sample: Reading, tools: Iterable[Tool[Any]]) -> list[Fault]:
    """All that is wrong, in the order of its lines; empty where it may be used."""
    known = tuple(tools)
    found = sorted(_faults(text, name, kind, sample, known), key=lambda fault: fault.line)
    if not found:
        try:
            parse_runbook(text, name=name, kind=kind, sample=sample, tools=known)
        except ConfigurationError as problem:
            return [Fault(0, problem.what, problem.next_step)]
    return found


def _faults(text: str, name: str, kind: str, sample: Reading, tools: Iterable[Tool[Any]]) -> Iterator[Fault]:
    marks = list(_BOUNDARY.finditer(text))[:2]
    if len(marks) < 2 or text[: marks[0].start()].strip():
        yield Fault(1, "it has no front matter: its first line must be `---`, and another `---` ends it")
        return
    begins, ends = marks
    before = text[: begins.end()].count("\n")
    try:  # as many empty lines before it as stand before it there: so the lines are those of the page
        written = Written(Path(name), "\n" * before + text[begins.end() : ends.start()])
    except ConfigurationError as problem:
        place = re.match(r".*?:(\d+):\d+ ", problem.what)
        yield Fault(int(place[1]) if place else before + 1, problem.what, problem.next_step)
        return
    try:
        file = RunbookFile.model_validate(written.content)
    except ValidationError as problem:
        for one in complaints(RunbookFile, problem, written.content):
            yield Fault(written.line(one.where) or before + 1, one.text, knows([one]))
        return
    seen = scope(alerts=[{"rule": "", "resource": "", "severity": "", "kind": kind}])
    yield from _tried(written, ("when",), lambda: Condition(file.when).check(seen))
    if (healed := file.healed) is not None:
        yield from _tried(written, ("healed",), lambda: Condition(healed).check(sample.scope()))
    by_name = {tool.name: tool for tool in tools}
    for number, rung in enumerate(file.ladder):
        for place, step in enumerate(rung):
            yield from _tried(written, ("ladder", number, place), lambda step=step: step_of(step, by_name, sample))


def _tried(written: Written, where: tuple[str | int, ...], check: Callable[[], object]) -> Iterator[Fault]:
    try:
        check()
    except ConfigurationError as problem:
        yield Fault(written.line(where), f"{where[0]}: {problem.what}", problem.next_step)
