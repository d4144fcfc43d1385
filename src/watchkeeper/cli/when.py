"""Times as they stand on the command line."""

from watchkeeper.domain.errors import WatchkeeperError
from watchkeeper.domain.when import moment_of

__all__ = ["length", "moment_of"]


def length(text: str) -> str:
    """A duration as given, for `--for`. Raises WatchkeeperError."""
    from watchkeeper.domain.duration import seconds
    from watchkeeper.domain.errors import ConfigurationError

    try:
        seconds(text)
    except ConfigurationError:
        raise WatchkeeperError(f"--for: {text!r} is not a duration.", "For example --for 30m, 2h or 1d.") from None
    return text
