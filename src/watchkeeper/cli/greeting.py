"""What `up` says: where it listens, what it found, and then what happens as it happens."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from rich.text import Text

from watchkeeper.cli import feed
from watchkeeper.cli.named import misspelt_environments, unknown_environments
from watchkeeper.cli.options import MOST, listening_at
from watchkeeper.cli.screen import console, health, table
from watchkeeper.cli.status import shortened
from watchkeeper.domain import Approval, Event, Health, Incident, Resource
from watchkeeper.domain.resource import WORST_FIRST

if TYPE_CHECKING:
    from watchkeeper.server import Runtime
    from watchkeeper.watch.watcher import Watcher

FIRST_LOOKS_SECONDS = 5.0
"""How long the first table waits for every resource to have been looked at."""
LEFT_OPEN = 5
"""So many incidents of what is not watched now are named."""
MODES = {
    "observe": "it never acts, and writes down what it would have done",
    "approve": "every change waits for a person",
    "auto": "it acts within policy",
}
_EVENT = TypeAdapter(Event)


class Teller:
    """Prints from a thread of its own: a screen that does not scroll on must not hold up the loop."""

    def __init__(self, runtime: "Runtime") -> None:
        self.screen = console()
        self._runtime = runtime
        self._lines: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="teller", daemon=True)
        self._thread.start()

    def say(self, *what: Any) -> None:
        """Print it once what came before is printed."""
        self._lines.put(lambda: self.screen.print(*what))

    def follow(self) -> None:
        """From now on tell what happens."""
        width = self.screen.width if self.screen.is_terminal else None

        def tell(event: Event) -> None:
            said = _EVENT.dump_python(event, mode="json")
            if feed.worth_a_line(said):
                self.say(feed.line(said, width))

        self._runtime.store.listen(tell)

    async def stop(self) -> None:
        """Print what is left, unless nobody reads it."""
        self._lines.put(None)
        await asyncio.to_thread(self._thread.join, 1.0)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            with contextlib.suppress(OSError):  # whoever read has gone: the work goes on
                line()


@dataclass(frozen=True)
class Greeting:
    """What `up` was told: whether to tell events, where its log is, which configuration is in use."""

    quiet: bool
    log: str
    file: Path | None


async def greet(runtime: "Runtime", teller: Teller, said: Greeting) -> None:
    """Within moments: mode, address, what was found, what is missing; then, unless quiet, the feed."""
    settings = runtime.settings
    address = listening_at(settings.server)
    mode = await runtime.decide.modes.overall()
    teller.say(Text("Watchkeeper ", "bold").append(f"watches. Mode {mode}: {MODES[mode]}.", "none"))
    for one in (await runtime.decide.modes.standing()).values():
        about = f"mode {one.mode}" + (f" for {one.resource}" if one.resource else "")
        told = f"{about} was set by {one.said.told}; the configuration says {settings.mode}"
        again = "watchkeeper mode --as-configured" + (f" --resource {one.resource}" if one.resource else "")
        teller.say(Text(f"▲ {told}. `{again}` takes it back.", "yellow"))
    log = f", its log in {said.log}." if said.log else "; its log goes to standard error."
    teller.say(Text(f"It listens at {address}; its data are in {settings.data}{log}"))
    teller.say(Text(f"Its configuration is {said.file or 'the default: there is no watchkeeper.yaml here'}."))
    for line in moved(runtime.watch.fleet.renamed):
        teller.say(Text(line))
    if not said.quiet:
        teller.follow()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FIRST_LOOKS_SECONDS):
            await runtime.watch.first_looks()
    _found(runtime, teller)
    problems = {**runtime.watch.fleet.problems, **runtime.registry.broken, "resources": runtime.watch.fleet.misnamed}
    problems["policy"] = "\n".join(
        what for what, _ in (*misspelt_environments(settings), *unknown_environments(settings))
    )
    for name, problem in problems.items():
        if not problem:
            continue
        teller.say(Text(f"\n▲ {name}: ", "yellow").append(problem.replace("\n", "\n  "), "none"))
    await _open(runtime, teller)
    end = "\n`watchkeeper status` shows what it would do now. Ctrl-C stops it."
    teller.say(Text(end + ("" if said.quiet else " What happens from here on:")))


def _found(runtime: "Runtime", teller: Teller) -> None:
    watchers = sorted(
        runtime.watch.watchers.values(),
        key=lambda w: (WORST_FIRST.index(at_first_sight(w)), w.resource.kind, w.resource.slug),
    )
    if not watchers:
        only = ", ".join(runtime.settings.only)
        that = f" that `only` names ({only})" if only else ""
        teller.say(Text(f"\nNothing to watch was found{that}. `watchkeeper doctor` says what is missing."))
        return
    made = table("resource", "kind", "health", "acts", "state", fold=("resource", "state"))
    for watcher in watchers[:MOST]:
        acts = "yes" if watcher.resource.may_act else "no"
        seen = health(at_first_sight(watcher).value)
        made.add_row(watcher.resource.slug, watcher.resource.kind, seen, acts, shortened(watcher.state))
    teller.say()
    teller.say(made)
    if (more := len(watchers) - MOST) > 0:
        teller.say(Text(f"… and {more:,} more, none of them worse: `watchkeeper status --limit 0`", "dim"))
    for watcher in (each for each in watchers[:MOST] if shortened(each.state) != each.state):
        teller.say(Text(f"\n{watcher.resource.slug}: ", "bold").append(watcher.state, "none"))
    teller.say(Text("\n" + _acts(runtime, len(watchers), sum(watcher.resource.may_act for watcher in watchers))))
    for line in let_in([(each.resource, each.last.facts) for each in watchers if each.last is not None]):
        teller.say(Text(line))


def at_first_sight(watcher: "Watcher") -> Health:
    """Its health, or what that is about to be: after one look no alert has lasted long enough to fire."""
    pending = [alert.health for alert in watcher.alerts.values() if alert.severity != "info"]
    again = watcher.last is not None and watcher.last.metrics.get("restarting")
    found = [watcher.health, *pending, *([Health.DEGRADED] if again else [])]
    return max(found, key=lambda one: one.rank)


def let_in(seen: Sequence[tuple[Resource, Mapping[str, str]]]) -> Iterator[str]:
    """As whom it got in where nobody named a user for it: most often one that may everything.

    >>> list(let_in([(Resource("docker/lab/postgres/orders", "orders"), {"login": "postgres"})]))
    ['Nobody named a user for orders: it gets in as postgres. What that one may: watchkeeper doctor']
    """
    by_user: dict[str, list[str]] = {}
    for resource, facts in seen:
        named = resource.settings.get("username") or "@" in str(resource.settings.get("url") or "")
        if facts.get("login") and not named:
            by_user.setdefault(facts["login"], []).append(resource.slug)
    for user, slugs in by_user.items():
        more = f" and {len(slugs) - 3} more" if len(slugs) > 3 else ""
        whom = f"{', '.join(slugs[:3])}{more}: it gets in as {user}"
        yield f"Nobody named a user for {whom}. What that one may: watchkeeper doctor"


def moved(renamed: Sequence[Resource]) -> Iterator[str]:
    """What is in another environment since the last end, in a line for each environment.

    >>> list(moved([Resource("docker/staging/redis/cache", "cache")]))
    ['cache is in staging now, with all of its history.']
    """
    by_environment: dict[str, list[str]] = {}
    for resource in renamed:
        by_environment.setdefault(resource.environment, []).append(resource.slug)
    for environment, slugs in by_environment.items():
        if len(slugs) == 1:
            yield f"{slugs[0]} is in {environment} now, with all of its history."
        else:
            yield f"{len(slugs):,} resources are in {environment} now, with all of their history."


def left_open(incidents: Sequence[Incident]) -> Iterator[str]:
    """A line on what is open from before and not watched now, as where another `only` holds.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 1, tzinfo=UTC)
    >>> print(*left_open([Incident("inc-1", "down", "docker/lab/redis/old", (), at)]))
    <BLANKLINE>
    Left open, and not watched now: inc-1. `watchkeeper close inc-1 --note WHY` ends it.
    """
    if incidents:
        named = ", ".join(incident.id for incident in incidents[:LEFT_OPEN])
        more = f" and {len(incidents) - LEFT_OPEN:,} more" if len(incidents) > LEFT_OPEN else ""
        one = "it" if len(incidents) == 1 else "the first"
        yield (
            f"\nLeft open, and not watched now: {named}{more}. "
            f"`watchkeeper close {incidents[0].id} --note WHY` ends {one}."
        )


def _acts(runtime: "Runtime", every: int, acting: int) -> str:
    if acting:
        return f"It may act on {acting:,} of {every:,}."
    if any(entry.act for entry in runtime.watch.fleet.unmatched()):
        return f"It may act on none of {every:,}: what the configuration permits it to act on was not found."
    return (
        f"It may act on none of {every:,}: that takes `act: true` in watchkeeper.yaml, or a label watchkeeper.act=true."
    )


async def _open(runtime: "Runtime", teller: Teller) -> None:
    """What is open from before this start; of what is not watched now only which."""
    found = await runtime.store.select(Incident, status=("open", "awaiting_approval", "fixing", "escalated"))
    left = [incident for incident in found if incident.root not in runtime.watch.fleet.resources]
    for incident in found:
        if incident not in left:
            teller.say(Text(f"\n{incident.id} {incident.said}: {incident.title}. {incident.reason}"))
    for line in left_open(left):
        teller.say(Text(line, "dim"))
    for approval in await runtime.store.select(Approval, status="waiting"):
        steps = ", ".join(step.tool for step in approval.plan.steps)
        teller.say(Text(f"  {steps} waits for you: watchkeeper approve {approval.id}", "bold yellow"))
