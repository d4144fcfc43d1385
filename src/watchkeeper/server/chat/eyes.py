"""What a language model may look at to answer a person: each piece with the mark by which it is cited."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from watchkeeper.decide.model import Fence, Marks, Offered, Stands
from watchkeeper.domain import Event, Fix, Incident, LogLine, NotFound, Principal, Reading, Tool, WatchkeeperError, now
from watchkeeper.domain.conversation import Glance, ProposedFix
from watchkeeper.domain.when import moment_of
from watchkeeper.server import elsewhere
from watchkeeper.server.logs import GRAVE
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.views import FixView

NEAR = timedelta(milliseconds=1)
LONGEST = 6000
"""Characters of one answer, about 1,900 tokens."""
LEVELS = GRAVE["WARNING"]
"""Those that are kept."""


@dataclass
class Sight:
    """The eyes of one question (`decide.model.Eyes`)."""

    runtime: Runtime
    who: Principal
    clock: datetime
    fence: Fence
    marks: Marks
    tools: Mapping[str, Tool[Any]]
    glances: list[Glance] = field(default_factory=list[Glance])
    plan: ProposedFix | None = None
    kept: list[Reading] = field(default_factory=list[Reading])
    """Readings that were shown, of which some may be only in memory yet."""

    answers: dict[str, str] = field(default_factory=dict[str, str])
    """What look-ups gave, by mark."""

    def begin(self) -> None:
        self.glances.clear()
        self.plan = None

    def offered(self) -> list[Offered]:
        return [Offered(t.name, t.description, t.arguments.model_json_schema()) for t in self.tools.values()]

    def glance(self, tool: str, arguments: Mapping[str, Any]) -> Glance:
        said = {name: value for name, value in arguments.items() if value not in ("", None, [])}
        plain = [value for value in said.values() if isinstance(value, str | int | float)]
        about = ", ".join(self.fence.clean(str(value), 80) for value in plain)
        made = Glance(tool, self.runtime.store.masker.value(said), about)
        self.glances.append(made)
        return made

    async def run(self, tool: str, arguments: Mapping[str, Any]) -> str:
        wanted = self.tools[tool]
        try:
            given: str = await wanted.run(self, **wanted.parse(arguments))
        except WatchkeeperError as problem:
            given = self.fence.clean(f"{problem.what} {problem.next_step}")
        if self.kept:
            async with self.runtime.store.transaction(alone=False) as transaction:
                await transaction.keep_readings(self.kept)
            self.kept.clear()
        lines = given if len(given) <= LONGEST else f"{given[:LONGEST]}\n… cut: ask more narrowly"
        return self.fence.around(lines)

    async def stands_for(self, mark: str) -> Stands | None:
        """Of incidents, fixes and what was answered before only that it is there: their figures are many."""
        one, store = self.marks.items[mark], self.runtime.store
        if one.kind == "incident":
            return Stands() if await store.find(Incident, one.id) else None
        if one.kind == "fix":
            return Stands() if await store.find(Fix, one.id) else None
        if one.kind == "reading" and one.at is not None:
            resource = one.id.rpartition("@")[0]
            looks = await store.readings(resource, since=one.at - NEAR, until=one.at + NEAR, limit=1)
            return Stands(looks[0].metrics, f"{looks[0].state} {dict(looks[0].facts)}") if looks else None
        if one.kind == "log":
            seq = int(one.id.rpartition("#")[2])
            lines = await store.search_logs(levels=LEVELS, before=seq + 1, after=seq - 1, limit=1)
            return Stands(text=lines[0][1].text) if lines else None
        if one.kind == "event":
            events = await store.events(after=int(one.id) - 1, limit=1)
            return Stands(text=events[0].text) if events else None
        return Stands(text=self.answers.get(mark, ""))

    def text(self, text: str, longest: int = 400) -> str:
        return self.fence.clean(text, longest)

    def since(self, said: str, default: timedelta) -> datetime:
        """Raises WatchkeeperError."""
        return moment_of(said, self.clock) if said.strip() else now() - default

    def until(self, said: str) -> datetime:
        """Raises WatchkeeperError."""
        return moment_of(said, self.clock) if said.strip() else now()

    def time(self, at: datetime) -> str:
        """In the zone of who asks."""
        return at.astimezone(self.clock.tzinfo).strftime("%m-%d %H:%M:%S")

    def slug(self, key: str | None) -> str:
        known = self.runtime.watch.fleet.resources.get(key or "")
        return known.slug if known else (key or "")

    async def key(self, slug: str) -> tuple[str, str | None]:
        """The id of a resource, and of what it runs on. Raises NotFound."""
        try:
            known = self.runtime.watch.resource(slug)
            return known.id, known.runs_on
        except NotFound:
            detail = (await elsewhere.find(self.runtime, slug))[1]
            return detail.id, detail.runs_on

    # What is shown, with its mark

    def reading(self, reading: Reading, said: str) -> str:
        slug, at = self.slug(reading.resource), reading.at
        self.kept.append(reading)
        href = f"/resources/{quote(slug)}?at={quote(at.isoformat())}"
        key = f"{reading.resource}@{at.isoformat()}"
        return self.marks.add("R", "reading", key, href, f"{slug} at {self.time(at)}: {said}", at)

    def incident(self, one: Incident) -> str:
        said = f"{self.text(one.title, 120)}, {one.outcome or one.status}"
        return self.marks.name(one.id, "incident", one.id, f"/incidents/{one.id}", said, one.opened_at)

    def fix(self, one: FixView) -> str:
        said = f"{', '.join(step.tool for step in one.plan.steps)}: {one.said}"
        href = f"/incidents/{one.incident}" if one.incident else "/fixes"
        return self.marks.name(one.id, "fix", one.id, href, said, one.started_at)

    def event(self, one: Event) -> str:
        href = f"/incidents/{one.incident}" if one.incident else f"/resources/{quote(self.slug(one.resource))}"
        if not one.incident and not one.resource:
            href = "/fixes"
        said = f"{self.time(one.at)} {self.text(one.text, 160)}"
        return self.marks.add("E", "event", str(one.seq), href, said, one.at)

    def line(self, seq: int, line: LogLine) -> str:
        said = f"{self.slug(line.resource)} at {self.time(line.at)}: {self.text(line.text, 160)}"
        href = f"/resources/{quote(self.slug(line.resource))}?at={quote(line.at.isoformat())}"
        return self.marks.add("L", "log", f"{line.resource}#{seq}", href, said, line.at)

    def answer(self, resource: str, said: str, whole: str) -> str:
        """`said` tells people what it is; `whole` is what it may be cited for."""
        at = now()
        href = f"/resources/{quote(self.slug(resource))}"
        mark = self.marks.add("T", "answer", f"{resource}@{at.isoformat()}", href, said, at)
        self.answers[mark] = whole
        return mark
