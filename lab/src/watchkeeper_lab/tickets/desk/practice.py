"""Bugs to practise on; only where DESK_PRACTICE=yes. `DELETE /practice` ends all of them."""

import os
import threading
import time
from typing import Any

import psycopg
from flask import Blueprint, abort, request
from redis import Redis
from redis.exceptions import RedisError

blueprint = Blueprint("practice", __name__, url_prefix="/practice")
_transactions: list["psycopg.Connection[Any]"] = []
_clients: list["Redis"] = []
_memory: list[bytes] = []
_leaking = threading.Event()
_broken = threading.Event()


def broken() -> None:
    """Fail whatever is asked, but whether it is alive."""
    if _broken.is_set() and not request.path.startswith(("/practice", "/ping")):
        abort(500)


@blueprint.post("/errors")
def errors() -> dict[str, str]:
    """Answer with 500 from now on."""
    _broken.set()
    return {"answers": "500"}


@blueprint.post("/transactions")
def transactions() -> dict[str, int]:
    """Begin so many transactions through the pooler, change something in each, and never end them."""
    for _ in range(int(request.args["count"])):
        try:
            connection = psycopg.connect(
                os.environ["TICKETS_DSN"], prepare_threshold=None, connect_timeout=3, application_name="desk"
            )
            connection.execute("INSERT INTO replies (ticket, job, text) VALUES (1, md5(random()::text), 'draft')")
        except psycopg.Error:
            break
        _transactions.append(connection)
    return {"open": len(_transactions)}


@blueprint.post("/clients")
def clients() -> dict[str, int]:
    """Open connections to Redis until there are so many more, or it takes none."""
    for _ in range(int(request.args["count"])):
        try:
            client = Redis.from_url(os.environ["BROKER_URL"], single_connection_client=True, socket_timeout=3)
            client.ping()
        except (RedisError, OSError):
            break
        _clients.append(client)
    return {"open": len(_clients)}


@blueprint.post("/memory")
def memory() -> dict[str, int]:
    """Leak so many bytes a second from now on."""
    per_second = int(request.args["per_second"])
    _leaking.set()

    def grow() -> None:
        while _leaking.is_set():
            _memory.append(b"x" * (per_second // 10))
            time.sleep(0.1)

    threading.Thread(target=grow, daemon=True).start()
    return {"per_second": per_second}


@blueprint.delete("")
def end() -> dict[str, str]:
    """End them all."""
    _broken.clear()
    _leaking.clear()
    _memory.clear()
    for connection in _transactions:
        connection.close()
    for client in _clients:
        client.close()
    _transactions.clear()
    _clients.clear()
    return {"ended": "all"}
