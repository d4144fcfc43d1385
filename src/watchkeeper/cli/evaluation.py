"""`evaluation`: how well it did, as tables."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    from rich.console import Console

SPANS = ("detect", "decide", "wait", "act", "verify", "repair")
By = Literal["author", "tool", "rule", "resource", "environment", "time"]


def register(app: typer.Typer) -> None:
    app.command()(evaluation)


def evaluation(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="30d, yesterday, 2026-11-21: from when on.")] = "30d",
    by: Annotated[By, typer.Option(help="How the fixes are grouped.")] = "author",
    bucket: Annotated[Literal["day", "week"], typer.Option(help="With --by time: how long a row is.")] = "day",
    archived: Annotated[bool, typer.Option("--archived", help="With fixes that were archived.")] = False,
) -> None:
    """How well it did: what healed, and how long it took to detect, decide, act, verify and repair.

    Seconds are medians, with the 90th percentile behind them where there are ten or more.
    """
    from watchkeeper.cli.screen import console, print_json
    from watchkeeper.cli.when import moment_of

    options = Options.of(context)
    at = moment_of(since).isoformat()
    with options.client() as client:
        answer = client.get("/api/evaluation", since=at, bucket=bucket, archived=archived)
    if options.json:
        return print_json(answer)
    return _tell(console(), answer, by)


def _tell(screen: "Console", answer: dict[str, Any], by: str) -> None:
    from watchkeeper.cli.screen import table, until

    since = until(answer["since"])
    screen.print(f"Since {since}: fixes that healed, of those that were tried: {answer['fixes']['said']}.")
    ends = ", ".join(f"{count} {end.replace('_', ' ')}" for end, count in answer["incidents"].items())
    screen.print(f"Incidents: {ends or 'none'}.")
    beside = {
        "stopped by people": "stopped",
        "refused before anything was done": "refused",
        "hindered by another fault, and tried again after it": "hindered",
        "taken back": "taken_back",
    }
    told = [f"{answer[name]} {words}" for words, name in beside.items() if answer[name]]
    if told:
        screen.print(f"Not counted: {', '.join(told)}.")
    groups: list[dict[str, Any]] = answer["over_time"] if by == "time" else answer["by"][by]
    if groups:
        made = table(by if by != "time" else answer["bucket"], "healed", *SPANS, right=SPANS, fold=(by,))
        for group in groups:
            made.add_row(group["name"], group["fixes"]["said"], *(_span(group["seconds"][span]) for span in SPANS))
        made.add_row("all", answer["fixes"]["said"], *(_span(answer["seconds"][span]) for span in SPANS), style="bold")
        screen.print(made)
    seen = answer["observed"]
    if seen["proposals"]:
        would = f"{seen['allowed']} allowed, {seen['asked']} asked for, {seen['denied']} denied by policy"
        then = f"{seen['same']} times a person did the same, {seen['other']} times something else"
        screen.print(f"Where it might not act it had {seen['proposals']} plans ready ({would}).")
        screen.print(f"What then happened: {then}; {seen['recovered']} recovered, {seen['unwell']} are unwell still.")
    for left in answer["left_out"]:
        screen.print(f"Left out: {left}.", style="dim")


def _span(times: dict[str, Any]) -> str:
    from watchkeeper.cli.screen import lasted

    if times["median"] is None:
        return "—"
    return lasted(times["median"]) + (f" / {lasted(times['p90'])}" if times["p90"] is not None else "")
