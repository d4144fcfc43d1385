"""`token new`, `list`, `revoke`: who may come in, and as whom."""

from typing import Annotated, Any, Literal

import typer

from watchkeeper.cli.options import Options

token = typer.Typer(help="Tokens for people and agents: make one, list them, revoke one.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(token, name="token")


@token.command()
def new(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Who it is for; the history calls them so.")],
    role: Annotated[
        Literal["viewer", "operator", "approver", "admin", "sender"] | None,
        typer.Option(help="What they may: docs/access.md."),
    ] = None,
    agent: Annotated[
        bool, typer.Option("--agent", help="For a program: it may look and submit, never approve.")
    ] = False,
    expires: Annotated[str | None, typer.Option(help="30d, 12h: how long it holds; else until it is revoked.")] = None,
) -> None:
    """Make a token. It is shown once: only its hash is kept."""
    from watchkeeper.cli.screen import print_json
    from watchkeeper.domain.errors import WatchkeeperError

    if agent == (role is not None):
        raise WatchkeeperError("Say a role, or --agent.", "watchkeeper token new --name ada --role operator")
    options = Options.of(context)
    wanted = {"name": name, "role": "agent" if agent else role, "expires": expires}
    with options.client() as client:
        made = client.post("/api/tokens", wanted)
    if options.json:
        return print_json(made)
    view = made["view"]
    until = f", until {view['expires_at'][:16].replace('T', ' ')} UTC" if view["expires_at"] else ""
    typer.echo(f"{view['id']}: {view['name']}, {view['role']}{until}. It is shown this once:")
    return typer.echo(made["token"])


@token.command("list")
def list_tokens(context: typer.Context) -> None:
    """Every token there is and was, with when it was used last."""
    from watchkeeper.cli.screen import ago, console, print_json, table

    options = Options.of(context)
    with options.client() as client:
        page = client.get("/api/tokens")
    if options.json:
        return print_json(page)
    items: list[dict[str, Any]] = page["items"]
    if not items:
        return console().print("There is no token but the operator's own.")
    made = table("id", "name", "role", "status", "made by", "expires", "last used")
    for item in items:
        expires = item["expires_at"][:10] if item["expires_at"] else "never"
        used = f"{ago(item['used_at'])} ago" if item["used_at"] else "never"
        made.add_row(item["id"], item["name"], item["role"], item["status"], item["created_by"], expires, used)
    return console().print(made)


@token.command()
def revoke(
    context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID", help="The token's id: tok-…")]
) -> None:
    """Let a token open nothing any more, at once."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        told = client.delete(f"/api/tokens/{segment(key)}")
    if options.json:
        return print_json(told)
    return typer.echo(f"{told['id']} of {told['name']} is revoked.")
