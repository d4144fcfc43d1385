"""The archives in which the engine takes and gives single files. Pure."""

import io
import tarfile

from watchkeeper.domain import now


def content(archive: bytes) -> bytes | None:
    """Of the first regular file; None where there is none."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = next((m for m in tar.getmembers() if m.isfile()), None)
        found = tar.extractfile(member) if member else None
        return found.read() if found else None


def first(archive: bytes) -> tarfile.TarInfo:
    """The head of the first member."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getmembers()[0]


def like(before: tarfile.TarInfo | None, name: str, size: int) -> tarfile.TarInfo:
    """The head of a file that takes the place of one, with its rights; of a new one 0644, of root."""
    made = tarfile.TarInfo(name)
    made.mode = 0o644
    if before is not None:
        made.mode, made.uid, made.gid = before.mode, before.uid, before.gid
    made.size, made.mtime = size, int(now().timestamp())
    return made


def packed(member: tarfile.TarInfo, body: bytes) -> bytes:
    """One file."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(member, io.BytesIO(body))
    return archive.getvalue()
