"""`python -m watchkeeper_lab` is `watchkeeper lab`."""

from watchkeeper_lab.cli import app

app()
