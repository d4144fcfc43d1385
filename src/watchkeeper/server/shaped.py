"""A view with the shape of a data class, for whatever it holds: numbers that are not known are null."""

from dataclasses import fields, is_dataclass
from types import GenericAlias
from typing import Any, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, create_model


def shaped(kind: type[Any], name: str | None = None, base: type[BaseModel] = BaseModel) -> type[BaseModel]:
    """Made once, at import: so that the API and the class it shows cannot come apart.

    >>> from watchkeeper_monitor.figures import Share
    >>> sorted(shaped(Share).model_fields)
    ['high', 'low', 'of', 'value']
    """
    hints = get_type_hints(kind)
    named: dict[str, Any] = {each.name: (_shaped(hints[each.name]), ...) for each in fields(kind)}
    made = create_model(name or f"{kind.__name__}View", __base__=base, **named)
    made.__doc__ = kind.__doc__
    return made


_MADE: dict[type[Any], type[BaseModel]] = {}


def _shaped(hint: Any) -> Any:
    if hint is float:
        return float | None
    if isinstance(hint, type) and is_dataclass(hint):
        if hint not in _MADE:
            _MADE[hint] = shaped(cast("type[Any]", hint))
        return _MADE[hint]
    origin = get_origin(hint)
    if origin in (list, dict):
        return GenericAlias(cast("type[Any]", origin), tuple(_shaped(each) for each in get_args(hint)))
    return cast("Any", hint)
