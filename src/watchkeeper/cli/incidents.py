"""`incidents`, `show`, `report`, `approvals`, `approve`, `reject`: what happened, and what waits for a person."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    from rich.text import Text

    from watchkeeper.cli.client import Client

BEGINS_SECONDS = 10.0
"""So long `approve` waits to tell whether what was approved is begun."""
OVERTAKES = ("incident.closed", "incident.escalated", "incident.held", "incident.maintenance")
Note = Annotated[str, typer.Option(help="Why; kept in the history.")]
Key = Annotated[str, typer.Argument(help="The id of an approval, or of its incident.")]


def register(app: typer.Typer) -> None:
    for command in (incidents, show, report, approvals, approve, reject):
        app.command()(command)


def incidents(
    context: typer.Context,
    active: Annotated[bool, typer.Option("--active", help="Only those that are not over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
) -> None:
    """List incidents, newest first: one that came back by when it last did."""
    from watchkeeper.cli.screen import clock, console, lasted, moment, print_json, table

    options = Options.of(context)
    with options.client() as client:
        page = client.get("/api/incidents", status="active" if active else "all", limit=limit)
    if options.json:
        return print_json(page)
    screen = console()
    items: list[dict[str, Any]] = page["items"]
    if not items:
        return screen.print("No incident is active." if active else "There has been no incident.")
    made = table("id", "opened", "lasted", "status", "title", fold=("title",))
    for item in sorted(items, key=lambda one: one["reopened_at"] or one["opened_at"], reverse=True):
        began, seconds = moment(item["opened_at"]), unwell(item)
        took = lasted(seconds) if seconds is not None else ""
        took += f" ({lasted(item['unwatched_seconds'])} unwatched)" if took and item["unwatched_seconds"] else ""
        day = began.astimezone().strftime("%Y-%m-%d ") if began else ""
        back = f"came back {clock(item['reopened_at'])}" if item["reopened_at"] else ""
        if back:
            back = f" again ({back})" if item["status"] == "closed" else f", {back}"
        made.add_row(item["id"], day + clock(item["opened_at"]), took, standing(item).append(back), item["title"])
    screen.print(made)
    if page["next"]:
        screen.print(f"There are more; the newest {limit} are shown: --limit N shows more.", style="dim")
    return None


def unwell(incident: dict[str, Any]) -> float | None:
    """For how long it was unwell, in seconds, without the time between its end and its return; None where it is not
    over.

    >>> unwell({"opened_at": "2026-03-01T12:00:00Z", "closed_at": "2026-03-01T12:05:05Z", "well_seconds": 290.0})
    15.0
    """
    from watchkeeper.cli.screen import moment

    began, ended = moment(incident["opened_at"]), moment(incident["closed_at"])
    return (ended - began).total_seconds() - incident["well_seconds"] if began and ended else None


def standing(incident: dict[str, Any]) -> "Text":
    """How an incident ended, or how far it is; told by shape, colour and word."""
    from rich.text import Text

    from watchkeeper.cli.screen import clock

    how = str(incident["outcome"] or incident["status"])
    if incident.get("held"):
        return Text(f"▲ held until {clock(incident['held']['until'])}", "yellow")
    ends = {"healed": ("●", "green"), "recovered": ("●", "green"), "escalated": ("▲", "bold red")}
    shape, style = ends.get(how, ("·", "none") if incident["status"] == "closed" else ("▸", "yellow"))
    return Text(f"{shape} {incident['said']}", style)


def show(
    context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID", help="The id of an incident or of a fix.")]
) -> None:
    """The whole story of an incident: alerts, diagnosis, fixes with their proof, time line, advice. Or one fix."""
    from watchkeeper.cli.screen import console, print_json
    from watchkeeper.cli.story import tell, tell_fix
    from watchkeeper.cli.undoable import takes_back

    options = Options.of(context)
    fix = key.startswith("fix-")
    with options.client() as client:
        detail = client.get(f"/api/{'fixes' if fix else 'incidents'}/{segment(key)}")
        chain = None if fix or options.json else client.get(f"/api/incidents/{segment(key)}/chain")
        back = {} if options.json else takes_back(client, [detail] if fix else detail["fixes"])
    if options.json:
        print_json(detail)
    elif chain is None:
        tell_fix(console(), detail, back)
    else:
        tell(console(), detail, chain, back)


def segment(text: str) -> str:
    """One segment of a path, whatever it holds."""
    from urllib.parse import quote

    return quote(text, safe="") or "%20"


def report(
    context: typer.Context,
    key: Annotated[str | None, typer.Argument(metavar="ID", help="An incident's id; else all since a time.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="12h, yesterday, 18:00, 2026-11-21T18:00: all since then; without it 24h."),
    ] = None,
    format: Annotated[
        Literal["md", "json", "html"] | None, typer.Option(help="Else by the name of the file, else md.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write it to this file: report.html, report.json, …")] = None,
) -> None:
    """The report on an incident, or on everything since a time (the morning report)."""
    from watchkeeper.cli.when import moment_of
    from watchkeeper.domain.errors import WatchkeeperError

    options = Options.of(context)
    named = output.suffix.lstrip(".") if output is not None else ""
    wanted = "json" if options.json else format or (named if named in ("json", "html") else "md")
    if key is not None and since is not None:
        raise WatchkeeperError(
            "An incident or a time, not both.", "watchkeeper report ID  or  watchkeeper report --since 12h"
        )
    if key is None and since is None:
        typer.echo("The last 24 hours; an incident's id or --since asks for something else.", err=True)
        since = "24h"
    at = moment_of(since) if since is not None else None
    with options.client() as client:
        if at is not None:
            text = client.text("/api/report", since=at.isoformat(), format=wanted)
        else:
            text = client.text(f"/api/incidents/{segment(key or '')}/report", format=wanted)
    if wanted == "json":
        import json

        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    write(output, text)


def write(output: Path, text: str) -> None:
    """And say so. Raises WatchkeeperError where that cannot be."""
    from watchkeeper.domain.errors import WatchkeeperError

    try:
        output.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise WatchkeeperError(
            f"{output} cannot be written: {problem.strerror}.", "Choose another: --output FILE."
        ) from None
    typer.echo(f"Written to {output}.", err=True)


def approvals(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Those that were decided, too.")] = False,
) -> None:
    """What waits for a person, with the command that decides."""
    from watchkeeper.cli.screen import ago, called, clock, console, print_json

    options = Options.of(context)
    with options.client() as client:
        page = client.get("/api/approvals", status="all" if all_ else "waiting")
    if options.json:
        return print_json(page)
    screen = console()
    if not page["items"]:
        return screen.print("Nothing waits for a person.")
    for item in page["items"]:
        screen.print(f"{item['id']}  {item['incident'] or ''}  {item['status']}", style="bold")
        for step in item["plan"]["steps"]:
            call = f"{step['tool']} {called(step)}".rstrip()
            screen.print(f"  {call} on {step['resource']} [{step['effect']}]", soft_wrap=True)
            if step["why"]:
                screen.print(f"    {step['why']}", soft_wrap=True, markup=False)
            if step["by_hand"]:
                screen.print(f"    by hand: {step['by_hand']}", soft_wrap=True)
        screen.print(f"  {item['decision']['reason']} Asked {ago(item['created_at'])} ago, by {name(item)}.")
        if item["status"] == "waiting":
            until = f"until {clock(item['expires_at'])}"
            screen.print(f"  {until}: watchkeeper approve {item['id']}  or  watchkeeper reject {item['id']}")
    return None


def name(approval: dict[str, Any]) -> str:
    """Who asked."""
    by = approval["requested_by"]
    return f"{by['kind']}:{by['name']}"


def approve(context: typer.Context, key: Key, note: Note = "") -> None:
    """Let what waits be carried out."""
    _decide(context, "approve", key, note)


def reject(context: typer.Context, key: Key, note: Note = "") -> None:
    """Refuse what waits; the next plan, if there is one, is proposed."""
    _decide(context, "reject", key, note)


def _came_of(client: "Client", approval: dict[str, Any], after: int) -> str:
    """Whether what was approved is begun, or why it is not; empty where neither is known within moments."""
    from time import monotonic

    waits_until, void = monotonic() + BEGINS_SECONDS, ""
    for event in client.events(after, BEGINS_SECONDS):
        if event is not None and event["incident"] == approval["incident"]:
            kind, text = event["kind"], event["text"]
            if kind == "approval.void" and event["subject"] == approval["id"]:
                void = f"It is not done: {text}."
            elif kind == "approval.requested":
                return f"{void} Another plan waits: {text}\n  watchkeeper approve {event['subject']}".strip()
            elif kind == "fix.started" and not void:
                return "It is carried out now."
            elif kind in OVERTAKES:
                return f"It is not done: {text}{'' if text.endswith('.') else '.'}"
        if monotonic() > waits_until:
            break
    return void


def _decide(context: typer.Context, verb: str, key: str, note: str) -> None:
    from watchkeeper.cli.screen import called, print_json

    options = Options.of(context)
    came = ""
    with options.client() as client:
        after = client.newest()
        decided = client.post(f"/api/approvals/{segment(key)}/{verb}", {"note": note})
        paused = client.get("/api/resources/status", limit=1)["paused"] if verb == "approve" else None
        if decided["status"] == "approved" and decided["incident"] and not paused and not options.json:
            came = _came_of(client, decided, after)
    if options.json:
        print_json(decided)
        return
    steps = ", ".join(
        f"{step['tool']} {called(step)}".rstrip() + f" on {step['resource']} [{step['effect']}]"
        for step in decided["plan"]["steps"]
    )
    where = f"`watchkeeper show {decided['incident']}`" if decided["incident"] else "the feed of `watchkeeper up`"
    typer.echo(f"{decided['status']}: {steps} ({decided['id']}). What comes of it: {where}.")
    if came:
        typer.echo(came)
    if paused:
        typer.echo(f"But nothing is done now: {paused}. `watchkeeper resume` lets it go on.")
