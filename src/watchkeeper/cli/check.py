"""`watchkeeper check`: is everything that was configured valid? For CI; works without a server or an engine."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from watchkeeper.cli.named import Problem, misspelt_environments, nearest, unknown_environments, unknown_settings
from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    from watchkeeper.connectors import Registry
    from watchkeeper.settings import Settings


def register(app: typer.Typer) -> None:
    app.command()(check)


def check(context: typer.Context) -> None:
    """Validate the configuration, rules, runbooks and policy. Exit code 2 where anything is wrong.

    Whether what it names is there, `doctor` and `up` tell.
    """
    from watchkeeper.cli.screen import print_json
    from watchkeeper.connectors import Registry
    from watchkeeper.domain.errors import ConfigurationError

    options = Options.of(context)
    registry = Registry.installed()
    problems: list[Problem] = []
    doubts: list[Problem] = []
    read = "the defaults (no watchkeeper.yaml here)"
    settings = None
    try:
        settings = options.settings()
    except ConfigurationError as problem:
        problems.append((problem.what, problem.next_step))
        settings = getattr(problem, "rest", None)  # what else is wrong is told at once, too
    if settings is not None:
        problems += own(settings, registry)
        problems += [*rules(settings, registry), *resources(settings, registry), *policy(settings), *notify(settings)]
        problems += [*checks(settings, registry), *misspelt_environments(settings)]
        doubts += [*unknown_environments(settings), *without_buttons(settings), *unset(settings)]
        read = str(options.file() or read)
    problems += [*broken(registry), *references(registry), *exporters(registry)]
    fine = {
        "connectors": len(list(registry)),
        "rules": len(registry.rules),
        "runbooks": len(registry.runbooks),
        "tools": len(registry.tools),
    }
    if options.json:
        told = {
            name: [{"what": what, "next": advice} for what, advice in found]
            for name, found in (("problems", problems), ("warnings", doubts))
        }
        print_json({**told, "found": fine})
    else:
        for sign, what, advice in [("✖", *one) for one in problems] + [("▲", *one) for one in doubts]:
            typer.echo(f"{sign} {what}" + (f"\n  {advice}" if advice else ""))
        if not problems:
            counted = ", ".join(f"{number} {name}" for name, number in fine.items())
            typer.echo(f"{'Fine but for ▲' if doubts else 'Fine'}: {read}, its policy, {counted}.")
    if problems:
        raise typer.Exit(2)


def unset(settings: "Settings") -> Iterator[Problem]:
    """References that lead nowhere in this shell, which need not be the one of `up`."""
    from watchkeeper.cli.doctor import credentials

    for finding in credentials(settings):
        if finding.state == "broken":
            yield finding.found, "`watchkeeper up` does not start before it is, in the shell where you start it."


def own(settings: "Settings", registry: "Registry") -> list[Problem]:
    """The user's own rules and runbooks."""
    from watchkeeper.domain.errors import ConfigurationError

    registry.measure(settings.resources)
    try:
        if settings.runbooks is not None:
            registry.extend(settings.runbooks)
        registry.leave_out(settings.without_runbooks)
    except ConfigurationError as problem:
        return [(problem.what, problem.next_step)]
    return []


def rules(settings: "Settings", registry: "Registry") -> Iterator[Problem]:
    """The configuration's changes to rules: each names a rule, its expressions can be evaluated, its time be read."""
    from watchkeeper.domain import Condition
    from watchkeeper.domain.duration import seconds
    from watchkeeper.domain.errors import ConfigurationError

    known = {rule.id: rule for rule in registry.rules}
    for name, said in settings.rules.items():
        where = f"rules, {name}"
        if name not in known:
            yield f"{where}: there is no such rule{nearest(name, list(known))}.", "`watchkeeper rules` lists them."
            continue
        sample = registry.sample(known[name].kind).scope()
        for source in filter(None, (said.when, said.clear)):
            try:
                Condition(source).check(sample)
            except ConfigurationError as problem:
                yield f"{where}: {problem.what}", problem.next_step
        if said.for_ is not None:
            try:
                seconds(said.for_)
            except ConfigurationError as problem:
                yield f"{where}: `for`: {problem.what}", problem.next_step


def resources(settings: "Settings", registry: "Registry") -> Iterator[Problem]:
    """What is named by hand: of a kind that is installed, and as its connector wants it."""
    from watchkeeper.domain.errors import ConfigurationError

    kinds = [connector.kind for connector in registry]
    for said in settings.resources:
        where = f"resources, {said.name}"
        if said.kind is not None and said.kind not in kinds:
            yield f"{where}: no connector for `{said.kind}` is installed{nearest(said.kind, kinds)}.", installed(kinds)
        elif said.url and said.kind is None:
            yield f"{where}: it has a `url` but no `kind`, so nothing would watch it.", installed(kinds)
        yield from unknown_settings(said, registry)
    for connector in registry:
        sound = [said for said in settings.resources if not any(unknown_settings(said, registry))]
        named = [said.model_dump() for said in sound if said.kind == connector.kind]
        if named:
            try:
                asyncio.run(_discover(connector, named))
            except ConfigurationError as problem:
                yield problem.what, problem.next_step


def exporters(registry: "Registry") -> Iterator[Problem]:
    """What standard exporters call each connector's metrics: our own files, and those of other packages."""
    from watchkeeper.domain.errors import ConfigurationError
    from watchkeeper.sources import exporters_of

    for connector in registry:
        try:
            exporters_of(connector)
        except ConfigurationError as problem:
            yield problem.what, problem.next_step


def installed(kinds: list[str]) -> str:
    return f"Kinds there are: {', '.join(kinds)}."


async def _discover(connector: Any, named: list[dict[str, Any]]) -> None:
    async for _ in connector.discover((), {"resources": named}):
        pass


def checks(settings: "Settings", registry: "Registry") -> Iterator[Problem]:
    """The runbooks that checks name are there. What else can be wrong with one is found as the file is read."""
    known = [runbook.name for runbook in registry.runbooks]
    for said in settings.checks:
        if said.runbook is not None and said.runbook not in known:
            what = f"checks, {said.name}: there is no runbook `{said.runbook}`{nearest(said.runbook, known)}."
            yield what, "`watchkeeper runbooks` lists them; yours stand in the folder of `runbooks:`."


def policy(settings: "Settings") -> Iterator[Problem]:
    """The table and the user's Cedar, validated against the schema."""
    from watchkeeper.decide.policy import Policy
    from watchkeeper.domain.errors import ConfigurationError

    try:
        Policy(settings.policy, settings.mode)
        if settings.policy.access is not None:
            from watchkeeper.server.app import access

            access(settings.policy.access)
    except ConfigurationError as problem:
        yield problem.what, problem.next_step


def notify(settings: "Settings") -> Iterator[Problem]:
    """A webhook is a URL or a reference to one."""
    hook = settings.notify.webhook
    if hook is not None and not hook.url.startswith(("http://", "https://", "env:", "file:")):
        yield "notify.webhook.url is no URL.", "Write https://…, or a reference: env:NAME, file:PATH."


def without_buttons(settings: "Settings") -> Iterator[Problem]:
    """Channels of Slack whose buttons nobody will see, for Slack could not call back."""
    from watchkeeper.settings.notify import SlackChannel

    for said in settings.notify.channels:
        if isinstance(said, SlackChannel) and said.signing_secret and not settings.server.public_url:
            what = f"notify.channels, {said.name}: its messages have no buttons, for there is no `server.public_url`."
            yield what, "Set it to the address at which Slack reaches this server."


def broken(registry: "Registry") -> Iterator[Problem]:
    """Connectors that do not load, with the rule or runbook that is why."""
    for name, problem in registry.broken.items():
        what, _, advice = problem.partition("\n")
        yield f"connector {name}: {what}", advice


def references(registry: "Registry") -> Iterator[Problem]:
    """Each rule names a runbook there is."""
    for connector in registry:
        known = [runbook.name for runbook in connector.runbooks]
        for rule in connector.rules:
            if rule.runbook is not None and rule.runbook not in known:
                what = f"connector {connector.kind}, rule {rule.id}: there is no runbook `{rule.runbook}`"
                yield f"{what}{nearest(rule.runbook, known)}.", "`watchkeeper runbooks` lists them."
