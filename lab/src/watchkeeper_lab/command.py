"""Runs programs of the machine (docker, apt-get, debootstrap) with a deadline and a readable failure."""

import asyncio
import contextlib
import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchkeeper_lab.errors import LabError


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """True where the exit code is 0."""
        return self.code == 0


async def attempt(
    argv: Sequence[str | Path],
    *,
    timeout: float = 60.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str = "",
) -> Finished:
    """Run a program to its end and tell how it went, whatever its exit code.

    `timeout` is in seconds; past it the program is killed and `TimeoutError` is raised. A program that is not
    installed gives exit code 127, as in a shell. `user` runs it with that user's rights, which only root may.
    """
    words = [str(word) for word in argv]
    rights: dict[str, Any] = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            **rights,
        )
    except FileNotFoundError:
        return Finished(127, "", f"{words[0]}: not found")
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return Finished(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


async def run(
    argv: Sequence[str | Path],
    *,
    timeout: float = 60.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str = "",
    hint: str = "",
) -> str:
    """Run a program that has to succeed; return what it printed.

    Raises `LabError`, with the last line of its complaint, where it fails or outlasts `timeout` seconds.
    """
    shown = " ".join(str(word) for word in argv[:4])
    try:
        finished = await attempt(argv, timeout=timeout, env=env, cwd=cwd, user=user)
    except TimeoutError:
        raise LabError(f"`{shown} …` did not finish within {timeout:.0f} s.", hint) from None
    if not finished.ok:
        complaint = [line.strip() for line in (finished.err or finished.out).splitlines() if line.strip()]
        last = complaint[-1] if complaint else "it printed nothing"
        raise LabError(f"`{shown} …` failed with exit code {finished.code}: {last}", hint)
    return finished.out
