"""`maintenance start`, `list`, `end`: times in which nothing is changed by itself."""

from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options

maintenance = typer.Typer(
    help="Windows in which nothing is changed by itself: start one, list them, end one.", invoke_without_command=True
)
Length = Annotated[str, typer.Option("--for", metavar="TIME", help="How long, from now on: 30m, 2h, 1d.")]
Reason = Annotated[str, typer.Option(help="Why; told where it holds something back.")]


def register(app: typer.Typer) -> None:
    app.add_typer(maintenance, name="maintenance")


@maintenance.callback()
def default(context: typer.Context) -> None:
    """Windows in which nothing is changed by itself. Looking goes on; what waits goes on by itself at the end."""
    if context.invoked_subcommand is None:
        list_windows(context)


@maintenance.command()
def start(
    context: typer.Context,
    resources: Annotated[list[str], typer.Argument(metavar="RESOURCE...|all", help="Slugs, ids or globs; `all`.")],
    length: Length,
    reason: Reason = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Keep messages about them back, too.")] = False,
) -> None:
    """Change nothing by itself on these from now on, for a while. What you submit yourself is still done."""
    from watchkeeper.cli.screen import print_json
    from watchkeeper.cli.screen import until as when
    from watchkeeper.cli.when import length as length_of

    options = Options.of(context)
    length_of(length)
    with options.client() as client:
        window = client.post(
            "/api/maintenance", {"resources": resources, "for": length, "reason": reason, "quiet": quiet}
        )
    if options.json:
        return print_json(window)
    told = ", and nobody is told of it" if quiet else ""
    what = f"nothing is changed by itself on {', '.join(resources)} until {when(window['ends'])}{told}"
    typer.echo(f"{window['id']}: {what}.")
    return typer.echo(f"`watchkeeper maintenance end {window['id']}` ends it earlier.")


@maintenance.command("list")
def list_windows(context: typer.Context) -> None:
    """The windows that hold now, and the next of each schedule in the configuration."""
    from watchkeeper.cli.screen import console, print_json, table
    from watchkeeper.cli.screen import until as when

    options = Options.of(context)
    with options.client() as client:
        page = client.get("/api/maintenance")
    if options.json:
        return print_json(page)
    items: list[dict[str, Any]] = page["items"]
    if not items:
        return console().print("No maintenance now, and none is planned.")
    made = table("id", "holds", "resources", "from", "until", "by", "reason", fold=("resources", "reason"))
    for item in items:
        holds = "▲ now" if item["now"] else "planned"
        span = when(item["begins"]), when(item["ends"])
        made.add_row(item["id"], holds, ", ".join(item["resources"]), *span, item["by"], item["reason"])
    return console().print(made)


@maintenance.command()
def end(context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID", help="The window's id.")]) -> None:
    """End a window that was started by hand; what it held back goes on at once."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        window = client.post(f"/api/maintenance/{segment(key)}/end")
    if options.json:
        return print_json(window)
    return typer.echo(f"{window['id']} is over; what it held back goes on.")
