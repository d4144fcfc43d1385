"""A long download through nginx. Prints `ready` when the first line has come, `done` at the end.

Runs as a process of its own: `python -m watchkeeper_lab.download URL`.
"""

import sys

import httpx

SERVED_BY = "served by "
"""Begins the line that names the replica which serves it."""
SILENCE = 8.0
"""Seconds without a line after which it gives up."""


def main(url: str) -> None:
    """Read it to its end; an answer that is cut off is an error."""
    with httpx.Client(timeout=SILENCE, trust_env=False) as client, client.stream("GET", url) as answer:
        answer.raise_for_status()
        lines = answer.iter_lines()
        next(lines)
        print(f"{SERVED_BY}{answer.headers.get('x-replica', '')}", flush=True)
        print("ready", flush=True)
        for _ in lines:
            pass
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
