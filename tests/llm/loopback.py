"""A server on loopback that speaks the wire protocols of Gemini and of OpenAI's chat completions, scripted.

What it tests is the protocol, and what becomes of every kind of answer; never how well a model reasons. Requests to
Gemini are checked against Google's own description of them: the types of google-genai.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from google.genai import types
from openai.types.chat import CompletionCreateParams
from pydantic import TypeAdapter

Script = Callable[["Request"], Awaitable["Reply"]]


@dataclass
class Request:
    """One request, as both protocols say it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    number: int
    """Of all, from 1."""

    @property
    def gemini(self) -> bool:
        return ":generateContent" in self.path or ":streamGenerateContent" in self.path

    @property
    def text(self) -> str:
        """All of it, to be searched."""
        return json.dumps(self.body, ensure_ascii=False)


@dataclass
class Reply:
    """`call`: a function with its arguments. `text`: words. `raw`: bytes in place of all that."""

    call: tuple[str, dict[str, Any]] | None = None
    text: str = ""
    status: int = 200
    raw: bytes | None = None
    finish: str = ""
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    ends: bool = True
    """Where it streams: without it the connection is cut off after the pieces."""
    between: float = 0.0
    """Seconds between two pieces of a stream."""


@dataclass
class Loopback:
    """`script` answers; what was asked is in `requests`."""

    script: Script
    requests: list[Request] = field(default_factory=list[Request])
    wrong: list[str] = field(default_factory=list[str])
    """What in a request does not fit the vendor's own types."""
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> "Loopback":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                path = line.split()[1].decode()
                headers: dict[str, str] = {}
                while said := (await reader.readline()).decode().strip():
                    name, _, value = said.partition(":")
                    headers[name.lower()] = value.strip()
                body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
                request = Request(path, headers, body, len(self.requests) + 1)
                self.requests.append(request)
                self._check(request)
                reply = await self.script(request)
                if reply.delay:
                    await asyncio.sleep(reply.delay)  # what is tested is a server that is slow
                if reply.status == 200 and reply.raw is None and streams(request):
                    if not await self._stream(writer, request, reply):
                        return
                    continue
                content = reply.raw if reply.raw is not None else json.dumps(said_by(request, reply)).encode()
                extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
                head = f"HTTP/1.1 {reply.status} x\r\ncontent-type: application/json\r\n{extra}"
                writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _stream(self, writer: asyncio.StreamWriter, request: Request, reply: Reply) -> bool:
        """Piece by piece, as server-sent events; whether the connection is left open."""
        writer.write(b"HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in streamed(request, reply):
            data = f"data: {event}\r\n\r\n".encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
            if reply.between:
                await asyncio.sleep(reply.between)  # what is tested is a server that takes its time
        if reply.ends:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return reply.ends

    def _check(self, request: Request) -> None:
        try:
            if request.gemini:
                assert request.headers["x-goog-api-key"], "no key"
                for content in request.body["contents"]:
                    types.Content.model_validate(content)
                for tool in request.body.get("tools", ()):
                    types.Tool.model_validate(tool)
                types.GenerationConfig.model_validate(request.body.get("generationConfig", {}))
            else:
                assert request.path.endswith("/chat/completions"), request.path
                TypeAdapter[Any](CompletionCreateParams).validate_python(request.body)
        except Exception as problem:
            self.wrong.append(f"{request.path}: {problem}")


def said_by(request: Request, reply: Reply) -> dict[str, Any]:
    if reply.status != 200:
        return {"error": {"code": reply.status, "message": reply.text or "it is broken", "status": "UNAVAILABLE"}}
    if request.gemini:
        parts: list[dict[str, Any]] = []
        if reply.text:
            parts.append({"text": reply.text})
        if reply.call:
            parts.append({"functionCall": {"name": reply.call[0], "args": reply.call[1]}})
        return {
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reply.finish or "STOP"}],
            "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100},
            "modelVersion": "gemini-2.5-pro",
        }
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.call:
        function = {"name": reply.call[0], "arguments": json.dumps(reply.call[1])}
        message["tool_calls"] = [{"id": f"call_{request.number}", "type": "function", "function": function}]
    finish = reply.finish or ("tool_calls" if reply.call else "stop")
    return {
        "id": f"chatcmpl-{request.number}",
        "object": "chat.completion",
        "created": 1,
        "model": request.body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    }


def streams(request: Request) -> bool:
    return ":streamGenerateContent" in request.path or request.body.get("stream") is True


def streamed(request: Request, reply: Reply) -> list[str]:
    """The same answer in pieces of a few characters, the usage with the last."""
    whole = said_by(request, reply)
    pieces = [reply.text[at : at + 7] for at in range(0, len(reply.text), 7)]
    events: list[Any] = []
    if request.gemini:
        rest = [part for part in whole["candidates"][0]["content"]["parts"] if "functionCall" in part]
        for piece in pieces:
            events.append({"candidates": [{"content": {"role": "model", "parts": [{"text": piece}]}}]})
        last = {"content": {"role": "model", "parts": rest}, "finishReason": "STOP"}
        if reply.ends:
            events.append(whole | {"candidates": [last]})
        return [json.dumps({"modelVersion": "gemini-2.5-pro", **event}) for event in events]
    said = {"id": whole["id"], "object": "chat.completion.chunk", "created": 1, "model": whole["model"]}
    choice = whole["choices"][0]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": piece} for piece in pieces]
    calls = choice["message"].get("tool_calls", ())
    deltas += [{"tool_calls": [{"index": i, **call}]} for i, call in enumerate(calls)]
    events = [said | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    if not reply.ends:
        return [json.dumps(event) for event in events]
    events.append(said | {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    events.append(said | {"choices": [], "usage": whole["usage"]})
    return [*(json.dumps(event) for event in events), "[DONE]"]


def always(*replies: Reply) -> Script:
    """These, one after the other; the last again and again."""
    given = list(replies)

    async def script(request: Request) -> Reply:
        return given.pop(0) if len(given) > 1 else given[0]

    return script
