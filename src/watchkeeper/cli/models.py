"""`models`: what model servers have told, and the figures of one model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options


def register(app: typer.Typer) -> None:
    app.command()(models)


def models(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A model: its figures. Without one, all there are.")] = None,
    version: Annotated[str | None, typer.Option("--of", help="Only this version.", metavar="VERSION")] = None,
    since: Annotated[str | None, typer.Option(help="1h, 2d, or a time; else seven days.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the model's report to this file, as HTML, drift drawn.")
    ] = None,
) -> None:
    """What monitors in model servers have told: all models, or the figures of one, all its replicas together."""
    from watchkeeper.cli.incidents import segment, write
    from watchkeeper.cli.screen import print_json
    from watchkeeper.cli.when import moment_of
    from watchkeeper.domain.errors import WatchkeeperError

    options = Options.of(context)
    if output is not None and name is None:
        raise WatchkeeperError("A report is of one model.", "watchkeeper models NAME --output report.html")
    with options.client() as client:
        if name is None:
            page = client.get("/api/models")
            return print_json(page) if options.json else _list(page["items"])
        at = moment_of(since).isoformat() if since else None
        if output is not None:
            return write(output, client.text(f"/api/models/{segment(name)}/report", version=version, since=at))
        summary = client.get(f"/api/models/{segment(name)}/summary", version=version, since=at)
    return print_json(summary) if options.json else _show(summary)


def _list(items: list[dict[str, Any]]) -> None:
    from watchkeeper.cli.screen import ago, console, table

    if not items:
        return console().print("Nothing was heard of any model. docs/models-server.md tells how they come here.")
    made = table("model", "versions", "replicas", "predictions", "last seen")
    for item in items:
        versions = ", ".join(each["version"] for each in item["versions"][:3])
        more = f" and {len(item['versions']) - 3} more" if len(item["versions"]) > 3 else ""
        made.add_row(
            item["name"],
            versions + more,
            str(item["replicas"]),
            f"{item['predictions']:,}",
            f"{ago(item['seen_at'])} ago",
        )
    return console().print(made)


def _show(summary: dict[str, Any]) -> None:
    from watchkeeper.cli.screen import ago
    from watchkeeper.predictions import Summary

    over = summary["over"]
    typer.echo(str(Summary.from_dict(summary)))
    replicas = "1 replica" if over["replicas"] == 1 else f"{over['replicas']} replicas"
    typer.echo(f"Since {ago(over['since'])} ago, {replicas} there now.")
    if over["lost"] or over["missed"]:
        typer.echo(f"Lost while no server answered: {over['lost']:,} predictions ({over['missed']:,} pushes missing).")
