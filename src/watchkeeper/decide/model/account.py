"""The account of one thought with one model: what may be sent, what was sent, what it cost, what was wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from watchkeeper.decide.model.budget import Budget, estimated, price
from watchkeeper.domain import now
from watchkeeper.domain.interaction import Interaction, Purpose
from watchkeeper.settings import LlmSettings
from watchkeeper.settings.llm import ModelSettings
from watchkeeper.store import Store, new_id
from watchkeeper.store.scanning import Scanner


class Unanswered(Exception):
    """The model gave nothing that can be used; why, in a few words. `of_provider`: it did not answer at all."""

    def __init__(self, why: str, *, of_provider: bool = False) -> None:
        super().__init__(why)
        self.of_provider = of_provider


class Spent(Exception):
    """No more may be spent; what and until when, in a few words."""


@dataclass
class Account:
    """Each request becomes an Interaction, also one that failed."""

    store: Store
    settings: LlmSettings
    model: ModelSettings
    budget: Budget
    scanner: Scanner
    prompt: str
    attempt: str
    incident: str | None
    purpose: Purpose = "plan"
    last: Interaction | None = None
    masked: int = 0
    traces: Any = None
    """An OpenTelemetry TracerProvider, where traces are wanted."""
    made: dict[str, Interaction] = field(default_factory=dict[str, Interaction])
    """Everything that was asked for the same thought, of whatever model."""

    async def permitted(self, text: str) -> None:
        """Raises Spent, and Unanswered where a known secret stands in what is to be sent: it is not sent then."""
        if self.store.masker.text(text) != text:
            raise Unanswered("a known secret stood in what was to be sent, so it was not sent")
        most = estimated(text) + self.settings.answer_tokens
        if refusal := await self.budget.refusal(self.model, self.incident, most, now(), self.purpose):
            raise Spent(refusal)

    async def answered(
        self,
        at: datetime,
        seconds: float,
        sent: Sequence[Mapping[str, Any]],
        answered: Sequence[Mapping[str, Any]],
        tokens_in: int,
        tokens_out: int,
    ) -> None:
        cost = price(self.model, tokens_in, tokens_out, at)
        clean = tuple({**one, "text": self.scanner.text(str(one["text"]))} for one in answered)
        await self._keep(
            replace(
                self._blank(at, seconds, sent),
                answered=clean,
                input_tokens=tokens_in,
                output_tokens=tokens_out,
                cost=cost.dollars,
                price=cost.source,
            )
        )

    async def failed(self, at: datetime, seconds: float, sent: Sequence[Mapping[str, Any]], why: str) -> None:
        """What was sent counts as read: a provider may charge for it."""
        tokens = estimated("".join(str(one["text"]) for one in sent))
        cost = price(self.model, tokens, 0, at)
        blank = self._blank(at, seconds, sent)
        why = self.scanner.text(why)
        made = replace(blank, status="failed", error=why, input_tokens=tokens, cost=cost.dollars, price=cost.source)
        await self._keep(made)

    async def wrong(self, checks: Sequence[str]) -> None:
        """The last answer did not pass these checks."""
        if self.last is not None:
            await self._keep(replace(self.last, checks=tuple(self.scanner.text(one) for one in checks)))

    def _blank(self, at: datetime, seconds: float, sent: Sequence[Mapping[str, Any]]) -> Interaction:
        fresh, self.masked = self.scanner.masked - self.masked, self.scanner.masked
        return Interaction(
            id=new_id("ask"),
            incident=self.incident,
            at=at,
            status="answered",
            purpose=self.purpose,
            model=self.model.name,
            provider=self.model.provider,
            prompt=self.prompt,
            attempt=self.attempt,
            sent=tuple(sent),
            seconds=seconds,
            masked=fresh,
        )

    async def _keep(self, interaction: Interaction) -> None:
        self.last = self.made[interaction.id] = interaction
        await self.store.save(interaction)
