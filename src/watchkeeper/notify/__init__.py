"""What goes out to people: messages over channels, reports."""

from watchkeeper.notify.heartbeat import Heartbeat
from watchkeeper.notify.notifier import Notifier, Standing
from watchkeeper.notify.report import report_json, report_markdown
from watchkeeper.notify.silences import Silences

__all__ = ["Heartbeat", "Notifier", "Silences", "Standing", "report_json", "report_markdown"]
