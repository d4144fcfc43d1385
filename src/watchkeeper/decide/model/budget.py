"""What may be spent, and what is left of it."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import sqlalchemy as sa

from watchkeeper.domain.interaction import Purpose, Spent
from watchkeeper.settings import LlmSettings
from watchkeeper.settings.llm import ModelSettings, Spending
from watchkeeper.store import Store, schema

CHARACTERS = 3.2
"""Of one token, estimated low: English prose has about 4, figures and identifiers about 3 (OpenAI, "What are tokens
and how to count them")."""

EDITIONS = {"0.2.3": "2026-11-10"}
"""When each edition of genai-prices that was locked here was published (PyPI): its prices are of that day or before."""


def estimated(text: str) -> int:
    """Tokens of a text, rather too many than too few."""
    return int(len(text) / CHARACTERS) + 1


class Budget:
    """Counted from the interactions that are kept, so a restart forgets nothing. A day begins at midnight UTC."""

    def __init__(self, store: Store, settings: LlmSettings) -> None:
        self._store = store
        self._settings = settings

    async def spent(self, *, incident: str | None = None, since: datetime | None = None) -> Spent:
        table = schema.interactions
        query = sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(table.c.tokens), 0).label("tokens"),
            sa.func.coalesce(sa.func.sum(table.c.cost), 0.0).label("dollars"),
            sa.func.count().filter(table.c.cost.is_(None)).label("unpriced"),
        )
        if incident is not None:
            query = query.where(table.c.incident == incident)
        if since is not None:
            query = query.where(table.c.at >= since)
        (row,) = await self._store.rows(query)
        return Spent(int(row["count_1"]), int(row["tokens"]), float(row["dollars"]), int(row["unpriced"]))

    async def today(self, at: datetime) -> Spent:
        return await self.spent(since=at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))

    async def refusal(
        self, model: ModelSettings, incident: str | None, tokens: int, at: datetime, purpose: Purpose = "plan"
    ) -> str | None:
        """Why a request of at most so many tokens, the answer among them, is not made; None where it may be."""
        most = price(model, tokens - self._settings.answer_tokens, self._settings.answer_tokens, at)
        if incident is not None:
            spent = await self.spent(incident=incident)
            if said := _over(spent, self._settings.per_incident, tokens, most.dollars):
                return f"the budget for this incident is spent: {said}"
        day, whose = self._settings.per_day, "today"
        if purpose == "chat" and self._settings.kept_for_incidents:
            day, whose = _share(day, 1 - self._settings.kept_for_incidents), "today's questions"
        if said := _over(await self.today(at), day, tokens, most.dollars):
            tomorrow = (at.astimezone(UTC) + timedelta(days=1)).date()
            return f"the budget for {whose} is spent: {said}; it begins anew at {tomorrow} 00:00 UTC"
        return None


def _share(may: Spending, share: float) -> Spending:
    """Not checked: a share of little may be less than what a configuration may say."""
    return Spending.model_construct(
        calls=int(may.calls * share), tokens=int(may.tokens * share), dollars=may.dollars * share
    )


def _over(spent: Spent, may: Spending, tokens: int, dollars: float | None) -> str | None:
    if spent.calls + 1 > may.calls:
        return f"{spent.calls} of {may.calls} calls"
    if spent.tokens + tokens > may.tokens:
        return f"{spent.tokens} of {may.tokens} tokens, and this request may take {tokens}"
    if spent.dollars + (dollars or 0.0) > may.dollars:
        return f"${spent.dollars:.4f} of ${may.dollars:.2f}, and this request may cost ${dollars or 0.0:.4f}"
    return None


class Price:
    """US dollars, None where no price is known, and where that is from."""

    def __init__(self, dollars: float | None, source: str) -> None:
        self.dollars = dollars
        self.source = source


def price(model: ModelSettings, tokens_in: int, tokens_out: int, at: datetime) -> Price:
    """By the configuration, or by the list of published prices that comes with genai-prices."""
    if model.price_in is not None or model.price_out is not None:
        dollars = ((model.price_in or 0.0) * tokens_in + (model.price_out or 0.0) * tokens_out) / 1e6
        return Price(dollars, "configuration")
    if model.url is not None:
        return Price(None, "no price is known for a server of one's own")
    return _published(model.protocol, model.model, max(0, tokens_in), tokens_out, at.date().isoformat())


@lru_cache(1024)
def _published(provider: str, model: str, tokens_in: int, tokens_out: int, day: str) -> Price:
    from genai_prices import Usage, calc_price
    from genai_prices import __version__ as edition

    try:
        found = calc_price(Usage(input_tokens=tokens_in, output_tokens=tokens_out), model, provider_id=provider)
    except LookupError:
        return Price(None, f"genai-prices {edition} does not know {model}")
    pages = ", ".join(found.provider.pricing_urls or ())
    known = f"genai-prices {edition}" + (f" of {EDITIONS[edition]}" if edition in EDITIONS else "")
    return Price(float(found.total_price), f"{known}, from {pages}" if pages else known)
