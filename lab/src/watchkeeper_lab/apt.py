"""Where this machine takes its Debian packages from."""

import re
from pathlib import Path

SOURCES = Path("/etc/apt")
FALLBACK = "http://deb.debian.org/debian"


def mirror(sources: Path = SOURCES) -> str:
    """The URI of the Debian archive in the machine's own apt sources; Debian's own where none is found.

    Reads the one-line format (`deb [options] URI suite main`) and deb822 (`URIs: …`).
    """
    listed = [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*"))]
    for path in listed:
        if path.suffix not in {".list", ".sources"} or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if path.suffix == ".list":
            found = re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+\s+.*\bmain\b", text, re.MULTILINE)
        else:
            found = [uri for line in re.findall(r"^URIs:\s*(.+)$", text, re.MULTILINE) for uri in line.split()]
        for uri in found:
            if re.match(r"(https?|file):.*/debian/?$", uri):
                return uri.rstrip("/")
    return FALLBACK
