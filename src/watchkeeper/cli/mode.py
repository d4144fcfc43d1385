"""`mode`, `settings`: how much it may do now, and what is configured."""

from typing import Annotated, Any, Literal

import typer

from watchkeeper.cli.options import Options


def register(app: typer.Typer) -> None:
    app.command()(mode)
    app.command()(settings)


def mode(
    context: typer.Context,
    wanted: Annotated[
        Literal["observe", "approve", "auto"] | None, typer.Argument(metavar="[observe|approve|auto]")
    ] = None,
    resource: Annotated[str | None, typer.Option(help="Only for this one: a slug or an id.")] = None,
    as_configured: Annotated[bool, typer.Option("--as-configured", help="As the configuration says again.")] = False,
    note: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
) -> None:
    """Show the mode, or set another than the configured one while it runs. It holds until it is set as configured.

    What is more permissive than the configuration takes an admin.
    """
    from urllib.parse import quote

    from watchkeeper.cli.screen import print_json
    from watchkeeper.domain.errors import WatchkeeperError

    if wanted is not None and as_configured:
        raise WatchkeeperError("A mode, or --as-configured, not both.", "watchkeeper mode --as-configured")
    if wanted is None and not as_configured and resource is not None:
        raise WatchkeeperError("Say which mode.", f"watchkeeper mode observe --resource {resource}")
    options = Options.of(context)
    with options.client() as client:
        if wanted is not None:
            answer = client.put("/api/mode", {"mode": wanted, "resource": resource, "note": note})
        elif as_configured:
            answer = client.delete("/api/mode" + (f"?resource={quote(resource, safe='')}" if resource else ""))
        else:
            answer = client.get("/api/mode")
    if options.json:
        return print_json(answer)
    return _tell(answer)


def _tell(answer: dict[str, Any]) -> None:
    from watchkeeper.cli.screen import until

    typer.echo(f"Mode {answer['mode']}; the configuration says {answer['configured']}.")
    for one in answer["modes"]:
        about = (one["slug"] or one["resource"]) if one["resource"] else "everything"
        note = f": {one['note']}" if one["note"] else ""
        typer.echo(f"  {one['mode']} for {about}, set by {one['by'].partition(':')[2]} on {until(one['at'])}{note}")
    for event in answer["history"][-5:]:
        typer.echo(f"  {until(event['at'])}  {event['text']}")


def settings(context: typer.Context) -> None:
    """What is configured, with defaults; secrets hidden. What was set while it runs is told, too."""
    import sys

    import yaml

    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        answer = client.get("/api/settings")
    if options.json:
        return print_json(answer)
    yaml.safe_dump(answer["settings"], sys.stdout, sort_keys=False, allow_unicode=True)
    for one in answer["overruled"]:
        about = f" for {one['slug'] or one['resource']}" if one["resource"] else ""
        typer.echo(f"# mode {one['mode']} holds{about} instead, set by {one['by'].partition(':')[2]}")
    return None
