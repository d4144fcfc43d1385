"""What the images of each stack are made from."""

from collections.abc import Mapping
from dataclasses import dataclass

from watchkeeper_lab.stack import SHOP, TICKETS


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image. `official` is what it starts from where that can be pulled; `assets` is the folder of its Dockerfile.

    `code` is a folder of this package that is copied into it, with the Python packages it takes (`wheels`). `fetches`:
    its build installs Debian packages, over this machine's own network.
    """

    official: str
    assets: str
    code: str = ""
    wheels: tuple[str, ...] = ()
    fetches: bool = False


SHOP_WHEELS = (
    "fastapi>=0.136",
    "uvicorn>=0.35",
    "redis[hiredis]>=6",
    "psycopg[binary,pool]>=3.2",
    "async-timeout",  # pip asks the host's Python, not the container's 3.11.2, whether redis needs it
)
DESK_WHEELS = ("flask>=3.1", "gunicorn>=23", "rq>=2", "redis[hiredis]>=6", "psycopg[binary,pool]>=3.2", "async-timeout")
RECIPES: dict[str, Mapping[str, Recipe]] = {
    SHOP.name: {
        "redis": Recipe("redis:7.2-bookworm", "assets/redis"),
        "postgres": Recipe("postgres:15-bookworm", "assets/postgres"),
        "nginx": Recipe("nginx:1.26-bookworm", "assets/nginx"),
        "shop": Recipe("python:3.11-slim-bookworm", "assets/shop", "shop", SHOP_WHEELS),
    },
    TICKETS.name: {
        "gate": Recipe("haproxy:2.6-bookworm", "tickets/assets/gate", fetches=True),
        "pages": Recipe("nginx:1.26-bookworm", "tickets/assets/pages"),
        "desk": Recipe("python:3.11-slim-bookworm", "tickets/assets/desk", "tickets/desk", DESK_WHEELS),
        "pooler": Recipe("postgres:15-bookworm", "tickets/assets/pooler", fetches=True),
        "store": Recipe("postgres:15-bookworm", "tickets/assets/store"),
        "broker": Recipe("redis:7.2-bookworm", "tickets/assets/broker"),
    },
}
