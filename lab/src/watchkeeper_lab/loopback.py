"""HTTP on this machine: plain, and past any proxy."""

import random
import socket
from contextlib import suppress

import httpx


def loopback(base_url: str = "", *, timeout: float, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A client; `timeout` in seconds. It knows no certificate authority: reading them all takes 50 ms, each time."""
    return httpx.AsyncClient(base_url=base_url, timeout=timeout, headers=headers, trust_env=False, verify=False)


def free_port() -> int:
    """A port of this machine that is free now, below those that the system gives to whoever connects somewhere: such a
    one would be taken meanwhile, now and then."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
