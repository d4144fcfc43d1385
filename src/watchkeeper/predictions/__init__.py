"""What model servers send: profiles merged by model, version and time; records kept, labels joined."""

from watchkeeper.predictions.body import Named, PushBody, Refused, Version
from watchkeeper.predictions.intake import Taken
from watchkeeper.predictions.joining import Labels
from watchkeeper.predictions.kept import Sender
from watchkeeper.predictions.lasting import Lasting, lasting
from watchkeeper.predictions.lately import LEAST, Lately, Recent, Usually
from watchkeeper.predictions.predictions import Model, Predictions, Summed
from watchkeeper.predictions.records import TakenRows, Where
from watchkeeper.predictions.references import ReferenceBody
from watchkeeper.predictions.shelf import Holds, Shelf
from watchkeeper_monitor import Drift, Summary

__all__ = [
    "LEAST",
    "Drift",
    "Holds",
    "Labels",
    "Lasting",
    "Lately",
    "Model",
    "Named",
    "Predictions",
    "PushBody",
    "Recent",
    "ReferenceBody",
    "Refused",
    "Sender",
    "Shelf",
    "Summary",
    "Summed",
    "Taken",
    "TakenRows",
    "Usually",
    "Version",
    "Where",
    "lasting",
]
