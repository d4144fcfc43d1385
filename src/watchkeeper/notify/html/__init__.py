"""Reports as one HTML file: nothing is fetched, nothing runs, and whatever came from outside is escaped."""

from watchkeeper.notify.html.incident import incident_html
from watchkeeper.notify.html.period import period_html
from watchkeeper.notify.html.story import Seen, Story

__all__ = ["Seen", "Story", "incident_html", "period_html"]
