"""How often one client may ask: a bucket of tokens for looks, and one for changes."""

import math
import time
from collections import OrderedDict
from ipaddress import ip_address

from starlette.requests import HTTPConnection

from watchkeeper.domain import WatchkeeperError
from watchkeeper.settings.server import LimitsSettings

REMEMBERED = 10_000
"""Clients whose buckets are kept in mind; the one that has asked nothing for longest begins anew."""
BURST = 1 / 3
"""Of what a minute allows may come at once."""
LOOKS = ("GET", "HEAD", "OPTIONS")


class TooOften(WatchkeeperError):
    """It may ask again after `retry_after` seconds."""

    status = 429

    def __init__(self, what: str, next_step: str, retry_after: int) -> None:
        super().__init__(what, next_step)
        self.retry_after = retry_after


class Bucket:
    """So many a minute for each client, spread, of which a third may come at once (a token bucket)."""

    def __init__(self, per_minute: int) -> None:
        self._rate = per_minute / 60
        self._size = max(1.0, per_minute * BURST)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, at: float) -> float:
        """0 where one may be taken now; else the seconds until then."""
        left, since = self._left.pop(client, (self._size, at))
        left = min(self._size, left + (at - since) * self._rate)
        self._left[client] = (left - 1 if left >= 1 else left, at)
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self._rate


class Limiter:
    """Looks and changes are counted apart, so that a console that looks keeps nobody from pausing everything."""

    def __init__(self, settings: LimitsSettings) -> None:
        self._looks = Bucket(settings.looks_per_minute)
        self._changes = Bucket(settings.changes_per_minute)
        self._said = {True: settings.looks_per_minute, False: settings.changes_per_minute}

    def count(self, client: str, method: str) -> None:
        """One more request. Raises TooOften."""
        looks = method in LOOKS
        seconds = (self._looks if looks else self._changes).take(client, time.monotonic())
        if seconds:
            wait, what = math.ceil(seconds), "looks" if looks else "changes"
            raise TooOften(
                f"{client} asks too often: {self._said[looks]} {what} a minute are taken from one client.",
                f"Try again in {wait} s; the live feed (/api/live) tells what happens without being asked."
                if looks
                else f"Try again in {wait} s.",
                wait,
            )


def address_of(connection: HTTPConnection) -> str | None:
    """Where it comes from; None for this machine itself."""
    client = connection.client.host if connection.client else ""
    try:
        return None if ip_address(client).is_loopback else client
    except ValueError:
        return None if client == "testclient" else client or "unknown"
