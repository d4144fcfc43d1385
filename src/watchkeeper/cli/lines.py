"""`logs`: what a resource's log said, and what it usually says."""

from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options


def register(app: typer.Typer) -> None:
    app.command()(logs)


def logs(
    context: typer.Context,
    resource: Annotated[str, typer.Argument(help="Its name, as `watchkeeper status` shows it.")],
    templates: Annotated[bool, typer.Option("--templates", help="What it usually says, and how often.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
) -> None:
    """What a resource's log said (WARNING and worse), or with --templates what it usually says and how often."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import clock, console, print_json

    options = Options.of(context)
    path = f"/api/resources/{segment(resource)}/logs"
    with options.client() as client:
        page = client.get(f"{path}/templates" if templates else path, limit=limit)
    if options.json:
        return print_json(page)
    screen = console()
    if templates:
        return _templates(page)
    for line in page["items"]:
        screen.print(f"{clock(line['at'])} {line['level']:<8} {line['text']}", markup=False, soft_wrap=True)
    if not page["items"]:
        screen.print(f"Nothing of WARNING or worse. `watchkeeper logs {resource} --templates`: what it usually says.")
    return None


def _templates(page: dict[str, Any]) -> None:
    from watchkeeper.cli.screen import ago, console, table

    screen = console()
    if page["since"] is None:
        return screen.print(
            f"No log of {page['resource']} is followed: it has no host here that it could be read from."
        )
    screen.print(f"{page['resource']}: {page['lines']:,} lines within {ago(page['since'])}", style="bold")
    made = table("level", "count", "a minute", "first", "last", "template", fold=("template",))
    for one in page["items"]:
        made.add_row(
            one["level"] or "",
            f"{one['count']:,}",
            f"{one['per_minute']:.3g}",
            f"{ago(one['first_at'])} ago",
            f"{ago(one['last_at'])} ago",
            one["text"],
        )
    if page["items"]:
        screen.print(made)
    else:
        screen.print("It has said nothing since.")
    for number, said in (
        (page["more"], "more templates: --limit N shows more"),
        (page["sampled"], "lines of a flood were counted by a sample of them"),
        (page["unread"], "lines of a flood were not read"),
        (page["dropped"], "templates were let go for others"),
    ):
        if number:
            screen.print(f"{number:,} {said}.", style="dim")
    return None
