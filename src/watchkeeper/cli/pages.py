"""`runbooks edit`, `history`, `revert`: a runbook written anew while it runs, and back."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from watchkeeper.cli.options import Options

Name = Annotated[str, typer.Argument(metavar="RUNBOOK", help="The runbook's name.")]
Kind = Annotated[str | None, typer.Option(help="For which technology, where several have one of that name.")]
Note = Annotated[str, typer.Option(help="Why; kept in the history.")]


def register(runbooks: typer.Typer) -> None:
    for command in (edit, history, revert):
        runbooks.command()(command)


def edit(
    context: typer.Context,
    name: Name,
    file: Annotated[Path | None, typer.Option(help="The page as it is to be; else your editor opens.")] = None,
    new: Annotated[bool, typer.Option("--new", help="There is none of that name yet.")] = False,
    kind: Kind = None,
    note: Note = "",
) -> None:
    """Write a runbook anew, for a running server: checked as `check` would, from now on and after a restart.

    What it does goes through policy as ever. `runbooks revert` takes it back.
    """
    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        old: dict[str, Any] | None = None if new else client.get(_path(name), kind=kind)
        text = _read(file) if file is not None else _edited(old["text"] if old else TEMPLATE)
        if text is None or (old is not None and text == old["text"]):
            return typer.echo("Nothing was changed.", err=True)
        body = {"text": text, "kind": kind or (old["kind"] if old else None), "note": note}
        headers = {} if old is None else {"If-Match": f'"{old["digest"]}"'}
        try:
            said = client.put(_path(name), body, headers)
        except Exception:
            _kept(file, name, text)
            raise
    if options.json:
        return print_json(said)
    return typer.echo(f"{name} (for a {said['kind']}) is changed: watchkeeper runbooks show {name}")


def history(context: typer.Context, name: Name, kind: Kind = None) -> None:
    """Who changed a runbook while it ran, each change as a difference."""
    import difflib

    from watchkeeper.cli.screen import print_json, until

    options = Options.of(context)
    with options.client() as client:
        said = client.get(f"{_path(name)}/history", kind=kind)
    if options.json:
        return print_json(said)
    if not said["changes"]:
        return typer.echo(f"{name} was not changed while it ran.")
    settled = said["settled"] or ""
    before: str = said["first"] if said["first"] is not None else settled
    for one in said["changes"]:
        after = one["text"] if one["text"] is not None else settled
        note = f": {one['note']}" if one["note"] else ""
        typer.echo(f"{until(one['at'])}, by {one['by'].partition(':')[2]}{note}")
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=1)
        typer.echo("\n".join(f"  {line}" for line in list(lines)[2:]))
        before = after
    return None


def revert(
    context: typer.Context,
    name: Name,
    last: Annotated[bool, typer.Option("--last", help="Take back the last change only.")] = False,
    kind: Kind = None,
    note: Note = "",
) -> None:
    """As it was before anybody changed it while it ran; with `--last` as before the last change."""
    from urllib.parse import quote

    from watchkeeper.cli.screen import print_json

    options = Options.of(context)
    with options.client() as client:
        if last:
            said = client.post(f"{_path(name)}/undo", {"kind": kind, "note": note})
        else:
            about = f"?kind={quote(kind, safe='')}" if kind else ""
            said = client.delete(f"{_path(name)}{about}")
    if options.json:
        return print_json(said)
    return typer.echo(f"{name} (for a {said['kind']}) is taken back; it is {said['origin']} now.")


TEMPLATE = """---
when: alerts.exists(a, a.rule == "RULE")
cause: What is wrong, in one sentence.
ladder:
  - [{tool: TOOL}]
---
# What it means, what to look at, what to do
"""


def _path(name: str) -> str:
    from watchkeeper.cli.incidents import segment

    return f"/api/runbooks/{segment(name)}"


def _read(file: Path) -> str:
    from watchkeeper.domain.errors import WatchkeeperError

    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise WatchkeeperError(f"{file} cannot be read: {problem}.", "Name another: --file PAGE.md.") from None


def _edited(text: str) -> str | None:
    """What the user's editor leaves; None where it was left without saving."""
    from watchkeeper.domain.errors import WatchkeeperError

    if not sys.stdin.isatty():
        raise WatchkeeperError("There is no terminal to edit in.", "Give the page: --file PAGE.md.")
    import click

    return click.edit(text, extension=".md")


def _kept(file: Path | None, name: str, text: str) -> None:
    """What was written in an editor is not lost where it is refused."""
    if file is not None:
        return
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix=f"{name}-", suffix=".md", delete=False) as left:
        left.write(text)
    typer.echo(f"What you wrote is in {left.name}: watchkeeper runbooks edit {name} --file {left.name}", err=True)
