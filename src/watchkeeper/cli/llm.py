"""`llm`, `llm interactions`, `llm show`, `llm reset`: the language models, what they were asked, and their breakers."""

from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options

llm = typer.Typer(
    help="The language models that may plan: what was asked, what it cost, who is not asked now.",
    invoke_without_command=True,
)


def register(app: typer.Typer) -> None:
    app.add_typer(llm, name="llm")


@llm.callback()
def default(context: typer.Context) -> None:
    """Which models may plan, in which order, what was spent today, and whose circuit breaker is open."""
    from watchkeeper.cli.screen import console, print_json, table, until

    if context.invoked_subcommand is not None:
        return None
    options = Options.of(context)
    with options.client() as client:
        said = client.get("/api/llm")
    if options.json:
        return print_json(said)
    if not said["configured"]:
        return console().print("No language model is configured: runbooks plan. See docs/language-model.md.")
    made = table("model", "provider", "key", "failures", "breaker", "last error", fold=("last error",))
    for one in said["models"]:
        breaker = f"open until {until(one['open_until'])}" if one["open_until"] else "closed"
        made.add_row(one["name"], one["provider"], one["key"] or "", str(one["failures"]), breaker, one["last_error"])
    console().print(made)
    today, may = said["today"], said["per_day"]
    typer.echo(
        f"Today: {today['calls']} of {may['calls']} calls, {today['tokens']} of {may['tokens']} tokens, "
        f"${today['dollars']:.4f} of ${may['dollars']:.2f}" + _unpriced(today["unpriced"])
    )
    return None


def _unpriced(calls: int) -> str:
    return f"; of {calls} calls no price is known" if calls else ""


@llm.command()
def interactions(
    context: typer.Context,
    incident: Annotated[str | None, typer.Option(help="Only for this incident.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """What was asked, newest first: tokens, cost, seconds, and what the checks found."""
    from watchkeeper.cli.screen import console, print_json, table

    options = Options.of(context)
    with options.client() as client:
        page = client.get("/api/llm/interactions", incident=incident, limit=limit)
    if options.json:
        return print_json(page)
    items: list[dict[str, Any]] = page["items"]
    if not items:
        return console().print("No model was asked yet.")
    made = table("id", "at", "incident", "model", "tokens", "cost", "seconds", "outcome", fold=("outcome",))
    for one in items:
        cost = "unknown" if one["cost"] is None else f"${one['cost']:.4f}"
        tokens = f"{one['input_tokens']} + {one['output_tokens']}"
        outcome = one["error"] or "; ".join(one["checks"]) or "answered"
        row = (one["id"], one["at"][:19], one["incident"] or "", one["model"], tokens, cost)
        made.add_row(*row, f"{one['seconds']:.2f}", outcome)
    return console().print(made)


@llm.command()
def show(context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID", help="Of one request.")]) -> None:
    """One request in full: what was sent, without secrets, and what was said."""
    from rich.text import Text

    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import console, print_json

    options = Options.of(context)
    with options.client() as client:
        one = client.get(f"/api/llm/interactions/{segment(key)}")
    if options.json:
        return print_json(one)
    screen = console()
    head = f"{one['id']}  {one['model']}  {one['prompt']}  {one['status']}  secrets masked: {one['masked']}"
    screen.print(Text(head), soft_wrap=True)
    for title in ("sent", "answered"):
        for part in one[title]:
            screen.print(Text(f"\n--- {title}: {part['role']} {part.get('tool', '')}".rstrip(), "bold"))
            screen.print(Text(part["text"]), soft_wrap=True)
    for check in (*one["checks"], *([one["error"]] if one["error"] else [])):
        screen.print(Text(f"\nnot accepted: {check}"), soft_wrap=True)
    return None


@llm.command()
def reset(
    context: typer.Context, provider: Annotated[str, typer.Argument(help="As `watchkeeper llm` names it.")]
) -> None:
    """Close a provider's circuit breaker: it is asked again at the next incident."""
    from watchkeeper.cli.incidents import segment
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        said = client.post(f"/api/llm/breakers/{segment(provider)}/reset")
    if options.json:
        return print_json(said)
    return typer.echo(f"{said['provider']} is asked again from now on.")
