"""`runbooks`, `runbooks show`, `rules`, `policy`: what it knows and what it may."""

from typing import Annotated, Any

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

    register_changes(rules)
    register_pages(runbooks)
    register_drafts(runbooks)
    app.add_typer(runbooks, name="runbooks")
    app.add_typer(rules, name="rules")
    app.command()(policy)


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


def policy(
    context: typer.Context,
    cedar: Annotated[bool, typer.Option("--cedar", help="The Cedar policies it becomes.")] = False,
) -> None:
    """What it may do where: the mode, the table, the limits."""
    from watchkeeper.cli.installed import ask
    from watchkeeper.cli.screen import console, lasted, outcome, print_json, table

    options = Options.of(context)
    said: dict[str, Any] = ask(options, "policy")
    if options.json:
        return print_json(said)
    if cedar:
        return typer.echo(said["cedar"])
    screen = console()
    screen.print(f"Mode {said['mode']}; at most {said['changes_per_hour']} changes per resource and hour.")
    nearby = said["concurrent_fixes_nearby"]
    limits = [f"{said['concurrent_fixes']} fixes at a time, {nearby} of them in one neighbourhood"]
    limits += [f"a cooldown of {lasted(said['cooldown'])} after a failed fix"] if said["cooldown"] else []
    limits += [f"a breaker after {said['breaker_failures']} failures of a tool"] if said["breaker_failures"] else []
    screen.print(f"Besides: {'; '.join(limits)}.")
    screen.print()
    made = table("environment", "read", "reversible", "disruptive", "destructive")
    for environment, row in said["table"].items():
        name = "production, unknown" if environment == "production" else environment
        made.add_row(name, *(outcome(row[e]) for e in ("read", "reversible", "disruptive", "destructive")))
    screen.print(made)
    if said["mode"] != "auto":
        means = {"approve": "every change waits for a person", "observe": "it never acts by itself"}
        screen.print(f"\nMode {said['mode']} comes first: {means[said['mode']]}, whatever the table allows.")
    return None
