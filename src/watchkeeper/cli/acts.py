"""`ack`, `stop`, `retry`, `undo`, `escalate`, `close`: what a person does about an incident."""

from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options

Key = Annotated[str, typer.Argument(metavar="INCIDENT", help="The incident's id: inc-…")]
Note = Annotated[str, typer.Option(help="Why; kept in the history.")]


def register(app: typer.Typer) -> None:
    for command in (ack, stop, retry, undo, escalate, close):
        app.command()(command)


def ack(context: typer.Context, key: Key, note: Note = "") -> None:
    """Say that you look after an incident. People are told so; the loop goes on."""
    _said(context, key, "acknowledge", {"note": note}, "You look after it; the loop goes on.")


def stop(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="INCIDENT|FIX", help="The id of an incident, or of a fix.")],
    note: Note = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was done, where it has an undo.")] = False,
) -> None:
    """Let the fix that is at work begin no further step, and leave the incident to people.

    The step that is at work just now is finished. `watchkeeper retry` gives the incident back to the loop.
    """
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json

    body = {"note": note, "undo": undo}
    if not key.startswith("fix-"):
        return _said(context, key, "stop", body, "No further step is begun; it is left to people.")
    options = Options.of(context)
    with options.client() as client:
        answer = client.post(f"/api/fixes/{segment(key)}/stop", body)
    if options.json:
        return print_json(answer)
    return typer.echo(f"{key} begins no further step.")


def retry(context: typer.Context, key: Key, note: Note = "") -> None:
    """Let the loop try again: what failed or was refused, and what was left to people."""
    _said(context, key, "retry", {"note": note}, "The loop takes it up again.")
    options = Options.of(context)
    if not options.json:
        _still_held(options, key)


def _still_held(options: Options, key: str) -> None:
    """What keeps it from acting all the same, said at once."""
    from watchkeeper.cli.incidents import segment

    with options.client() as client:
        advice = client.get(f"/api/incidents/{segment(key)}")["advice"]
        paused = client.get("/api/resources/status", limit=1)["paused"]
    if paused:
        typer.echo(f"But nothing is done now: {paused}. `watchkeeper resume` lets it go on.")
    elif advice and advice["decision"]["outcome"] == "deny":
        typer.echo(f"But it may not now: {advice['decision']['reason']}")


def escalate(context: typer.Context, key: Key, note: Note = "") -> None:
    """Hand an incident to people; the loop leaves it to them. Where a fix is at work, as soon as its step has ended."""
    _said(context, key, "escalate", {"note": note}, "People are called; the loop leaves it to them.")


def close(
    context: typer.Context,
    key: Key,
    note: Annotated[
        str, typer.Option(metavar="WHY", help="What was done, or why nothing is to be done; the report says so.")
    ],
) -> None:
    """End an incident by hand, as `by_human`, and say why: the note is needed.

    Where a fix is at work, as soon as the step that was begun has ended.
    """
    if not note.strip():
        raise typer.BadParameter("say what was done, or why nothing is to be done.", param_hint="--note")
    _said(context, key, "close", {"note": note}, "It is over.")


def _said(context: typer.Context, key: str, verb: str, body: dict[str, Any], said: str) -> None:
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        incident = client.post(f"/api/incidents/{segment(key)}/{verb}", body)
    if options.json:
        return print_json(incident)
    said = f"{incident['waits_for']}." if verb in ("escalate", "close") and incident["waits_for"] else said
    return typer.echo(f"{incident['id']}: {said} ({incident['said']})")


def undo(
    context: typer.Context,
    key: Annotated[
        str, typer.Argument(metavar="FIX|INCIDENT", help="The id of a fix, or of an incident: its last fix.")
    ],
    note: Note = "",
) -> None:
    """Take back a fix that is over, and follow that to its end.

    Exit code 0 once all is well afterwards, 1 where it is not, 2 where it cannot be taken back.
    """
    from watchkeeper.cli.fix import follow
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import console
    from watchkeeper.cli.waiting import BY_HAND

    options = Options.of(context)
    where = "incidents" if key.startswith("inc-") else "fixes"
    with options.client() as client:
        after = client.newest()
        submitted = client.post(f"/api/{where}/{segment(key)}/undo", {"note": note})
        screen = console(stderr=options.json)
        raise typer.Exit(follow(client, screen, submitted, after, as_json=options.json, begins=BY_HAND))
