"""The systems that a lab can be: which services, which ports, what stands in front.

What breaks and judges them is found by the stack's name in `faults`, `oracle`, `reset` and `audit`.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from watchkeeper_lab.errors import BadInputError


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """One system. `replicas` are the services of which there are several, `ports` those it has on loopback.

    `redis`, `postgres` and `nginx` are what these services are called in it, `front` the port that visitors use. `app`
    is the service whose replicas answer requests, on a port of their own as well; `ready` is where each tells whether
    it does, `download` a path that answers as slowly as it is asked to. `users` get passwords of their own; of these
    `redis_user` is the lab's, `credentials` the one who watches, `app_user` the application in PostgreSQL. `rows` is a
    table with an `id`, and a column that may be written. `assets` and `scenarios` are folders of this package.
    `containers_only`: it is not run as plain processes.
    """

    name: str
    what: str
    services: frozenset[str]
    replicas: Mapping[str, int]
    ports: tuple[str, ...]
    front: str
    app: str
    redis: str = "redis"
    postgres: str = "postgres"
    nginx: str = "nginx"
    superuser: str = "shop"
    app_user: str = "shop"
    database: str = "shop"
    redis_user: str = ""
    users: tuple[str, ...] = ()
    credentials: str = ""
    traffic: str = "watchkeeper_lab.traffic"
    ready: str = "/ready"
    download: str = "/orders/export"
    rows: tuple[str, str] = ("products", "description")
    assets: str = "assets"
    scenarios: str = "scenarios"
    containers_only: bool = False


SHOP = Stack(
    name="shop",
    what="an API twice behind nginx, Redis, PostgreSQL, and visitors who buy",
    services=frozenset({"redis", "postgres", "shop-1", "shop-2", "nginx"}),
    replicas={"shop": 2},
    ports=("REDIS_PORT", "POSTGRES_PORT", "SHOP_1_PORT", "SHOP_2_PORT", "NGINX_PORT"),
    front="NGINX_PORT",
    app="shop",
)
TICKETS = Stack(
    name="tickets",
    what="a support desk: HAProxy before a web application twice, nginx, two workers on a job queue in Redis, two "
    "databases of PostgreSQL behind pgbouncer, and people who write to it",
    services=frozenset({"gate", "pages", "web-1", "web-2", "worker-1", "worker-2", "pooler", "store", "broker"}),
    replicas={"web": 2, "worker": 2},
    ports=("GATE_PORT", "STATS_PORT", "POOLER_PORT", "POSTGRES_PORT", "REDIS_PORT"),
    front="GATE_PORT",
    app="web",
    redis="broker",
    postgres="store",
    nginx="pages",
    superuser="dba",
    app_user="desk",
    database="tickets",
    redis_user="practice",
    users=("desk", "mailer", "pooladmin", "practice", "watchkeeper"),
    credentials="watchkeeper",
    traffic="watchkeeper_lab.tickets.traffic",
    ready="/status",
    download="/api/export",
    rows=("customers", "note"),
    assets="tickets/assets",
    scenarios="tickets/scenarios",
    containers_only=True,
)
STACKS = {one.name: one for one in (SHOP, TICKETS)}
REPLICAS = {service: count for one in STACKS.values() for service, count in one.replicas.items()}
"""Services of which compose starts several, in any stack; the replicas are called `shop-1`, `shop-2`."""


def stack(name: str) -> Stack:
    """The stack of that name; an unknown one raises `BadInputError` with the nearest right one."""
    if name in STACKS:
        return STACKS[name]
    near = difflib.get_close_matches(name, STACKS, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else f"There are {', '.join(STACKS)}."
    raise BadInputError(f"There is no stack `{name}`.", hint)
