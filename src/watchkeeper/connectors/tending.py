"""Healers that more than one connector meets."""

from watchkeeper.domain.healer import Healer

PATRONI_SECONDS = 40.0
"""Patroni's own `ttl` and `loop_wait` by default (patroni.readthedocs.io, "Dynamic configuration settings"): for so
long the others wait for a member that is gone before one of them is promoted."""


def patroni(*, runs: bool) -> Healer:
    """While it runs, its PostgreSQL is started, restarted and promoted by Patroni alone; one that has ended may be
    started again once the others have had their time."""
    instead = "patronictl restart CLUSTER MEMBER, or patronictl switchover"
    return Healer("patroni", "Patroni", PATRONI_SECONDS, hangs=True, owns=runs, instead=instead)
