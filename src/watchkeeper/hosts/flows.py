"""TCP connections with what the kernel measures of each: sent again, unanswered, how long there and back.

Asked of the kernel by netlink (man 7 sock_diag), as `ss -ti` does; `struct tcp_info` grows at its end, so that an older
kernel's is shorter: what it lacks is 0. Source: include/uapi/linux/inet_diag.h, tcp.h.
"""

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.domain import Address
from watchkeeper.hosts.within import within

ESTABLISHED, SYN_SENT, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = 1, 2, 4, 8, 9, 10, 11
_STATES = sum(1 << state for state in (ESTABLISHED, SYN_SENT, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING))
_SOCK_DIAG, _TCP_DUMP, _DUMP, _INFO = (
    4,
    18,
    0x301,
    2,
)  # the older request walks the kernel's table once for both families
_ERROR, _DONE = 2, 3
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_RETRANSMIT_TIMER, _PROBE_TIMER = 1, 4
"""The second one, too, tries again and again: where the kernel itself refuses to send, or a window stays closed."""
MOST = 20_000
"""Connections of one namespace that are looked at; what is beyond is not (a proxy with very many)."""
_SECONDS = 1.0
_OFFSETS = (8, 24, 44, 56, 68, 100, 148, 156, 216)


@dataclass(frozen=True, slots=True)
class Flow:
    """One end of one connection, or a port that is listened on. Times in seconds."""

    local: Address
    remote: Address
    state: int
    inode: int
    cookie: int = 0
    """Bears this connection's identity as long as it lives."""
    retries: int = 0
    """How often in a row the same segment (or the request to connect) was sent again without an answer."""
    waits: float = 0.0
    """For a connection that is being opened and was not tried again yet: since when nothing came back."""
    sent: int = 0
    """Segments with data sent, and requests to connect; those sent again are counted each time."""
    again: int = 0
    """Of these, sent again, without those of which the far end said that it had them already."""
    rtt: float = 0.0
    """There and back, smoothed; 0 where it is not known yet."""
    least_rtt: float = 0.0
    heard: float = 0.0
    """How long ago something came from the far end."""
    active: float = 0.0
    """How long ago data was last sent."""
    waiting: int = 0
    """Segments sent and not acknowledged."""

    @property
    def opening(self) -> bool:
        return self.state == SYN_SENT


def flows_of(pid: int) -> list[Flow]:
    """All of a process' network namespace. It blocks: call it in a thread. Raises OSError."""
    with within(pid, _socket) as asked:
        return list(_dump(asked))


def retransmitted(pid: int) -> int:
    """Segments sent again in a process' network namespace since it was made (man 5 proc_pid_net: snmp). Quick. Raises
    OSError, ValueError."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/snmp").read_text().splitlines() if line.startswith("Tcp:")]
    return int(rows[1][rows[0].index("RetransSegs")])


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _SOCK_DIAG)
    made.settimeout(_SECONDS)
    return made


def _dump(asked: socket.socket) -> Iterator[Flow]:
    body = struct.pack("=BBBB48xII", socket.AF_UNSPEC, 0, 0, 1 << (_INFO - 1), _STATES, 0)
    asked.send(_HEADER.pack(_HEADER.size + len(body), _TCP_DUMP, _DUMP, 1, 0) + body)
    number = 0
    while True:
        data, at = asked.recv(1 << 17), 0
        while at + _HEADER.size <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, at)
            if kind == _DONE or length < _HEADER.size:
                return
            if kind == _ERROR:
                code = -struct.unpack_from("=i", data, at + _HEADER.size)[0]
                raise OSError(code, os.strerror(code))
            number += 1
            if number <= MOST:
                yield _flow(data[at + _HEADER.size : at + length])
            at += (length + 3) & ~3


def _flow(row: bytes) -> Flow:
    family, state, timer = row[0], row[1], row[2]
    sport, dport = struct.unpack_from("!HH", row, 4)
    cookie = struct.unpack_from("=Q", row, 44)[0]
    expires, _, _, _, inode = struct.unpack_from("=IIIII", row, 52)
    size = 4 if family == socket.AF_INET else 16
    local, remote = (_text(family, row[8 : 8 + size]), sport), (_text(family, row[24 : 24 + size]), dport)
    if state == LISTEN:
        return Flow(local, remote, state, inode, cookie)
    info = _info(row)
    if info is None:
        return Flow(local, remote, state, inode, cookie)
    (rto, unacked, sent_ago, heard_ago, rtt, total, least, segments, dsack) = info
    requests = 1 if state == SYN_SENT else 0
    first = state == SYN_SENT and not row[3] and timer == _RETRANSMIT_TIMER
    return Flow(
        local,
        remote,
        state,
        inode,
        cookie,
        retries=row[3] if timer in (_RETRANSMIT_TIMER, _PROBE_TIMER) else 0,
        waits=max(0.0, rto / 1e6 - expires / 1e3) if first else 0.0,
        sent=segments + requests + (total if state == SYN_SENT else 0),
        again=max(0, total - dsack),
        rtt=rtt / 1e6 if state != SYN_SENT else 0.0,
        least_rtt=least / 1e6 if least != 0xFFFFFFFF else 0.0,
        heard=heard_ago / 1e3,
        active=sent_ago / 1e3,
        waiting=unacked,
    )


def _info(row: bytes) -> tuple[int, ...] | None:
    """`rto, unacked, last_data_sent, last_ack_recv, rtt, total_retrans, min_rtt, data_segs_out, dsack_dups`."""
    at = 72
    while at + _ATTRIBUTE.size <= len(row):
        length, kind = _ATTRIBUTE.unpack_from(row, at)
        if length < _ATTRIBUTE.size:
            return None
        if kind == _INFO:
            told = row[at + _ATTRIBUTE.size : at + length].ljust(232, b"\0")
            return tuple(
                struct.unpack_from("=I", told, offset)[0] for offset in (8, 24, 44, 56, 68, 100, 148, 156, 216)
            )
        at += (length + 3) & ~3
    return None


def _text(family: int, packed: bytes) -> str:
    return socket.inet_ntop(family, packed).removeprefix("::ffff:")
