"""One database behind one interface: SQLite by default; events in the transaction of what they tell."""

from watchkeeper.store.alive import renewed_at
from watchkeeper.store.beside import fixes_beside
from watchkeeper.store.examining import look_through
from watchkeeper.store.later import Later
from watchkeeper.store.lease import Lease, LeaseTaken
from watchkeeper.store.masking import Masker
from watchkeeper.store.opening import inspect_store
from watchkeeper.store.postgres import StoreAway
from watchkeeper.store.renaming import rename
from watchkeeper.store.shares import LeaseLost, Member, Shares
from watchkeeper.store.store import Store
from watchkeeper.store.transaction import Transaction, new_id

__all__ = [
    "Later",
    "Lease",
    "LeaseLost",
    "LeaseTaken",
    "Masker",
    "Member",
    "Shares",
    "Store",
    "StoreAway",
    "Transaction",
    "fixes_beside",
    "inspect_store",
    "look_through",
    "new_id",
    "rename",
    "renewed_at",
]
