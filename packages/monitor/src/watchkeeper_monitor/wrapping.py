"""A block, a function or an ASGI application whose time and errors are counted."""

import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from watchkeeper_monitor.context import CURRENT, of_headers

if TYPE_CHECKING:
    from watchkeeper_monitor.monitor import Monitor

P = ParamSpec("P")
R = TypeVar("R")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Timed:
    """A block that is timed; `seconds` when it is over."""

    def __init__(self, monitor: "Monitor") -> None:
        self.seconds = 0.0
        self._monitor = monitor
        self._began = 0.0

    def __enter__(self) -> "Timed":
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._began
        if isinstance(problem, Exception):
            self._monitor.error(problem)
        elif problem is None:
            self._monitor.latency(self.seconds)


class Tracked:
    """The decorator that `Monitor.tracked` gives."""

    def __init__(
        self, monitor: "Monitor", prediction: Callable[[Any], Any] | None, given: Mapping[str, Callable[[Any], Any]]
    ) -> None:
        self._monitor = monitor
        self._prediction = prediction
        self._given = given

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                began = time.perf_counter()
                try:
                    result = await function(*args, **kwargs)
                except Exception as problem:
                    self._monitor.error(problem)
                    raise
                self._count(result, time.perf_counter() - began)
                return result

            return cast("Callable[P, R]", awaited)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            began = time.perf_counter()
            try:
                result = function(*args, **kwargs)
            except Exception as problem:
                self._monitor.error(problem)
                raise
            self._count(result, time.perf_counter() - began)
            return result

        return called

    def _count(self, result: Any, seconds: float) -> None:
        try:
            prediction = result if self._prediction is None else self._prediction(result)
            given = {name: of(result) for name, of in self._given.items()}
        except (
            Exception
        ) as problem:  # the caller's own function is at fault, and the caller's request is not to fail for it
            self._monitor.count(f"not tracked: {type(problem).__name__}")
            return
        self._monitor.track(prediction, latency_seconds=seconds, **given)


class MonitorMiddleware:
    """ASGI middleware: counts the time of each request below `path`, and exceptions and answers from 500 on as errors.

    The endpoint calls `track` without `latency_seconds`: the time is counted here. What is logged meanwhile carries the
    request's `x-request-id` (without one, one is made up) and the trace of its `traceparent`.
    """

    def __init__(self, app: App, *, monitor: "Monitor", path: str = "/") -> None:
        self._app = app
        self._monitor = monitor
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._path):
            await self._app(scope, receive, send)
            return
        status = 0

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        request = of_headers(scope.get("headers") or ())
        token = CURRENT.set(request)
        began = time.perf_counter()
        try:
            await self._app(scope, receive, sending)
            if status >= 500:
                self._monitor.error(f"HTTP {status}")
            else:
                self._monitor.latency(time.perf_counter() - began)
        except Exception as problem:
            self._monitor.error(problem)
            raise
        finally:
            request.over(time.perf_counter() - began)
            CURRENT.reset(token)
