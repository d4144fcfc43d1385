"""The job queue, as RQ keeps it in Redis."""

from watchkeeper_lab.redis_link import RedisLink

QUEUE = "rq:queue:mails"
FAILED = "rq:failed:mails"


async def send_again(link: RedisLink) -> int:
    """Put jobs that failed back into the queue; how many there were."""
    failed: list[bytes] = await link.send("ZRANGE", FAILED, 0, -1)
    for job in failed:
        await link.send("HSET", f"rq:job:{job.decode()}", "status", "queued")
        await link.send("ZREM", FAILED, job)
        await link.send("RPUSH", QUEUE, job)
    return len(failed)


async def waiting(link: RedisLink) -> int:
    """How many jobs wait."""
    return int(await link.send("LLEN", QUEUE))
