"""What is printed: plain and wide where nobody looks at a terminal, in colour and to its width where somebody does."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchkeeper.domain.size import readable

PLAIN_WIDTH = 2000
"""Columns where the output is not a terminal: nothing is folded or cut."""
NARROWEST = 12
"""Characters that a column which may be folded has at least."""
HEALTH = {"HEALTHY": ("●", "green"), "DEGRADED": ("▲", "yellow"), "FAILED": ("✖", "red"), "UNKNOWN": ("?", "cyan")}
OUTCOME = {"allow": ("✓", "green"), "ask": ("?", "yellow"), "deny": ("✖", "red")}


class Screen(Console):
    """Where nobody looks at a terminal, lines end with their last word: a column is not filled up to its width."""

    def print(self, *what: Any, **how: Any) -> None:
        if self.is_terminal:
            super().print(*what, **how)
            return
        with self.capture() as captured:
            super().print(*what, **how)
        self.file.write("\n".join(line.rstrip(" ") for line in captured.get().split("\n")))
        self.file.flush()


def console(*, stderr: bool = False) -> Console:
    """A console that respects NO_COLOR; never highlights, never reads markup in what it prints."""
    made = Screen(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not made.is_terminal:
        made.width = PLAIN_WIDTH
    return made


def print_json(value: Any) -> None:
    """For machines, whole."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def table(*columns: str, fold: Sequence[str] = (), right: Sequence[str] = ()) -> Table:
    """A table without a frame. Only the columns in `fold` may be wrapped; nothing is ever cut."""
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        wraps = column in fold
        made.add_column(
            column.upper(),
            no_wrap=not wraps,
            overflow="fold",
            ratio=None,
            justify="right" if column in right else "left",
            min_width=NARROWEST if wraps else None,
        )
    return made


def prose(screen: Console, text: Text | str, indent: int) -> None:
    """A sentence whose further lines stand under its first."""
    from rich.padding import Padding

    screen.print(Padding.indent(text if isinstance(text, Text) else Text(text), indent))


def health(name: str) -> Text:
    """Shape, colour and word: told apart without seeing colours."""
    shape, colour = HEALTH.get(name, ("?", "cyan"))
    return Text(f"{shape} {name}", style=colour)


def outcome(name: str) -> Text:
    shape, colour = OUTCOME.get(name, ("?", "yellow"))
    return Text(f"{shape} {name}", style=colour)


def moment(text: str | None) -> datetime | None:
    """A time as the API writes it."""
    if not text:
        return None
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def ago(text: str | None, at: datetime | None = None) -> str:
    """How long since, as a person would say it."""
    began = moment(text)
    return lasted(((at or datetime.now(UTC)) - began).total_seconds()) if began else ""


def lasted(seconds: float) -> str:
    """To the second below ten minutes, to the minute below a day.

    >>> [lasted(s) for s in (-1, 0.4, 59, 61, 114, 840, 3599, 3720, 90000)]
    ['0 s', '0.4 s', '59 s', '1 min 1 s', '1 min 54 s', '14 min', '1 h', '1 h 2 min', '1 d 1 h']
    """
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def clock(text: str | None) -> str:
    """The time of day here."""
    at = moment(text)
    return at.astimezone().strftime("%H:%M:%S") if at else "—"


def until(text: str | None) -> str:
    """The day and time here."""
    at = moment(text)
    return at.astimezone().strftime("%Y-%m-%d %H:%M %Z") if at else "—"


def figure(name: str, value: float | None) -> str:
    """A metric's value in its unit, which its name carries.

    >>> figure("used_memory_ratio", 0.971), figure("used_bytes", 3 << 20), figure("ping_seconds", 0.0021)
    ('97.1 %', '3.0 MiB', '2.1 ms')
    """
    if value is None:
        return "no data"
    if name.endswith("_ratio"):
        return f"{value * 100:.3g} %"
    if name.endswith("_bytes"):
        return readable(value)
    if name.endswith("_seconds"):
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else lasted(value)
    if name.endswith("_per_second"):
        return f"{value:.4g}/s"
    return f"{value:.6g}"


def metric_words(name: str) -> str:
    """
    >>> metric_words("used_memory_ratio")
    'used memory'
    """
    for unit in ("_ratio", "_bytes", "_seconds", "_per_second"):
        name = name.removesuffix(unit)
    return name.replace("_", " ")


def counted(number: float, singular: str, plural: str = "") -> str:
    """
    >>> counted(1, "message"), counted(1200, "message"), counted(2, "entry", "entries")
    ('1 message', '1,200 messages', '2 entries')
    """
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def called(step: dict[str, Any]) -> str:
    """The arguments of a step, those that count bytes readably, too.

    >>> called({"arguments": {"value": 161061273, "count": 2048}, "in_bytes": ["value"]})
    'value=161061273 (153.6 MiB) count=2048'
    """
    return arguments(step["arguments"], step.get("in_bytes", ()))


def arguments(values: dict[str, Any], in_bytes: Sequence[str] = ()) -> str:
    """Arguments of a call, as they are written on the command line; a runbook's expressions as they are.

    >>> arguments({"value": 5, "pattern": "a b", "limit": "= reading.x"})
    'value=5 pattern="a b" limit = reading.x'
    """
    return " ".join(_argument(name, value, in_bytes) for name, value in values.items())


def _argument(name: str, value: Any, in_bytes: Sequence[str]) -> str:
    if name in in_bytes and isinstance(value, int) and value >= 1024:
        return f"{name}={value} ({readable(value)})"
    if isinstance(value, str) and value.startswith("= "):
        return f"{name} {value}"
    plain = isinstance(value, str) and not any(character.isspace() for character in value)
    return f"{name}={value if plain else json.dumps(value, ensure_ascii=False)}"
