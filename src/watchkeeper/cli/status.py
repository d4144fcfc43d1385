"""`watchkeeper status`: how everything is, and what it would do now."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.options import MOST, Options

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from watchkeeper.cli.client import Client

PAGE = 1000
LONGEST_STATE = 90
SELDOM = ("kind", "env", "incident", "state", "since", "metric that matters")
"""Columns that a narrow screen goes without, the first one first: told below the table, or seldom needed."""
FOLDED = ("resource", "state")
FOLDED_TO = 24
"""Characters that a folded column has at least, where it has as many."""


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew whenever something happens.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many at most; 0: all there are.")] = MOST,
) -> None:
    """How everything is, worst first; for what is unwell the cause, and what it would do now."""
    from watchkeeper.cli.screen import console, print_json

    options = Options.of(context)
    screen = console()
    with options.client() as client:
        if not watch:
            page = worst(client, limit)
            if options.json:
                print_json(page)
            else:
                show(screen, page, waiting(client))
            return
        after = client.newest()
        _look(client, screen, limit, as_json=options.json)
        for _ in bursts(client, after):
            _look(client, screen, limit, as_json=options.json)


def worst(client: "Client", limit: int) -> dict[str, Any]:
    """The status of so many, worst first, or of all (0): as many pages as that takes."""
    page = client.get("/api/resources/status", limit=min(limit or PAGE, PAGE))
    while page["next"] and (not limit or len(page["items"]) < limit):
        number = min(limit - len(page["items"]), PAGE) if limit else PAGE
        following = client.get("/api/resources/status", limit=number, after=page["next"])
        page["items"] += following["items"]
        page["next"] = following["next"]
    return page


def _look(client: "Client", screen: "Console", limit: int, *, as_json: bool) -> None:
    import json

    page = worst(client, limit)
    if as_json:
        print(json.dumps(page, ensure_ascii=False), flush=True)
        return
    approvals = waiting(client)
    if screen.is_terminal:
        screen.clear()
    show(screen, page, approvals)
    if not screen.is_terminal:
        screen.print()


def bursts(client: "Client", after: int) -> "Any":
    """Once for each burst of events, and for each sign of life; ends when the server does."""
    import queue
    import threading

    heard: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def listen() -> None:
        try:
            for _ in client.events(after):
                heard.put(True)
        finally:
            heard.put(False)

    threading.Thread(target=listen, daemon=True).start()
    while heard.get():
        goes_on = True
        while goes_on and not heard.empty():
            goes_on = heard.get()
        yield None
        if not goes_on:
            return


def waiting(client: "Client") -> list[dict[str, Any]]:
    """The approvals that wait for a person."""
    return client.get("/api/approvals")["items"]


def show(screen: "Console", page: dict[str, Any], approvals: list[dict[str, Any]]) -> None:
    """The table; below it what is unwell, what waits, and what the watcher itself lacks."""
    from rich.text import Text

    from watchkeeper.cli.screen import health

    items: list[dict[str, Any]] = page["items"]
    screen.print(_head(page))
    if items:
        screen.print()
        screen.print(resources_table(items, screen.width))
        if more := page["total"] - len(items):
            screen.print(Text(f"… and {more:,} more, none of them worse: `watchkeeper status --limit 0`", "dim"))
    else:
        screen.print(Text("\nNothing to watch was found. `watchkeeper doctor` says what is missing."))
    waits = {approval["incident"]: approval for approval in approvals if approval["incident"]}
    unwell = [item for item in items if item["alerts"] or item["health"] in ("FAILED", "DEGRADED")]
    for item in items:
        if item in unwell:
            screen.print()
            approval = waits.get(item["incident"])
            _unwell(screen, item, approval, page["paused"], _elsewhere(item, approval, unwell))
        elif item["health"] == "UNKNOWN" and shortened(item["state"]) != item["state"]:
            screen.print()
            screen.print(health("UNKNOWN").append(f"  {item['slug']}", "bold").append(f"  {item['state']}"))
    for approval in approvals:
        if not approval["incident"]:
            screen.print()
            show_waiting(screen, approval)
    _outside(screen, page["outside"], {item["id"]: item["slug"] for item in items})
    executors(screen, page["executors"])
    _still(screen, page)
    problems(screen, page["problems"])


def _outside(screen: "Console", told: list[dict[str, Any]], slugs: dict[str, str]) -> None:
    """What others told us of; whether it is so, our own readings above say."""
    from rich.text import Text

    from watchkeeper.cli.screen import ago

    for alert in told:
        about = slugs.get(alert["resource"], alert["resource"]) or "nothing watched here"
        said = f"on {about}, told by {alert['sender']}, for {ago(alert['began_at'])}"
        screen.print()
        screen.print(Text(f"▲ {alert['name']} ", "yellow").append(f"{said}. {alert['summary']}".rstrip(), "none"))
        if alert["unmatched"]:
            screen.print(Text(f"  {alert['unmatched']}", "dim"))


def executors(screen: "Console", said: list[dict[str, Any]]) -> None:
    """Who shares the store, and how much each of them looks at."""
    from rich.text import Text

    from watchkeeper.cli.screen import ago

    if not said:
        return
    screen.print(Text(f"\n{len(said)} executor{'s' * (len(said) != 1)} on this store:"))
    for one in said:
        here = ", which answers here" if one["here"] else ""
        line = f"  {one['id']} holds {one['holds']}, for {ago(one['since'])}: process {one['pid']} on {one['host']}"
        screen.print(Text(f"{line}, {one['address']}{here}"), soft_wrap=True)


def _head(page: dict[str, Any]) -> "RenderableType":
    from rich.text import Text

    counted = {name: page["counts"].get(name, 0) for name in ("FAILED", "DEGRADED", "UNKNOWN")}
    unwell = ", ".join(f"{number:,} {name.lower()}" for name, number in counted.items() if number)
    line = Text.assemble(
        (f"{page['total']:,} watched", "bold"),
        f", {unwell}" if unwell else ", all well" if page["total"] else "",
        f" · mode {page['mode']}",
    )
    if page["paused"]:
        line.append(f" · {page['paused'].upper()}", "bold yellow").append(" (`watchkeeper resume`)")
    if "store" in page["problems"]:
        line.append(" · NOTHING IS DONE", "bold red").append(": nothing can be recorded (below)")
    for one in page["modes"]:
        name = one["slug"] or one["resource"]
        line.append(
            f"\n▲ mode {one['mode']}{f' for {name}' if name else ''}, set by {one['by'].partition(':')[2]}", "yellow"
        )
        back = f"`watchkeeper mode --as-configured{f' --resource {name}' if name else ''}`"
        line.append(f"; the configuration says {one['configured']} ({back})")
    return line


def resources_table(items: list[dict[str, Any]], width: int) -> "RenderableType":
    """One line for each; on a narrow screen without what is told below it or seldom needed."""
    from watchkeeper.cli.screen import NARROWEST, table

    rows = [_cells(item) for item in items]
    columns = ["resource", "kind", "env", "health", "acts", "state", "metric that matters", "since", "incident"]
    columns += ["held by"] if len({item["holder"] for item in items}) > 1 else []
    wanted = {name: max(len(name), *(len(cells[name]) for cells in rows)) for name in columns}
    wanted |= {name: max(NARROWEST, min(wanted[name], FOLDED_TO)) for name in FOLDED}
    for name in SELDOM:
        if sum(wanted[each] + 2 for each in columns) - 2 > width:
            columns.remove(name)
    made = table(*columns, fold=FOLDED)
    for cells in rows:
        made.add_row(*(cells[name] for name in columns))
    return made


def _cells(item: dict[str, Any]) -> "dict[str, str | Text]":
    from watchkeeper.cli.screen import ago, health

    return {
        "resource": item["slug"],
        "kind": item["kind"],
        "env": item["environment"],
        "health": health(item["health"]),
        "acts": "yes" if item["may_act"] else "no",
        "state": shortened(item["state"]),
        "metric that matters": metric(item["metric"], known=item["health"] != "UNKNOWN"),
        "since": ago(item["since"]),
        "incident": item["incident"] or "",
        "held by": item["holder"] or "nobody",
    }


def shortened(state: str) -> str:
    """As much as a table can hold; below it, and in `--json`, all of it is told."""
    first = state.partition("\n")[0]
    return first if len(first) <= LONGEST_STATE else f"{first[:LONGEST_STATE].rstrip()}…"


def metric(said: dict[str, Any] | None, *, known: bool = True) -> str:
    """The metric that matters, beside the threshold it is held against. `known`: it could be looked at."""
    from watchkeeper.cli.screen import figure, metric_words

    if said is None:
        return ""
    limit = (
        ""
        if said["threshold"] is None or said["value"] is None
        else f" (limit {figure(said['name'], said['threshold'])})"
    )
    if said["value"] is None and known and said["name"].endswith("memory_ratio"):
        return f"{metric_words(said['name'])}: no limit is set"
    return f"{metric_words(said['name'])} {figure(said['name'], said['value'])}{limit}"


def _elsewhere(item: dict[str, Any], approval: dict[str, Any] | None, unwell: list[dict[str, Any]]) -> str:
    """Which of those that are unwell the approval is about, or is the root of its incident, where that is told beside
    it and this one is not; else empty."""
    if approval is None:
        return item["part_of"] if item["part_of"] in {one["slug"] for one in unwell} else ""
    about = {step["resource"] for step in approval["plan"]["steps"]}
    told = [one["slug"] for one in unwell if one["id"] in about]
    return "" if item["id"] in about else ", ".join(told)


def _unwell(
    screen: "Console", item: dict[str, Any], approval: dict[str, Any] | None, paused: str | None, elsewhere: str = ""
) -> None:
    from rich.text import Text

    from watchkeeper.cli.screen import ago, health, prose

    line = health(item["health"]).append(f"  {item['slug']}", "bold").append(f"  {item['state']}")
    screen.print(line.append(f"  {item['incident']}" if item["incident"] else ""))
    for alert in item["alerts"]:
        since = ago(alert["firing_at"] or alert["pending_at"])
        told = f" (silenced: {item['silenced'][alert['rule']]})" if alert["rule"] in item["silenced"] else ""
        prose(screen, f"{alert['rule']} {alert['status']} for {since}{told}: {alert['why']}", 2)
    if item["stopped"]:
        prose(screen, f"Cause: {item['stopped']}", 2)
    if item["health"] == "FAILED":  # who brings back what ends, or hangs: of no use to what is only unwell
        for tended in item["tended_by"]:
            prose(screen, f"Tended by {tended}", 2)
    advice = item["advice"]
    if item["escalated"] and elsewhere:
        prose(screen, f"It is part of what is wrong with {elsewhere}: what is to be done is told there.", 2)
        return
    if item["escalated"]:
        needs = f"Needs you: Watchkeeper does nothing more here by itself. {item['escalated']}"
        prose(screen, Text(needs if needs.endswith(".") else f"{needs}.", "bold yellow"), 2)
        if item["to_do"]:
            prose(screen, Text(f"Next: {item['to_do']}", "bold yellow"), 2)
    if item["held"] and not (item["advice"] and item["advice"]["decision"]["reason"] == item["held"]):
        prose(screen, Text(f"▲ held: {item['held']}", "yellow"), 2)
    if approval is not None:
        pass  # what waits is told below, and nothing else comes before it is decided
    elif advice is not None:
        by_hand = f"`watchkeeper fix {item['slug']}` is your approval of this, and does it at once"
        word = (
            f"It would do this, and does nothing while it is {paused}"
            if paused
            else by_hand
            if item["escalated"] or item["held"]
            else "It would do now"
        )
        show_advice(screen, advice, word, held=bool(item["held"]))
    elif item["incident"]:
        more = "tells all of it" if item["escalated"] else "tells why"
        prose(screen, f"It has nothing to do here itself: `watchkeeper show {item['incident']}` {more}.", 2)
    if item["maintenance"]:
        prose(screen, Text(f"▲ {item['maintenance']}", "yellow"), 2)
    if elsewhere and approval is not None:
        prose(screen, f"It is part of what is wrong with {elsewhere}: what waits for you is told there.", 2)
    elif approval is not None:
        show_waiting(screen, approval)


def _still(screen: "Console", page: dict[str, Any]) -> None:
    """What keeps the hands still: windows and breakers."""
    from rich.text import Text

    from watchkeeper.cli.screen import counted, until
    from watchkeeper.cli.tools import open_breakers

    for window in page["maintenance"]:
        about = ", ".join(window["resources"]) + (f": {window['reason']}" if window["reason"] else "")
        screen.print()
        screen.print(
            Text(f"▲ maintenance until {until(window['ends'])} ", "yellow").append(
                f"({window['id']}) of {about}", "none"
            )
        )
    for silence in page["silences"]:
        screen.print()
        kept = sum(silence["kept_back"].values())
        said = f"({silence['id']}) of {silence['about']}; {counted(kept, 'message')} kept back"
        screen.print(Text(f"▲ silence until {until(silence['ends'])} ", "yellow").append(said, "none"))
    open_breakers(screen, page["breakers"])


def show_advice(
    screen: "Console", advice: dict[str, Any], word: str = "It would do now", *, held: bool = False
) -> None:
    """The cause, and each step with what policy says of it and how to do it by hand. What is `held` may be done by a
    person now."""
    from rich.text import Text

    from watchkeeper.cli.screen import outcome, prose

    decision = advice["decision"]
    if decision["outcome"] == "deny" and not held:
        word = "It may not now, but would"
    prose(screen, f"Cause: {advice['cause']}", 2)
    screen.print(Text(f"  {word} ({advice['author']}):"))
    for step in advice["steps"]:
        show_step(screen, step)
    said = Text("policy: ").append_text(outcome(decision["outcome"]))
    prose(screen, said.append(f" ({decision['policy']}): {decision['reason']}"), 4)


def show_step(screen: "Console", step: dict[str, Any]) -> None:
    """Tool, arguments, effect; why; the shell command that does the same."""
    from rich.text import Text

    from watchkeeper.cli.screen import called, prose

    line = Text(f"    {step['tool']}", "bold").append(f" {called(step)}".rstrip(), "none")
    screen.print(line.append(f" on {step['resource']}", "none").append(f"  [{step['effect']}]", "dim"), soft_wrap=True)
    if step["why"]:
        prose(screen, step["why"], 6)
    if step["by_hand"]:
        screen.print(Text(f"      by hand: {step['by_hand']}"), soft_wrap=True)


def show_waiting(screen: "Console", approval: dict[str, Any]) -> None:
    """What a person is asked for: the cause, each step as it would be done, and how to answer."""
    from rich.text import Text

    from watchkeeper.cli.screen import clock, outcome, prose

    key, plan = approval["id"], approval["plan"]
    if plan["diagnosis"]:
        prose(screen, f"Cause: {plan['diagnosis']['cause']}", 2)
    until = clock(approval["expires_at"])
    screen.print(Text(f"  Waits for you until {until} ({plan['author']}):", "bold yellow"))
    for step in plan["steps"]:
        show_step(screen, step)
    decision = approval["decision"]
    said = Text("policy: ").append_text(outcome(decision["outcome"]))
    prose(screen, said.append(f" ({decision['policy']}): {decision['reason']}"), 4)
    screen.print(Text(f"    watchkeeper approve {key}    or    watchkeeper reject {key}"), soft_wrap=True)


def problems(screen: "Console", said: dict[str, str]) -> None:
    """What the watcher itself lacks."""
    from rich.text import Text

    for name, problem in said.items():
        screen.print()
        screen.print(Text(f"▲ {name}: ", "yellow").append(problem.replace("\n", "\n  "), "none"))
