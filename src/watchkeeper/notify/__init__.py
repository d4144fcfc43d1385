"""What goes out to people: a webhook, reports."""

from watchkeeper.notify.heartbeat import Heartbeat
from watchkeeper.notify.report import report_json, report_markdown
from watchkeeper.notify.silences import Silences
from watchkeeper.notify.webhook import Webhook

__all__ = ["Heartbeat", "Silences", "Webhook", "report_json", "report_markdown"]
