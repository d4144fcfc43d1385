"""The network as it is seen from within a namespace: two real ones, joined by a cable that can be cut."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from watchkeeper.connectors.network.eyes import SILENT
from watchkeeper.connectors.network.reaching import contrast
from watchkeeper.hosts.flows import flows_of
from watchkeeper.hosts.links import FarEnds, Links
from watchkeeper.hosts.resolving import answered, configured, named, question
from watchkeeper.hosts.within import is_own, within

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("ip", "iptables"))), reason="network namespaces take root"
)
NET = f"10.213.{os.getpid() % 256}"  # others may run the same tests here
HERE, THERE = f"{NET}.1", f"{NET}.2"


@dataclass(frozen=True)
class Cable:
    """A namespace with one process in it, which reaches us over a cable."""

    name: str
    pid: int

    def run(self, *words: str) -> None:
        subprocess.run(["ip", "netns", "exec", self.name, *words], check=True, capture_output=True)

    def cut(self) -> None:
        self.run("iptables", "-w", "-A", "OUTPUT", "-d", HERE, "-j", "DROP")


@pytest.fixture
def cable() -> Generator[Cable]:
    name = f"wk{os.getpid()}"
    words = [
        f"netns add {name}",
        f"link add {name}a type veth peer name {name}b netns {name}",
        f"addr add {HERE}/30 dev {name}a",
        f"link set {name}a up",
        f"-n {name} addr add {THERE}/30 dev {name}b",
        f"-n {name} link set {name}b up",
    ]
    try:
        for line in words:
            subprocess.run(["ip", *line.split()], check=True, capture_output=True)
        with subprocess.Popen(["ip", "netns", "exec", name, "sleep", "600"]) as inside:
            try:
                while is_own(inside.pid):
                    time.sleep(0.01)  # until it is there
                yield Cable(name, inside.pid)
            finally:
                inside.kill()
    finally:
        subprocess.run(["ip", "link", "del", f"{name}a"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@asynccontextmanager
async def server() -> AsyncGenerator[int]:
    """Accepts connections and says nothing, as one whose program hangs."""
    come: list[asyncio.StreamWriter] = []
    listening = await asyncio.start_server(lambda reader, writer: come.append(writer), HERE, 0)
    async with listening:
        try:
            yield listening.sockets[0].getsockname()[1]
        finally:
            for writer in come:
                writer.close()


@needs_root
async def test_a_cut_is_told_from_a_server_that_is_down_and_from_one_that_hangs(cable: Cable) -> None:
    async with server() as port:
        hangs = await contrast((HERE, port), cable.pid)
        assert hangs.within.accepted
        assert not hangs.cut
        cable.cut()
        assert (await contrast((HERE, port), cable.pid)).cut
    down = await contrast((HERE, port), cable.pid)
    assert not down.cut, "from here it is not reached either"


@needs_root
async def test_a_connection_and_what_it_waits_for_are_seen_from_within_its_namespace(cable: Cable) -> None:
    async with server() as port:
        made = await asyncio.to_thread(within, cable.pid, lambda: socket.create_connection((HERE, port), 5.0))
        with made:
            links, loop = Links("there", FarEnds()), asyncio.get_running_loop()
            links.update(flows_of(cable.pid), loop.time(), mine=None, ours=())
            assert list(links.links) == [(HERE, port)]
            assert links.links[HERE, port].rtt < 0.25
            cable.cut()
            made.send(b"hello")
            async with asyncio.timeout(60.0):
                while links.links[HERE, port].silent_for(loop.time()) <= SILENT:
                    await asyncio.sleep(0.1)  # the kernel tries again ever more rarely
                    links.update(flows_of(cable.pid), loop.time(), mine=None, ours=())


def test_who_is_asked_for_names_is_read_as_the_c_library_does() -> None:
    resolver = configured("# ours\nsearch svc.local local\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:2\n")
    assert resolver.servers == ("10.0.0.1", "10.0.0.2")
    assert resolver.spelt("cache") == ("cache.svc.local", "cache.local", "cache")
    assert resolver.spelt("db.example.org") == ("db.example.org", "db.example.org.svc.local", "db.example.org.local")
    assert named("10.0.0.9 Db db.local # old\n") == {"db", "db.local"}


def test_an_answer_is_read_and_that_of_another_question_is_not() -> None:
    ident, packed = question("cache")
    record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\x0a\x00\x00\x02"
    reply = packed[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + packed[12:] + record
    assert answered(reply, ident) == ("", frozenset({"10.0.0.2"}))
    assert answered(reply, ident ^ 1) is None
    assert answered(packed[:2] + b"\x81\x83" + packed[4:], ident) == ("no such name", frozenset())
    assert answered(packed[:2] + b"\x81\x82" + packed[4:], ident) == ("SERVFAIL", frozenset())
