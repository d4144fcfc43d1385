"""`runbooks review`, `accept`, `discard`: what was learned from plans that healed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options

Key = Annotated[str, typer.Argument(metavar="DRAFT", help="A draft, by its id or its name.")]
Note = Annotated[str, typer.Option(help="Why; kept in the history.")]


def register(runbooks: typer.Typer) -> None:
    for command in (review, accept, discard):
        runbooks.command()(command)


def review(
    context: typer.Context,
    key: Annotated[str | None, typer.Argument(metavar="[DRAFT]", help="One of them; else all are listed.")] = None,
) -> None:
    """What was learned from plans that healed; with a draft its whole page, as it would be acted upon."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import console, print_json, table

    options = Options.of(context)
    with options.client() as client:
        said = client.get("/api/runbooks/drafts" + (f"/{segment(key)}" if key is not None else ""))
    if options.json:
        return print_json(said)
    screen = console()
    if key is not None:
        return _one(said)
    if not said["items"]:
        return screen.print("Nothing was learned yet: no plan of a person, an agent or a model has healed anything.")
    made = table("draft", "name", "for", "status", "of", "cause", fold=("cause",))
    for item in said["items"]:
        draft = item["draft"]
        row = (draft["id"], draft["name"], draft["kind"], draft["status"], draft["author"])
        made.add_row(*row, item["problem"] or item["cause"])
    return screen.print(made)


def _one(item: dict[str, Any]) -> None:
    draft = item["draft"]
    typer.echo(draft["text"])
    said = draft["said"]
    by = f" by {said['by'].partition(':')[2]}" + (f": {said['note']}" if said["note"] else "") if said else ""
    healed = f"it healed {len(draft['fixes'])} times" if len(draft["fixes"]) > 1 else f"from {draft['incident']}"
    typer.echo(f"{draft['name']}, for a {draft['kind']}: {draft['status']}{by}; {healed}", err=True)
    if item["problem"]:
        typer.echo(f"It cannot be used: {item['problem']}", err=True)
    if draft["status"] == "draft":
        ways = (f"watchkeeper runbooks accept {draft['id']}", f"watchkeeper runbooks discard {draft['id']}")
        typer.echo("  or  ".join(ways), err=True)


def accept(
    context: typer.Context,
    key: Key,
    file: Annotated[Path | None, typer.Option(help="The page as you have improved it.")] = None,
    note: Note = "",
) -> None:
    """Make a draft a runbook: from now on, and after a restart."""
    from watchkeeper.domain.errors import WatchkeeperError

    text: str | None = None
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise WatchkeeperError(f"{file} cannot be read: {problem}.", "Name another: --file PAGE.md.") from None
    said = _post(context, key, "accept", {"note": note} | ({"text": text} if text is not None else {}))
    if said is not None:
        typer.echo(f"{said['draft']['name']} is a runbook now: watchkeeper runbooks show {said['draft']['name']}")


def discard(context: typer.Context, key: Key, note: Note = "") -> None:
    """Discard a draft, or what was accepted before; the same is not drafted again."""
    said = _post(context, key, "discard", {"note": note})
    if said is not None:
        typer.echo(f"{said['draft']['name']} is discarded.")


def _post(context: typer.Context, key: str, verb: str, body: dict[str, str]) -> dict[str, Any] | None:
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        said = client.post(f"/api/runbooks/drafts/{segment(key)}/{verb}", body)
    if options.json:
        return print_json(said)
    return said
