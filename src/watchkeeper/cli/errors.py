"""How an error is told: what happened and why, then what to do next, on standard error."""

import sys


def told(problem: Exception) -> int | None:
    """Print an error that is for the user and give the exit code; None where it is a bug of ours.

    The domain is not imported for it: where it was not loaded, no error of its can have been raised.
    """
    if "watchkeeper.domain.errors" not in sys.modules:
        return None
    from watchkeeper.domain.errors import WatchkeeperError

    if not isinstance(problem, WatchkeeperError):
        return None
    print(f"watchkeeper: {problem.what}", file=sys.stderr)
    if problem.next_step:
        print(problem.next_step, file=sys.stderr)
    return 2
