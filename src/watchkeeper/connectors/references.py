"""Credentials stay references until the moment they are used."""

import os
from pathlib import Path

from watchkeeper.domain import ConfigurationError


def secret(reference: str) -> str:
    """The value behind `env:NAME` or `file:PATH`. Raises ConfigurationError, which never shows it."""
    scheme, _, name = reference.partition(":")
    if scheme == "env":
        if name in os.environ:
            return os.environ[name]
        raise ConfigurationError(
            f"The environment variable {name}, which holds a password, is not set.", f"export {name}=…"
        )
    if scheme == "file":
        try:
            return Path(name).read_text().strip()
        except OSError as problem:
            raise ConfigurationError(f"{name}, which holds a password, cannot be read: {problem.strerror}.") from None
    raise ConfigurationError("A password must be a reference.", "Write env:NAME or file:PATH.")
