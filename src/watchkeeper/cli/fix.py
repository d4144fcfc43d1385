"""`fix`, `pause`, `resume`: what a person sets going and stops."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from watchkeeper.cli.client import Client

WELL = ("healed", "still well", "recovered")
JUDGED = ("fix.healed", "fix.not_healed", "fix.inconclusive", "fix.not_tried")
WITH_A_PERSON = (
    "incident.closed",
    "incident.merged",
    "incident.escalated",
    "incident.held",
    "incident.cooldown",
    "incident.maintenance",
    "approval.requested",
    "fix.would",
)
"""Events after which an incident is over, or waits for a person: nothing more comes by itself."""


def register(app: typer.Typer) -> None:
    for command in (fix, pause, resume):
        app.command()(command)


def fix(
    context: typer.Context,
    resource: Annotated[
        str | None,
        typer.Argument(help="Which one; may be left out where one is unwell. Or a proposal of `ask`: prop-…"),
    ] = None,
) -> None:
    """Do now what it would do about a resource that is unwell, or what `ask` proposed, and follow it to its end.

    Exit code 0 once it is well, 1 where it is not, 2 where nothing could be begun.
    """
    from watchkeeper.cli.screen import console

    options = Options.of(context)
    screen = console(stderr=options.json)
    with options.client() as client:
        chosen = resource or _the_one(client, screen)
        if chosen is None:
            return
        after = client.newest()
        screen.print(f"Looks at {chosen} once more before anything is done.", style="dim", markup=False)
        if chosen.startswith("prop-"):
            submitted = client.post("/api/fixes", {"proposal": chosen})
        else:
            submitted = client.post("/api/fixes/trigger", {"resource": chosen})
        raise typer.Exit(follow(client, screen, submitted, after, as_json=options.json))


def _the_one(client: "Client", screen: "Console") -> str | None:
    """The root of the one incident there is. Raises WatchkeeperError where there are several."""
    from watchkeeper.domain.errors import WatchkeeperError

    active: list[dict[str, Any]] = client.get("/api/incidents", status="active")["items"]
    if not active:
        screen.print("Nothing is wrong: a healthy system is left alone.")
        return None
    if len(active) > 1:
        listed = "\n".join(f"  watchkeeper fix {incident['root']}    ({incident['title']})" for incident in active)
        raise WatchkeeperError(f"{len(active)} incidents are active: say which resource.", listed)
    return active[0]["root"]


def follow(
    client: "Client",
    screen: "Console",
    submitted: dict[str, Any],
    after: int,
    *,
    as_json: bool = False,
    begins: str = "",
) -> int:
    """Live progress of what was submitted, to its end; the exit code."""
    from watchkeeper.cli import feed
    from watchkeeper.cli.screen import print_json
    from watchkeeper.cli.waiting import BEGINS, Waiting

    for said in submitted.get("warnings", ()):
        screen.print(f"▲ {said}. It is done all the same: you asked for it.", style="yellow")
    if submitted["status"] == "awaiting_approval":
        key = submitted["approval_id"]
        screen.print(f"It waits for another person: {submitted['decision']['reason']}", style="yellow")
        screen.print(f"  watchkeeper approve {key}  or  watchkeeper reject {key}")
        if as_json:
            print_json(submitted)
        return 1
    key = submitted["fix_id"]
    incident: str | None = None
    waiting = Waiting(screen)
    waiting.begins(begins or BEGINS)
    for event in client.events(after):
        if event is None:
            if _over(client, key):
                break
            waiting.still()
            continue
        if event["subject"] == key and event["incident"]:
            incident = event["incident"]
        if event["subject"] != key and (incident is None or event["incident"] != incident):
            continue
        screen.print(feed.line(event, screen.width if screen.is_terminal else None))
        if event["kind"] in (WITH_A_PERSON if incident else JUDGED):
            break
        waiting.after(event["kind"])
    return _ended(client, screen, key, print_json if as_json else None)


def _over(client: "Client", key: str) -> bool:
    from watchkeeper.cli.client import Answered

    try:
        fix = client.get(f"/api/fixes/{key}")
    except Answered:
        return False  # approved, and not begun yet
    if not fix["incident"]:
        return fix["status"] == "closed"
    incident = client.get(f"/api/incidents/{fix['incident']}")["incident"]
    return incident["status"] in ("closed", "escalated", "awaiting_approval")


def _ended(client: "Client", screen: "Console", key: str, print_json: "Callable[[Any], None] | None") -> int:
    """What came of it, asked for once more: the stream may have broken off."""
    import json

    from watchkeeper.cli.client import Answered
    from watchkeeper.cli.undoable import takes_back

    try:
        fix = client.get(f"/api/fixes/{key}")
    except Answered as problem:
        screen.print(f"It was not begun: {problem.what}", style="yellow")
        return 1
    ended: dict[str, Any] = {"fix": fix, "incident": None}
    verdict = fix["said"] if fix["verdict"] else None
    if fix["incident"]:
        ended["incident"] = client.get(f"/api/incidents/{fix['incident']}")["incident"]
        verdict = ended["incident"]["outcome"] or ended["incident"]["status"]
    if print_json:
        print_json(ended)
    for record in fix["steps"]:
        if record["output"] is not None:
            screen.print(f"{record['tool']} gave: {json.dumps(record['output'], ensure_ascii=False)}", markup=False)
    screen.print(_said(ended, verdict), style="bold", markup=False)
    if fix["incident"] and verdict not in WELL:
        screen.print(f"`watchkeeper show {fix['incident']}` tells all of it.")
    for said in takes_back(client, [fix]).values():
        screen.print(said, markup=False)
    return 0 if verdict in WELL else 1


def _said(ended: dict[str, Any], verdict: str | None) -> str:
    """How it ended, in a sentence; `healed` is said of an incident alone."""
    fix, incident = ended["fix"], ended["incident"]
    if incident or verdict is None:
        return f"{incident['said'] if incident else fix['status']}.".capitalize()
    reasons = "; ".join(fix["verdict"]["reasons"])
    if not any(record["status"] in ("done", "unknown") for record in fix["steps"]):
        return f"It was not carried out: {reasons}."
    undone = any(record["status"] == "done" for record in fix["undo"])
    if verdict == "still well":
        return f"Carried out: {reasons}."
    word = {
        "recovered": "Failed; it is well there all the same",
        "healed": "Carried out, and all is well there",
        "not healed": "Taken back, for it is not well there" if undone else "Carried out; it is not well there",
    }.get(verdict, "Carried out; nothing tells whether it is well there")
    return f"{word}: {reasons}."


def pause(context: typer.Context) -> None:
    """Stop all action at once; it is read before every step. Looking goes on."""
    _switch(context, "pause", "All action is paused; looking goes on. `watchkeeper resume` lets it go on.")


def resume(context: typer.Context) -> None:
    """Let it act again."""
    _switch(context, "resume", "It goes on.")


def _switch(context: typer.Context, verb: str, said: str) -> None:
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        answer = client.post(f"/api/{verb}")
    if options.json:
        print_json(answer)
    else:
        typer.echo(said)
