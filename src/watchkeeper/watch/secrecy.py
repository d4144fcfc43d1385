"""What must never be shown is known before anything of a resource is stored."""

import re

import structlog

from watchkeeper.domain import Host, Resource
from watchkeeper.store import Masker

log = structlog.get_logger(__name__)
_WORD = re.compile(r"[^\W_]+")


async def learned(masker: Masker, resource: Resource, host: Host) -> bool:
    """Whether its host told its variables, whose secrets are masked from now on; it may have gone meanwhile."""
    try:
        variables = await host.environment()
    except Exception as problem:
        log.warning("a host cannot be asked now", resource=resource.id, problem=str(problem))
        return False
    masker.learn_environment(variables, names=set(_WORD.findall(f"{resource.id} {resource.slug}")))
    return True
