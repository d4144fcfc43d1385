"""A log flood beside a fault: is it healed, what does it cost, and is every line that was not kept counted?

Run: .venv/bin/python -m benchmarks.flood --json benchmarks/results/flood.json

Real servers of this machine, and containers where there is an engine, write `--megabytes` of warnings each as fast as
they can; meanwhile the memory of another Redis is full. Needs root (a plain process is followed as root alone).
"""

import argparse
import contextlib
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis
import yaml
from tests.conftest import RedisServer, start_redis
from tests.crash.harness import Server, serving

from watchkeeper import __version__

LINE = "4242:M 22 Nov 2026 06:00:00.000 # {:08d} the quick brown fox jumps over the lazy dog, again and again\n"
COUNTED = re.compile(r"([\d,]+) (?:lines|entries) were not")
IMAGE = "watchkeeper-test-rooms:2"
PATIENCE = 600.0


def lines_of(megabytes: float) -> int:
    return int(megabytes * 1e6 / len(LINE.format(0)))


@dataclass
class Flood:
    """One resource that writes: its id as `only:` wants it, and what makes it write."""

    watched: str
    writes: list[str]
    content: Path
    out: Path | None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def followed(self) -> None:
        """Until it is followed from its end on."""
        until = time.monotonic() + PATIENCE
        while not (at_its_end(self.out) if self.out else time.monotonic() > until - PATIENCE + 5.0):
            assert time.monotonic() < until, f"{self.out} is not followed"
            time.sleep(0.1)

    def begin(self) -> None:
        with self.content.open("rb") as source, (self.out or Path(os.devnull)).open("ab") as out:
            self.processes.append(subprocess.Popen(self.writes, stdin=source, stdout=out))


def at_its_end(file: Path) -> bool:
    """Whether a `tail` has come to the end of this file."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().split(b"\0")
            if command[0] != b"tail" or os.fsencode(file) not in command:
                continue
            for opened in (place / "fd").iterdir():
                if opened.readlink() == file:
                    at = int((place / "fdinfo" / opened.name).read_text().split()[1])
                    return at == file.stat().st_size
        except OSError:
            continue  # it has ended meanwhile
    return False


@contextmanager
def plain(folder: Path, number: int, content: Path) -> Iterator[Flood]:
    """A redis-server of this machine that logs to a file."""
    place = folder / f"flood{number}"
    place.mkdir()
    server = start_redis(place)
    with server.client() as client:
        client.config_set("save", "")
    server.stop()
    out = place / "redis.log"
    command = ["redis-server", "--port", str(server.port), "--bind", "127.0.0.1", "--save", "", "--logfile", str(out)]
    process = subprocess.Popen(command, cwd=place)
    try:
        yield Flood(f"local/*/redis/redis-{server.port}", ["cat"], content, out)
    finally:
        process.kill()
        process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()


@contextmanager
def container(folder: Path, number: int, content: Path) -> Iterator[Flood]:
    """A container with a Redis whose log is the container's."""
    name = f"wk-flood-{os.getpid()}-{number}"
    wait = "until [ -e /go ]; do sleep 0.2; done; cat /content"
    script = f"({wait}) & exec redis-server --save '' --protected-mode no"
    volume = f"{content}:/content:ro"
    options = ["--name", name, "-v", volume, IMAGE, "sh", "-c", script]
    subprocess.run(["docker", "run", "-d", *options], check=True, stdout=subprocess.DEVNULL)
    try:
        yield Flood(f"docker/*/*/*{name}*", ["docker", "exec", name, "sh", "-c", ": >/go"], content, None)
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)


def configuration(folder: Path, victim: RedisServer, floods: list[Flood]) -> Path:
    said = {
        "mode": "auto",
        "only": ["victim", *(flood.watched for flood in floods)],
        "hosts": {"local": {"enabled": True}},
        "resources": [
            {
                "name": "victim",
                "kind": "redis",
                "url": victim.url,
                "environment": "lab",
                "act": True,
                "settings": {"cache_keys": ["cache:*"]},
            }
        ],
    }
    path = folder / "watchkeeper.yaml"
    path.write_text(yaml.safe_dump(said))
    return path


def fill(victim: RedisServer) -> None:
    """Cache keys up to the memory it may use."""
    with victim.client() as client:
        client.config_set("maxmemory", "8mb")
        with contextlib.suppress(redis.OutOfMemoryError):  # it is full
            for number in range(8000):
                client.set(f"cache:{number}", "x" * 3000)


class Answers(threading.Thread):
    """How long the API takes to answer, asked again and again."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._over = threading.Event()
        self.seconds: list[float] = []

    def run(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._over.wait(0.1):
                began = time.monotonic()
                client.get(self._server.url + "/api/resources/status").raise_for_status()
                self.seconds.append(time.monotonic() - began)

    def over(self) -> None:
        self._over.set()
        self.join()


def memory(server: Server) -> tuple[float, float]:
    """Resident now, and at most since it started, in MB."""
    assert server.process is not None
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    now, most = (int(re.search(rf"{name}:\s+(\d+)", text)[1]) for name in ("VmRSS", "VmHWM"))  # type: ignore[index]
    return now / 1000, most / 1000


def cpu(server: Server) -> float:
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size(data: Path) -> int:
    return sum(path.stat().st_size for path in data.iterdir() if path.is_file())


def counted(data: Path) -> tuple[int, int, int]:
    """From the store: lines kept, lines that were said not to have been kept, and how often that was said."""
    with sqlite3.connect(f"file:{data / 'watchkeeper.db'}?mode=ro", uri=True, timeout=30) as store:
        texts = [text for (text,) in store.execute("SELECT text FROM logs")]
    store.close()
    kept = sum("the quick brown fox" in text for text in texts)
    said = [int(found[1].replace(",", "")) for text in texts if (found := COUNTED.match(text))]
    return kept, sum(said), len(said)


def run(folder: Path, kind: Any, number: int, megabytes: float, patience: float = PATIENCE) -> dict[str, Any]:
    """One flood of so many resources at once, with the fault beside it."""
    content = folder / "content"
    total = lines_of(megabytes)
    with content.open("w") as out:
        out.writelines(LINE.format(n) for n in range(total))
    (folder / "victim").mkdir()
    with ExitStack() as stack:
        victim = start_redis(folder / "victim")
        stack.callback(lambda: victim.process.stdout and victim.process.stdout.close())
        stack.callback(victim.stop)
        floods = [stack.enter_context(kind(folder, n, content)) for n in range(number)]
        environment = {"WATCHKEEPER_HOSTS__LOCAL__ENABLED": "true", "DOCKER_HOST": "unix:///var/run/docker.sock"}
        if kind is plain:
            environment["DOCKER_HOST"] = "unix:///nonexistent"
        server = Server(folder / "data", configuration(folder, victim, floods), environment, fresh=True)
        stack.enter_context(serving(server))
        server.until_kind("server.started")
        server.poll(lambda s: well(s, number + 1))
        for flood in floods:
            flood.followed()
        before, _ = memory(server)
        grown, used = size(server.data), cpu(server)
        answers = Answers(server)
        answers.start()
        stack.callback(answers.over)
        began = time.monotonic()
        for flood in floods:
            flood.begin()
        fill(victim)
        closed = server.until_kind("incident.closed")
        healed = time.monotonic() - began
        complete = wait_until_counted(server, number * total, patience)
        read = time.monotonic() - began
        rest, most = memory(server)
        for flood in floods:
            for process in flood.processes:
                process.wait()
        kept, said, often = counted(server.data)
        return {
            "source": "container" if kind is container else "file",
            "resources": number,
            "megabytes_each": megabytes,
            "lines": number * total,
            "outcome": closed["text"],
            "healed_seconds": round(healed, 1),
            "read_seconds": round(read, 1),
            "cpu_seconds": round(cpu(server) - used, 1),
            "rss_before_mb": round(before),
            "rss_peak_mb": round(most),
            "rss_after_mb": round(rest),
            "store_grew_mb": round((size(server.data) - grown) / 1e6, 2),
            "lines_kept": kept,
            "lines_counted": said,
            "said_times": often,
            "all_counted": complete,
            "slowest_answer_seconds": round(max(answers.seconds, default=0.0), 2),
        }


def well(server: Server, number: int) -> bool:
    items = server.get("/api/resources/status")["items"]
    redis = [item for item in items if item["kind"] == "redis"]
    return len(redis) == number and all(item["health"] == "HEALTHY" for item in redis)


def wait_until_counted(server: Server, lines: int, patience: float) -> bool:
    """Until every line is kept or counted; False where some never are."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        kept, said, _ = counted(server.data)
        if kept + said >= lines:
            return kept + said == lines
        time.sleep(0.5)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=100.0, help="of each resource")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    kinds: list[tuple[Any, int]] = [(plain, 1), (plain, 4)]
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0:
        kinds += [(container, 1), (container, 4)]
    else:
        print(f"no containers: there is no image {IMAGE} (tests in the lab make it)", file=sys.stderr)
    for kind, number in kinds:
        with tempfile.TemporaryDirectory(prefix="watchkeeper-flood-") as folder:
            rows.append(run(Path(folder), kind, number, given.megabytes))
            print(json.dumps(rows[-1]), flush=True)
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    if given.json:
        content = {"version": __version__, "machine": machine, "rows": rows}
        given.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
