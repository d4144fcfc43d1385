"""Watchkeeper keeps production machine learning running."""

from importlib.metadata import version

__version__ = version("watchkeeper")
