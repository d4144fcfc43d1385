"""Tokens: who somebody is, and what they may."""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from watchkeeper.domain.policy import Principal, Role

Given = Literal["viewer", "operator", "approver", "admin", "agent", "sender"]
"""The roles a token can have."""
MAY: dict[str, tuple[Role, ...]] = {
    "ask": ("viewer", "operator", "approver", "admin", "agent"),
    "submit": ("operator", "approver", "admin", "agent"),
    "send": ("sender", "operator", "approver", "admin"),
    "operate": ("operator", "approver", "admin"),
    "approve": ("approver", "admin"),
    "administer": ("admin",),
}
"""Who may what, besides looking, which everybody may who comes in but a sender."""


def digest(secret: str) -> str:
    """SHA-256 in hex. The secret has 256 random bits, so that nothing is gained by a slow hash: there is no list of
    likely ones to try."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Token:
    """What a token is known by; the token itself is nowhere."""

    id: str
    name: str
    role: Given
    hash: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    status: Literal["active", "revoked"] = "active"
    revoked_at: datetime | None = None
    revoked_by: str = ""
    used_at: datetime | None = None

    @property
    def principal(self) -> Principal:
        return Principal("agent" if self.role == "agent" else "person", self.name, self.role)

    def stands(self, at: datetime) -> bool:
        return self.status == "active" and (self.expires_at is None or at < self.expires_at)

    def fits(self, secret: str) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(self.hash.encode(), digest(secret).encode())

    def used(self, at: datetime) -> "Token":
        return replace(self, used_at=at)

    def revoke(self, by: str, at: datetime) -> "Token":
        return replace(self, status="revoked", revoked_at=at, revoked_by=by)
