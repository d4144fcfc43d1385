"""`silence add`, `list`, `expire`: what people are not told of, for a while."""

from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options

silence = typer.Typer(
    help="What people are not told of, for a while: add a silence, list them, expire one.", invoke_without_command=True
)


def register(app: typer.Typer) -> None:
    app.add_typer(silence, name="silence")


@silence.callback()
def default(context: typer.Context) -> None:
    """What people are not told of, for a while. Looking and acting go on, and everything stays in the history."""
    if context.invoked_subcommand is None:
        list_silences(context, everything=False)


@silence.command()
def add(
    context: typer.Context,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="How long, from now on: 30m, 2h, 1d.")],
    resource: Annotated[str, typer.Argument(metavar="[RESOURCE|all]", help="A slug, an id or a glob; `all`.")] = "",
    rule: Annotated[str, typer.Option(help="Only alerts of this rule; globs are allowed.")] = "",
    severity: Annotated[str, typer.Option(help="Only alerts of this severity: info, warning, critical.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
    approvals: Annotated[bool, typer.Option("--approvals", help="Keep back requests for approval, too.")] = False,
) -> None:
    """Tell nobody about alerts that match all that is given. At the end one line says what was kept back."""
    from watchkeeper.cli.screen import print_json, until
    from watchkeeper.cli.when import length as length_of

    options = Options.of(context)
    length_of(length)
    body = {"resource": resource, "rule": rule, "severity": severity, "for": length, "reason": reason}
    with options.client() as client:
        made = client.post("/api/silences", body | {"approvals": approvals})
    if options.json:
        return print_json(made)
    typer.echo(f"{made['id']}: nobody is told about {made['about']} until {until(made['ends'])}.")
    if not approvals:
        typer.echo("Requests for approval are told all the same; --approvals keeps them back, too.")
    return typer.echo(f"`watchkeeper silence expire {made['id']}` ends it earlier.")


@silence.command("list")
def list_silences(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
) -> None:
    """The silences that hold, and how much each has kept back."""
    from watchkeeper.cli.screen import console, print_json, table, until

    options = Options.of(context)
    with options.client() as client:
        page = client.get("/api/silences", status="all" if everything else "standing")
    if options.json:
        return print_json(page)
    items: list[dict[str, Any]] = page["items"]
    if not items:
        return console().print("There has been no silence." if everything else "Nothing is silenced.")
    made = table("id", "status", "about", "until", "by", "kept back", "reason", fold=("about", "reason"))
    for item in items:
        count = str(sum(item["kept_back"].values()))
        made.add_row(item["id"], item["status"], item["about"], until(item["ends"]), item["by"], count, item["reason"])
    return console().print(made)


@silence.command()
def expire(context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID", help="The silence's id.")]) -> None:
    """End a silence now."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import counted, print_json

    options = Options.of(context)
    with options.client() as client:
        ended = client.post(f"/api/silences/{segment(key)}/expire")
    kept = sum(ended["kept_back"].values())
    if options.json:
        return print_json(ended)
    return typer.echo(f"{ended['id']} is over; it kept back {counted(kept, 'message')}.")
