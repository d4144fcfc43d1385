"""The image of the support-bot: packages and the trained model below, what is ours above, so that little is built anew.

The model is trained on this machine, with a scikit-learn that is fetched for it and thrown away: to answer it is not
needed, and the image stays a third of the size.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path

from watchkeeper_lab.command import run
from watchkeeper_lab.engine import Say
from watchkeeper_lab.images import build_image, content, debian_base, digest, image_exists, vendor
from watchkeeper_lab.recipes import RECIPES
from watchkeeper_lab.stack import SHOP

WHEELS = (
    "fastapi>=0.136",
    "uvicorn>=0.35",
    "redis[hiredis]>=6",
    "psycopg[binary,pool]>=3.2",
    "numpy>=2",
    "async-timeout",  # pip asks the host's Python, not the container's, whether redis needs it
)
TRAINING = ("scikit-learn>=1.5", "numpy>=2")
LEARNT_FROM = ("banking77", "bot/answer.py", "bot/model.py", "questions.py", "training.py")


async def ensure_image(say: Say, source: str) -> str:
    """The tag of the image, made now if it is not there yet (about half a minute, once).

    `source`: where the lab's own images come from (`official` or `debian`).
    Raises `LabError` where there is no Python package index, or the image cannot be built.
    """
    with as_file(files("watchkeeper_lab.support_bot")) as folder, as_file(files("watchkeeper_monitor")) as monitor:
        base = RECIPES[SHOP.name]["shop"].official if source == "official" else debian_base()
        model = f"watchkeeper-lab/support-bot-model:{source}-{digest(*_below(folder, base))}"
        ours = [model, *content(monitor), *content(folder / "bot"), (folder / "assets" / "Dockerfile").read_bytes()]
        tag = f"watchkeeper-lab/support-bot:{source}-{digest(*ours)}"
        if await image_exists(tag):
            return tag
        with tempfile.TemporaryDirectory(prefix="watchkeeper-lab-bot-") as scratch:
            if not await image_exists(model):
                began = time.monotonic()
                say("Training the support-bot, and building its image…")
                await _build_model(folder, base, model, Path(scratch))
                say(f"The support-bot learnt from real questions in {time.monotonic() - began:.0f} s.")
            await _build(folder, monitor, model, tag, Path(scratch) / "above")
    return tag


def _below(folder: Path, base: str) -> list[str | bytes]:
    """What packages and model are made from."""
    made: list[str | bytes] = [base, *WHEELS, *TRAINING, (folder / "assets" / "Dockerfile.model").read_bytes()]
    for name in LEARNT_FROM:
        made += content(folder / name) if (folder / name).is_dir() else [(folder / name).read_bytes()]
    return made


async def _build_model(folder: Path, base: str, tag: str, scratch: Path) -> None:
    context = scratch / "below"
    (context / "model").mkdir(parents=True)
    await asyncio.gather(_train(context / "model", scratch / "training"), vendor(context / "site", WHEELS))
    for tests in [path for path in (context / "site").rglob("tests") if path.is_dir()]:
        shutil.rmtree(tests, ignore_errors=True)
    shutil.copy(folder / "assets" / "Dockerfile.model", context / "Dockerfile")
    await build_image(context / "Dockerfile", base, tag, context)


async def _train(model: Path, tools: Path) -> None:
    fetch = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary", ":all:"]
    await run([*fetch, "--target", tools, *TRAINING], timeout=600.0, hint="This image needs a Python package index.")
    train = [sys.executable, "-B", "-m", "watchkeeper_lab.support_bot.training", model]
    await run(train, timeout=300.0, env={"PYTHONPATH": str(tools), "OMP_NUM_THREADS": "1"})


async def _build(folder: Path, monitor: Path, model: str, tag: str, context: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(folder / "bot", context / "bot", ignore=ignored)
    shutil.copytree(monitor, context / "watchkeeper_monitor", ignore=ignored)
    shutil.copy(folder / "assets" / "Dockerfile", context / "Dockerfile")
    await build_image(context / "Dockerfile", model, tag, context)
