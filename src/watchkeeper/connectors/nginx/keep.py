"""The last configuration that tested good, kept beyond our own end: a server that has it loaded cannot tell it."""

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from watchkeeper.settings import default_data


def _place(resource: str) -> Path:
    return default_data() / "nginx" / f"{hashlib.sha256(resource.encode()).hexdigest()[:24]}.json"


def remember(resource: str, contents: Mapping[str, bytes]) -> None:
    """Readable by our user alone: a configuration may hold secrets. A disk that is full loses no look."""
    place = _place(resource)
    told = {path: base64.b64encode(content).decode() for path, content in contents.items()}
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = place.with_suffix(f".{os.getpid()}")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(told))
        beside.replace(place)
    except OSError:
        return


def remembered(resource: str) -> dict[str, bytes] | None:
    """None where nothing was kept."""
    try:
        told = json.loads(_place(resource).read_text())
        return {str(path): base64.b64decode(content) for path, content in told.items()}
    except (OSError, ValueError, AttributeError, binascii.Error):
        return None
