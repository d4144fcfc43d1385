"""`watchkeeper doctor`: what can be reached, what is missing, and what to do about it."""

import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from watchkeeper.cli.channels import channels
from watchkeeper.cli.finding import Finding
from watchkeeper.cli.language_models import language_models
from watchkeeper.cli.machines import machines
from watchkeeper.cli.named import misnamed, misspelt_environments, unknown_environments, unknown_settings
from watchkeeper.cli.options import Options
from watchkeeper.cli.sources import sources

if TYPE_CHECKING:
    from watchkeeper.settings import Settings

SIGNS = {"ok": ("●", "green"), "missing": ("▲", "yellow"), "broken": ("✖", "red"), "more": ("▲", "yellow")}


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    context: typer.Context,
    rights: Annotated[bool, typer.Option("--rights", help="Print the least rights, to be pasted, instead.")] = False,
    wanted: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="WHAT",
            help="Rights for what: watch, probe, act, or a tool's name. Without it: for what is configured.",
        ),
    ] = None,
    way: Annotated[
        str | None, typer.Option("--as", metavar="FORM", help="Only that: acl, sql, sudoers, nginx, or proxy-env.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="As it would be with `up --only`: nothing else is asked. May be repeated.")
    ] = None,
) -> None:
    """What can be reached from here, with which rights, and what is missing, with what to do.

    Exit code 2 where something is broken. Nothing is changed: rights are asked for, not tried out on anything that is
    there.
    """
    from rich.text import Text

    from watchkeeper.cli.screen import console, print_json

    options = Options.of(context)
    if rights:
        print_rights(options, wanted, way)
        return
    findings: list[Finding] = []
    screen = console()
    for finding in examine(options, only or ()):
        findings.append(finding)
        if not options.json:
            shape, style = SIGNS[finding.state]
            line = Text(f"{shape} {finding.state:<8}", style).append(f"{finding.subject:<13} ", "bold")
            screen.print(line.append(finding.found, "none"), soft_wrap=True)
            for line in finding.advice.splitlines():
                screen.print(Text(f"           {line}", "none"), soft_wrap=True)
    if options.json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(2)


def print_rights(options: Options, wanted: str | None, way: str | None) -> None:
    """As text that can be pasted or piped. Raises WatchkeeperError."""
    from watchkeeper.cli.rights import WAYS, needed, printed
    from watchkeeper.cli.screen import print_json
    from watchkeeper.connectors import Registry
    from watchkeeper.domain.errors import WatchkeeperError

    if way is not None and way not in WAYS:
        raise WatchkeeperError(f"There is no form {way!r}.", f"Say --as {', '.join(WAYS)}.")
    registry = Registry.installed()
    if options.json:
        print_json({kind: [asdict(r) for r in rights] for kind, rights in needed(registry, wanted or "act").items()})
        return
    lines = list(printed(options.settings(), registry, wanted, way))
    for line in lines:
        typer.echo(line)
    if not lines:
        what = (
            "what you named" if wanted else "what the configuration names; `--for watch` prints what it takes to look"
        )
        typer.echo(f"Nothing in this form is needed for {what}.", err=True)


def examine(options: Options, only: Sequence[str] = ()) -> Iterator[Finding]:
    """One finding after the other, with `only` in place of the configuration's where it is given. What a configuration
    that is not valid would say is left out."""
    from watchkeeper.domain.errors import ConfigurationError
    from watchkeeper.settings import default_data

    settings = None
    try:
        settings = options.settings()
        theirs = [] if only or settings.only else running_only(options)
        asked = list(only) or settings.only or theirs
        settings = settings.model_copy(update={"only": asked})
        yield from configuration(options, settings)
        if theirs:
            said = f"nothing but {', '.join(theirs)} is asked here: the server that runs was started so"
            yield Finding("only", "ok", said, "All that there is: watchkeeper doctor --only '*'")
    except ConfigurationError as problem:
        yield Finding("configuration", "broken", problem.what, problem.next_step)
    yield directory(settings.data if settings else options.data or default_data())
    runs = False
    if settings:
        yield from store(settings)
        yield (there := server(options))
        runs = there.state == "ok"
        yield from misbehaving(options)
    yield engine()
    if settings:
        yield from machines(settings.hosts, counted=not settings.only)
    yield from connectors()
    if settings:
        yield from rights(settings)
    yield from commands()
    if settings:
        yield from credentials(settings, runs=runs)
        yield from checks(settings)
        yield from sources(settings)
        yield from channels(settings, options)
        yield from language_models(settings)


def configuration(options: Options, settings: "Settings") -> Iterator[Finding]:
    """The file in use, and what in it leads nowhere."""
    from watchkeeper.connectors import Registry

    file = options.file()
    if file is None:
        advice = "Name there what it may act on: resources: [{name: …, act: true}]."
        yield Finding("configuration", "missing", "none: defaults; it acts only on what a label permits", advice)
        return
    yield Finding("configuration", "ok", str(file))
    registry = Registry.installed()
    for said in settings.resources:
        for what, advice in unknown_settings(said, registry):
            yield Finding("configuration", "broken", what, advice)
    for what, advice in misspelt_environments(settings):
        yield Finding("configuration", "broken", what, advice)
    for what, advice in unknown_environments(settings):
        yield Finding("configuration", "missing", what, advice)
    yield from misnamed(settings, registry)


def directory(data: Path) -> Finding:
    there = next((place for place in (data, *data.parents) if place.exists()), Path("/"))
    if os.access(there, os.W_OK) and there.is_dir():
        said = str(data) if data.exists() else f"{data} (made at the first start)"
        return Finding("data", "ok", said)
    return Finding("data", "broken", f"{data} cannot be written", "Choose another: --data DIR.")


def store(settings: "Settings") -> Iterator[Finding]:
    """Whether PostgreSQL lets us in; of SQLite whether what it holds can be read."""
    from watchkeeper.domain.errors import WatchkeeperError

    file = settings.data / "watchkeeper.db"
    try:
        if settings.store is not None:
            yield Finding("store", "ok", asyncio.run(_store(settings.database)))
        elif file.exists() and file.stat().st_size:
            from watchkeeper.store import look_through

            said, left_out = look_through(file)
            yield Finding("store", "ok", said)
            if left_out:
                advice = "`up` leaves them out and goes on; what is looked at anew is written anew."
                yield Finding("store", "missing", f"rows that cannot be read: {left_out}", advice)
    except WatchkeeperError as problem:
        yield Finding("store", "broken", problem.what, problem.next_step)


async def _store(url: str) -> str:
    from watchkeeper.store import inspect_store

    return await inspect_store(url)


def running_only(options: Options) -> list[str]:
    """What alone the server that runs looks at; empty where that is everything, or none runs."""
    from watchkeeper.domain.errors import WatchkeeperError

    try:
        with options.client() as client:
            return list(client.get("/api/settings")["settings"].get("only") or ())
    except WatchkeeperError:
        return []


def server(options: Options) -> Finding:
    from watchkeeper.domain.errors import WatchkeeperError

    try:
        with options.client() as client:
            page = client.get("/api/resources/status", limit=1)
            said = f"runs at {client.url}, mode {page['mode']}, watches {page['total']:,}"
            if "store" in page["problems"]:
                what, _, advice = page["problems"]["store"].partition("\n")
                return Finding("server", "broken", f"{said}. {what}", advice)
            if page["paused"]:
                return Finding("server", "missing", f"{said}, {page['paused']}", "Go on with `watchkeeper resume`.")
            return Finding("server", "ok", said)
    except WatchkeeperError as problem:
        return Finding("server", "missing", problem.what, problem.next_step)


def misbehaving(options: Options) -> Iterator[Finding]:
    """The connectors that the running server has had to quarantine, or is about to."""
    from watchkeeper.domain.errors import WatchkeeperError

    try:
        with options.client() as client:
            items = client.get("/api/connectors")["items"]
    except WatchkeeperError:
        return
    for item in items:
        if item["standing"] in ("quarantined", "probation"):
            advice = (
                f"Update or uninstall the package that brings it, then: watchkeeper connectors release {item['name']}"
            )
            yield Finding("connectors", "broken", f"{item['name']}: {item['problem']}", advice)


def engine() -> Finding:
    """Whether the Docker engine answers, and where it does not whether its socket's permissions are why."""
    import getpass

    from watchkeeper.hosts import Engine

    async def ask() -> tuple[int, str | None]:
        async with Engine() as docker:
            hosts = await docker.hosts()
            return len(hosts), docker.problem

    number, problem = asyncio.run(ask())
    if problem is None:
        return Finding(
            "Docker", "ok", f"the engine answers {getpass.getuser()}: {number} container{'s' * (number != 1)}"
        )
    what, _, advice = problem.partition("\n")
    url = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    socket = Path(urlsplit(url).path)
    if url.startswith("unix://") and socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
        user, group = getpass.getuser(), _group(socket)
        what = f"{socket} belongs to the group {group}; {user} may not use it"
        advice = f"Join the group, then log in anew: sudo usermod -aG {group} {user}"
    return Finding("Docker", "missing", what, advice)


def _group(path: Path) -> str:
    try:
        return path.group()
    except KeyError:  # a group without a name here, as in a container
        return str(path.stat().st_gid)


def connectors() -> Iterator[Finding]:
    from watchkeeper.connectors import Registry

    registry = Registry.installed()
    if kinds := [f"{c.kind} ({len(c.tools)} tools, {len(c.rules)} rules)" for c in registry]:
        yield Finding("connectors", "ok", ", ".join(kinds))
    for name, problem in registry.broken.items():
        what, _, advice = problem.partition("\n")
        yield Finding("connectors", "broken", f"{name}: {what}", advice or "Reinstall the package that brings it.")
    if not kinds and not registry.broken:
        yield Finding("connectors", "broken", "none is installed", "Reinstall watchkeeper.")


def rights(settings: "Settings") -> Iterator[Finding]:
    """What may be done here now, resource by resource."""
    from watchkeeper.cli.rights import examined
    from watchkeeper.connectors import Registry
    from watchkeeper.domain.errors import WatchkeeperError

    try:
        yield from examined(settings, Registry.installed())
    except WatchkeeperError as problem:
        yield Finding("rights", "missing", problem.what, problem.next_step)


def commands() -> Iterator[Finding]:
    for name, gives, package in (
        ("nsenter", "the way into a container's network where no port is published", "util-linux"),
        ("ss", "who is connected to whom", "iproute2"),
    ):
        if where := shutil.which(name):
            yield Finding(name, "ok", where)
        else:
            yield Finding(name, "missing", f"not found: {gives} is not known", f"Install the package {package}.")


def credentials(settings: "Settings", *, runs: bool = False) -> Iterator[Finding]:
    """Each reference can be followed. No value is ever shown. `runs`: a server does, in an environment of its own."""
    from watchkeeper.domain.errors import ConfigurationError
    from watchkeeper.settings import secret

    references = [(said.name, said.password) for said in settings.resources if said.password]
    references += [(f"check {said.name}", reference) for said in settings.checks for reference in said.references]
    references += [(f"source {name}", ref) for name, said in settings.sources.items() for ref in said.references]
    references += [(f"channel {said.name}", ref) for said in settings.notify.all_channels for ref in said.references]
    for name, reference in references:
        try:
            secret(reference)
            yield Finding("credentials", "ok", f"{name}: {reference} is there")
        except ConfigurationError as problem:
            if runs and reference.startswith("env:"):
                what = (
                    f"{name}: {reference.removeprefix('env:')} is not set in this shell; what the server that runs has"
                )
                asks = "`watchkeeper notify test`" if name.startswith("channel ") else "`watchkeeper status`"
                advice = f"{asks} tells how it goes there. To have doctor try it, export it here."
                yield Finding("credentials", "missing", f"{what} in its own environment is not known here", advice)
                continue
            yield Finding("credentials", "broken", f"{name}: {problem.what}", problem.next_step)


def checks(settings: "Settings") -> Iterator[Finding]:
    """Each of the user's own, made once; of a command only whether it is there, for what it does is not known."""
    from watchkeeper.connectors.check.run import Result, carry_out

    async def make() -> list[Result]:
        return await asyncio.gather(*(carry_out(said) for said in settings.checks if said.command is None))

    found = iter(asyncio.run(make()))
    for said in settings.checks:
        on = f"{said.name}: {said.said}" + (f", on {said.resource}" if said.resource else "")
        if said.command is not None:
            where = shutil.which(said.command[0])
            advice = "" if where else f"There is no program {said.command[0]} here, or it may not be run."
            yield Finding("checks", "ok" if where else "broken", on + (", not tried" if where else ""), advice)
            continue
        result = next(found)
        text = result.problem or f"as expected, in {result.seconds * 1000:.0f} ms"
        yield Finding("checks", "missing" if result.problem else "ok", f"{on}: {text}")
