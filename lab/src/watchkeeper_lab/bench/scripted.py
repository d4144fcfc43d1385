"""Scripted answers in place of a language model, over the real protocol (OpenAI's chat completions, on loopback).

What it shows is that the way there and back works: prompt, look-up, checks, plan, tokens counted. It reads nothing but
which names and ids it was shown, and what it hands in stands in the scenario's file: it measures no reasoning.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self, cast

from watchkeeper_lab.scenario import Scenario

NAME = "openai:scripted"
BANNER = "PROTOCOL RUN: the answers were scripted. It shows the way there and back, and measures no reasoning."
_ID = re.compile(r"\[([AR]\d+)\]")
_FORGOTTEN = re.compile(r"you say nothing about them: ([\w., -]+?)\.(?:[^\w.]|$)")
_CHARACTERS_A_TOKEN = 4


class Scripted:
    """Answers for one scenario at a time, which whoever runs it names in `scenario`. First it looks further once, then
    it hands in; what it was told to have forgotten, it adds."""

    def __init__(self) -> None:
        self.scenario: Scenario | None = None
        self.asked = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def llm(self) -> dict[str, Any]:
        """The `llm:` section with which it is asked."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        model = {"name": NAME, "url": f"http://127.0.0.1:{port}/v1", "price_in": 0, "price_out": 0}
        return {"models": [model]}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await reader.readline():
                length = 0
                while line := (await reader.readline()).decode().strip().lower():
                    if line.startswith("content-length:"):
                        length = int(line.partition(":")[2])
                body = json.loads(await reader.readexactly(length) or b"{}")
                self.asked += 1
                content = json.dumps(completion(body, self.scenario, self.asked)).encode()
                head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
                writer.write(head.encode() + content)
                await writer.drain()
        writer.close()


def completion(body: Mapping[str, Any], scenario: Scenario | None, number: int) -> dict[str, Any]:
    """One answer, as OpenAI words it."""
    messages = cast("list[dict[str, Any]]", body.get("messages", []))
    texts = [text(message) for message in messages]
    looked = any(message.get("role") == "assistant" for message in messages)
    shown = "\n".join(texts)
    name, arguments = hand_in(scenario, shown) if looked and scenario else look(scenario, shown)
    call = {"name": name, "arguments": json.dumps(arguments)}
    tokens = len(shown) // _CHARACTERS_A_TOKEN, len(call["arguments"]) // _CHARACTERS_A_TOKEN
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"call_{number}", "type": "function", "function": call}],
    }
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1,
        "model": str(body.get("model", "scripted")),
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
    }


def text(message: Mapping[str, Any]) -> str:
    """The words of a message."""
    content: Any = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in cast("list[dict[str, Any]]", content))


def root(scenario: Scenario | None, shown: str) -> str:
    """What was shown of the scenario's root, by the name it has there; empty where it was not."""
    for one in scenario.roots if scenario else ():
        slugs = re.findall(rf"^([\w.-]+): {re.escape(one.kind)}, ", shown, re.MULTILINE)
        if found := next((slug for slug in slugs if slug.startswith(one.service)), None):
            return found
    return ""


def look(scenario: Scenario | None, shown: str) -> tuple[str, dict[str, Any]]:
    """One look-up: what its log says."""
    return "look", {"tool": "logs", "resource": root(scenario, shown), "arguments": []}


def hand_in(scenario: Scenario, shown: str) -> tuple[str, dict[str, Any]]:
    """What the scenario's file says, with the names and ids that were shown."""
    said, slug = scenario.script, root(scenario, shown)
    forgotten = [name for found in _FORGOTTEN.findall(shown) for name in found.split(", ")]
    steps = [
        {
            "tool": step["tool"],
            "resource": slug,
            "arguments": [{"name": name, "value": value(given, shown)} for name, given in step.get("with", {}).items()],
            "why": "It is in the script.",
        }
        for step in said.get("steps", [])
    ]
    return "hand_in", {
        "root": slug,
        "cause": said.get("cause", scenario.description),
        "reasoning": "A scripted answer: nothing was reasoned.",
        "evidence": list(dict.fromkeys(_ID.findall(shown)))[:3],
        "confidence": 1.0,
        "accounts_for": list(dict.fromkeys(forgotten)),
        "steps": steps,
        "nothing": said.get("nothing", ""),
    }


def value(given: Any, shown: str) -> Any:
    """As it stands in the file; `= name` is the figure or fact of that name that was shown last."""
    if not (isinstance(given, str) and given.startswith("= ")):
        return given
    name = re.escape(given.removeprefix("= "))
    found = re.findall(rf"\b{name}(?:=|: )([^\s;]+)", shown)
    return found[-1] if found else given
