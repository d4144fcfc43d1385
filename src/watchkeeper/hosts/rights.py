"""Which calls of the engine's API each handle on a container makes, and which of them are allowed here."""

import json
import secrets
import time
from collections.abc import Iterable, Mapping

from watchkeeper.domain import Forbidden, NotFound, Right, WatchkeeperError
from watchkeeper.domain.rights import calls, machine, units
from watchkeeper.hosts.engine import Engine

INSPECT = "GET /containers/{id}/json"
LOGS = "GET /containers/{id}/logs"
STATS = "GET /containers/{id}/stats"
START = ("POST /containers/{id}/start",)
UNPAUSE = ("POST /containers/{id}/unpause",)
RESTART = ("POST /containers/{id}/restart", *UNPAUSE)
"""A paused container is unpaused first: it could not hear that it is to end."""
UPDATE = ("POST /containers/{id}/update",)
EXEC = ("POST /containers/{id}/exec", "POST /exec/{id}/start", "GET /exec/{id}/json")
FILES = ("GET /containers/{id}/archive", "PUT /containers/{id}/archive")
FREEZE = ("POST /containers/{id}/pause",)

OTHERS = machine("root, or the user a plain process runs as", gives="a plain process of another user is not touched")
STARTS = (*calls(*START), *units("start"), *OTHERS)
RESTARTS = (*calls(*RESTART), *units("restart"), *OTHERS)
"""What starts and restarts whatever a service runs on: a container, a unit, a plain process."""

SCALE = (
    "POST /containers/create",
    "POST /networks/{id}/connect",
    "GET /images/{id}/json",
    "POST /containers/{id}/start",
    "POST /containers/{id}/stop",
    "DELETE /containers/{id}",
)
AS_GOOD_AS_ROOT = frozenset({"POST /containers/create", *EXEC, *FILES})
"""Whoever may make containers, or run something in any, has that machine: never among what is printed unasked."""

LOOK = (
    *calls("GET /version", "GET /containers/json", INSPECT),
    *calls("GET /events", gives="what happens is seen with the next look, and why a container stopped is not known"),
    *calls("GET /containers/{id}/top", gives="a service that another program started is not recognised"),
    *calls(LOGS, gives="log lines"),
    *calls(STATS, gives="what a container uses, where its control group cannot be read from here"),
)
"""What looking at containers needs. Finding a service in a container needs no more."""

BEYOND = ("POST /containers/{id}/exec", "GET /images/json", "POST /containers/{id}/kill")
"""Calls that nothing here needs: where they are allowed, more is."""


async def allowed(engine: Engine, rights: Iterable[Right]) -> Mapping[Right, bool | None]:
    """Which calls are allowed, tried on a container that does not exist: nothing is changed. None: cannot be told."""
    return {right: await is_allowed(engine, right.what) for right in rights}


async def is_allowed(engine: Engine, what: str) -> bool | None:
    """Whether one call (`POST /containers/{id}/restart`) is let through."""
    method, _, path = what.partition(" ")
    if method == "DELETE" or (method != "GET" and "{id}" not in path):
        return None  # it would do something
    nobody = secrets.token_hex(32)
    params: dict[str, str] = {}
    if path == "/events":
        params = {"since": str(time.time() - 1), "until": str(time.time()), "filters": json.dumps({"type": ["plugin"]})}
    elif path == "/containers/json":
        params = {"limit": "1"}
    elif path.endswith("/archive"):
        params = {"path": "/"}
    body: dict[str, str] | None = {} if method == "POST" and path.endswith(("/update", "/exec")) else None
    try:
        await engine.call(path.strip("/").format(id=nobody), method, params=params, data=body)
    except NotFound:
        return True
    except Forbidden:
        return False
    except WatchkeeperError as problem:
        return True if "status 400" in str(problem) else None
    except TimeoutError:
        return None
    return True
