"""Compose files: where a service's settings stand, and how they would be changed without touching anything else."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from watchkeeper.domain.drift import Edit

_LABEL = "com.docker.compose."
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, or could: `value` is None where the file does not set it."""

    value: str | None
    edit: Edit | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Compose:
    """One compose file and the service in it. `root` is its YAML, with the positions of everything."""

    file: str
    text: str
    service: str
    root: Any

    def find(self, *path: str) -> tuple[Any, Any] | None:
        """Key and value of a setting of the service; merges (`<<`) are followed."""
        pair = _get(self.root, "services")
        pair = _get(pair[1], self.service) if pair else None
        for name in path:
            pair = _get(pair[1], name) if pair else None
        return pair

    def place(self, name: str, new: str, *path: str) -> Place:
        """A setting of the service, and the edit that gives it a new value."""
        here = self.find(*path, name)
        body = self.find(*path)
        if body is None:
            return Place(None, None, f"{self.service} is not a service of this file")
        own = here is not None and any(key is here[0] for key, _ in body[1].value)
        value = str(here[1].value) if here and isinstance(here[1], yaml.ScalarNode) else None
        if here is None or not own:
            return self._inserted(body[1], name, new, value)
        return self._replaced(here[0], here[1], new, value)

    def _inserted(self, body: Any, name: str, new: str, value: str | None) -> Place:
        if body.flow_style or not body.value:
            return Place(value, None, "the service is written on one line")
        first = body.value[0][0].start_mark
        return Place(
            value, Edit(self.file, self.text, first.index, first.index, f"{name}: {new}\n{' ' * first.column}")
        )

    def _replaced(self, key: Any, node: Any, new: str, value: str | None) -> Place:
        start, end = node.start_mark.index, node.end_mark.index
        if start < key.end_mark.index:  # an alias stands for what is written further up
            match = re.compile(r"\s*:\s*(\*[^\s,}\]]+)").match(self.text, key.end_mark.index)
            return Place(value, Edit(self.file, self.text, match.start(1), match.end(1), new) if match else None)
        raw = self.text[start:end]
        if "$" in raw:
            return Place(None, None, f"its value comes from a variable ({raw.strip()}): set it where that is set")
        if raw.startswith("&"):
            return Place(value, None, "others refer to this very value (an anchor)")
        quote = raw[0] if raw[:1] in "'\"" else ""
        return Place(value, Edit(self.file, self.text, start, end, f"{quote}{new}{quote}"))

    def flag(self, name: str, new: str) -> Place:
        """A flag `--name value` in the service's command or entry point."""
        for where in ("command", "entrypoint"):
            here = self.find(where)
            if here is None:
                continue
            nodes = here[1].value if isinstance(here[1], yaml.SequenceNode) else [here[1]]
            for index, node in reversed(list(enumerate(nodes))):
                if str(node.value) == f"--{name}" and index + 1 < len(nodes):
                    return self._replaced(node, nodes[index + 1], new, str(nodes[index + 1].value))
                start, end = node.start_mark.index, node.end_mark.index
                pattern = re.compile(rf"--{re.escape(name)}[\s=]+(\"[^\"]*\"|'[^']*'|[^\s'\",\]]+)")
                found = list(pattern.finditer(self.text, start, end))
                if found:
                    raw = found[-1][1]
                    if "$" in raw:
                        return Place(None, None, f"its value comes from a variable ({raw}): set it where that is set")
                    span = found[-1].span(1)
                    return Place(raw.strip("'\""), Edit(self.file, self.text, *span, new))
        return Place(None, None, f"the command does not set it: add --{name} {new}")


def made(labels: Mapping[str, str]) -> bool:
    """Whether compose made the container with these labels."""
    return bool(labels.get(f"{_LABEL}project.config_files") and labels.get(f"{_LABEL}service"))


def of(labels: Mapping[str, str]) -> tuple[list[Compose], str]:
    """The compose files of a container that can be read from here, the last first, for it wins; and why there are
    none. What a file holds is never in the reason."""
    if not made(labels):
        return [], "it was not made by compose"
    names, service = labels[f"{_LABEL}project.config_files"], labels[f"{_LABEL}service"]
    folder = labels.get(f"{_LABEL}project.working_dir", "")
    found: list[Compose] = []
    why = ""
    for name in reversed(names.split(",")):
        file = posixpath.normpath(posixpath.join(folder, name.strip()))
        try:
            if Path(file).stat().st_size > _LARGEST:
                raise OSError("too large")
            text = Path(file).read_bytes().decode()
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError):
            why = f"{file} cannot be read from here"
        except yaml.YAMLError:
            why = f"{file} is not valid YAML"
        else:
            found.append(Compose(file, text, service, root))
    return found, why


def first(found: list[Compose], name: str, new: str, *path: str) -> tuple[Place, str]:
    """The place in the file that sets it, else in the last one; and that file."""
    places = [(compose.place(name, new, *path), compose.file) for compose in found]
    return next((p for p in places if p[0].value is not None or "variable" in p[0].why_not), places[0])


def _get(node: Any, name: str) -> tuple[Any, Any] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    pairs = cast("list[tuple[Any, Any]]", node.value)
    for key, value in pairs:
        if key.value == name:
            return key, value
    for key, value in pairs:
        if key.value == "<<":
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if (found := _get(merged, name)) is not None:
                    return found
    return None
