"""`ask`: a question to a language model that only looks, answered as it comes."""

import sys
from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options


def register(app: typer.Typer) -> None:
    app.command()(ask)


def ask(
    context: typer.Context,
    question: Annotated[list[str], typer.Argument(metavar="QUESTION", help="In words, as to a colleague.")],
    go_on: Annotated[bool, typer.Option("--continue", "-c", help="It follows on your last one.")] = False,
) -> None:
    """Ask why something was so, what changed, what was done: a language model looks, and answers with what it rests on.

    It changes nothing. A fix that it proposes is handed in by you: `watchkeeper fix prop-…`. Ctrl-C ends it.
    Exit code 0 with an answer, 1 without one, 2 where nobody could be asked.
    """
    import json
    from datetime import datetime

    from watchkeeper.cli.screen import console

    options = Options.of(context)
    screen = console(stderr=True)
    body: dict[str, Any] = {"message": " ".join(question), "at": datetime.now().astimezone().isoformat()}
    with options.client() as client:
        if go_on:
            body["conversation"] = _last(client.get("/api/llm/conversations", mine=True, limit=1)["items"])
        ended = ""
        for kind, said in client.stream("/api/llm/chat", body):
            ended = kind
            if options.json:
                typer.echo(json.dumps({"event": kind, **said}, ensure_ascii=False))
            else:
                _tell(screen, kind, said)
    if ended != "done":
        if ended != "failed":
            screen.print("The answer broke off: the server ended. `watchkeeper up` starts it again.", style="yellow")
        raise typer.Exit(1)


def _last(items: list[dict[str, Any]]) -> str:
    """Raises WatchkeeperError."""
    from watchkeeper.domain.errors import WatchkeeperError

    if not items:
        raise WatchkeeperError("There is nothing to go on with: you have asked nothing yet.", "Leave --continue out.")
    return str(items[0]["id"])


def _tell(screen: Any, kind: str, said: dict[str, Any]) -> None:
    """The answer on standard output; what it looks at, and what it rests on, beside it."""
    from rich.text import Text

    if kind == "look":
        screen.print(Text(f"· {said['tool']} {said['about']}".rstrip(), "dim"), soft_wrap=True)
    elif kind == "text":
        sys.stdout.write(said["delta"])
        sys.stdout.flush()
    elif kind == "again":
        screen.print(Text(f"\n— {said['why']}: what was said is withdrawn; {said['model']} answers —", "yellow"))
    elif kind == "plan":
        _proposal(screen, said)
    elif kind == "failed":
        screen.print(Text(f"{said['detail']}", "red"), soft_wrap=True)
        screen.print(Text(said["next"]), soft_wrap=True)
    elif kind == "done":
        _rests_on(screen, said)


def _proposal(screen: Any, plan: dict[str, Any]) -> None:
    from rich.text import Text

    screen.print(Text(f"\nProposed, not done: {plan['summary']}", "bold"))
    for step in plan["steps"]:
        arguments = " ".join(f"{name}={value}" for name, value in step["with"].items())
        call = f"  {step['tool']} {arguments}".rstrip() + f" on {step['resource']} [{step['effect']}]: {step['why']}"
        screen.print(Text(call), soft_wrap=True)
    screen.print(Text(f"  watchkeeper fix {plan['token']}    hands it in, as yours"), soft_wrap=True)


def _rests_on(screen: Any, said: dict[str, Any]) -> None:
    from rich.text import Text

    sys.stdout.write("\n" if said["text"] else "")
    sys.stdout.flush()
    for one in said["citations"]:
        screen.print(Text(f"[{one['mark']}] {one['kind']}: {one['said']}", "dim"), soft_wrap=True)
    if said["removed"]:
        gone = ", ".join(said["removed"])
        screen.print(Text(f"▲ It cited {gone}, which it was never shown: taken out.", "yellow"), soft_wrap=True)
    for one in said["unsupported"]:
        marks = ", ".join(one["marks"])
        screen.print(
            Text(f"▲ {one['figure']} does not stand in {marks}, which it cites for it.", "yellow"), soft_wrap=True
        )
    cost = "of unknown price" if said["cost_usd"] is None else f"${said['cost_usd']:.4f}"
    screen.print(Text(f"{said['model']}, {said['tokens']} tokens, {cost}, {said['seconds']:.1f} s", "dim"))
