"""How a resource found on a host is named, and whether its labels permit changes."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from watchkeeper.domain import Host, Resource

LABEL = "watchkeeper."
"""Labels: `watchkeeper.act`, `watchkeeper.environment`, `watchkeeper.name`, `watchkeeper.<kind>.<setting>`."""


def service_on(host: Host, *, kind: str) -> Resource:
    """The resource of a kind that runs on a host which is a resource itself."""
    return resource_on(host, kind=kind, runs_on=resource_on(host, kind=host.kind).id)


def resource_on(host: Host, *, kind: str, suffix: str = "", runs_on: str | None = None) -> Resource:
    """The resource of a kind on a host. Unlabelled, it is `production` and is only looked at.

    The slug is a proposal (`redis`, `redis-container`): whoever keeps all resources makes it unique.
    """
    labels = host.labels
    environment = labels.get(f"{LABEL}environment", "production").strip("/") or "production"
    name = labels.get(f"{LABEL}name") or host.name
    short = labels.get(f"{LABEL}name") or _replica(labels) or host.name
    return Resource(
        id=f"{host.provider}/{environment}/{kind}/{name}",
        slug=_slug(f"{short}{suffix}"),
        labels=labels,
        runs_on=runs_on,
        incarnation=host.incarnation,
        may_act=labels.get(f"{LABEL}act", "").strip().lower() in ("true", "1", "yes"),
        settings=_settings(labels, kind),
    )


def chosen(resource: Resource, only: Sequence[str]) -> bool:
    """Whether it is to be watched: `only`, where anything is said, names its id, slug or compose project (globs)."""
    project = resource.labels.get("com.docker.compose.project", "")
    known = (resource.id, resource.slug, project)
    return not only or any(fnmatchcase(text, pattern) for pattern in only for text in known)


Found = tuple[Resource, Sequence[tuple[str, int]]]
"""A service on a host, and the addresses at which it is reached from here."""


def _replica(labels: Mapping[str, str]) -> str:
    """`shop` for a compose service's first replica, `shop-2` for its second; empty for what compose did not start."""
    service, number = (
        labels.get("com.docker.compose.service", ""),
        labels.get("com.docker.compose.container-number", "1"),
    )
    return f"{service}-{number}" if service and number not in ("", "1") else service


def _settings(labels: Mapping[str, str], kind: str) -> dict[str, Any]:
    """`watchkeeper.redis.cache-keys=a:*,b:*` becomes `cache_keys: "a:*,b:*"`; credentials stay references."""
    start = f"{LABEL}{kind}."
    return {
        label.removeprefix(start).replace("-", "_"): value for label, value in labels.items() if label.startswith(start)
    }


def _slug(text: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in text.lower())
    return kept.strip("-._") or "resource"
