"""Which series are a resource's: said by labels, or told by its address or name. Never guessed: what could be two is an
error that says what to write."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watchkeeper.domain import Resource

Labels = Mapping[str, str]
ADDRESSES = ("instance", "addr", "address", "target", "server")
"""Labels that hold an address of what is looked at."""
NAMES = ("instance", "name", "service", "container", "container_name", "pod", "alias", "app")
"""Labels that may hold its name."""
SHOWN = 3


class NotMatched(Exception):
    """No series, or more than one, may be it; the text says which there are and what to write."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The labels, with their values, that all series of one resource bear and those of no other."""

    names: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def selector(self) -> str:
        return selector(self.names, [self.values])


def selector(names: Sequence[str], values: Sequence[tuple[str, ...]]) -> str:
    """The label matchers for several identities of the same names; they may select a few more than meant."""
    found: list[str] = []
    for index, name in enumerate(names):
        wanted = sorted({value[index] for value in values})
        exact = len(wanted) == 1
        text = wanted[0] if exact else "|".join(re.escape(value) for value in wanted)
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        found.append(f'{name}{"=" if exact else "=~"}"{quoted}"')
    return ",".join(found)


def find(
    series: str,
    candidates: Sequence[Labels],
    identity: Sequence[str],
    match: Labels,
    addresses: Sequence[str],
    names: Sequence[str],
) -> Identity:
    """The one candidate that is meant. Raises NotMatched."""
    if match:
        meant = [one for one in candidates if all(one.get(name, "") == value for name, value in match.items())]
        how = f"the labels {_shown(match)}"
    else:
        meant = by_address(candidates, addresses) or by_name(candidates, names)
        how = "its address or its name"
    if not meant:
        there = f"It has {_listed(candidates)}." if candidates else f"It has no {series} at all."
        say = "" if match or not candidates else f" Say which it is: match: {_written(candidates[0])}"
        raise NotMatched(f"no series {series} has {how}. {there}{say}")
    bear = tuple(dict.fromkeys((*(name for name in identity if meant[0].get(name)), *match)))
    found = Identity(bear, tuple(meant[0].get(name, "") for name in bear))
    same = [one for one in candidates if tuple(one.get(name, "") for name in bear) == found.values]
    if len(meant) > 1 or len(same) > 1:
        several = meant if len(meant) > 1 else same
        raise NotMatched(
            f"{len(several)} series {series} have {how}: {_listed(several)}. "
            f"Say which it is: match: {_written(_telling(several))}"
        )
    return found


def by_address(candidates: Sequence[Labels], addresses: Sequence[str]) -> list[Labels]:
    """Those that bear one of these `host:port`."""
    wanted = {address(one) for one in addresses}
    return [one for one in candidates if any(address(one.get(name, "")) in wanted for name in ADDRESSES)]


def by_name(candidates: Sequence[Labels], names: Sequence[str]) -> list[Labels]:
    """Those that bear one of these names, as it is or as the host in an address."""
    wanted = {name.lower() for name in names if name}

    def called(value: str) -> bool:
        return value.lower() in wanted or address(value).rpartition(":")[0].lower() in wanted

    return [one for one in candidates if any(called(one.get(name, "")) for name in NAMES)]


class Directory:
    """The other way round: which of many resources labels mean, however many alerts ask."""

    def __init__(self) -> None:
        self._at: dict[str, list[Resource]] = {}
        self._called: dict[str, list[Resource]] = {}

    def add(self, resource: Resource, addresses: Sequence[str], names: Sequence[str]) -> None:
        """It is reached at these `host:port` and bears these names."""
        for one in dict.fromkeys(address(one) for one in addresses):
            self._at.setdefault(one, []).append(resource)
        for name in dict.fromkeys(name.lower() for name in names if name):
            self._called.setdefault(name, []).append(resource)

    def meant(self, labels: Labels) -> list[Resource]:
        """Those at an address that the labels hold; else those that bear a name in them, as it is or as the host in an
        address."""
        at = [one for name in ADDRESSES for one in self._at.get(address(labels.get(name, "")), ())]
        said = [labels.get(name, "") for name in NAMES]
        told = [one.lower() for text in said for one in (text, address(text).rpartition(":")[0])]
        called = [one for text in dict.fromkeys(told) for one in self._called.get(text, ())]
        return list({one.id: one for one in at or called}.values())


def address(text: str) -> str:
    """`host:port` of `redis://host:port/0`; this machine under one name."""
    host, _, port = text.rpartition("://")[2].partition("/")[0].rpartition("@")[2].rpartition(":")
    return f"{'127.0.0.1' if host in ('localhost', '[::1]', '::1') else host}:{port}"


def _telling(several: Sequence[Labels]) -> Labels:
    """Of the first, only the labels by which these differ."""
    return {k: v for k, v in several[0].items() if len({one.get(k) for one in several}) > 1} or several[0]


def _listed(candidates: Sequence[Labels]) -> str:
    more = len(candidates) - SHOWN
    return ", ".join(_shown(one) for one in candidates[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _shown(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _written(labels: Labels) -> str:
    short = {name: labels[name] for name in ("instance", "job", "name") if name in labels} or dict(labels)
    return "{" + ", ".join(f'{name}: "{value}"' for name, value in short.items()) + "}"
