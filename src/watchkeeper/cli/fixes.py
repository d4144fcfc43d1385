"""`fixes`, `fixes archive`: what was done lately, and what lists are to leave out from now on."""

from typing import Annotated

import typer

from watchkeeper.cli.options import Options

fixes = typer.Typer(help="List the fixes, archive old ones.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    app.add_typer(fixes, name="fixes")


@fixes.callback()
def list_fixes(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    archived: Annotated[bool, typer.Option("--archived", help="With those that were archived.")] = False,
) -> None:
    """The last fixes, newest first. `show FIX` tells all of one."""
    if context.invoked_subcommand is not None:
        return None
    from watchkeeper.cli.screen import console, print_json, table, until

    options = Options.of(context)
    with options.client() as client:
        page = client.get("/api/fixes", limit=limit, **({"archived": "true"} if archived else {}))
    if options.json:
        return print_json(page)
    if not page["items"]:
        return typer.echo("Nothing was done yet.")
    made = table("fix", "begun", "by", "steps", "ended", "incident", fold=("steps",))
    for one in page["items"]:
        steps = ", ".join(step["tool"] for step in one["plan"]["steps"])
        ended = one["said"] + (" (archived)" if one["archived"] else "")
        author = one["plan"]["author"]
        made.add_row(one["id"], until(one["started_at"]), author, steps, ended, one["incident"] or "")
    return console().print(made)


@fixes.command()
def archive(
    context: typer.Context,
    before: Annotated[
        str | None, typer.Option(help="Only those begun before: 30d, yesterday, 2026-11-21T18:00. Else all.")
    ] = None,
    resource: Annotated[str | None, typer.Option(help="Only those that touched it: a slug or an id.")] = None,
) -> None:
    """Have lists and the evaluation leave out the fixes that are over. Nothing is erased: by their ids they are there,
    and `--archived` shows them. It takes an admin."""
    from urllib.parse import urlencode

    from watchkeeper.cli.screen import print_json
    from watchkeeper.cli.when import moment_of

    options = Options.of(context)
    given = {"before": moment_of(before).isoformat() if before else None, "resource": resource}
    chosen = urlencode({name: value for name, value in given.items() if value})
    with options.client() as client:
        answer = client.delete("/api/fixes" + (f"?{chosen}" if chosen else ""))
    if options.json:
        return print_json(answer)
    count = answer["archived"]
    return typer.echo(f"{count} {'fix is' if count == 1 else 'fixes are'} archived.")
