"""What a lab runs on: containers where an engine can run, else plain processes, and then it says so."""

import shutil
from dataclasses import replace

from watchkeeper_lab import disk
from watchkeeper_lab.containers import Containers, compose_up, names_by_service, remove_project
from watchkeeper_lab.engine import Say, engine_is_ours, ensure_compose, ensure_engine, stop_engine_if_ours
from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.images import ensure_images
from watchkeeper_lab.instance import Instance, load_all
from watchkeeper_lab.processes import Processes, forget_cluster
from watchkeeper_lab.programs import ensure_programs, prepare
from watchkeeper_lab.scenario import left_out, scenarios
from watchkeeper_lab.services import Ground, Services
from watchkeeper_lab.stack import SHOP, Stack

PHRASE = {"container": "in containers", "process": "as plain processes"}


async def choose(known: Instance | None, wanted: Ground | None, say: Say, stack: Stack = SHOP) -> Ground:
    """What a lab is to run on: what it runs on already, what is wanted, else whatever can be had.

    Raises `BadInputError` where a lab is up on something else, or the stack cannot run on what
    is wanted, and `LabError` where what is wanted cannot be had.
    """
    if known is not None and wanted not in (None, known.ground):
        raise BadInputError(
            f"Lab `{known.name}` is there already, and runs {PHRASE[known.ground]}.",
            f"Take it down first (`watchkeeper lab down --name {known.name}`), or give another `--name`.",
        )
    if known is not None and known.stack_name != stack.name:
        raise BadInputError(
            f"Lab `{known.name}` is there already, and is the stack `{known.stack_name}`.",
            f"Take it down first (`watchkeeper lab down --name {known.name}`), or give another `--name`.",
        )
    if stack.containers_only and wanted == "process":
        raise BadInputError(f"The stack `{stack.name}` runs in containers only.", "Leave `--processes` out.")
    wanted = known.ground if known else "container" if stack.containers_only else wanted
    if wanted != "process":
        try:
            await ensure_engine(say)
            await ensure_compose(say)
            return "container"
        except LabError as error:
            if wanted == "container":
                raise
            say(f"{error.what} So the services run as plain processes of this machine.")
    await ensure_programs(say)
    for name, why in left_out("process").items():
        say(f"Left out here: {name} needs a {scenarios()[name].needs}: {why}.")
    return "process"


async def start(instance: Instance, say: Say) -> Instance:
    """Start everything; the instance with what was found out on the way."""
    if instance.ground == "process":
        prepared = await prepare(instance)
        say(f"Starting lab `{instance.name}` as plain processes…")
        await Processes(prepared).start_all()
        return prepared
    images = await ensure_images(say, instance.stack)
    made = replace(instance, image_source=images.source)
    made.save()
    say(f"Starting lab `{instance.name}`…")
    await compose_up(await ensure_compose(say), made, images)
    return made


def services_of(instance: Instance) -> Services:
    """The services of a lab."""
    return Processes(instance) if instance.ground == "process" else Containers(instance.project)


async def remove(name: str, instance: Instance | None) -> bool:
    """End and remove everything of the lab of that name, even of a half-started one; False where there was nothing."""
    if instance is not None and instance.ground == "process":
        await Processes(instance).end_all()
        forget_cluster(instance)
        return True
    project = instance.project if instance else Instance(name, {}, "").project
    if instance is None and shutil.which("docker") is None:
        return False
    existed = bool(await names_by_service(project)) or instance is not None
    await remove_project(project)
    if instance is not None:
        await disk.remove(instance)
    return existed


async def release_engine() -> None:
    """Stop the engine if a lab started it and none needs it: what is left of a lab that was killed does not."""
    if not engine_is_ours():
        return
    for one in load_all():
        if one.ground == "container" and any(state.pid for state in (await services_of(one).states()).values()):
            return
    await stop_engine_if_ours()
