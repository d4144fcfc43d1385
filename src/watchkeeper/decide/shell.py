"""The shell command that does the same as a step: a person who distrusts us does it themselves."""

from collections.abc import Mapping
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

from watchkeeper.domain import Resource, Tool

_SECRETS = {"redis-cli": "REDISCLI_AUTH", "psql": "PGPASSWORD"}
"""The variable from which each client reads the password; in an argument it would show in `ps`."""


def by_hand(tool: Tool[Any], resource: Resource, arguments: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    """The shell command that does the same: on what it runs on where that is known, else against its URL; with the
    password where it is kept, and never the password itself."""
    template = _template(tool, arguments, facts)
    secret = _secret(resource, template)
    host = quote(resource.runs_on.split("/", 3)[3] if resource.runs_on else resource.name)
    provider = (resource.runs_on or resource.id).split("/")[0]
    far = f"ssh {host.partition('/')[0]} " if provider == "ssh" else ""
    variable, secret = _secret(resource, template) if provider != "ssh" else ("", "")
    passed = f"-e {variable} " if variable else ""
    inside = (f"docker exec {passed}{host} " if provider == "docker" else far) if resource.runs_on else ""
    url = urlsplit(str(resource.settings.get("url") or ""))
    at = f" -h {quote(url.hostname)}" + (f" -p {url.port}" if url.port else "") if url.hostname and not inside else ""
    service = quote(resource.labels.get("com.docker.compose.service", "SERVICE"))
    port = resource.labels.get("service.port")
    if not at and port:
        at = f" -p {port}"
    if (user := resource.settings.get("username")) and "redis-cli" in template:
        at += f" --user {quote(str(user))}"
    unit = resource.labels.get("service.unit")
    given = {name: quote(_written(value)) for name, value in arguments.items()}  # people paste it into a shell
    again = f"start {host} with the command line that it was started with"
    for name, there in (("restart", f"end {host}, then {again}"), ("start", again)):
        manage = (
            f"docker {name} {host}"
            if provider == "docker"
            else f"{far}systemctl {name} {quote(unit)}"
            if unit
            else f"# {there}"
        )
        given.setdefault(name, manage)
    places = {"host": host, "service": service, "resource": resource.slug, "inside": inside, "at": at}
    places |= {
        "user": quote(str(resource.settings.get("username") or url.username or "USER")),
        "address": quote(url.hostname) if url.hostname and not inside else "127.0.0.1",
        "port": str((None if inside else url.port) or port or next(iter(resource.ports), "PORT")),
    }
    command = _filled(template, places | given)
    return f"export {variable}={secret}; {command}" if variable else command


def _written(value: Any) -> str:
    """As a shell or a server knows it, which know nothing of `True` and `None`."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _secret(resource: Resource, template: str) -> tuple[str, str]:
    """The variable of the client, and in which variable or file the password stands; empty where none is known."""
    variable = next((name for client, name in _SECRETS.items() if client in template), "")
    source, _, name = str(resource.settings.get("password") or "").partition(":")
    if not variable or not name or source not in ("env", "file"):
        return "", ""
    return variable, f'"${name}"' if source == "env" else f'"$(cat {quote(name)})"'


def example(tool: Tool[Any]) -> str:
    """The command with NAMES in the place of what is not known yet."""
    named = {name: name.upper() for name in tool.arguments.model_fields}
    places = {"host": "HOST", "service": "SERVICE", "resource": "RESOURCE", "inside": "", "at": ""}
    places |= {"user": "USER", "address": "ADDRESS", "port": "PORT"}
    manage = {"start": "# start it as it was", "restart": "# restart what it runs on"}
    return _filled(_template(tool, named, {}), places | manage | named)


def _filled(template: str, given: Mapping[str, str]) -> str:
    try:
        return template.format(**given)
    except (KeyError, IndexError, ValueError):  # a connector of somebody else's
        return template


def _template(tool: Tool[Any], arguments: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    return tool.by_hand if isinstance(tool.by_hand, str) else tool.by_hand(arguments, facts)
