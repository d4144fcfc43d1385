"""`policy`: what it may do where; `policy set`, `unset`, `undo`, `history`: changed by an admin while it runs."""

from typing import Annotated, Any, Literal

import typer

from watchkeeper.cli.options import Options

policy = typer.Typer(help="What it may do where; changed while it runs, and back.", invoke_without_command=True)
Note = Annotated[str, typer.Option(help="Why; kept in the history.")]
Loosen = Annotated[
    bool, typer.Option("--loosen", help="It may be more permissive than the configuration; takes a --note.")
]
Word = Literal["read", "reversible", "disruptive", "destructive"]


@policy.callback()
def show(
    context: typer.Context,
    cedar: Annotated[bool, typer.Option("--cedar", help="The Cedar policies it becomes.")] = False,
) -> None:
    """What it may do where: the mode, the table, the limits."""
    from watchkeeper.cli.installed import ask
    from watchkeeper.cli.screen import console, lasted, outcome, print_json, table

    if context.invoked_subcommand is not None:
        return None
    options = Options.of(context)
    said: dict[str, Any] = ask(options, "policy")
    if options.json:
        return print_json(said)
    if cedar:
        return typer.echo(said["cedar"])
    screen = console()
    screen.print(f"Mode {said['mode']}; at most {said['changes_per_hour']} changes per resource and hour unasked.")
    nearby = said["concurrent_fixes_nearby"]
    limits = [f"{said['concurrent_fixes']} fixes at a time, {nearby} of them in one neighbourhood"]
    limits += [f"a cooldown of {lasted(said['cooldown'])} after a failed fix"] if said["cooldown"] else []
    limits += [f"a breaker after {said['breaker_failures']} failures of a tool"] if said["breaker_failures"] else []
    screen.print(f"Besides: {'; '.join(limits)}.")
    screen.print()
    made = table("environment", "read", "reversible", "disruptive", "destructive")
    for environment, row in said["table"].items():
        name = "production, unknown" if environment == "production" else environment
        made.add_row(name, *(outcome(row[e]) for e in ("read", "reversible", "disruptive", "destructive")))
    screen.print(made)
    if changed := told(said):
        screen.print(f"\n{changed}", soft_wrap=True)
    if said["mode"] != "auto":
        means = {"approve": "every change waits for a person", "observe": "it never acts by itself"}
        screen.print(f"\nMode {said['mode']} comes first: {means[said['mode']]}, whatever the table allows.")
    return None


@policy.command("set")
def set_policy(
    context: typer.Context,
    environment: Annotated[str | None, typer.Argument(help="A row of the table: production, staging, …")] = None,
    effect: Annotated[Word | None, typer.Argument(help="A column of the table.")] = None,
    outcome: Annotated[Literal["allow", "ask", "deny"] | None, typer.Argument()] = None,
    changes: Annotated[int | None, typer.Option("--changes-per-hour", min=0, help="On one resource.")] = None,
    cooldown: Annotated[str | None, typer.Option(help="After a fix that failed: 10m.")] = None,
    two_people: Annotated[
        str | None, typer.Option(help="Effects that take another person besides: disruptive,destructive; or none.")
    ] = None,
    loosen: Loosen = False,
    note: Note = "",
) -> None:
    """Set a cell of the table, or a limit, while it runs, from the next step on. It holds until `policy unset`.

    It takes an admin. What is more permissive than the configuration must be meant: --loosen --note WHY.
    """
    from watchkeeper.domain.duration import seconds
    from watchkeeper.domain.errors import WatchkeeperError

    body: dict[str, Any] = {"loosen": loosen, "note": note}
    if environment is not None:
        if effect is None or outcome is None:
            raise WatchkeeperError(
                "A cell has a row, a column and a word.", "For example: watchkeeper policy set staging disruptive deny"
            )
        body["table"] = {environment: {effect: outcome}}
    if changes is not None:
        body["changes_per_hour"] = changes
    if cooldown is not None:
        body["cooldown"] = seconds(cooldown)
    if two_people is not None:
        body["two_people"] = [] if two_people == "none" else two_people.split(",")
    options = Options.of(context)
    with options.client() as client:
        _answer(options, client.put("/api/policy", body))


@policy.command()
def unset(context: typer.Context) -> None:
    """As configured again."""
    options = Options.of(context)
    with options.client() as client:
        _answer(options, client.delete("/api/policy"))


@policy.command()
def undo(context: typer.Context, loosen: Loosen = False, note: Note = "") -> None:
    """As it was before the last change."""
    options = Options.of(context)
    with options.client() as client:
        _answer(options, client.post("/api/policy/undo", {"loosen": loosen, "note": note}))


@policy.command()
def history(context: typer.Context) -> None:
    """Who changed it while it ran, and what was more permissive than the configuration."""
    from watchkeeper.cli.screen import print_json, until

    options = Options.of(context)
    with options.client() as client:
        said = client.get("/api/policy/history")
    if options.json:
        return print_json(said)
    if not said["changes"]:
        return typer.echo("Policy was not changed while it ran.")
    for event in said["changes"]:
        typer.echo(f"{until(event['at'])}: {event['text']}")
    return None


def _answer(options: Options, said: dict[str, Any]) -> None:
    from watchkeeper.cli.screen import print_json

    if options.json:
        return print_json(said)
    return typer.echo(told(said) or "Policy is as configured.")


def told(said: dict[str, Any]) -> str:
    """What was set while it runs, by whom; empty where nothing was."""
    from watchkeeper.cli.screen import lasted, until

    changed: dict[str, Any] | None = said["changed"]
    if changed is None:
        return ""
    parts = [
        f"{row}/{effect} {outcome}" for row, cells in changed["table"].items() for effect, outcome in cells.items()
    ]
    parts += [f"{changed['changes_per_hour']} changes an hour"] if changed["changes_per_hour"] is not None else []
    parts += [f"cooldown {lasted(changed['cooldown'])}"] if changed["cooldown"] is not None else []
    two = changed["two_people"]
    parts += [f"two people for {', '.join(two) or 'nothing'}"] if two is not None else []
    note = f": {changed['note']}" if changed["note"] else ""
    by = changed["by"].partition(":")[2]
    looser = f"\nMore permissive than the configuration: {'; '.join(changed['looser'])}." if changed["looser"] else ""
    return f"Changed while it runs, by {by} on {until(changed['at'])}{note}: {', '.join(parts)}.{looser}"
