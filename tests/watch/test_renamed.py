"""What was removed while nobody watched is gone at the next start; what is merely not asked for this time is not."""

from collections.abc import Collection
from pathlib import Path

import pytest

from tests import migrated
from watchkeeper.domain import Alert, Health, Resource, now
from watchkeeper.store import Store
from watchkeeper.watch.renamed import retire

CACHE = Resource("docker/lab/container/cache", "cache")
INSIDE = Resource("docker/lab/redis/cache", "cache-redis", runs_on=CACHE.id)
FAR = Resource("local/lab/redis/far", "far")


@pytest.mark.parametrize(
    ("found", "problems", "left_out", "ended"),
    [
        ((), (), (), [CACHE, INSIDE]),
        ((CACHE,), (), (), []),
        ((), (), {("docker", "container", "cache"), ("docker", "redis", "cache")}, []),
        ((), (), {("docker", "container", "cache")}, []),
        ((), ("container",), (), [INSIDE]),
    ],
    ids=["removed", "stopped", "left out by only", "its container left out by only", "not looked for"],
)
async def test_only_what_was_removed_is_gone_with_its_alerts(
    tmp_path: Path,
    found: Collection[Resource],
    problems: Collection[str],
    left_out: Collection[tuple[str, str, str]],
    ended: list[Resource],
) -> None:
    told: list[Resource] = []

    async def vanished(resource: Resource) -> None:
        told.append(resource)

    async with Store.open(migrated.url(tmp_path / "watchkeeper.db")) as store:
        async with store.transaction() as transaction:
            await transaction.put_resources([CACHE, INSIDE, FAR])
        for resource in (CACHE, INSIDE, FAR):
            await store.save(
                Alert(f"al-{resource.slug}", "down", resource.id, "critical", Health.FAILED, "firing", now())
            )
        await retire(store, {resource.id: resource for resource in found}, problems, left_out, vanished)
        firing = {alert.resource for alert in await store.select(Alert, status="firing")}
        assert {one.id for one in told} == {one.id for one in ended}
        assert firing == {one.id for one in (CACHE, INSIDE, FAR)} - {one.id for one in ended}
        assert {event.resource for event in await store.events(kinds=("resource.gone",))} == {one.id for one in ended}
