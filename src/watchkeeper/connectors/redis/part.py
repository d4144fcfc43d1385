"""What a server is part of: watched by Sentinels, a node of a cluster, with replicas. Others act on it there, too."""

import binascii
import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchkeeper.connectors.redis.figures import info
from watchkeeper.connectors.redis.hits import Hits
from watchkeeper.connectors.redis.trouble import Trouble
from watchkeeper.connectors.redis.watches import DOWN_AFTER_SECONDS, FAILOVER_SECONDS, WATCHES, Place
from watchkeeper.domain.healer import Healer

if TYPE_CHECKING:
    from watchkeeper.connectors.redis.session import RedisSession

HELLO = "__sentinel__:hello"
"""The channel that each Sentinel listens on at every server it watches."""
ELSEWHERE = frozenset({"MOVED", "ASK", "TRYAGAIN"})
"""What a node of a cluster answers where another one has the slot."""
SLOTS = 16384
LATELY_SECONDS = 600.0
FOLLOWS = "it brings no replica back"
REFUSED_SECONDS = 5.0
"""So long after the last refusal it is told of: clients do not write in every second."""
_SENTINELS_EVERY = 10.0
_CLUSTER_EVERY = 2.0
_FORK_SHOWN_SECONDS = 60.0
_NODE_TIMEOUT_SECONDS = 15.0
"""`cluster-node-timeout` by default."""
_BACKLOG_SECONDS = 120.0
"""For how long a replica may be away and still go on where it was; ours."""
_BACKLOG_MOST = 512 << 20


@dataclass(slots=True)
class Part:
    """What is known of it, over all looks of one session. Times by the monotonic clock."""

    replica: bool = False
    answers: bool = False
    sentinels: int = 0
    replicas: int = 0
    place: Place | None = None
    cluster: bool = False
    node_timeout: float = _NODE_TIMEOUT_SECONDS
    slots: tuple[tuple[int, int], ...] = ()
    """Of a cluster's: those it serves."""
    stand_ins: int = 0
    """Replicas that the cluster could promote in its place."""
    seen: dict[str, float] = field(default_factory=dict[str, float])
    """What the cluster's last look gave."""
    counts: dict[str, float] = field(default_factory=dict[str, float])
    """Counters as the last look found them."""
    run_id: str = ""
    led: str = ""
    """The `run_id` with which it was last seen as a primary."""
    failing: str = ""
    resyncs: deque[float] = field(default_factory=lambda: deque[float](maxlen=100))
    refused: deque[tuple[float, float]] = field(default_factory=lambda: deque[tuple[float, float]](maxlen=100))
    """By time, how many writes had been refused."""
    fork_at: float = 0.0
    slow: tuple[dict[str, float], dict[str, str]] = field(default_factory=lambda: ({}, {}))
    slow_id: int | None = None
    slow_at: float = 0.0
    slow_share: float = 0.0
    hits: Hits = field(default_factory=Hits)

    def configured(self, found: Mapping[str, str]) -> None:
        """What CONFIG GET tells of it."""
        if (said := found.get("cluster-node-timeout", "")).isdigit():
            self.node_timeout = int(said) / 1000


async def ask(
    session: "RedisSession", told: Mapping[str, str], metrics: dict[str, float], facts: dict[str, str]
) -> None:
    """Fill in what INFO does not tell, seldom. Raises Trouble."""
    if told.get("redis_mode") == "sentinel":
        raise Trouble("said", "It is a Sentinel, which keeps no data: name it with `kind: sentinel`.")
    part = session.part
    part.replica, part.run_id = told.get("role") == "slave", told.get("run_id", "")
    if not part.replica:
        part.led = part.run_id
    metrics["led_before"] = float(part.replica and part.led == part.run_id)
    part.replicas = int(metrics.get("replicas", 0))
    if session.due("sentinels", _SENTINELS_EVERY):
        reply = (await session.pipeline([("PUBSUB", "NUMSUB", HELLO)]))[0]
        if session.granted(reply, "pubsub|numsub") and isinstance(reply, list):
            part.sentinels = int(reply[1])  # pyright: ignore[reportUnknownArgumentType]
    metrics["sentinels"] = float(part.sentinels)
    part.cluster = told.get("cluster_enabled") == "1"
    metrics["cluster_enabled"] = float(part.cluster)
    if part.cluster:
        await _cluster(session, metrics, facts)
    _replication(part, metrics)
    _refused(part, metrics)
    _forks(part, told, metrics)


async def _cluster(session: "RedisSession", metrics: dict[str, float], facts: dict[str, str]) -> None:
    part = session.part
    if session.due("cluster", _CLUSTER_EVERY) or not part.seen:
        told, nodes = await session.pipeline([("CLUSTER", "INFO"), ("CLUSTER", "NODES")])
        if session.granted(told, "cluster|info"):
            said = info(told)
            bad = SLOTS - int(said.get("cluster_slots_ok", SLOTS)) - int(said.get("cluster_slots_pfail", 0))
            part.seen |= {"cluster_ok": float(said.get("cluster_state") == "ok"), "cluster_slots_bad": float(bad)}
        if session.granted(nodes, "cluster|nodes"):
            _nodes(part, str(nodes))
    metrics |= part.seen
    facts["cluster_failing"] = part.failing


def _nodes(part: Part, text: str) -> None:
    """CLUSTER NODES: id, address, flags, its primary, ping, pong, epoch, link, slots."""
    rows = [line.split() for line in text.splitlines() if len(line.split()) >= 8]
    mine = next((row for row in rows if "myself" in row[2]), None)
    failing = [row[1].partition("@")[0] for row in rows if "fail" in row[2].split(",")]
    part.seen["cluster_nodes_failing"] = float(len(failing))
    part.failing = ", ".join(sorted(failing)[:5])
    if mine is None:
        return
    part.stand_ins = sum(row[3] == mine[0] and not {"fail", "noaddr"} & set(row[2].split(",")) for row in rows)
    ranges = [word.partition("-") for word in mine[8:] if not word.startswith("[")]
    part.slots = tuple((int(first), int(last or first)) for first, _, last in ranges)


def _replication(part: Part, metrics: dict[str, float]) -> None:
    """How often replicas had to begin anew of late, and how much backlog would have spared it."""
    present, total = time.monotonic(), metrics.get("failed_resyncs_total", 0.0)
    known = part.counts.get("failed_resyncs", total)
    part.resyncs.extend([present] * int(max(0.0, total - known)))
    part.counts["failed_resyncs"] = total
    while part.resyncs and part.resyncs[0] < present - LATELY_SECONDS:
        part.resyncs.popleft()
    metrics["failed_resyncs_lately"] = float(len(part.resyncs))
    backlog, rate = metrics.get("repl_backlog_bytes"), metrics.get("replicated_bytes_per_second", 0.0)
    part.counts["busiest"] = busiest = max(rate, part.counts.get("busiest", 0.0))
    if backlog:
        room = min(_BACKLOG_MOST, 0.1 * metrics.get("memory_limit_bytes", float("inf")))
        wanted = min(room, max(4 * backlog, busiest * _BACKLOG_SECONDS))
        if wanted > backlog:
            metrics["wanted_backlog_bytes"] = float(int(wanted))


def _refused(part: Part, metrics: dict[str, float]) -> None:
    """How many writes were refused of late."""
    present, total = time.monotonic(), metrics.get("refused_writes_total", 0.0)
    if part.refused and total < part.refused[-1][1]:
        part.refused.clear()  # it was started anew
    part.refused.append((present, total))
    while len(part.refused) > 1 and part.refused[0][0] < present - REFUSED_SECONDS:
        part.refused.popleft()
    metrics["refused_writes_lately"] = total - part.refused[0][1]


def _forks(part: Part, told: Mapping[str, str], metrics: dict[str, float]) -> None:
    """How long the last fork stood the server still, for a while after it."""
    forks, took = metrics.get("forks_total", 0.0), float(told.get("latest_fork_usec", 0)) / 1e6
    if forks > part.counts.get("forks", forks):
        part.fork_at = time.monotonic()
    part.counts["forks"] = forks
    lately = part.fork_at and time.monotonic() - part.fork_at < _FORK_SHOWN_SECONDS
    metrics["slow_fork_seconds"] = took if lately else 0.0


def place(session: "RedisSession", metrics: dict[str, float], *, ok: bool) -> None:
    """What the Sentinels that are watched themselves say of it: also where it does not answer, for then it matters."""
    part = session.part
    part.answers = ok
    part.place = WATCHES.of(session.at, part.run_id)
    metrics["failed_over"] = float(part.place is not None and not part.place.primary and not part.replica)


def suffix(part: Part) -> str:
    """The end of a key of our own; in a cluster of one that this node has."""
    while True:
        made = secrets.token_hex(8)
        if not part.slots:
            return made
        slot = binascii.crc_hqx(f"watchkeeper:probe:{made}".encode(), 0) % SLOTS
        if any(first <= slot <= last for first, last in part.slots):
            return made


def healers(part: Part) -> Sequence[Healer]:
    """Who fails over a primary. A replica is nobody's: whoever finds it gone may start it."""
    if part.cluster:
        return _by_cluster(part)
    if part.place is None and not part.sentinels:
        return ()
    if part.place is None:
        name, wait, spare = f"Sentinel ({part.sentinels} of them)", DOWN_AFTER_SECONDS + FAILOVER_SECONDS, part.replicas
        gone = False
    else:
        seen = part.place.watched
        name = f"Sentinel ({seen.name}, {seen.sentinels} of them, quorum {seen.quorum})"
        wait, spare, gone = seen.wait, seen.good_replicas, not part.place.primary
    refuses = ""
    if part.answers and not part.replica and not gone and spare:
        refuses = (
            f"{name} watches this primary, and would fail over in the middle of it. Let it fail over first "
            "(sentinel_failover on a Sentinel), then it is a replica."
        )
    return (Healer("sentinel", name, wait, hangs=True, done=FOLLOWS if part.replica else "", refuses=refuses),)


def _by_cluster(part: Part) -> Sequence[Healer]:
    if part.replica or not part.stand_ins:
        return (
            Healer(
                "cluster", "Redis Cluster", done=FOLLOWS if part.replica else "it has no replica that could take over"
            ),
        )
    refuses = ""
    if part.answers:
        refuses = (
            "It is a primary of a Redis Cluster, and a replica would be promoted in the middle of it. Let one take "
            "over first (CLUSTER FAILOVER on the replica), then it is a replica."
        )
    # A node is taken for failed after the timeout, and a replica is elected within about as long again.
    return (Healer("cluster", "Redis Cluster", 3 * part.node_timeout, hangs=True, refuses=refuses),)
