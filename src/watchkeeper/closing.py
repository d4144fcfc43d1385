"""An incident that is over because somebody says so."""

from watchkeeper.domain import Alert, Incident, Said, now
from watchkeeper.store import Store


async def closed_by_hand(store: Store, incident: Incident, said: Said) -> Incident:
    """`by_human`, never `healed`; what fires still is told."""
    firing = await store.select(Alert, incident=incident.id, status="firing")
    still = f" ({', '.join(dict.fromkeys(alert.rule for alert in firing))} fires still)" if firing else ""
    return incident.close("by_human", now(), f"closed by {said.told}{still}")
