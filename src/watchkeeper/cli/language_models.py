"""Whether each language model that is configured is there and answers: for `doctor`."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from watchkeeper.cli.finding import Finding

if TYPE_CHECKING:
    from watchkeeper.settings import Settings
    from watchkeeper.settings.llm import ModelSettings

GOOGLE = "https://generativelanguage.googleapis.com"
OPENAI = "https://api.openai.com/v1"
SECONDS = 5.0


def language_models(settings: "Settings") -> Iterator[Finding]:
    """Each is asked for the list of its models: that costs nothing, and tells whether the key is right."""
    if settings.llm is None:
        return
    if settings.planner in ("runbooks", "agents"):
        yield Finding(
            "llm", "ok", f"answers questions (`watchkeeper ask`), plans nothing: planner is {settings.planner}"
        )
    if find_spec("pydantic_ai") is None:
        yield Finding("llm", "broken", "its libraries are not there", "pip install 'watchkeeper[llm]'")
    for model in settings.llm.models:
        yield _asked(model)


def _asked(model: "ModelSettings") -> Finding:
    import httpx

    from watchkeeper.domain.errors import ConfigurationError
    from watchkeeper.settings import secret

    advice = "Runbooks go on without it. See docs/language-model.md."
    try:
        key = secret(model.reference) if model.reference else ""
    except ConfigurationError as problem:
        return Finding("llm", "missing", f"{model.name}: {problem.what}", problem.next_step)
    google = model.protocol == "google"
    base = model.url or (GOOGLE if google else OPENAI)
    path = f"{base}/v1beta/models/{model.model}" if google else f"{base}/models"
    headers = {"x-goog-api-key": key} if google else {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(path, headers=headers, timeout=SECONDS)
        body: Any = answer.json() if answer.is_success else {}
    except (httpx.HTTPError, ValueError) as problem:
        said = f"{model.name} at {base} does not answer: {type(problem).__name__}"
        return Finding("llm", "missing", said, advice)
    if not answer.is_success:
        why = "the key is refused" if answer.status_code in (400, 401, 403) else f"it answers {answer.status_code}"
        return Finding("llm", "missing", f"{model.name} at {base}: {why}", advice)
    listed = [one.get("id") for one in body.get("data", [])] if isinstance(body, dict) and not google else []  # pyright: ignore
    if listed and model.model not in listed:
        return Finding("llm", "missing", f"{model.name} at {base}: it has no {model.model}", f"It has: {listed}.")
    return Finding("llm", "ok", f"{model.name} at {base} answers")
