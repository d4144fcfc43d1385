"""`watchkeeper map`: what needs what, from what people reach down to what all need."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    app.command("map")(draw)


def draw(
    context: typer.Context,
    resource: Annotated[str | None, typer.Argument(help="Only what this one needs, and what needs it.")] = None,
    format: Annotated[
        Literal["tree", "json", "dot", "mermaid"], typer.Option(help="For people, machines, Graphviz or Markdown.")
    ] = "tree",
    evidence: Annotated[bool, typer.Option("--evidence", "-e", help="What shows each edge.")] = False,
) -> None:
    """What needs what: how each edge is known, how everything is, and what cannot be known."""
    from watchkeeper.cli.graph import Picture, around, dot, mermaid
    from watchkeeper.cli.screen import console, print_json
    from watchkeeper.domain.errors import NotFound

    options = Options.of(context)
    with options.client() as client:
        page: dict[str, Any] = client.get("/api/resources/map")
    if resource is not None:
        centre = next((node["id"] for node in page["nodes"] if resource in (node["slug"], node["id"])), None)
        if centre is None:
            raise NotFound(f"There is no resource {resource!r}.", "`watchkeeper status` lists them.")
        page = around(page, centre)
    if options.json or format == "json":
        return print_json(page)
    if format != "tree":
        return typer.echo({"dot": dot, "mermaid": mermaid}[format](page), nl=False)
    return show(console(), Picture.of(page), page, evidence=evidence)


def show(screen: "Console", picture: Any, page: dict[str, Any], *, evidence: bool) -> None:
    """The trees, what stands alone, what cannot be known, what is said by hand against what it looks like."""
    from rich.text import Text

    from watchkeeper.cli.graph import trees
    from watchkeeper.cli.screen import prose

    if not page["nodes"]:
        return screen.print("Nothing to watch was found. `watchkeeper doctor` says what is missing.")
    drawn, alone = trees(picture, evidence=evidence)
    for tree in drawn:
        screen.print(tree)
    if alone:
        screen.print()
        screen.print(Text("Nothing is known to need these, and they are not known to need anything:", "dim"))
        for line in alone:
            screen.print(Text("  ").append_text(line))
    slugs = {node["id"]: node["slug"] for node in page["nodes"]}
    if page["overruled"]:
        screen.print()
        screen.print(Text("Said by hand, against what it looks like:", "bold"))
        for edge in page["overruled"]:
            looks = "; ".join(sign["evidence"] for sign in edge["known"])
            prose(screen, f"{slugs[edge['source']]} does not need {slugs[edge['target']]} ({looks})", 2)
    if page["unknown"]:
        screen.print()
        screen.print(Text("What cannot be known from here (`depends_on` says it by hand):", "bold"))
        for gap in page["unknown"]:
            prose(screen, gap["text"], 2)
    return None
