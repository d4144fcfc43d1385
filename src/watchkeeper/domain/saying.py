"""What a tool says while it is at work: shown beside its step as it comes.

say(f"{removed} keys removed")
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

_to: ContextVar[Callable[[str], None] | None] = ContextVar("said to", default=None)


def say(text: str) -> None:
    """Tell, in one short line without secrets, how far it is; where nobody listens nothing happens. Costs little: say
    it as often as it changes."""
    if (told := _to.get()) is not None:
        told(text)


@contextmanager
def heard(by: Callable[[str], None]) -> Generator[None]:
    """What is said inside is told to `by`."""
    before = _to.set(by)
    try:
        yield
    finally:
        _to.reset(before)
