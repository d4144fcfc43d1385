"""`connectors`, `connectors release`: what is installed, how it behaves, and the end of a quarantine."""

from typing import Annotated

import typer

from watchkeeper.cli.options import Options

connectors = typer.Typer(help="List the connectors, release one from quarantine.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    app.add_typer(connectors, name="connectors")


@connectors.callback()
def list_connectors(context: typer.Context) -> None:
    """Each connector with its standing. One that raises, blocks, leaks or gives garbage is quarantined."""
    if context.invoked_subcommand is not None:
        return
    from watchkeeper.cli.installed import ask
    from watchkeeper.cli.screen import console, print_json, table

    options = Options.of(context)
    page = ask(options, "connectors")
    if options.json:
        print_json(page)
        return
    made = table(
        "connector", "standing", "resources", "tools", "rules", "offences", "what it did", fold=("what it did",)
    )
    for item in page["items"]:
        offences = ", ".join(f"{number} {what}" for what, number in item["offences"].items())
        said = item["problem"] or item["last_offence"] or ""
        watched = "—" if item["resources"] is None else str(item["resources"])
        made.add_row(item["name"], item["standing"], watched, str(item["tools"]), str(item["rules"]), offences, said)
    console().print(made)


@connectors.command()
def release(context: typer.Context, name: Annotated[str, typer.Argument(help="The connector's name.")]) -> None:
    """End a connector's quarantine at once: for when it was mended, or its service works again."""
    from watchkeeper.cli.screen import console, print_json

    options = Options.of(context)
    with options.client() as client:
        item = client.post(f"/api/connectors/{name}/release")
    if options.json:
        print_json(item)
        return
    console().print(f"{item['name']}: {item['standing']}; its {item['resources']} resources are looked at again.")
