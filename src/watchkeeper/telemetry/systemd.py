"""What systemd is told of this process (sd_notify): one datagram to the socket it names."""

import os
import socket


def notify(*lines: str) -> bool:
    """`notify("READY=1", "STATUS=…")`; False where no systemd asked to be told, or it cannot be reached."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagram:
            datagram.sendto("\n".join(lines).encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
    except OSError:
        return False
    return True


def watchdog_seconds() -> float | None:
    """Within how many seconds systemd wants to hear `WATCHDOG=1` of this process; None where it does not."""
    wanted, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not wanted.isdigit() or int(wanted) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(wanted) / 1e6
