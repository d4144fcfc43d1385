"""Where `up` logs: to standard error, or to a file where somebody looks at the screen."""

import logging
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from watchkeeper.telemetry import configure_logging

FILE = "watchkeeper.log"
HARMLESS = (
    ("dbos", "Workflow already exists in queue"),
    ("dbos", "Asyncio task cancelled for workflow or step"),
    ("psycopg", "query cancellation "),
)
"""Of libraries, by the beginnings of what they say as a warning: a fix that is resumed, one that is left for the next
start, and a look that is cut off."""


def demoted(record: logging.LogRecord) -> logging.LogRecord:
    """What is harmless is no warning; of what a database said to DBOS the first line is enough, without its SQL."""
    if record.name.startswith("dbos") and not record.exc_info:
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    if any(record.name.startswith(name) and record.getMessage().startswith(said) for name, said in HARMLESS):
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return record


class Log:
    """`path` is the file, or None where standard error is it."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._stream = path.open("a", buffering=1) if path else sys.stderr

    def mask(self, mask: Callable[[Any], Any] | None) -> None:
        """From now on, what is written goes through `mask`."""
        with redirect_stderr(self._stream):
            configure_logging(mask=mask)
        library = logging.StreamHandler(self._stream)
        library.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        library.addFilter(lambda record: demoted(record).levelno > logging.DEBUG or self.path is not None)
        logging.basicConfig(level=logging.WARNING, handlers=[library], force=True)
        dbos = logging.getLogger("dbos")  # without a handler it adds one of its own, to the screen
        dbos.handlers, dbos.propagate = [logging.NullHandler()], True


def begin_log(data: Path) -> Log:
    """Log to standard error, or where that is a terminal to `watchkeeper.log` in the data directory."""
    path: Path | None = None
    if sys.stderr.isatty():
        try:
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = data / FILE
            path.touch(mode=0o600)
        except OSError:
            path = None  # `running` says what is wrong with the directory
    log = Log(path)
    log.mask(None)
    return log
