"""The images of the lab's services: official ones where they can be pulled, else built from Debian packages.

Each is tagged by a hash of everything it is made from, so it is built once and built again when that changes.
"""

import hashlib
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from watchkeeper_lab.apt import mirror
from watchkeeper_lab.command import attempt, run
from watchkeeper_lab.engine import Say, apt_install, root_on_debian
from watchkeeper_lab.errors import MissingError
from watchkeeper_lab.recipes import RECIPES, Recipe
from watchkeeper_lab.stack import SHOP, Stack

SUITE = "bookworm"
PACKAGES = "redis-server,nginx-light,postgresql-15,python3"
PULL_SECONDS = 120.0
"""How long the one attempt to pull an official image may take."""


@dataclass(frozen=True, slots=True)
class Images:
    """The tag to run for each service, and where they come from (`official` or `debian`)."""

    tags: dict[str, str]
    source: str


def digest(*parts: str | bytes) -> str:
    """Twelve hex digits that tell what something is made from."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part if isinstance(part, bytes) else part.encode())
        whole.update(b"\0")
    return whole.hexdigest()[:12]


def content(root: Path) -> list[str | bytes]:
    """Names and contents of every source file below `root`, in order."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [part for path in paths for part in (str(path.relative_to(root)), path.read_bytes())]


async def image_exists(tag: str) -> bool:
    """Whether the engine has it."""
    return (await attempt(["docker", "image", "inspect", tag], timeout=20.0)).ok


async def ensure_images(say: Say = print, stack: Stack = SHOP) -> Images:
    """Return the images of a stack's services, made now if they are not there yet (about three minutes, once).

    Raises `LabError` where official images cannot be pulled and Debian's cannot be built.
    """
    recipes = RECIPES[stack.name]
    with as_file(files("watchkeeper_lab")) as package:
        for source in ("official", "debian"):
            tags = _tags(package, source, recipes)
            if all([await image_exists(tag) for tag in tags.values()]):
                return Images(tags, source)
        source, below = await _bases(say, recipes)
        tags = _tags(package, source, recipes)
        with tempfile.TemporaryDirectory(prefix="watchkeeper-lab-") as scratch:
            for service, tag in tags.items():
                if not await image_exists(tag):
                    say(f"Building the image of {service}…")
                    await _build(recipes[service], source, below[service], tag, package, Path(scratch) / service)
    return Images(tags, source)


def _tags(package: Path, source: str, recipes: Mapping[str, Recipe]) -> dict[str, str]:
    """The tag of each service's image: by where it comes from and what it is made from."""
    made_from = {
        service: [PACKAGES, SUITE, *content(package / one.assets), *one.wheels]
        + (content(package / one.code) if one.code else [])
        for service, one in recipes.items()
    }
    return {service: f"watchkeeper-lab/{service}:{source}-{digest(*parts)}" for service, parts in made_from.items()}


def debian_base() -> str:
    """The tag of the base image that is made from Debian packages."""
    return f"watchkeeper-lab/base:{digest(SUITE, PACKAGES)}"


async def _bases(say: Say, recipes: Mapping[str, Recipe]) -> tuple[str, dict[str, str]]:
    """Where the images start from: the official ones if they can be pulled, else one made from Debian packages."""
    base = debian_base()
    if not await image_exists(base):  # once that was needed, no registry could be reached from here
        say("Pulling official images…")
        official = {service: one.official for service, one in recipes.items()}
        if await _pull(sorted({*official.values()})):
            return "official", official
        await _debootstrap(base, say)
    return "debian", dict.fromkeys(recipes, base)


async def _pull(names: list[str]) -> bool:
    """Pull the images, each tried once; False as soon as one cannot be had."""
    for name in names:
        try:
            if not (await attempt(["docker", "pull", "--quiet", name], timeout=PULL_SECONDS)).ok:
                return False
        except TimeoutError:
            return False
    return True


async def _debootstrap(tag: str, say: Say) -> None:
    """Make the base image from Debian packages, taken from the mirror this machine's own apt uses."""
    if not root_on_debian():
        raise MissingError(
            "Official images cannot be pulled from here, and building them needs root on Debian.",
            "Give the engine access to a registry (a mirror in /etc/docker/daemon.json), or run as root on Debian.",
        )
    if shutil.which("debootstrap") is None:
        await apt_install("debootstrap")
    uri = mirror()
    say(f"No registry can be reached: building a base image from Debian packages of {uri} (about two minutes, once)…")
    with tempfile.TemporaryDirectory(prefix="watchkeeper-lab-root-") as scratch:
        root, archive = Path(scratch) / "root", Path(scratch) / "root.tar"
        await run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root, uri],
            timeout=900.0,
            hint=f"Check that {uri} can be reached (`apt-get update`).",
        )
        cached = ("./var/cache/apt/*", "./var/lib/apt/lists/*", "./usr/share/doc/*", "./usr/share/man/*")
        await run(["tar", "-C", root, *[f"--exclude={path}" for path in cached], "-cf", archive, "."], timeout=300.0)
        await run(["docker", "import", archive, tag], timeout=300.0)


async def _build(made: Recipe, source: str, base: str, tag: str, package: Path, context: Path) -> None:
    shutil.copytree(package / made.assets, context)
    if made.code:
        code = package / made.code
        shutil.copytree(code, context / code.name, ignore=shutil.ignore_patterns("__pycache__"))
        await vendor(context / "site", made.wheels)
    recipe = context / f"Dockerfile.{source}"
    recipe = recipe if recipe.exists() else context / "Dockerfile"
    await build_image(recipe, base, tag, context, network="host" if made.fetches else "none")


async def build_image(recipe: Path, base: str, tag: str, context: Path, network: str = "none") -> None:
    """`docker build` on top of `base`; without a network, as a rule."""
    build = ["docker", "build", "--quiet", "--network", network, "--build-arg", f"BASE={base}"]
    await run([*build, "--file", recipe, "--tag", tag, context], timeout=600.0)


async def vendor(target: Path, wheels: tuple[str, ...]) -> None:
    """Fetch the packages on the host, for the container's Python 3.11: the engine may have no way to an index."""
    machine = platform.machine()
    platforms = [f"--platform={name}_{machine}" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(target)]
    command += ["--python-version", "3.11", "--implementation", "cp", "--only-binary", ":all:", *platforms]
    await run([*command, *wheels], timeout=600.0, hint="This image needs a Python package index.")
