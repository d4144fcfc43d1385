"""A validation's complaints in words, with the nearest right name for one that is not known."""

import difflib
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from watchkeeper.domain.errors import ConfigurationError

_SAID_BY_US = ("value error, ", "assertion failed, ")
"""What is put before what a check of ours says."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong: where, in words, and the keys that would have been right there."""

    where: tuple[str | int, ...]
    text: str
    keys: tuple[str, ...] = ()


def complaints(model: type[BaseModel], problem: ValidationError, content: Any = None) -> list[Complaint]:
    """Everything that is wrong, entries of lists by the names they have in `content`."""
    found: list[Complaint] = []
    for error in problem.errors():
        path = [part for part in error["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
        known, path = _keys_at(model, path)
        entry, key = _named(path, content)
        if error["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), known, n=1)
            said = f"unknown key `{key}`" + (f" (did you mean `{near[0]}`?)" if near else "")
        else:
            told = f"{error['msg'][:1].lower()}{error['msg'][1:]}"
            told = next((told.removeprefix(start) for start in _SAID_BY_US if told.startswith(start)), told)
            said = f"`{key}`: {told}" if key else told
        text = f"{entry}: {said}" if entry else said
        found.append(Complaint(tuple(path), text, tuple(known) if error["type"] == "extra_forbidden" else ()))
    return found


def complain(model: type[BaseModel], problem: ValidationError, where: str) -> ConfigurationError:
    """One error that says everything that is wrong, and for an unknown key which is nearest."""
    found = complaints(model, problem)
    return ConfigurationError(f"{where}: {'; '.join(one.text for one in found)}.", knows(found))


def knows(found: Iterable[Complaint]) -> str:
    """Which keys there are where one is not known."""
    keys = next((one.keys for one in found if one.keys), ())
    return f"Keys it knows: {', '.join(keys)}." if keys else ""


def _named(path: list[Any], content: Any) -> tuple[str, str]:
    """The entry of a list that it is about, by its name or else its number, and the key within that.

    >>> _named(["resources", 1, "url"], {"resources": [{}, {"name": "cache"}]})
    ('resources, cache', 'url')
    """
    words: list[str] = []
    last = 0
    at: Any = content
    for position, part in enumerate(path):
        at = _at(at, part)
        if isinstance(part, int):
            name: Any = cast("dict[str, Any]", at).get("name") if isinstance(at, dict) else None
            words += [".".join(map(str, path[last:position])), str(name) if name else f"number {part + 1}"]
            last = position + 1
    return ", ".join(filter(None, words)), ".".join(map(str, path[last:]))


def _at(content: Any, part: str | int) -> Any:
    try:
        return content[part]
    except (KeyError, IndexError, TypeError):
        return None


def _keys_at(model: type[BaseModel], path: list[Any]) -> tuple[list[str], list[Any]]:
    """The keys of the model in which the last of this path stands; and the path without the kinds by which one of
    several models was chosen, which nobody wrote there."""
    here, kinds, written = model, list[type[BaseModel]](), list[Any]()
    for position, part in enumerate(path):
        chosen = next((one for one in kinds if _kind_of(one) == part), None)
        if chosen is not None:
            here, kinds = chosen, []
            continue
        written.append(part)
        if isinstance(part, int) or position == len(path) - 1:
            continue
        field = next((f for n, f in here.model_fields.items() if (f.alias or n) == part), None)
        found = _models_in(field.annotation) if field is not None else []
        here = found[0] if found else here
        kinds = found if len(found) > 1 else []
    return [field.alias or name for name, field in here.model_fields.items()], written


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for part in typing.get_args(annotation) for found in _models_in(part)]


def _kind_of(model: type[BaseModel]) -> str | None:
    """What `kind` must be for a model that is one of several."""
    field = model.model_fields.get("kind")
    return next(iter(typing.get_args(field.annotation)), None) if field is not None else None
