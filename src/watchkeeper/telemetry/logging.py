"""Our own log: JSON where a machine reads it, plain where a person does."""

import logging
import os
import stat
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog


def configure_logging(level: str = "INFO", mask: Callable[[Any], Any] | None = None) -> None:
    """Log to standard error; `mask` is applied to everything that is written."""

    def masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return event if mask is None else {key: mask(value) for key, value in event.items()}

    colours = sys.stderr.isatty()
    plain = colours or beside_what_is_said()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            masked,
            structlog.dev.ConsoleRenderer(colors=colours) if plain else structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def beside_what_is_said() -> bool:
    """Whether standard output and standard error are one and the same file (`up > up.log 2>&1`): a person reads it."""
    try:
        said, log = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # no file at all
        return False
    return stat.S_ISREG(log.st_mode) and (said.st_dev, said.st_ino) == (log.st_dev, log.st_ino)
