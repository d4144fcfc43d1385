"""The commands by hand of an nginx, with the flags it was started with: without them another file would be tested."""

from collections.abc import Callable, Mapping
from shlex import quote
from typing import Any


def as_started(command: str) -> Callable[[Mapping[str, Any], Mapping[str, str]], str]:
    """A template of a tool in which `nginx` bears its flags, and FILE is its main file."""

    def made(arguments: Mapping[str, Any], facts: Mapping[str, str]) -> str:
        flags = f"nginx {facts['flags']}" if facts.get("flags") else "nginx"
        main = quote(facts.get("main_file") or "/etc/nginx/nginx.conf")
        return command.replace("nginx", _literal(flags)).replace("FILE", _literal(main))

    return made


def _literal(text: str) -> str:
    """For a template whose places are in braces."""
    return text.replace("{", "{{").replace("}", "}}")
