"""`runbooks`, `runbooks show`, `rules`: what it knows."""

from typing import Annotated

import typer

from watchkeeper.cli.options import Options

runbooks = typer.Typer(
    help="List the runbooks, show one, change one; review what was learned.", invoke_without_command=True
)
rules = typer.Typer(help="List the rules, show one.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    from watchkeeper.cli.adjusting import register as register_changes
    from watchkeeper.cli.drafts import register as register_drafts
    from watchkeeper.cli.pages import register as register_pages
    from watchkeeper.cli.policies import policy

    register_changes(rules)
    register_pages(runbooks)
    register_drafts(runbooks)
    app.add_typer(runbooks, name="runbooks")
    app.add_typer(rules, name="rules")
    app.add_typer(policy, name="policy")


@runbooks.callback()
def list_runbooks(context: typer.Context) -> None:
    """What it knows to do: each runbook with its ladder, gentlest first. `runbooks show NAME` tells all of one."""
    if context.invoked_subcommand is not None:
        return None
    from watchkeeper.cli.installed import ask
    from watchkeeper.cli.screen import console, print_json, table

    options = Options.of(context)
    page = ask(options, "runbooks")
    if options.json:
        return print_json(page)
    made = table("runbook", "for", "ladder", "cause", fold=("ladder", "cause"))
    for item in page["items"]:
        ladder = " → ".join(" + ".join(step["tool"] for step in rung) for rung in item["ladder"])
        made.add_row(item["name"], item["kind"], ladder, item["cause"])
    return console().print(made)


@runbooks.command()
def show(context: typer.Context, name: Annotated[str, typer.Argument(help="The runbook's name.")]) -> None:
    """When it applies, its ladder, and the page for people."""
    from watchkeeper.cli.installed import ask, pick
    from watchkeeper.cli.screen import arguments, console, print_json

    options = Options.of(context)
    item = pick(ask(options, "runbooks"), "name", name, "runbook")
    if options.json:
        return print_json(item)
    screen = console()
    changed = ", changed while it runs" if item["origin"] == "changed" else ""
    screen.print(f"{item['name']} (for a {item['kind']}{changed})", style="bold")
    screen.print(f"When:   {item['when']}")
    screen.print(f"Cause:  {item['cause']}")
    for number, rung in enumerate(item["ladder"], 1):
        steps = "; ".join(f"{step['tool']} {arguments(step['with'])}".rstrip() for step in rung)
        screen.print(f"Rung {number}: {steps}")
    if item["healed"]:
        screen.print(f"Healed: {item['healed']}")
    screen.print()
    if not screen.is_terminal:
        return screen.print(item["page"])
    from rich.markdown import Markdown

    return screen.print(Markdown(item["page"]))


@rules.callback()
def list_rules(context: typer.Context) -> None:
    """When it raises an alert: every rule in force, with the configuration's changes. `rules show NAME` tells all of
    one."""
    if context.invoked_subcommand is not None:
        return None
    from watchkeeper.cli.installed import ask
    from watchkeeper.cli.screen import console, health, lasted, print_json, table

    options = Options.of(context)
    page = ask(options, "rules")
    if options.json:
        return print_json(page)
    made = table("rule", "for", "severity", "health", "when", fold=("when",))
    for item in page["items"]:
        name = item["rule"] + (" (changed)" if item["changes"] else "")
        when = item["when"] if item["enabled"] else "off"
        made.add_row(name, lasted(item["for_seconds"]), item["severity"], health(item["health"]), when)
    return console().print(made)


@rules.command("show")
def show_rule(context: typer.Context, name: Annotated[str, typer.Argument(help="The rule's name.")]) -> None:
    """Its condition, when it clears, why it matters, where that comes from, and its runbook."""
    from watchkeeper.cli.installed import ask, pick
    from watchkeeper.cli.screen import console, lasted, print_json

    options = Options.of(context)
    item = pick(ask(options, "rules"), "rule", name, "rule")
    if options.json:
        return print_json(item)
    screen = console()
    screen.print(f"{item['rule']} (for a {item['kind']})", style="bold")
    screen.print(f"When:    {item['when']}, for {lasted(item['for_seconds'])}", soft_wrap=True)
    if item["clear"]:
        screen.print(f"Clear:   {item['clear']}", soft_wrap=True)
    screen.print(f"Then:    {item['health']}, {item['severity']}")
    screen.print(f"Why:     {item['why']}")
    screen.print(f"Source:  {item['source']}")
    if item["runbook"]:
        screen.print(f"Runbook: {item['runbook']} (`watchkeeper runbooks show {item['runbook']}`)")
    from watchkeeper.cli.adjusting import told

    return told(screen, item)
