"""The least rights for each thing Watchkeeper could do, printed from where they are declared, and checked."""

import asyncio
import difflib
import getpass
import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from watchkeeper.cli.finding import Finding
from watchkeeper.cli.within_reach import within_reach

if TYPE_CHECKING:
    from watchkeeper.connectors import Registry
    from watchkeeper.domain import Connector, Resource, Right
    from watchkeeper.domain.rights import Access
    from watchkeeper.hosts import Engine
    from watchkeeper.settings import Settings

WAYS = ("acl", "sentinel-acl", "sql", "sudoers", "nginx", "proxy-env")
SECONDS = 5.0
"""How long one server may take to say what its user may do."""


def access_of(connector: "Connector[Any]") -> "Access | None":
    """What a connector declares of rights at its servers; connectors of other packages may not."""
    return getattr(connector, "access", None)


def needed(registry: "Registry", wanted: str) -> "dict[str, tuple[Right, ...]]":
    """The rights by connector for `watch`, `probe`, `act` (every tool but those that
    would be as good as root), or one tool. Raises WatchkeeperError.

    What is as good as root and something goes without is only among them where a tool is named that uses it.
    """
    from watchkeeper.domain.errors import WatchkeeperError
    from watchkeeper.hosts.rights import LOOK

    if wanted not in ("watch", "probe", "act") and wanted not in registry.tools:
        near = difflib.get_close_matches(wanted, ["watch", "probe", "act", *registry.tools], n=1)
        raise WatchkeeperError(
            f"There is no tool {wanted!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
            "Say --for watch, probe, act, or a tool of `watchkeeper tools`.",
        )
    found: dict[str, tuple[Right, ...]] = {}
    for connector in registry:
        access = access_of(connector)
        rights: list[Right] = [*LOOK, *(access.look if access else ())]
        if access and wanted != "watch":
            rights += access.probe(writes=wanted != "probe")
        if access and wanted == "probe":
            rights += access.probe(writes=True)
        for tool in connector.tools:
            if wanted == "act" and not any(_grave(right) and not right.gives for right in tool.rights):
                rights += tool.rights
        rights = [right for right in rights if not _grave(right)]
        named = next((tool.rights for tool in connector.tools if tool.name == wanted), ())
        found[connector.kind] = tuple(dict.fromkeys([*rights, *named]))
    return found


def _grave(right: "Right") -> bool:
    from watchkeeper.hosts.rights import AS_GOOD_AS_ROOT

    return right.kind == "call" and right.what in AS_GOOD_AS_ROOT


def concerned(registry: "Registry", wanted: str) -> "list[Connector[Any]]":
    """The connector that has the tool; all of them for `watch`, `probe` and `act`."""
    return [one for one in registry if any(tool.name == wanted for tool in one.tools)] or list(registry)


def printed(settings: "Settings | None", registry: "Registry", wanted: str | None, way: str | None) -> Iterator[str]:
    """What to paste, with a heading each; only itself where one way is asked for.

    Where nothing is `wanted` in particular and the configuration names something, for that alone: what it may act on,
    to look and act; the rest, to look and probe.
    """
    from watchkeeper.hosts.proxy import environment, nginx

    own = wanted is None and any(True for kind in registry for _ in named(settings, kind.kind))
    asked = [one for one in registry if [*named(settings, one.kind)]] if own else concerned(registry, wanted or "act")
    acting = {one.kind for one in asked if any(resource.may_act for resource in named(settings, one.kind))}
    whole = needed(registry, wanted or "act")
    found = {kind: rights if not own or kind in acting else _looking(registry, kind) for kind, rights in whole.items()}
    purposes = {"watch": "look", "probe": "look and probe", "act": "look and act"}
    purpose = purposes.get(wanted or "act", f"look, and for {wanted}")
    if own and way is None:
        yield "# For what the configuration names, as far as it permits; `--for act` prints all that could be needed."
    for connector in asked:
        access = access_of(connector)
        if access is None or access.form == "sudoers" or way not in (None, access.form):
            continue
        for resource in [*named(settings, connector.kind)] or [None]:
            looks = own and resource is not None and not resource.may_act
            said = access.grant(_looking(registry, connector.kind) if looks else found[connector.kind], resource)
            what = "look and probe" if looks else purpose
            if said and way is None:
                yield f"# {connector.kind}{f', {resource.slug}' if resource else ''}, to {what}:"
            if said:
                yield said
    rights = [right for one in asked for right in found[one.kind]]
    has_units = not own or any(one.kind == "service" for one in asked) or (settings and settings.hosts.ssh)
    if has_units and (line := _of_units(settings, rights, way)):
        yield line
    every = [right for one in found.values() for right in one]
    purpose = purposes["watch"] if own and not acting else purpose
    if way is None:
        yield f"# Docker, to {purpose}, as a filtering proxy (`--as nginx` prints its configuration):"
        yield from (f"#   {call}" for call in dict.fromkeys(r.what for r in every if r.kind == "call"))
        yield "# Docker, the same with the image tecnativa/docker-socket-proxy (`--as proxy-env`), which is coarser:"
    if way in (None, "proxy-env"):
        yield from environment(every)
    if way == "nginx":
        engine = {"socket": urlsplit(url).path} if (url := _engine_url()).startswith("unix://") else {}
        yield nginx(every, purpose=purpose, **engine).rstrip("\n")
    if way is None:
        yield from _of_machine(rights)


def _looking(registry: "Registry", kind: str) -> "tuple[Right, ...]":
    """To look, and to probe what may not be written to."""
    access = next((access_of(one) for one in registry if one.kind == kind), None)
    probe = access.probe(writes=False) if access else ()
    return tuple(dict.fromkeys([*needed(registry, "watch")[kind], *probe]))


def _of_units(settings: "Settings | None", rights: "Iterable[Right]", way: str | None) -> str:
    """For each machine that is named with its user, else for an example."""
    from watchkeeper.hosts.sudoers import EXAMPLE, sudoers

    if way not in (None, "sudoers"):
        return ""
    wanted = list(rights)
    found = [("", "watchkeeper", settings.hosts.local.services if settings else [])]
    found += [
        (said.name, said.user or "watchkeeper", said.services) for said in (settings.hosts.ssh if settings else [])
    ]
    rows: list[str] = []
    for machine, user, patterns in found:
        names = [
            name if name.endswith(".service") else f"{name}.service" for name in patterns if not set(name) & set("*?[")
        ]
        if line := sudoers(wanted, names or [EXAMPLE], user=user):
            where = f"on {machine}" if machine else "on this machine"
            rows += [f"# {where}, /etc/sudoers.d/watchkeeper, for units:"] if way is None or machine else []
            rows.append(line)
    return "\n".join(rows)


def _of_machine(rights: "Iterable[Right]") -> Iterator[str]:
    by_purpose: dict[str, dict[str, None]] = {}
    for right in rights:
        if right.kind == "machine":
            by_purpose.setdefault(right.gives, {})[right.what] = None
    for gives, whats in by_purpose.items():
        yield f"# This machine: {', '.join(whats)}: {gives}."


def named(settings: "Settings | None", kind: str) -> "Iterator[Resource]":
    """What the configuration names of a kind, as far as a line for its user goes."""
    from watchkeeper.domain import Resource

    for said in settings.resources if settings else ():
        if said.kind == kind and not said.ignore:
            given = {key: value for key in ("username", "url") if (value := getattr(said, key, None))}
            name = f"local/{said.environment or 'production'}/{kind}/{said.name}"
            yield Resource(name, said.name, may_act=bool(said.act), settings={**given, **said.settings})


# Checking ------------------------------------------------------------------------------------------------------------


def examined(settings: "Settings", registry: "Registry") -> list[Finding]:
    """What may be done here now, of everything that is found: asked, and nothing changed."""

    async def gathered() -> list[Finding]:
        return [finding async for finding in _examined(settings, registry)]

    return asyncio.run(gathered())


async def _examined(settings: "Settings", registry: "Registry") -> AsyncIterator[Finding]:
    from watchkeeper.sources.sources import PROVIDER

    async with within_reach(registry, settings) as (fleet, engine):
        found = fleet.found
        if engine.problem is None:
            acts = any(resource.may_act for resource, _, _ in found.values())
            for finding in await of_engine(engine, registry, acts):
                yield finding
        for resource, host, connector in found.values():
            access = access_of(connector)
            if access is None or resource.provider == PROVIDER:  # what is only seen gives no rights
                continue
            try:
                async with asyncio.timeout(SECONDS), connector.connect(resource, host) as session:
                    for finding in await of_resource(resource, connector, access, session):
                        yield finding
            except Exception as problem:
                said = str(problem).strip().split("\n")[0] or "no answer in time"
                yield Finding(resource.slug, "missing", f"its rights are not known: {said}")


async def of_resource(
    resource: "Resource", connector: "Connector[Any]", access: "Access", session: Any
) -> list[Finding]:
    """What may be done with one resource: look, probe, each tool; and what its user may besides."""
    tools = [tool for tool in connector.tools if tool.rights]
    parts = {"look": access.look, "probe": access.probe(writes=resource.may_act)}
    every = [*access.look, *parts["probe"], *(right for tool in tools for right in tool.rights if resource.may_act)]
    held = await access.held(session, every)
    if not held.rights:
        return []  # nothing is asked of it itself, but of its engine

    def can(rights: "Sequence[Right]") -> str:
        asked = {(right.kind, right.what) for right in rights}
        if missing := dict.fromkeys(r.said for r in held.missing if (r.kind, r.what) in asked):
            return f"lacks {', '.join(f'`{said}`' for said in missing)}"
        if unsure := dict.fromkeys(r.said for r in held.unknown if (r.kind, r.what) in asked):
            return f"not known without trying: {', '.join(f'`{said}`' for said in unsure)}"
        return "✓"

    acts = [right for tool in tools for right in tool.rights]
    act = f"can act: {can(acts)}" if resource.may_act else "may not act (not named for it)"
    said = f"as {held.user}; can look: {can(access.look)}; can probe: {can(parts['probe'])}; {act}"
    whose = anew = resource
    if held.name:
        whose = replace(resource, settings={**resource.settings, "username": held.name})
        anew = replace(resource, settings={k: v for k, v in resource.settings.items() if k != "username"})
    line = access.grant(held.missing, whose, more=True, version=held.version) if held.missing else ""
    findings = [Finding(resource.slug, "missing" if held.missing else "ok", "; ".join([said, *held.notes]), line)]
    if held.more:
        least = access.grant(every, anew, version=held.version)
        findings.append(Finding(resource.slug, "more", f"its user may also: {', '.join(held.more)}", least))
    return findings


async def of_engine(engine: "Engine", registry: "Registry", acts: bool) -> list[Finding]:
    """What the engine lets through: itself, or the proxy before it."""
    from watchkeeper.hosts.rights import BEYOND, LOOK, allowed, is_allowed

    looks = await allowed(engine, LOOK)
    wanted = [right for rights in needed(registry, "act").values() for right in rights if right.kind == "call"]
    doing = await allowed(engine, [right for right in dict.fromkeys(wanted) if not right.what.startswith("GET ")])
    beyond = [call for call in BEYOND if await is_allowed(engine, call)]
    blind = [right for right, held in looks.items() if held is False]
    bound = [right.what for right, held in doing.items() if held is False]
    look = (
        "✓"
        if not blind
        else "not all: " + "; ".join(f"{r.what} ({r.gives or 'nothing goes without it'})" for r in blind)
    )
    act = "✓" if not bound else f"no, it does not let through {', '.join(f'`{call}`' for call in bound)}"
    proxied = "a filtering proxy" if blind or bound or len(beyond) < len(BEYOND) else "the engine itself"
    state = "missing" if blind or (bound and acts) else "ok"
    advice = ""
    if blind or (bound and acts):
        advice = f"watchkeeper doctor --rights --for {'act' if acts else 'watch'} --as nginx"
    findings = [Finding("Docker rights", state, f"{proxied}; can look: {look}; can act: {act}", advice)]
    if beyond:
        whole = len(beyond) == len(BEYOND)
        said = "whoever has it is as good as root on that machine" if whole else f"it lets through {', '.join(beyond)}"
        command = f"watchkeeper doctor --rights --for {'act' if acts else 'watch'} --as nginx"
        advice = f"An nginx of its own before that socket can let through no more than is needed: {command}"
        findings.append(Finding("Docker rights", "more", f"{_socket()}; {said}", advice))
    return findings


def _engine_url() -> str:
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def _socket() -> str:
    url = _engine_url()
    path = Path(urlsplit(url).path)
    if not url.startswith("unix://") or not path.exists():
        return url
    found = path.stat()
    try:
        owner = f"{path.owner()}:{path.group()}"
    except KeyError:
        owner = f"{found.st_uid}:{found.st_gid}"
    return f"{path} ({owner}, {stat.filemode(found.st_mode)}), used by {getpass.getuser()}"
