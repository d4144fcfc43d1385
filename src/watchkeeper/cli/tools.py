"""`tools`, `tools show`, `tools call`, `tools reset`: what it can do."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    from rich.console import Console

tools = typer.Typer(help="List the tools, show one, call one, reset one.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    app.add_typer(tools, name="tools")


@tools.callback()
def list_tools(context: typer.Context) -> None:
    """What it can do: every tool with its effect. `tools show NAME` tells all of one, `tools call` uses it."""
    if context.invoked_subcommand is not None:
        return None
    from watchkeeper.cli.installed import ask
    from watchkeeper.cli.screen import console, print_json, table

    options = Options.of(context)
    page = ask(options, "tools")
    if options.json:
        return print_json(page)
    made = table("tool", "works on", "effect", "undo", "what it does", fold=("what it does",))
    for item in page["items"]:
        first = sentence(item["description"])
        made.add_row(item["name"], item["kind"], item["effect"], "yes" if item["has_undo"] else "", first)
    screen = console()
    screen.print(made)
    return open_breakers(screen, [one for item in page["items"] for one in item["breakers"]])


def sentence(text: str) -> str:
    """
    >>> sentence("Set it, e.g. to 1.5 GiB,\\nfor good. And more.")
    'Set it, e.g. to 1.5 GiB, for good.'
    """
    whole = " ".join(text.split("\n\n", 1)[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`])", whole, maxsplit=1)[0]


def open_breakers(screen: "Console", breakers: list[dict[str, Any]]) -> None:
    """One line for each tool that is not used now."""
    from rich.text import Text

    for one in breakers:
        word = "half open" if one["half_open"] else "open"
        screen.print()
        screen.print(Text(f"▲ breaker {word}: ", "yellow").append(one["said"], "none"), soft_wrap=True)


@tools.command()
def show(context: typer.Context, name: Annotated[str, typer.Argument(help="The tool's name.")]) -> None:
    """Arguments with their bounds, effect, undo, and how to do the same by hand."""
    from watchkeeper.cli.installed import ask, pick
    from watchkeeper.cli.screen import console, print_json, table

    options = Options.of(context)
    item = pick(ask(options, "tools"), "name", name, "tool")
    if options.json:
        return print_json(item)
    screen = console()
    screen.print(item["name"], style="bold")
    screen.print(item["description"])
    undo = "has an undo" if item["has_undo"] else "has no undo"
    screen.print(f"\nWorks on a {item['kind']}. At least {item['effect']}; {undo}.")
    screen.print(f"Cut off after {item['timeout']:g} s; its result may take {item['settle']:g} s to show.")
    open_breakers(screen, item["breakers"])
    if item["by_hand"]:
        screen.print(f"By hand: {item['by_hand']}", soft_wrap=True)
    schema = item["input_schema"]
    if not schema.get("properties"):
        return screen.print("It takes no arguments.")
    made = table("argument", "type", "bounds", "default")
    for argument, said in schema["properties"].items():
        default = "required" if argument in schema.get("required", ()) else str(said.get("default"))
        unit = "; bytes, or 64mb" if said.get("unit") == "bytes" else ""
        made.add_row(argument, kind_of(said) + unit, bounds(said), default)
    screen.print()
    return screen.print(made)


@tools.command()
def reset(context: typer.Context, name: Annotated[str, typer.Argument(help="The tool's name.")]) -> None:
    """Close the breaker of a tool that failed too often in a row: it is used again."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        page = client.post(f"/api/mcp/tools/{segment(name)}/reset")
    if options.json:
        return print_json(page)
    return typer.echo(f"The breaker of {name} is closed; it is used again.")


def kind_of(schema: dict[str, Any]) -> str:
    """
    >>> kind_of({"anyOf": [{"type": "integer"}, {"type": "null"}]})
    'integer or null'
    """
    if "anyOf" in schema:
        return " or ".join(kind_of(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def bounds(schema: dict[str, Any]) -> str:
    """
    >>> bounds({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
    '> 0, ≤ 1'
    """
    signs = {
        "minimum": "≥ {}",
        "exclusiveMinimum": "> {}",
        "maximum": "≤ {}",
        "exclusiveMaximum": "< {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {}",
        "maxItems": "at most {}",
        "pattern": "matches {}",
    }
    parts = [schema, *schema.get("anyOf", ())]
    return ", ".join(sign.format(part[key]) for part in parts for key, sign in signs.items() if key in part)


@tools.command()
def call(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The tool's name.")],
    resource: Annotated[str, typer.Argument(help="The resource's slug or id.")],
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Arguments.")] = None,
) -> None:
    """Call a tool. A look-up answers at once; a change goes through policy, and is followed to its verdict."""
    import json

    from watchkeeper.cli.fix import follow
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import console, print_json
    from watchkeeper.cli.waiting import BY_HAND

    options = Options.of(context)
    body = {"resource": resource, "arguments": given(values or [])}
    with options.client() as client:
        after = client.newest()
        submitted = client.post(f"/api/mcp/tools/{segment(name)}", body)
        if submitted["status"] != "done":
            screen = console(stderr=options.json)
            raise typer.Exit(follow(client, screen, submitted, after, as_json=options.json, begins=BY_HAND))
    output = submitted["output"]
    if options.json:
        print_json(submitted)
    elif isinstance(output, str):
        typer.echo(output)
    else:
        typer.echo(json.dumps(output, indent=2, ensure_ascii=False))


def given(values: list[str]) -> dict[str, Any]:
    """`key=value` each, the value as JSON where it is JSON, else text. Raises WatchkeeperError.

    >>> given(["value=1048576", "pattern=cache:*"])
    {'value': 1048576, 'pattern': 'cache:*'}
    """
    import json

    from watchkeeper.domain.errors import WatchkeeperError

    parsed: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise WatchkeeperError(
                f"{value!r} is not an argument.", "Write each as KEY=VALUE, for example value=104857600."
            )
        try:
            parsed[name] = json.loads(text)
        except ValueError:
            parsed[name] = text
    return parsed
