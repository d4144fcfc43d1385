"""A machine whose process 1 is systemd: a container made of one of the lab's images, reached over SSH as any other."""

import asyncio
import hashlib
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from watchkeeper_lab.engine import root_on_debian
from watchkeeper_lab.images import ensure_images

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PACKAGES = ("systemd", "dbus", "openssh-server", "sudo", "iproute2")
"""What the lab's image lacks to be a machine."""
_WAIT = 90.0
_BOOT = """
for mounted in $(awk '$5 ~ "^/sys/fs/cgroup" {print $5}' /proc/self/mountinfo); do
  mount -o remount,rw,bind "$mounted"
done
exec /lib/systemd/systemd
"""
"""Its own control groups may be written. `--privileged` would take rights that this machine may lack."""
_BOOTED = """
until state=$(systemctl is-system-running --wait 2>/dev/null) || [ "$state" = degraded ]; do sleep 0.1; done
systemctl --failed --plain --no-legend
"""


def ran(*command: str | Path, timeout: float = 600.0) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def image() -> str:
    """Its tag; built where it is not there yet. Skips where it cannot be."""
    base = asyncio.run(ensure_images()).tags["redis"]
    files = sorted(path for path in HERE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    made_from = [base, *PACKAGES, *(path.read_text() for path in files)]
    tag = f"watchkeeper-test-machine:{hashlib.sha256(chr(0).join(made_from).encode()).hexdigest()[:12]}"
    if subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode == 0:
        return tag
    if not root_on_debian():
        pytest.skip("the image of a machine with systemd is made by root on Debian: it takes packages from apt")
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder) / "context"
        shutil.copytree(HERE, context, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
        _download(base, context / "debs")
        ran("docker", "build", "--quiet", "--network", "none", "--build-arg", f"BASE={base}", "--tag", tag, context)
    return tag


def _download(base: str, into: Path) -> None:
    """The packages that the base lacks, by this machine's apt: the engine may have no way to a mirror."""
    (into / "partial").mkdir(parents=True)
    status = into.parent / "status"
    status.write_text(
        ran("docker", "run", "--rm", "--network", "none", "--entrypoint", "cat", base, "/var/lib/dpkg/status")
    )
    command = (
        "apt-get", "install", "--yes", "--quiet", "--download-only", "--no-install-recommends",
        "-o", f"Dir::State::status={status}", "-o", f"Dir::Cache::archives={into}", "-o", "Debug::NoLocking=1",
        "-o", "APT::Sandbox::User=root", *PACKAGES,
    )  # fmt: skip
    for last in (False, True):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        if last:
            pytest.skip(f"apt does not have {', '.join(PACKAGES)} for a machine with systemd: {done.stderr[-300:]}")
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)  # its lists may be old
    (into / "partial").rmdir()
    (into / "lock").unlink(missing_ok=True)
    status.unlink()


@dataclass(frozen=True)
class Box:
    """One such machine, and the hands of somebody who is root on it."""

    container: str
    address: str
    host_key: str

    def root(self, *command: str, timeout: float = _WAIT) -> str:
        """What a command said, run by root there."""
        return ran("docker", "exec", self.container, *command, timeout=timeout)

    def write(self, path: str, content: str) -> None:
        subprocess.run(
            ["docker", "exec", "-i", self.container, "sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path],
            input=content.encode(),
            check=True,
        )

    def shown(self, unit: str, name: str) -> str:
        return self.root("systemctl", "show", "--value", "-p", name, unit).strip()


@contextmanager
def machine(public_key: Path, *options: str) -> Iterator[Box]:
    """A machine that has started, and lets the user `watchkeeper` in with that key."""
    container = f"wk-test-machine-{uuid.uuid4().hex[:8]}"
    run = (
        "docker", "run", "--detach", "--name", container, "--env", "container=docker", "--cgroupns", "private",
        "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined",
        "--security-opt", "apparmor=unconfined", "--tmpfs", "/run", "--tmpfs", "/run/lock", "--memory", "1g",
        *options, image(), "sh", "-c", _BOOT,
    )  # fmt: skip
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    if done.returncode:
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=False)
        pytest.skip(f"the engine may not run a machine with systemd here: {done.stderr[-300:]}")
    try:
        box = Box(container, "", "")
        box.write("/home/watchkeeper/.ssh/authorized_keys", public_key.read_text())
        box.root("sh", "-c", _BOOTED)
        address = ran("docker", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", container).strip()
        key = " ".join(box.root("cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
        yield Box(container, address, key)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True, check=False)
