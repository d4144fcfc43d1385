"""The configuration's file as it was written: what it says, and in which line."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from watchkeeper.domain.complaints import Complaint, complaints
from watchkeeper.domain.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)
PASSES = 5
"""How often what is wrong is left out to see what else is: some is noticed only once the rest is right."""


class Written:
    """What a file says, and where. `content` is what it means."""

    def __init__(self, path: Path | None, text: str | None = None) -> None:
        """`text`: what it says, where it is not to be read. Raises ConfigurationError where it cannot be read, or is
        no mapping."""
        self.path = path
        self._node: yaml.Node | None = None
        self.content: dict[str, Any] = {}
        if path is not None:
            self._read(path, text)

    def _read(self, path: Path, text: str | None) -> None:
        try:
            loader = yaml.SafeLoader(path.read_text() if text is None else text)
            self._node = loader.get_single_node()
            twice = tuple(_twice(self._node))
            means: Callable[[yaml.Node], Any] = loader.construct_document  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            content = means(self._node) if self._node is not None else None
        except OSError as problem:
            raise ConfigurationError(
                f"{path} cannot be read: {problem.strerror}.", "Give another one: watchkeeper --config FILE …"
            ) from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{path} is not text in UTF-8.") from None
        except yaml.YAMLError as problem:
            raise ConfigurationError(_not_yaml(path, problem), "Look at that place, or just before it.") from None
        if twice:
            raise ConfigurationError(
                _told_twice(path, twice), "YAML keeps the last one alone: leave one, or merge them."
            )
        if content is not None and not isinstance(content, dict):
            raise ConfigurationError(f"{path} must be a mapping of settings.", "For example: mode: approve")
        self.content = cast("dict[str, Any]", content or {})

    def line(self, where: tuple[str | int, ...]) -> int:
        """The line in which that stands, or what it is missing in; 0 where the file does not say it."""
        node, line = self._node, 0
        for part in where:
            found = _within(node, part)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        return line

    def leave_out(self, where: tuple[str | int, ...]) -> bool:
        """As if that had not been written, or what it is missing in. False where nothing is left to leave out."""
        content: Any = self.content
        node = self._node
        for part in where[:-1]:
            found = _within(node, part)
            if found is None or not _has(content, part):
                return False
            content, node = content[part], found[1]
        if not where or not _has(content, where[-1]):
            return self.leave_out(where[:-1]) if where else False
        del content[where[-1]]
        _without(node, where[-1])
        return True


def faults(model: type[M], written: Written) -> tuple[list[tuple[int, Complaint]], M | None]:
    """Everything that is wrong, each with its line, in their order; and what remains of it without."""
    found: list[tuple[int, Complaint]] = []
    rest: M | None = None
    left_out = False
    for _ in range(PASSES):
        try:
            rest = model(**written.content)
            break
        except ValidationError as problem:
            said = complaints(model, problem, written.content)
            known = {one.text for _, one in found}
            fresh = [one for one in said if one.text not in known]
            if left_out:  # what is said of the whole may only miss what was left out
                fresh = [one for one in fresh if one.where]
            found += [(written.line(one.where), one) for one in fresh]
            # From the end of each list: what comes before it keeps its place.
            places = sorted({_entry(one.where) for one in said}, key=lambda where: [str(p).zfill(9) for p in where])
            gone = [written.leave_out(where) for where in reversed(places)]
            if not all(gone):
                break
            left_out = True
        except Exception:  # a validator that needs what was left out
            break
    return sorted(found, key=lambda one: one[0]), rest


def _entry(where: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Of what stands in a list, the whole entry."""
    number = next((position for position, part in enumerate(where) if isinstance(part, int)), len(where))
    return where[: number + 1]


def _has(content: Any, part: str | int) -> bool:
    if isinstance(content, list):
        return isinstance(part, int) and part < len(cast("list[Any]", content))
    return isinstance(content, dict) and part in content


def _within(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Where a key or an entry stands, and what stands there."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    return None


Twice = tuple[str, int, int]
"""A key, the line in which it stands, and the one in which it stands again."""


def _twice(node: yaml.Node | None) -> Iterator[Twice]:
    """Keys that a mapping has more than once. What is merged (`<<`) may be said anew."""
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _twice(entry)
    if isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                name, line = cast("str", key.value), key.start_mark.line + 1
                if (key.tag, name) in first:
                    yield name, first[key.tag, name], line
                first.setdefault((key.tag, name), line)
            yield from _twice(value)


def _told_twice(path: Path, twice: Sequence[Twice]) -> str:
    told = [
        f"`{name}` is there twice, in line{f's {one} and {other}' if one != other else f' {one}'}"
        for name, one, other in twice
    ]
    if len(told) == 1:
        return f"{path}:{twice[0][2]}: {told[0]}."
    return f"{path}: {len(told)} keys are there twice:\n  " + "\n  ".join(told)


def _without(node: yaml.Node | None, part: str | int) -> None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        del node.value[part]
    elif isinstance(node, yaml.MappingNode):
        node.value = [(key, value) for key, value in node.value if key.value != str(part)]


def _not_yaml(path: Path, problem: yaml.YAMLError) -> str:
    """Where it is not, and why."""
    if not isinstance(problem, yaml.MarkedYAMLError) or problem.problem_mark is None:
        return f"{path} is not valid YAML: {' '.join(str(problem).split())}"
    mark = problem.problem_mark
    why = ", ".join(part for part in (problem.context, problem.problem) if part)
    return f"{path}:{mark.line + 1}:{mark.column + 1} is not valid YAML: {why}."
