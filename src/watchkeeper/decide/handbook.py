"""The runbooks in force: those of the connectors and of the user's folder, and in their place what somebody has written
while it runs. Rows, so that it holds after a restart, and for every executor."""

from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import structlog

from watchkeeper.connectors import Registry
from watchkeeper.connectors.definitions import parse_runbook
from watchkeeper.connectors.examining import Fault, faults
from watchkeeper.domain import Conflict, Event, NotFound, Runbook, Said, WatchkeeperError
from watchkeeper.store import Store

log = structlog.get_logger(__name__)
SETTING = "runbooks"
CHANGED = "runbook.changed"
LONGEST = 50_000
"""Characters of a page."""


class Unfit(WatchkeeperError):
    """What no runbook can be; `faults` has each thing that is wrong, with its line."""

    status = 422

    def __init__(self, name: str, found: list[Fault]) -> None:
        told = [(f"line {one.line}: " if one.line else "") + one.what for one in found]
        next_step = next((one.next_step for one in found if one.next_step), "Nothing was changed.")
        super().__init__(f"runbook {name}: {'; '.join(told)}", next_step)
        self.faults = found


class Moved(WatchkeeperError):
    """It is another than the one that was read."""

    status = 412


@dataclass(frozen=True, slots=True)
class Page:
    """What somebody wrote in the place of a runbook, or besides them."""

    name: str
    kind: str
    text: str
    by: str
    at: str
    note: str = ""


def digest(text: str) -> str:
    """What tells two texts of a page apart."""
    return blake2b(text.encode(), digest_size=12).hexdigest()


class Handbook:
    """Changed by people alone; what it holds is asked of policy like any other plan."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store
        self._kept: list[dict[str, Any]] | None = None
        self.pages: dict[tuple[str, str], Page] = {}
        self.broken: dict[tuple[str, str], str] = {}
        """Of what was written and can be used no more (a tool is gone): why. What it replaced holds meanwhile."""

    async def load(self) -> None:
        """What the store has, whoever wrote it."""
        kept: list[dict[str, Any]] = await self._store.setting(SETTING) or []
        if kept == self._kept:
            return
        pages = [Page(**one) for one in kept]
        books: list[Runbook] = []
        broken: dict[tuple[str, str], str] = {}
        for page in pages:
            try:
                books.append(self._read(page.name, page.kind, page.text))
            except WatchkeeperError as problem:
                broken[page.kind, page.name] = str(problem)
                log.warning("a changed runbook cannot be used", runbook=page.name, problem=str(problem))
        self._registry.change(books)
        self._kept, self.broken = kept, broken
        self.pages = {(page.kind, page.name): page for page in pages}

    def find(self, name: str, kind: str | None = None) -> Runbook:
        """The one in force. Raises NotFound, and Conflict where several kinds have one of that name."""
        found = [book for book in self._registry.runbooks if book.name == name and kind in (None, book.kind)]
        if not found:
            about = f" for a {kind}" if kind else ""
            raise NotFound(f"There is no runbook {name!r}{about}.", "`watchkeeper runbooks` lists them.")
        if len(found) > 1:
            kinds = ", ".join(book.kind for book in found)
            raise Conflict(f"There are {len(found)} runbooks {name}: for {kinds}.", "Say which: `kind`.")
        return found[0]

    def settled(self, name: str, kind: str) -> Runbook | None:
        """What is there without what somebody wrote."""
        return next((b for b in self._registry.settled if (b.kind, b.name) == (kind, name)), None)

    def checked(self, name: str, kind: str, text: str) -> None:
        """As `watchkeeper check` does. Raises Unfit, NotFound."""
        sample, tools = self._registry.sample(kind), self._registry.kind(kind).tools
        found = faults(text, name=name, kind=kind, sample=sample, tools=tools)
        if self._store.masker.text(text) != text:
            found = [*found, Fault(0, "it holds a known secret, which no record keeps", "Take it out.")]
        if found:
            raise Unfit(name, found)

    async def change(self, name: str, kind: str, text: str | None, said: Said, expected: str | None = None) -> bool:
        """Write it anew (None: as it was before anybody wrote it); whether that is another than before. `expected`: the
        digest of what the writer has read. Raises Unfit, NotFound, Moved."""
        if text is not None:
            self.checked(name, kind, text)
        base = self.settled(name, kind)
        async with self._store.transaction() as transaction:
            kept: list[dict[str, Any]] = await self._store.setting(SETTING) or []
            mine = next((one for one in kept if (one["kind"], one["name"]) == (kind, name)), None)
            was = mine["text"] if mine else None
            present = was if was is not None else base.text if base else ""
            if expected is not None and digest(present) != expected:
                raise Moved(f"The runbook {name} was changed meanwhile.", "Read it again, and change that.")
            if text == was:
                return False
            kept = [one for one in kept if one is not mine]
            if text is not None:
                kept.append(asdict(Page(name, kind, text, said.by, said.at.isoformat(), said.note)))
            await transaction.set(SETTING, kept)
            who = said.told.partition(":")[0]
            did = f"writes the runbook {name}" if text is not None else f"takes back what was written of {name}"
            told = f"{who} {did} (for a {kind})" + (f": {said.note}" if said.note else "")
            data: dict[str, object] = {"kind": kind, "from": was, "to": text, "note": said.note}
            await transaction.emit(Event(CHANGED, name, told, said.at, said.by, data=data))
        await self.load()
        return True

    async def history(self, name: str, kind: str, limit: int = 50) -> list[Event]:
        """Who changed it, with the texts; the newest last."""
        told = await self._store.events(kinds=(CHANGED,), subject=name, limit=limit, newest=True)
        return [event for event in told if event.data["kind"] == kind]

    async def before(self, name: str, kind: str) -> str | None:
        """What somebody had written before the last change, None: nothing. Raises NotFound where none was made."""
        told = await self.history(name, kind)
        if not told:
            raise NotFound(f"The runbook {name} was not changed.", "There is nothing to take back.")
        was: Any = told[-1].data["from"]
        return was

    def _read(self, name: str, kind: str, text: str) -> Runbook:
        sample, tools = self._registry.sample(kind), self._registry.kind(kind).tools
        return parse_runbook(text, name=name, kind=kind, sample=sample, tools=tools)
