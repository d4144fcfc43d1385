"""What a model hands in: one typed value."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=2000)]


class Argument(BaseModel):
    """One argument of a step, by its name in the tool's schema. A list or a mapping is written as JSON."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=100)]
    value: str | float | bool


class AnswerStep(BaseModel):
    """One call of one tool on one resource."""

    model_config = ConfigDict(extra="forbid")
    tool: Annotated[str, Field(max_length=200)]
    resource: Annotated[str, Field(max_length=300)]
    arguments: list[Argument] = Field(default_factory=list[Argument])
    why: Text = ""
    expected: Text = ""


class RuledOut(BaseModel):
    """Another cause, and what speaks against it."""

    model_config = ConfigDict(extra="forbid")
    cause: Text
    why: Text


class Answer(BaseModel):
    """The root cause of the incident with what it rests on, and the plan; or no steps, and why nothing should be
    done."""

    model_config = ConfigDict(extra="forbid")
    root: Annotated[str, Field(max_length=300, description="The resource that is the root cause, as it is listed.")]
    cause: Text = Field(description="What is wrong with it, in one sentence.")
    reasoning: Text = Field(description="Why it is that, in a few sentences.")
    evidence: list[str] = Field(max_length=20, description="Ids of what it rests on, as they were shown: R3, L1.")
    ruled_out: list[RuledOut] = Field(default_factory=list[RuledOut], max_length=10)
    confidence: float = Field(ge=0, le=1)
    accounts_for: list[str] = Field(
        default_factory=list[str],
        max_length=50,
        description="Every other unwell resource of the incident: it suffers from the root, is handled, or is left.",
    )
    steps: list[AnswerStep] = Field(default_factory=list[AnswerStep], max_length=5)
    nothing: Text = Field(default="", description="Only without steps: why nothing should be done.")
