"""`rules set`, `rules unset`, `rules undo`: another threshold while it runs, and back."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[str, typer.Argument(metavar="RULE", help="The rule's name.")]
Only = Annotated[str | None, typer.Option(help="Only for this one: a slug or an id.")]
Note = Annotated[str, typer.Option(help="Why; kept in the history.")]


def register(rules: typer.Typer) -> None:
    rules.command("set")(set_rule)
    rules.command("unset")(unset)
    rules.command()(undo)


def set_rule(
    context: typer.Context,
    name: Name,
    resource: Only = None,
    threshold: Annotated[float | None, typer.Option(min=0, help="In place of the number in its condition.")] = None,
    when: Annotated[str | None, typer.Option(help="Another condition, in CEL.")] = None,
    clear: Annotated[str | None, typer.Option(help="When it is over, in CEL.")] = None,
    lasts: Annotated[str | None, typer.Option("--for", help="How long it must hold: 30s, 5m.")] = None,
    severity: Annotated[Literal["info", "warning", "critical"] | None, typer.Option()] = None,
    off: Annotated[bool, typer.Option("--off", help="It raises no alert any more.")] = False,
    note: Note = "",
) -> None:
    """Change when a rule fires, for everything or one resource, while it runs. It holds until `rules unset`.

    What is not given stays as it was changed before, else as configured. The next look, which comes at once, is
    judged by it.
    """
    from watchkeeper.cli.incidents import segment

    given = {"threshold": threshold, "when": when, "clear": clear, "for": lasts, "severity": severity}
    body = {key: value for key, value in given.items() if value is not None}
    options = Options.of(context)
    with options.client() as client:
        known = client.get(f"/api/rules/{segment(name)}")["changes"]
        before = next((one for one in known if resource in (one["resource"], one["slug"])), None)
        answer = client.put(
            f"/api/rules/{segment(name)}",
            _kept(before, body) | body | {"resource": resource, "enabled": not off, "note": note},
        )
    _answer(options, answer)


def _kept(before: dict[str, Any] | None, given: dict[str, Any]) -> dict[str, Any]:
    """What an earlier change said and this one does not."""
    if before is None:
        return {}
    kept = {"for": before["for_seconds"], "severity": before["severity"]}
    if not given.keys() & {"threshold", "when", "clear"}:
        kept |= {"when": before["when"], "clear": before["clear"]}
    return {key: value for key, value in kept.items() if value is not None}


def unset(context: typer.Context, name: Name, resource: Only = None) -> None:
    """As configured again, for everything that has no change of its own, or for one resource."""
    from urllib.parse import quote

    from watchkeeper.cli.incidents import segment

    options = Options.of(context)
    with options.client() as client:
        about = f"?resource={quote(resource, safe='')}" if resource else ""
        answer = client.delete(f"/api/rules/{segment(name)}{about}")
    _answer(options, answer)


def undo(context: typer.Context, name: Name, resource: Only = None, note: Note = "") -> None:
    """As it was before the last change of it, for everything or for one resource."""
    from watchkeeper.cli.incidents import segment

    options = Options.of(context)
    with options.client() as client:
        answer = client.post(f"/api/rules/{segment(name)}/undo", {"resource": resource, "note": note})
    _answer(options, answer)


def _answer(options: Options, item: dict[str, Any]) -> None:
    from watchkeeper.cli.screen import console, lasted, print_json

    if options.json:
        return print_json(item)
    screen = console()
    held = f"{item['when']}, for {lasted(item['for_seconds'])}: {item['severity']}" if item["enabled"] else "off"
    screen.print(f"{item['rule']}: {held}", soft_wrap=True)
    return told(screen, item)


def told(screen: "Console", item: dict[str, Any]) -> None:
    """What was changed while it runs, and by whom."""
    from watchkeeper.cli.screen import lasted, until

    for one in item["changes"]:
        about = (one["slug"] or one["resource"]) if one["resource"] else "everything"
        said = [one["when"]] if one["when"] else []
        said += [f"clear {one['clear']}"] if one["clear"] else []
        said += [f"for {lasted(one['for_seconds'])}"] if one["for_seconds"] is not None else []
        said += [one["severity"]] if one["severity"] else []
        what = ", ".join(said) if one["enabled"] else "off"
        note = f": {one['note']}" if one["note"] else ""
        by = one["by"].partition(":")[2]
        screen.print(f"Changed for {about}: {what}, by {by} on {until(one['at'])}{note}", soft_wrap=True)
