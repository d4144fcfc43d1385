"""`logs`: what a resource's log said, or that of all of them, as it comes; and what it usually says."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    from rich.text import Text


class Lowest(StrEnum):
    warning = "warning"
    error = "error"
    critical = "critical"


def register(app: typer.Typer) -> None:
    app.command()(logs)


def logs(
    context: typer.Context,
    resource: Annotated[list[str] | None, typer.Argument(help="Its name; several; or none for all.")] = None,
    templates: Annotated[bool, typer.Option("--templates", help="What it usually says, and how often.")] = False,
    text: Annotated[str | None, typer.Option("--text", "-t", help="Lines that hold this, in either case.")] = None,
    level: Annotated[
        Lowest, typer.Option(case_sensitive=False, help="This level and worse; others are not kept.")
    ] = Lowest.warning,
    since: Annotated[str | None, typer.Option(help="Lines since: 12h, yesterday, a date.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, with what comes.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most, the last ones.")] = 50,
) -> None:
    """What a resource's log said (WARNING and worse), or that of all; or with --templates what it usually says and how
    often."""
    from watchkeeper.cli.screen import console, print_json
    from watchkeeper.cli.when import moment_of

    options, names = Options.of(context), resource or []
    if templates:
        return _templates(options, names, min(limit, 200))
    asked = {"resource": names, "text": text, "level": level.name.upper()}
    at = moment_of(since).isoformat() if since else None
    screen = console()
    with options.client() as client:
        page = client.get("/api/logs", **asked, since=at, limit=limit)
        if options.json and not follow:
            return print_json(page)
        for line in reversed(page["items"]):
            _tell(options, line, alone=len(names) == 1)
        if follow:
            newest = page["items"][0]["seq"] if page["items"] else client.newest_line()
            for line in client.lines(newest, **asked):
                if line is not None:
                    _tell(options, line, alone=len(names) == 1)
    if not page["items"] and not follow:
        hint = f" `watchkeeper logs {names[0]} --templates`: what it usually says." if len(names) == 1 else ""
        screen.print(f"No such lines are kept (WARNING and worse).{hint}")
    return None


def _tell(options: Options, line: dict[str, Any], *, alone: bool) -> None:
    from watchkeeper.cli.screen import console, print_json

    if options.json:
        return print_json(line)
    return console().print(_line(line, alone=alone), soft_wrap=True)


def _line(line: dict[str, Any], *, alone: bool) -> "Text":
    from rich.text import Text

    from watchkeeper.cli.screen import clock

    text = Text(f"{clock(line['at'])} ", "dim")
    if not alone:
        text.append(f"{line['resource'].rpartition('/')[2]} ", "bold")
    return text.append(f"{line['level']:<8} {line['text']}", "none")


def _templates(options: Options, names: list[str], limit: int) -> None:
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json
    from watchkeeper.domain.errors import WatchkeeperError

    if len(names) != 1:
        raise WatchkeeperError("--templates takes one resource.", "For example: watchkeeper logs redis --templates")
    with options.client() as client:
        page = client.get(f"/api/resources/{segment(names[0])}/logs/templates", limit=limit)
    return print_json(page) if options.json else _shown(page)


def _shown(page: dict[str, Any]) -> None:
    from watchkeeper.cli.screen import ago, console, table

    screen = console()
    if page["since"] is None:
        return screen.print(
            f"No log of {page['resource']} is followed: it has no host here that it could be read from."
        )
    screen.print(f"{page['resource']}: {page['lines']:,} lines within {ago(page['since'])}", style="bold")
    made = table("level", "count", "a minute", "first", "last", "template", fold=("template",))
    for one in page["items"]:
        made.add_row(
            one["level"] or "",
            f"{one['count']:,}",
            f"{one['per_minute']:.3g}",
            f"{ago(one['first_at'])} ago",
            f"{ago(one['last_at'])} ago",
            one["text"],
        )
    if page["items"]:
        screen.print(made)
    else:
        screen.print("It has said nothing since.")
    for number, said in (
        (page["more"], "more templates: --limit N shows more"),
        (page["sampled"], "lines of a flood were counted by a sample of them"),
        (page["unread"], "lines of a flood were not read"),
        (page["dropped"], "templates were let go for others"),
    ):
        if number:
            screen.print(f"{number:,} {said}.", style="dim")
    return None
