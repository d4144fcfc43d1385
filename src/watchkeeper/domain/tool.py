"""Typed look-ups and actions: the only hands there are.

@tool(Effect.REVERSIBLE, state=maxmemory, timeout=5.0)
async def redis_set_maxmemory(redis: RedisSession, value: Annotated[int, Ge(1 << 20)]) -> None: ...
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from watchkeeper.domain.errors import WatchkeeperError
from watchkeeper.domain.plan import Effect
from watchkeeper.domain.reading import Reading
from watchkeeper.domain.rights import Right
from watchkeeper.domain.size import InBytes

S = TypeVar("S")

Precondition = Callable[[Reading, Mapping[str, Any]], str | None]
"""Says why the call must not be made now, or None. Pure: it reads only the reading and the arguments."""


ByHand = str | Callable[[Mapping[str, Any], Mapping[str, str]], str]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Limit:
    """What a tool raises, or works around: a setting, as changes name it; and the metric that it limits, where there is
    one."""

    setting: str
    metric: str = ""
    argument: str = "value"
    """Of the tool that sets it."""
    by: str = ""
    """That tool, where it is another one; `nobody`: there is none."""
    tight: frozenset[str] = frozenset()
    """Values that are tighter than any other; empty where they are numbers, of which the lower is, and 0 is none."""

    def tightened(self, before: str, after: str) -> bool:
        """Whether the second value is tighter than the first."""
        if self.tight:
            return after in self.tight and before not in self.tight
        try:
            was, now = float(before), float(after)
        except ValueError:
            return False
        return 0 < now < (was or float("inf"))


_BRINGS_UP = ("POST /containers/{id}/start", "POST /containers/{id}/restart")
"""Calls of the container engine."""


@dataclass
class Tool(Generic[S]):
    """One tool. `state` is recorded before acting; `settle` is how long, in seconds, its result may take to show.

    `effect` is a minimum: `effect_now` may only make it harsher. `timeout` cuts the call off. `cost`: US dollars by
    which a call raises the bill of a month; None where it changes no bill. `by_hand` is a template for the shell
    command that does the same, over the arguments, `host`, `service` (of compose), `resource`, `inside` (`docker exec
    NAME ` where it runs in a container, `ssh HOST `), `at` (` -h HOST -p PORT` where it does not), `start` and
    `restart` (the command that does so with what it runs on); or what makes that template of the arguments and of the
    facts of the last reading.
    """

    name: str
    title: str
    description: str
    effect: Effect
    run: Callable[..., Awaitable[Any]]
    arguments: type[BaseModel]
    state: Callable[[S], Awaitable[Any]] | None = None
    settle: float = 2.0
    timeout: float = 10.0
    cost: float | None = None
    effect_now: Callable[[Reading], Effect] | None = None
    requires: tuple[Precondition, ...] = ()
    by_hand: ByHand = ""
    rights: tuple[Right, ...] = ()
    """What it must be allowed besides what looking needs; its undo included."""
    undo_run: Callable[[S, Any], Awaitable[None]] | None = field(default=None)
    limits: tuple[Limit, ...] = ()
    """What it raises or works around. Where a person has just tightened that, they are asked first."""

    @property
    def revives(self) -> bool:
        """Whether it starts or restarts what something runs on, told by what it must be allowed."""
        return any(right.kind == "unit" or (right.kind == "call" and right.what in _BRINGS_UP) for right in self.rights)

    @property
    def in_bytes(self) -> tuple[str, ...]:
        """The arguments that count bytes."""
        fields = self.arguments.model_fields
        return tuple(name for name, field in fields.items() if any(isinstance(m, InBytes) for m in field.metadata))

    def undo(self, function: Callable[[S, Any], Awaitable[None]]) -> Callable[[S, Any], Awaitable[None]]:
        """Register what restores the state recorded before acting."""
        self.undo_run = function
        return function

    def taking_back(self, before: Any) -> "Tool[S]":
        """As a tool: what restores the state that was recorded before a call of this one. Raises TypeError where it
        has no undo. It takes the same arguments, and has no use for them."""
        undo = self.undo_run
        if undo is None:
            raise TypeError(f"{self.name} has no undo")

        async def run(session: S, **_: Any) -> None:
            await undo(session, before)

        return replace(self, run=run, requires=())

    def parse(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Validated arguments. Raises WatchkeeperError that names each argument that does not fit, and its bounds."""
        try:
            parsed = self.arguments.model_validate(dict(arguments))
        except ValidationError as problem:
            said = "; ".join(
                f"{'.'.join(str(part) for part in e['loc']) or 'arguments'}: {e['msg']}" for e in problem.errors()
            )
            raise WatchkeeperError(
                f"{self.name} cannot be called so: {said}.", f"Its arguments: `watchkeeper tools show {self.name}`."
            ) from None
        return {name: getattr(parsed, name) for name in type(parsed).model_fields}

    def effect_on(self, reading: Reading | None) -> Effect:
        """The effect of a call now. Where the reading cannot tell, or there is none, the harshest possible is taken."""
        if self.effect_now is None:
            return self.effect
        if reading is None:
            return Effect.DESTRUCTIVE
        try:
            return max(self.effect, self.effect_now(reading), key=lambda effect: effect.rank)
        except LookupError:
            return Effect.DESTRUCTIVE

    def refusal(self, reading: Reading, arguments: Mapping[str, Any]) -> str | None:
        """The first precondition that does not hold, or that the reading cannot answer, in words; or None."""
        if reading.metrics.get("no_way_in", 0.0) > 0:
            return f"It is only {reading.state}; nothing here can reach it (it has neither a `url` nor a host)."
        try:
            return next((said for check in self.requires if (said := check(reading, arguments))), None)
        except LookupError as problem:
            return f"a precondition needs {problem.args[0] if problem.args else 'a name'}, which is not known now"


def tool(
    effect: Effect,
    *,
    state: Callable[[Any], Awaitable[Any]] | None = None,
    settle: float = 2.0,
    timeout: float = 10.0,
    cost: float | None = None,
    effect_now: Callable[[Reading], Effect] | None = None,
    requires: tuple[Precondition, ...] = (),
    by_hand: ByHand = "",
    rights: tuple[Right, ...] = (),
    limits: tuple[Limit, ...] = (),
) -> Callable[[Callable[..., Awaitable[Any]]], Tool[Any]]:
    """Make a tool of an async function whose first parameter is the session; its docstring is the description."""

    def made(function: Callable[..., Awaitable[Any]]) -> Tool[Any]:
        name = function.__name__
        hints = get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        fields: dict[str, Any] = {
            p.name: (hints[p.name], ... if p.default is inspect.Parameter.empty else p.default) for p in parameters
        }
        description = inspect.getdoc(function) or ""
        if not description:
            raise TypeError(f"{name} needs a docstring: it tells people and agents when to use it")
        return Tool(
            name=name,
            title=name.replace("_", " "),
            description=description,
            effect=effect,
            run=function,
            arguments=create_model(name, __base__=_Arguments, **fields),
            state=state,
            settle=settle,
            timeout=timeout,
            cost=cost,
            effect_now=effect_now,
            requires=requires,
            by_hand=by_hand,
            rights=rights,
            limits=limits,
        )

    return made
