"""The log lines kept as something to follow."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, TypeAdapter

from watchkeeper.domain import Level, LogLine
from watchkeeper.server.live.fanout import Wanted
from watchkeeper.store import Store
from watchkeeper.store import lines as kept

EVERY = 0.5
"""Seconds between two looks for new lines, while somebody follows: nothing tells that there are any."""
PAGE = 500


class LineView(BaseModel):
    """One entry; `seq` is its number, by which a page or a stream goes on."""

    seq: int
    at: datetime
    resource: str
    level: Level
    text: str


_LINE = TypeAdapter(LineView)


class ToldLine:
    """A line to somebody who follows."""

    def __init__(self, line: LineView) -> None:
        self.line = line
        self._sse = ""

    @property
    def seq(self) -> int:
        return self.line.seq

    @property
    def sse(self) -> str:
        self._sse = self._sse or f"id: {self.seq}\nevent: line\ndata: {_LINE.dump_json(self.line).decode()}\n\n"
        return self._sse


@dataclass(frozen=True)
class LinesWanted:
    """`resources` None: of all. Letters of either case are the same in `text`."""

    levels: tuple[Level, ...]
    resources: frozenset[str] | None = None
    text: str = ""

    def takes(self, message: ToldLine) -> bool:
        line = message.line
        return (
            line.level in self.levels
            and (self.resources is None or line.resource in self.resources)
            and self.text.lower() in line.text.lower()
        )


class Lines:
    """The source."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def newest(self) -> int:
        return await kept.newest(self._store)

    async def follow(self, after: int) -> AsyncIterator[ToldLine]:
        """With several executors only what was there a look before is told: lines are committed out of turn."""
        store, settled = self._store.patiently(), after
        while True:
            newest = await kept.newest(store)
            until = settled if store.shared else newest
            while after < until:
                found = await kept.since(store, after, until=until, limit=PAGE)
                for seq, line in found:
                    yield ToldLine(view(seq, line))
                after = found[-1][0] if len(found) == PAGE else until
            settled = newest
            await asyncio.sleep(EVERY)  # a rate of looking

    async def between(
        self, after: int, until: int, limit: int, wanted: Wanted[ToldLine]
    ) -> tuple[Sequence[ToldLine], int]:
        found = await kept.since(self._store, after, until=until, limit=limit)
        told = [ToldLine(view(seq, line)) for seq, line in found]
        return [one for one in told if wanted.takes(one)], found[-1][0] if len(found) == limit else until


def view(seq: int, line: LogLine) -> LineView:
    return LineView(seq=seq, at=line.at, resource=line.resource, level=line.level, text=line.text)
