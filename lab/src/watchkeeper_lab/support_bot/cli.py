"""`watchkeeper lab replay`, and what `lab up --with support-bot` takes."""

import json as as_json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.instance import DEFAULT_NAME
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.support_bot import part
from watchkeeper_lab.support_bot.replay import Asked, replay
from watchkeeper_lab.support_bot.shifts import SHIFTS, Order

With = Annotated[
    list[str] | None, typer.Option("--with", help=f"What comes beside the shop: {part.NAME}; in containers only.")
]
ServerUrl = Annotated[
    str | None,
    typer.Option(
        "--watchkeeper",
        help="Where the support-bot pushes to, with the token in WATCHKEEPER_TOKEN (role sender); else nowhere.",
    ),
]
DEFAULT = Order()
Shifts = Annotated[list[str] | None, typer.Option("--shift", help=f"May be repeated: {', '.join(SHIFTS)}.")]


def check(beside: list[str] | None, server: str | None) -> None:
    """Raises `BadInputError` before anything is started."""
    for name in beside or ():
        if name != part.NAME:
            raise BadInputError(f"There is no `{name}` to start beside the shop.", f"There is `{part.NAME}`.")
    if server and not beside:
        raise BadInputError("Nothing would push to a Watchkeeper.", f"Add `--with {part.NAME}`.")


async def start(lab: Lab, console: Console, server: str | None) -> None:
    """The bot beside a lab, and where it is."""
    to = part.Server(server, os.environ.get("WATCHKEEPER_TOKEN", "").strip()) if server else None
    url = await part.start(lab, console.print, to)
    pushes = f"pushes to {server}" if server else "pushes nowhere (`--watchkeeper URL`)"
    console.print(f"  bot     {url}questions  ({pushes})", soft_wrap=True)


def table(done: Asked) -> Table:
    """As who asked saw it."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    for name, value in done.to_dict().items():
        shown.add_row(name.replace("_", " "), "–" if value is None else str(value))
    return shown


def register(app: typer.Typer, run: Callable[[Coroutine[Any, Any, int | None]], None], console: Console) -> None:
    """Add `replay` to the commands of the lab, each of which is run by `run`."""

    @app.command("replay")
    def replay_(  # pyright: ignore[reportUnusedFunction]
        name: Annotated[str, typer.Option("--name", help="Which lab.")] = DEFAULT_NAME,
        shift: Shifts = None,
        questions: Annotated[int, typer.Option("--questions", help="How many are asked.")] = DEFAULT.number,
        rate: Annotated[float, typer.Option("--rate", help="Questions a second.")] = DEFAULT.rate,
        seed: Annotated[int, typer.Option("--seed", help="The same seed asks the same.")] = DEFAULT.seed,
        share: Annotated[float, typer.Option("--share", help="How many of them are shifted, 0 to 1.")] = DEFAULT.share,
        labels: Annotated[
            float, typer.Option("--labels", help="Of how many the truth is told, 0 to 1.")
        ] = DEFAULT.labels,
        delay: Annotated[
            float, typer.Option("--delay", min=0, max=10, help="Seconds that `slow` adds.")
        ] = DEFAULT.delay_seconds,
        errors: Annotated[
            float, typer.Option("--errors", help="Share that `errors` fails, 0 to 1.")
        ] = DEFAULT.error_share,
        json: Annotated[Path | None, typer.Option("--json", help="Write what came of it to this file.")] = None,
    ) -> None:
        """Ask the support-bot what real customers asked, as they did or shifted."""
        words = (tuple(shift or ("none",)), questions, rate, seed, share, labels, delay, errors)
        run(_replay(name, words, json, console))


async def _replay(name: str, words: tuple[Any, ...], json: Path | None, console: Console) -> int:
    """One replay, and a table of what came of it; exit code 1 where nothing was answered."""
    order = Order(*words)
    lab = await Lab.attach(name)
    seconds = order.number / order.rate
    console.print(f"Asking {order.number} questions at {order.rate:g} a second ({seconds:.0f} s), seed {order.seed}:")
    for shift in order.shifts:
        console.print(f"  {shift}: {SHIFTS[shift]}")
    done = await replay(lab, order)
    console.print(table(done))
    if json is not None:
        said = {"shifts": order.shifts, "seed": order.seed, "share": order.share, **done.to_dict()}
        json.write_text(as_json.dumps(said, indent=2) + "\n")  # noqa: ASYNC240
    return 0 if done.answered else 1
