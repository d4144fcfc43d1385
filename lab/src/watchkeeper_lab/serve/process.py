"""`watchkeeper lab serve`: the process itself, on loopback, with a token file of its user's alone."""

import secrets
from collections.abc import Callable
from pathlib import Path

import uvicorn

from watchkeeper_lab.instance import Instance
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.serve.app import create_app

PORT = 8010


def token_file(instance: Instance) -> Path:
    """Where the token is."""
    return instance.folder / "serve-token"


def token_of(instance: Instance) -> str:
    """The same as long as the lab lives."""
    path = token_file(instance)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    path.chmod(0o600)
    return path.read_text().strip()


async def serve(name: str, port: int, results: Path, say: Callable[[str], None]) -> None:
    """Serve the lab of that name until it is told to end. Raises `LabError` where it is not up."""
    lab = await Lab.attach(name)
    app = create_app(lab, token_of(lab.instance), results)
    say(f"Lab `{name}` listens on http://127.0.0.1:{port}. A Watchkeeper forwards to it with this watchkeeper.yaml:")
    say(f'\nlab: {{url: "http://127.0.0.1:{port}", token: "file:{token_file(lab.instance)}"}}\n')
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, access_log=False, log_level="warning", ws="none", lifespan="off"
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        await app.state.desk.validations.stop()
