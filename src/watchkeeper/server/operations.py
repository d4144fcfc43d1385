"""What there is to be done over the API, by the group whose roles may do it: the names that policy may use."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from watchkeeper.server.openapi import operation_id
from watchkeeper.server.security import group_of

BESIDE: dict[str, set[str]] = {"submit": {"use_mcp"}, "administer": {"loosen_mode", "switch_off_rule"}}
"""What is asked for within an operation, or beside them."""


def operations(routers: Iterable[APIRouter]) -> dict[str, set[str]]:
    """By group."""
    found = {group: set(names) for group, names in BESIDE.items()}
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                for group in _groups(route.dependant):
                    found.setdefault(group, set()).add(operation_id(route))
    return found


def _groups(dependant: Any) -> Iterator[str]:
    for part in dependant.dependencies:
        if group := group_of(part.call):
            yield group
        yield from _groups(part)
