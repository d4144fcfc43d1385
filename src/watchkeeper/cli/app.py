"""The commands together; errors told in one or two lines; what other packages bring."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.models import CommandInfo

from watchkeeper.cli import (
    acts,
    ask,
    changes,
    check,
    connectors,
    doctor,
    evaluation,
    fix,
    fixes,
    incidents,
    knowledge,
    lines,
    llm,
    maintenance,
    map,
    mcp,
    mode,
    models,
    notify,
    silence,
    status,
    tokens,
    tools,
    up,
)
from watchkeeper.cli.options import Options, hoisted
from watchkeeper.cli.suggesting import Needing, Suggesting

GROUP = "watchkeeper.commands"
app = typer.Typer(
    name="watchkeeper",
    cls=Suggesting,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def say_version(wanted: bool) -> None:
    """And nothing else."""
    if wanted:
        from watchkeeper import __version__

        typer.echo(f"watchkeeper {__version__}")
        raise typer.Exit


@app.callback()
def watchkeeper(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="The configuration; else ./watchkeeper.yaml, if any.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where state is kept.")] = None,
    url: Annotated[str | None, typer.Option(envvar="WATCHKEEPER_URL", help="The server to ask.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As the API gives it, for machines.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", is_eager=True, callback=say_version)
    ] = False,
) -> None:
    """Watches the services under production machine learning and heals them: finds what is wrong, fixes it within
    limits, proves it.

    Begin with `watchkeeper up`, then `watchkeeper status`. The options below may stand anywhere.
    """
    context.obj = Options(config, data, url, json)


def _commands(of: typer.Typer | None) -> Sequence[CommandInfo]:
    return of.registered_commands if of is not None else ()


for module in (
    up,
    status,
    map,
    incidents,
    acts,
    evaluation,
    lines,
    changes,
    fix,
    fixes,
    mode,
    maintenance,
    silence,
    notify,
    tools,
    tokens,
    models,
    mcp,
    ask,
    llm,
    knowledge,
    connectors,
    check,
    doctor,
):
    module.register(app)
for group in app.registered_groups:
    group.cls = Suggesting
for command in (*app.registered_commands, *(c for g in app.registered_groups for c in _commands(g.typer_instance))):
    command.cls = Needing


def own_commands() -> list[str]:
    """The names of our own commands and groups."""
    named = [c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands]
    return [*(name.replace("_", "-") for name in named), *(group.name or "" for group in app.registered_groups)]


def mount(target: typer.Typer, own: Sequence[str], wanted: str | None) -> None:
    """Add what other packages bring. Only the one that is wanted is loaded; all of them for the help, which is None.

    One that cannot be loaded, or whose name is taken, is passed over, with a line that says so.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda found: found.name):
        package = entry.dist.name if entry.dist else entry.module
        if entry.name in own:
            warn(f"`{entry.name}` of {package} is left out: the name is taken.")
        elif wanted not in (None, entry.name):  # None: the help of everything is wanted
            target.command(entry.name, help=f"Of the package {package}.")(_not_loaded)
        else:
            try:
                _add(target, entry.name, entry.load())
            except Exception as problem:
                warn(f"`{entry.name}` of {package} is left out: {type(problem).__name__}: {problem}")


def _add(target: typer.Typer, name: str, brought: Any) -> None:
    if isinstance(brought, typer.Typer):
        target.add_typer(brought, name=name)
    elif callable(brought):
        target.command(name)(brought)
    else:
        raise TypeError("it is neither a Typer app nor a function")


def _not_loaded() -> None:
    raise RuntimeError("a command that was not wanted was called")


def warn(text: str) -> None:
    print(f"watchkeeper: {text}", file=sys.stderr)


def main() -> None:
    """Run the command line. Errors of ours are one or two lines and exit code 2; a traceback is for bugs."""
    from watchkeeper.cli.errors import told

    own = own_commands()
    arguments, wanted = hoisted(sys.argv[1:], own)
    if wanted not in own and "--version" not in arguments:
        mount(app, own, wanted)
    try:
        app(args=arguments, prog_name="watchkeeper")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as problem:
        code = told(problem)
        if code is None:
            raise
        sys.exit(code)
