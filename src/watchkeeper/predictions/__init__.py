"""What model servers send: profiles merged, by model, version and time."""

from watchkeeper.predictions.body import Named, PushBody, Refused, Version
from watchkeeper.predictions.intake import Taken
from watchkeeper.predictions.kept import Sender
from watchkeeper.predictions.predictions import Model, Predictions, Summed
from watchkeeper_monitor import Summary

__all__ = ["Model", "Named", "Predictions", "PushBody", "Refused", "Sender", "Summary", "Summed", "Taken", "Version"]
