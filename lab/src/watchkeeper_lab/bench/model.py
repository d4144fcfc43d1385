"""A language model in the planner's seat: the one that the environment or a file names, and what it took."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.row import Thinking

MODEL, AUTO, SCRIPTED, RUNBOOKS = "model", "auto", "scripted", "runbooks"
"""What `--planner` is called: the model alone; runbooks, then the model; scripted answers in place of a model; runbooks
alone."""
ASKING = (MODEL, AUTO, SCRIPTED)
DEADLINE_SECONDS = 600.0
"""How long a fault may take: three plans of two minutes each, carried out and judged."""
FILE = Path("watchkeeper.yaml")
NAME, URL, KEY = "BENCH_MODEL", "BENCH_MODEL_URL", "BENCH_MODEL_KEY"
"""Variables that name a model, where it answers, and its key."""
_PAGE = 200


def said(environment: Mapping[str, str] = os.environ, path: Path = FILE) -> dict[str, Any]:
    """The `llm:` section of a run: what the environment names, else that of the file. Raises BadInputError."""
    if name := environment.get(NAME):
        one = {"name": name} | ({"url": environment[URL]} if environment.get(URL) else {})
        return {"models": [one | ({"key": f"env:{KEY}"} if environment.get(KEY) else {})]}
    if environment.get(URL):
        raise BadInputError(f"{URL} is set, and {NAME} is not.", f"Set {NAME} too, as in openai:qwen3-32b.")
    return said_in(path)


def said_in(path: Path = FILE) -> dict[str, Any]:
    """The file's `llm:` section. Raises BadInputError where it has none."""
    advice = f"Set {NAME} (and {URL}), or say in {path} which: see docs/language-model.md."
    try:
        content: Any = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as problem:
        raise BadInputError(f"No language model is named: {path} cannot be read ({problem}).", advice) from None
    found = cast("dict[str, Any]", content).get("llm") if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise BadInputError(f"No language model is named in {path}.", advice)
    return cast("dict[str, Any]", found)


def configured(config: str, llm: dict[str, Any], planner: Literal["model", "auto"] = MODEL) -> str:
    """The `watchkeeper.yaml` of a run. With `model` nobody else plans, so what the model is worth shows."""
    section = llm | ({"then": "person"} if planner == MODEL else {})
    return with_settings(config, {"planner": planner, "llm": section})


def with_settings(config: str, settings: Mapping[str, Any]) -> str:
    """A `watchkeeper.yaml` with some more settings."""
    return f"{config.rstrip()}\n{yaml.safe_dump(dict(settings), sort_keys=False)}".lstrip()


async def thinking(base_url: str) -> Thinking:
    """What the models of a run took. Its store began empty."""
    found: list[dict[str, Any]] = []
    before: str | None = None
    async with loopback(base_url, timeout=10.0) as client:
        while True:
            query = {"limit": _PAGE} | ({"before": before} if before else {})
            answer = await client.get("/api/llm/interactions", params=query)
            answer.raise_for_status()
            page = cast("dict[str, Any]", answer.json())
            found += page["items"]
            before = page["next"]
            if before is None:
                break
    begun = {one["attempt"]: one["input_tokens"] for one in found}  # newest first: the first of each is kept
    return Thinking(
        calls=len(found),
        tokens_in=sum(one["input_tokens"] for one in found),
        tokens_out=sum(one["output_tokens"] for one in found),
        dollars=round(sum(one["cost"] or 0.0 for one in found), 6),
        unpriced=sum(one["cost"] is None for one in found),
        seconds=round(sum(one["seconds"] for one in found), 3),
        sent_back=sum(bool(one["checks"]) for one in found),
        prompt=max(begun.values(), default=0),
        prices=tuple(sorted({one["price"] for one in found if one["price"]})),
    )
