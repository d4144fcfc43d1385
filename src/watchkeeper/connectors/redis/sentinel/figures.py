"""The figures in what a Sentinel says."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from watchkeeper.connectors.redis.figures import pairs
from watchkeeper.connectors.redis.watches import Address, Watched


def entries(reply: Any) -> list[dict[str, str]]:
    """A reply that is a list of flat lists (SENTINEL MASTERS, SENTINEL REPLICAS)."""
    return [pairs(entry) for entry in cast("Sequence[Sequence[str]]", reply)]


def address(said: Mapping[str, str]) -> Address:
    return said.get("ip", ""), int(said.get("port") or 0)


def flags(said: Mapping[str, str]) -> frozenset[str]:
    return frozenset(said.get("flags", "").split(","))


def good(replica: Mapping[str, str]) -> bool:
    """Whether it could be promoted: it is reached, it hears its primary, and it is not excluded (priority 0)."""
    bad = flags(replica) & {"s_down", "o_down", "disconnected"}
    return not bad and replica.get("master-link-status") == "ok" and replica.get("slave-priority") != "0"


def watched(master: Mapping[str, str], replicas: Sequence[Mapping[str, str]], *, quorum_ok: bool) -> Watched:
    """One primary, out of what SENTINEL MASTERS and SENTINEL REPLICAS say of it."""
    return Watched(
        name=master.get("name", ""),
        primary=address(master),
        run_id=master.get("runid", ""),
        replicas=tuple((address(replica), replica.get("runid", "")) for replica in replicas),
        good_replicas=sum(map(good, replicas)),
        sentinels=int(master.get("num-other-sentinels") or 0) + 1,
        quorum=int(master.get("quorum") or 0),
        quorum_ok=quorum_ok,
        down_after=int(master.get("down-after-milliseconds") or 0) / 1000,
        failover_timeout=int(master.get("failover-timeout") or 0) / 1000,
        epoch=int(master.get("config-epoch") or 0),
    )
