"""Ends the loss of packets in a process' network namespace after so many seconds: `burst PID SECONDS`."""

import asyncio
import sys

from watchkeeper_lab.namespaces import mend
from watchkeeper_lab.services import ServiceState


async def main(pid: int, seconds: float) -> None:
    print("ready")
    await asyncio.sleep(seconds)  # the length of the burst
    await mend(ServiceState(str(pid), "running", pid=pid))
    print("done")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
