"""What a replay may do to the bot: make it slow, let it fail, put another version in. Where SUPPORT_BOT_PRACTICE=1."""

import asyncio
import random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from .answer import BAD, GOOD


class ModelUnavailable(Exception):
    """The model did not answer."""


class Practice(BaseModel):
    """How it is to behave. As it comes: quick, without errors, and the good version."""

    model_config = ConfigDict(extra="forbid")
    version: Annotated[str, Field(pattern=f"^({GOOD}|{BAD})$")] = GOOD
    delay_seconds: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Added to each answer."""
    error_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of the questions, drawn by their texts."""

    async def obstruct(self, question: str) -> None:
        """Raises ModelUnavailable for its share of the questions."""
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        if self.error_share and random.Random(question).random() < self.error_share:
            raise ModelUnavailable("the model did not answer")
