"""What goes out to people: a webhook, reports."""

from watchkeeper.notify.report import report_json, report_markdown
from watchkeeper.notify.silences import Silences
from watchkeeper.notify.webhook import Webhook

__all__ = ["Silences", "Webhook", "report_json", "report_markdown"]
