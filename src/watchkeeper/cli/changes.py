"""`changes`: what is live and not in the declared configuration, as a patch; and what changed since a time."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options


def register(app: typer.Typer) -> None:
    app.command()(changes)


def changes(
    context: typer.Context,
    patch: Annotated[bool, typer.Option("--patch", help="Only the patch, to be applied with `patch -p0`.")] = False,
    since: Annotated[str | None, typer.Option(help="List what changed since: 12h, yesterday, a date.")] = None,
) -> None:
    """What is live and not in your compose file or redis.conf, with a patch that declares it; or what changed since a
    time."""
    from watchkeeper.cli import feed
    from watchkeeper.cli.screen import console, print_json
    from watchkeeper.cli.when import moment_of

    options = Options.of(context)
    at = moment_of(since) if since is not None else None
    screen = console()
    with options.client() as client:
        if at is not None:
            told = client.get("/api/report", since=at.isoformat(), format="json")["changes"]
            if options.json:
                return print_json(told)
            for event in told:
                screen.print(feed.line(event), soft_wrap=True)
            return None if told else screen.print("Nothing was seen to change.")
        page = client.get("/api/drift")
    if options.json:
        return print_json(page)
    folder, renamed = _named([patch["file"] for patch in page["patches"] if patch["diff"]])
    diff = "".join(_renamed(one, renamed) for one in page["patches"])
    if patch:
        return typer.echo(diff, nl=False)
    return _told(page, diff, folder)


def _told(page: dict[str, Any], diff: str, folder: str) -> None:
    from watchkeeper.cli.screen import ago, console, prose

    screen = console()
    for item in page["items"]:
        screen.print(f"{item['resource']}: {item['text']}", style="bold", soft_wrap=True)
        since = f"since {ago(item['since'])}; " if item["since"] else ""
        prose(screen, f"{since}to declare it: `{item['line']}` in {item['where']}", 2)
        if item["why_not"]:
            prose(screen, f"no patch: {item['why_not']}", 2)
    for one in page["patches"]:
        if one["note"]:
            screen.print(f"{one['file']}: {one['note']}", style="yellow", soft_wrap=True)
    for name in page["silent"]:
        screen.print(f"{name}: could not be asked what it is configured with.", style="yellow")
    if not page["items"]:
        return screen.print("Everything that is live is declared, as far as can be seen.")
    if diff:
        where = f" -d {folder}" if folder else ""
        screen.print(f"\nApply it: watchkeeper changes --patch | patch -p0{where}   (or: git apply -p0)\n")
        typer.echo(diff, nl=False)
    return None


def _named(files: list[str]) -> tuple[str, dict[str, str]]:
    """Names below the present directory where all files are; else below the root, which has to be said."""
    here = Path(os.getcwd()).resolve()
    try:
        return "", {file: str(Path(file).resolve().relative_to(here)) for file in files}
    except ValueError:
        return "/", {file: file.lstrip("/") for file in files}


def _renamed(one: dict[str, Any], names: dict[str, str]) -> str:
    if not one["diff"]:
        return ""
    _, _, rest = one["diff"].split("\n", 2)
    name = names[one["file"]]
    return f"--- {name}\n+++ {name}\n{rest}"
