"""Our own log: JSON where a machine reads it, plain where a person does."""

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog


def configure_logging(level: str = "INFO", mask: Callable[[Any], Any] | None = None) -> None:
    """Log to standard error; `mask` is applied to everything that is written."""

    def masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return event if mask is None else {key: mask(value) for key, value in event.items()}

    plain = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            masked,
            structlog.dev.ConsoleRenderer() if plain else structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
