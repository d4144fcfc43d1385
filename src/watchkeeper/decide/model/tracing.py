"""OpenTelemetry spans by its conventions for generative AI, without what was sent and said but where that is wished, as
they have it. Imported only when a model is asked."""

from collections.abc import Generator
from contextlib import contextmanager

from pydantic_ai.models import Model
from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel

from watchkeeper.decide.model.account import Account


def traced(model: Model, account: Account) -> Model:
    """Each request as a span: model, tokens, how it ended."""
    if account.traces is None:
        return model
    content = account.settings.trace_content
    said = InstrumentationSettings(
        tracer_provider=account.traces,
        include_content=content,
        include_binary_content=False,
        include_model_request_parameters=False,
    )
    return InstrumentedModel(model, said)


@contextmanager
def thought(account: Account) -> Generator[None]:
    """The span around all requests of one thought, by which it is found again in the interactions."""
    if account.traces is None:
        yield
        return
    attributes = {"watchkeeper.attempt": account.attempt, "watchkeeper.prompt": account.prompt}
    if account.incident:
        attributes["watchkeeper.incident"] = account.incident
    tracer = account.traces.get_tracer("watchkeeper")
    name = f"watchkeeper {account.purpose}"
    with tracer.start_as_current_span(name, attributes=attributes, record_exception=False):
        yield
