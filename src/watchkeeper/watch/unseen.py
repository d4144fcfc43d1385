"""What gives no data for long is told: no alert can fire on it."""

import asyncio
from collections.abc import Callable, Mapping

from watchkeeper.domain import Health, Resource
from watchkeeper.sources.through import KEY
from watchkeeper.watch.watcher import Watcher

AFTER = 60.0
"""Seconds without data until it is told: a look that failed, or a restart, is not worth a word."""
TOGETHER = 1.2
"""So much later it is told: what went a moment after it is told in the same word."""
NAMED = 5
"""Of more than these only the number is said."""
UNSEEN, SEEN, WHOM = "watch.blind", "watch.sees", "watch"


class Unseen:
    """One word for all that is not seen, and one when all of it is seen again. Of what never gave data it is only told
    where it may be acted on: that was named, and somebody counts on it. What a source is silent of, or a connector
    that is quarantined, or what was stopped on purpose, is told of by these."""

    def __init__(self, watchers: Mapping[str, Watcher], tell: Callable[[str, str, str], object]) -> None:
        self._watchers = watchers
        self._tell = tell
        self._known: set[str] = set()
        self._told: set[str] = set()
        self._since: dict[str, float] = {}
        """Loop time since when it has given no data."""

    def turned(self, resource: Resource, before: Health | None, after: Health, state: str) -> None:
        """Called after a look that found another health than the look before."""
        if after is not Health.UNKNOWN:
            self._known.add(resource.id)
            self._since.pop(resource.id, None)
            self._seen(resource.id)
            return
        loop = asyncio.get_running_loop()
        self._since.setdefault(resource.id, loop.time())
        if before is not None or resource.may_act:
            loop.call_later(TOGETHER * AFTER, self._look)

    def _look(self) -> None:
        self._known &= self._watchers.keys()
        self._since = {key: since for key, since in self._since.items() if key in self._watchers}
        long_ago = asyncio.get_running_loop().time() - AFTER
        long = [key for key, since in self._since.items() if since <= long_ago]
        blind = {key: self._watchers[key] for key in long if self._blind(self._watchers[key])}
        fresh = blind.keys() - self._told
        if not fresh:
            return
        self._told |= fresh
        said = [f"{one.resource.slug}: {one.state}" for key, one in sorted(blind.items()) if key in self._told]
        more = f"; and {len(said) - NAMED} more" if len(said) > NAMED else ""
        number = f"of {len(said)} " if len(said) > 1 else ""
        text = (
            f"No data {number}for a minute or longer, so nothing can be noticed there. {'; '.join(said[:NAMED])}{more}"
        )
        self._tell(UNSEEN, WHOM, text)

    def _seen(self, key: str) -> None:
        if key not in self._told:
            return
        self._told.discard(key)
        self._told = {one for one in self._told if one in self._watchers}
        if not self._told:
            self._tell(SEEN, WHOM, "All of what gave no data is seen again")

    def _blind(self, watcher: Watcher) -> bool:
        known, last = watcher.resource, watcher.last
        return (
            watcher.health is Health.UNKNOWN
            and last is not None
            and last.error is not None
            and not last.off
            and not watcher.conduct.quarantined
            and KEY not in known.settings
            and (known.may_act or known.id in self._known)
        )
