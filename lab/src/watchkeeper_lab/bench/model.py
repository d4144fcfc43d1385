"""A language model in the planner's seat: the one that a `watchkeeper.yaml` names, and what it cost."""

from pathlib import Path
from typing import Any, cast

import yaml

from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.loopback import loopback

MODEL = "model"
"""What `--planner` is called then."""
DEADLINE_SECONDS = 600.0
"""How long a fault may take: three plans of two minutes each, carried out and judged."""
FILE = Path("watchkeeper.yaml")


def said_in(path: Path = FILE) -> dict[str, Any]:
    """Its `llm:` section. Raises BadInputError where it has none."""
    advice = f"Say in {path} which: `llm: {{}}` for Gemini, or see docs/language-model.md."
    try:
        content: Any = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as problem:
        raise BadInputError(f"No language model is named: {path} cannot be read ({problem}).", advice) from None
    said = cast("dict[str, Any]", content).get("llm") if isinstance(content, dict) else None
    if not isinstance(said, dict):
        raise BadInputError(f"No language model is named in {path}.", advice)
    return cast("dict[str, Any]", said)


def configured(config: str, llm: dict[str, Any]) -> str:
    """The `watchkeeper.yaml` of a run: nobody else plans, so what the model is worth shows."""
    seat = yaml.safe_dump({"planner": "model", "llm": llm | {"then": "person"}}, sort_keys=False)
    return f"{config.rstrip()}\n{seat}".lstrip()


async def spent(base_url: str) -> dict[str, Any]:
    """What the model of a run was asked: calls, tokens, US dollars. Its store began empty."""
    async with loopback(base_url, timeout=10.0) as client:
        answer = await client.get("/api/llm")
        answer.raise_for_status()
        return cast("dict[str, Any]", answer.json()["today"])
