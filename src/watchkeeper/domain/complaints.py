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
        key = ".".join(str(part) for part in path)
        if error["type"] == "extra_forbidden":
            known = _keys_at(model, path[:-1])
            near = difflib.get_close_matches(str(path[-1]), known, n=1)
            said.append(f"unknown key `{key}`" + (f" (did you mean `{near[0]}`?)" if near else ""))
            keys = known
        else:
            said.append(f"`{key}`: {error['msg'][:1].lower()}{error['msg'][1:]}")
    return ConfigurationError(f"{where}: {'; '.join(said)}.", f"Keys it knows: {', '.join(keys)}." if keys else "")


def _keys_at(model: type[BaseModel], path: list[Any]) -> list[str]:
    """The keys of the model that sits at this path of a larger one."""
    here: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        fields: dict[str, Any] = getattr(here, "model_fields", {})
        field = next((f for n, f in fields.items() if (f.alias or n) == part), None)
        if field is not None:
            here = _model_in(field.annotation) or here
    return [field.alias or name for name, field in here.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)
