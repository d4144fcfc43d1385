"""When an executor that holds a lease, or held it when it was killed, was alive last."""

from datetime import datetime

import sqlalchemy as sa

from watchkeeper.store.lease import LIFETIME
from watchkeeper.store.schema import leases
from watchkeeper.store.store import Store


async def renewed_at(store: Store, name: str) -> datetime | None:
    """When the lease was taken or renewed last; None where it was given back."""
    found = await store.rows(sa.select(leases.c.until).where(leases.c.name == name))
    return found[0]["until"] - LIFETIME if found else None
