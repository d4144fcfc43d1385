"""A command of ours in the network namespace of a server on this machine."""

import asyncio

from watchkeeper.domain import Refused


async def within(pid: int, *command: str, seconds: float = 2.0) -> str:
    """What it prints (`nsenter -t PID -n`, needs root). Raises Refused where it fails, TimeoutError after `seconds`."""
    process = await asyncio.create_subprocess_exec(
        "nsenter", "-t", str(pid), "-n", *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise Refused(
            f"`{' '.join(command[:2])}` in the server's network namespace failed: {err.decode().strip()[:200]}"
        )
    return out.decode()
