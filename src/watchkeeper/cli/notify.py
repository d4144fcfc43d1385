"""`notify`, `notify test`, `dead`, `retry`, `dismiss`: how people are told, and what could not be delivered."""

from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options

notify = typer.Typer(
    help="How people are told: list the channels, test them, see and send again what could not be delivered.",
    invoke_without_command=True,
)
Which = Annotated[str, typer.Argument(metavar="[CHANNEL]", help="Its name; else all of them.")]


def register(app: typer.Typer) -> None:
    app.add_typer(notify, name="notify")


@notify.callback()
def default(context: typer.Context) -> None:
    """The channels by which people are told, with what waits for each and what could not be delivered."""
    if context.invoked_subcommand is None:
        list_channels(context)


def list_channels(context: typer.Context) -> None:
    from watchkeeper.cli.screen import ago, console, print_json, table

    options = Options.of(context)
    with options.client() as client:
        page = client.get("/api/notify/channels")
    if options.json:
        return print_json(page)
    items: list[dict[str, Any]] = page["items"]
    if not items:
        return console().print(
            "Nobody is told anything: there is no channel. docs/notifications.md tells how to add one."
        )
    made = table("channel", "kind", "told", "waits", "dead", "stands", fold=("told", "stands"))
    for item in items:
        stands = f"▲ {item['problem']}, for {ago(item['since'])}" if item["problem"] else "●"
        waits = str(item["waiting"]) + (f", {ago(item['waiting_since'])}" if item["waiting"] else "")
        made.add_row(item["name"], item["kind"], item["where"], waits, str(item["dead"]), stands)
    console().print(made)
    if any(item["dead"] for item in items):
        typer.echo(
            "`watchkeeper notify dead` lists what could not be delivered; `watchkeeper notify retry` sends it again."
        )
    return None


@notify.command()
def test(context: typer.Context, channel: Which = "") -> None:  # noqa: PT028
    """Send a message that says it is a test, and say what came back. Exit code 1 where it did not arrive."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json
    from watchkeeper.domain.errors import WatchkeeperError

    options = Options.of(context)
    with options.client() as client:
        names = [channel] if channel else [item["name"] for item in client.get("/api/notify/channels")["items"]]
        if not names:
            raise WatchkeeperError("There is no channel to test.", "docs/notifications.md tells how to add one.")
        tried = [client.post(f"/api/notify/channels/{segment(name)}/test") for name in names]
    if options.json:
        print_json(tried)
    else:
        for one in tried:
            arrived = one["result"] == "delivered"
            typer.echo(f"{'●' if arrived else '✖'} {one['channel']}: {one['result']}: {one['said']}")
    if any(one["result"] != "delivered" for one in tried):
        raise typer.Exit(1)


@notify.command()
def dead(context: typer.Context, channel: Which = "") -> None:
    """What could not be delivered, newest first, with why."""
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        page = client.get("/api/notify/dead", channel=channel or None)
    if options.json:
        return print_json(page)
    return _shown(page["items"], "There is no dead letter.")


@notify.command()
def retry(
    context: typer.Context,
    which: Annotated[str, typer.Argument(metavar="[ID|CHANNEL]", help="A dead letter, or a channel's; else all.")] = "",
) -> None:
    """Send dead letters again. Exit code 1 where any could not be delivered again."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        if which.startswith("let-"):
            items = [client.post(f"/api/notify/dead/{segment(which)}/retry")]
        else:
            query = f"?channel={segment(which)}" if which else ""
            items = client.post(f"/api/notify/dead/retry{query}")["items"]
    if options.json:
        print_json(items)
    else:
        _shown(items, "There is no dead letter.")
    if any(item["status"] == "dead" for item in items):
        raise typer.Exit(1)


@notify.command()
def dismiss(
    context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.")]
) -> None:
    """Let a dead letter be: nobody needs it any more. It stays in the history."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        letter = client.post(f"/api/notify/dead/{segment(key)}/dismiss")
    if options.json:
        return print_json(letter)
    return typer.echo(f"{letter['id']} is dismissed.")


def _shown(items: list[dict[str, Any]], none: str) -> None:
    from watchkeeper.cli.screen import ago, console, table

    if not items:
        return console().print(none)
    made = table("id", "channel", "status", "age", "tried", "what", "why", fold=("what", "why"))
    for item in items:
        text = f"{item['kind']}: {item['text']}"
        made.add_row(
            item["id"], item["channel"], item["status"], ago(item["at"]), str(item["attempts"]), text, item["reason"]
        )
    return console().print(made)
