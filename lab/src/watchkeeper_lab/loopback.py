"""HTTP on this machine: plain, and past any proxy."""

import socket

import httpx


def loopback(base_url: str = "", *, timeout: float, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A client; `timeout` in seconds. It knows no certificate authority: reading them all takes 50 ms, each time."""
    return httpx.AsyncClient(base_url=base_url, timeout=timeout, headers=headers, trust_env=False, verify=False)


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
