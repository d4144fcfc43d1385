"""A validation's complaints in words, with the nearest right name for one that is not known."""

import difflib
import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

from watchkeeper.domain.errors import ConfigurationError


def complain(model: type[BaseModel], problem: ValidationError, where: str) -> ConfigurationError:
    """One error that says everything that is wrong, and for an unknown key which is nearest."""
    said: list[str] = []
    keys: list[str] = []
    for error in problem.errors():
        path = [part for part in error["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
        known, path = _keys_at(model, path)
        key = ".".join(str(part) for part in path)
        if error["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), known, n=1)
            said.append(f"unknown key `{key}`" + (f" (did you mean `{near[0]}`?)" if near else ""))
            keys = known
        else:
            said.append(f"`{key}`: {error['msg'][:1].lower()}{error['msg'][1:]}")
    return ConfigurationError(f"{where}: {'; '.join(said)}.", f"Keys it knows: {', '.join(keys)}." if keys else "")


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
