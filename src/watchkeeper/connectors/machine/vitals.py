"""What `vitals.sh` wrote, as values. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_SMALL = 1 << 30
"""Bytes. A boot partition is smaller, filled once and meant to stay so."""
_OCTAL = re.compile(r"\\([0-7]{3})")
_GONE = frozenset({"emergency_ro", "shutdown"})
"""How newer kernels say in the options that a filesystem has given up."""
_BROKEN = ("Input/output error", "Stale file handle", "No such device", "Structure needs cleaning")
"""What the kernel says of a device that is gone, or a filesystem that gave up."""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """One mounted filesystem, with what an ordinary user may still write. Sizes in bytes."""

    device: str
    mount: str
    options: frozenset[str]
    named: bool
    size: float = 0.0
    available: float = 0.0
    inodes: float = 0.0
    inodes_free: float = 0.0
    answers: bool = True
    """Whether the kernel says how full it is: a device that is gone or broken does not."""

    @property
    def read_only(self) -> bool:
        return "ro" in self.options or bool(_GONE & self.options)

    @property
    def is_ours(self) -> bool:
        """Whether filling up would be news: not of a boot partition, which is filled once."""
        boot = self.mount == "/boot" or self.mount.startswith(("/boot/", "/efi"))
        return self.named or not self.answers or not (boot and self.size < 2 * _SMALL)


@dataclass(slots=True)
class Vitals:
    """A machine at one moment."""

    at: float = 0.0
    """Seconds since 1970 by its own clock."""
    cores: int = 1
    files: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The lines of each file."""
    there: set[str] = field(default_factory=set[str])
    """Paths that exist."""
    filesystems: list[Filesystem] = field(default_factory=list[Filesystem])
    failed_units: list[str] | None = None
    """None: not asked, or no systemd there."""

    def line(self, path: str) -> str:
        """The first line of a file; empty where it is not there."""
        lines = self.files.get(path)
        return lines[0] if lines else ""

    def number(self, path: str) -> float | None:
        """A file that holds one number; None where it is not there, or holds something else."""
        try:
            return float(self.line(path))
        except ValueError:
            return None

    def pairs(self, path: str) -> Mapping[str, float]:
        """`name value`, or `name: value kB` in bytes, on each line."""
        found: dict[str, float] = {}
        for line in self.files.get(path, ()):
            name, *rest = line.replace(":", " ").split()
            if rest and rest[0].isdigit():
                found[name] = float(rest[0]) * (1024 if rest[1:] == ["kB"] else 1)
        return found

    def matching(self, start: str, end: str) -> Iterator[tuple[str, float]]:
        """Files that hold one number, by where their names begin and end."""
        for path in self.files:
            if path.startswith(start) and path.endswith(end) and (number := self.number(path)) is not None:
                yield path, number


def parse(out: bytes) -> Vitals:
    """A line that is not understood is passed over."""
    found = Vitals()
    for line in out.decode(errors="replace").splitlines():
        if line.startswith("/"):
            path, _, content = line.partition(":")
            found.files.setdefault(path, []).append(content.strip())
            continue
        word, _, rest = line.partition(" ")
        if word == "now":
            told = re.match(r"\d+(\.\d+)?", rest)
            found.at = float(told[0]) if told else 0.0
        elif word == "cores" and rest.isdigit():
            found.cores = max(1, int(rest))
        elif word == "there":
            found.there.add(rest)
        elif word == "systemd":
            found.failed_units = []
        elif word == "failed" and found.failed_units is not None and rest:
            found.failed_units.append(rest.split()[0])
        elif word == "filesystem" and (filesystem := _filesystem(rest)):
            found.filesystems.append(filesystem)
    return found


def _filesystem(text: str) -> Filesystem | None:
    words = text.split(" ")
    if len(words) < 5:
        return None
    device, mount, _, options, named = words[:5]
    mount = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), mount)
    told = frozenset(options.split(","))
    figures = [word for word in words[5:] if word]
    if len(figures) != 5 or not all(figure.isdigit() for figure in figures):
        # Whoever may not look into the folder it is mounted on learns nothing; only these words are about its device.
        broken = any(said in text for said in _BROKEN)
        return Filesystem(device, mount, told, named == "1", answers=False) if broken else None
    unit, blocks, available, inodes, inodes_free = map(float, figures)
    return Filesystem(device, mount, told, named == "1", unit * blocks, unit * available, inodes, inodes_free)
