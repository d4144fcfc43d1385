"""The live feed: one reader of the history, told to everybody who follows."""

from watchkeeper.server.live.events import Events, EventsWanted, Told
from watchkeeper.server.live.fanout import Fanout
from watchkeeper.server.live.lines import Lines, ToldLine

__all__ = ["Events", "EventsWanted", "Fanout", "Lines", "Told", "ToldLine"]
