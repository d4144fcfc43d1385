"""Sockets as the kernel lists them."""

import ipaddress
import os
import socket
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.hosts import sockets

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def written(address: str, port: int) -> str:
    """As a little-endian kernel writes it."""
    packed = ipaddress.ip_address(address).packed
    words = (packed[start : start + 4][::-1].hex().upper() for start in range(0, len(packed), 4))
    return f"{''.join(words)}:{port:04X}"


def row(local: tuple[str, int], remote: tuple[str, int], state: int, inode: int = 7) -> str:
    queues = "00000000:00000000 00:00000000 00000000  0 0"
    return f"   0: {written(*local)} {written(*remote)} {state:02X} {queues} {inode} 1\n"


addresses = st.tuples(st.ip_addresses().map(str), st.integers(0, 65535))


@given(addresses, addresses, st.sampled_from([0x01, 0x0A]), st.integers(0, 2**32))
def test_what_the_kernel_writes_is_read(
    local: tuple[str, int], remote: tuple[str, int], state: int, inode: int
) -> None:
    (read,) = sockets.parse(HEADER + row(local, remote, state, inode))
    for address, given_ in ((read.local, local), (read.remote, remote)):
        known = ipaddress.ip_address(given_[0])
        mapped = known.ipv4_mapped if isinstance(known, ipaddress.IPv6Address) else None
        assert address == (str(mapped or known), given_[1])
    assert (read.listens, read.established, read.inode) == (state == 0x0A, state == 0x01, inode)


def test_an_ipv4_peer_in_ipv6_clothes_is_the_ipv4_peer() -> None:
    (read,) = sockets.parse(row(("::ffff:172.18.0.4", 8000), ("::ffff:172.18.0.9", 51000), 0x01))
    assert read.remote == ("172.18.0.9", 51000)


@given(st.text())
def test_torn_lines_are_passed_over(text: str) -> None:
    whole = row(("10.0.0.1", 80), ("10.0.0.2", 4711), 0x01)
    assert len(sockets.parse(f"{whole}{whole[:40]}\n{text.replace(chr(10), ' ')[:30]}\n")) == 1


def test_a_connection_that_was_just_closed_is_still_told_and_is_not_established() -> None:
    time_wait = row(("10.0.0.1", 80), ("10.0.0.2", 4711), 0x06, inode=0)
    (told,) = sockets.connections(sockets.parse(time_wait))
    assert (told.remote, told.established) == (("10.0.0.2", 4711), False)


def test_what_was_only_knocked_at_is_no_connection() -> None:
    assert sockets.parse("".join(row(("10.0.0.1", 80), ("10.0.0.2", 4711), state) for state in (0x03, 0x07))) == []


def test_a_process_is_told_its_own_sockets_and_not_those_of_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()[:2]) as client:
        accepted, _ = server.accept()
        with accepted, subprocess.Popen(["sleep", "60"], close_fds=True) as other:
            try:
                mine = sockets.of_processes([os.getpid()])
                assert server.getsockname()[1] in sockets.listening(mine)
                ends = {(c.local, c.remote) for c in sockets.connections(mine)}
                assert {
                    (client.getsockname(), client.getpeername()),
                    (client.getpeername(), client.getsockname()),
                } <= ends
                assert sockets.of_processes([other.pid]) == []
                assert len(sockets.of_namespace(other.pid)) >= len(mine)
                assert sockets.namespace(other.pid) == sockets.namespace(os.getpid())
            finally:
                other.kill()
