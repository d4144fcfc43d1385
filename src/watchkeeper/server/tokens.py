"""`/api/tokens`: who may come in, and as whom; and the look at a token that is shown."""

import secrets
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, field_validator

from watchkeeper.domain import Conflict, Event, now
from watchkeeper.domain.access import Given, Token, digest
from watchkeeper.domain.duration import seconds
from watchkeeper.server.security import Admin, Here
from watchkeeper.server.views import Page
from watchkeeper.store import new_id

router = APIRouter(prefix="/api/tokens", tags=["access"])


class NewToken(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")
    role: Given
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.@+-]+$")]
    """Who it is for: what the history calls them. Tokens of one name are one person."""
    expires: str | None = None
    """`30d`, `12h`; never, where it is not said."""

    @field_validator("expires")
    @classmethod
    def _length(cls, value: str | None) -> str | None:
        if value is not None and not 0 < seconds(value) <= 3650 * 86_400:
            raise ValueError("between a moment and ten years: 30d, 12h")
        return value


class TokenView(BaseModel):
    """A token, without what opens."""

    id: str
    name: str
    role: Given
    status: str
    """`active`, `expired` or `revoked`."""
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    used_at: datetime | None
    """When it was shown last, to about a minute."""
    revoked_at: datetime | None
    revoked_by: str

    @classmethod
    def of(cls, token: Token) -> "TokenView":
        status = token.status if token.status == "revoked" or token.stands(now()) else "expired"
        kept = ("id", "name", "role", "created_at", "created_by", "expires_at", "used_at", "revoked_at", "revoked_by")
        return cls(status=status, **{name: getattr(token, name) for name in kept})


class MadeToken(BaseModel):
    """The one time the token itself is shown."""

    token: str
    view: TokenView


@router.get("")
async def list_tokens(runtime: Here, _: Admin) -> Page[TokenView]:
    """Every token there is and was, newest first; the operator's own, a file, is none of them."""
    return Page(items=[TokenView.of(token) for token in await runtime.store.select(Token, limit=1000)])


@router.post("", status_code=201)
async def make_token(body: NewToken, runtime: Here, who: Admin) -> MadeToken:
    """Make a token. It is shown in this answer and never again: only its hash is kept."""
    secret, at = secrets.token_urlsafe(32), now()
    expires = at + timedelta(seconds=seconds(body.expires)) if body.expires else None
    token = Token(new_id("tok"), body.name, body.role, digest(secret), at, who.id, expires)
    text = f"{who.name} makes a token for {token.name}, role {token.role}"
    await runtime.store.save(token, Event("token.made", token.id, text, at, who.id, data={"role": token.role}))
    runtime.store.masker.learn(secret)
    return MadeToken(token=f"wk_{token.id}_{secret}", view=TokenView.of(token))


@router.delete("/{key}")
async def revoke_token(key: str, runtime: Here, who: Admin) -> TokenView:
    """From now on it opens nothing. It stays in the list: history is not erased."""
    async with runtime.store.transaction() as transaction:  # a use that is being noted must not bring it back
        token = await runtime.store.get(Token, key)
        if token.status == "revoked":
            raise Conflict(f"{key} was revoked by {token.revoked_by} already.")
        token = token.revoke(who.id, now())
        text = f"{who.name} revokes the token {key} of {token.name}"
        await transaction.put(token)
        await transaction.emit(Event("token.revoked", key, text, now(), who.id))
    return TokenView.of(token)
