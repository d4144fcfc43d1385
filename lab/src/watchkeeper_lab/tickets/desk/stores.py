"""Where the desk keeps things: tickets and the mailroom behind the pooler; jobs, views and sessions in three databases
of one Redis."""

import os
import time
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool
from redis import Redis
from rq import Queue, Retry

PATIENCE = 2.0
"""Seconds that a request waits for a store."""
QUEUE = "mails"
VIEW_SECONDS = 300
SESSION_SECONDS = 1800


def redis(database: int) -> "Redis":
    """A client of one of the databases."""
    return Redis.from_url(
        os.environ["BROKER_URL"],
        db=database,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        health_check_interval=15,
    )


JOBS, VIEWS, SESSIONS = redis(0), redis(3), redis(5)
MAILS = Queue(QUEUE, connection=JOBS)
RETRY = Retry(max=5)


def pool() -> "ConnectionPool[psycopg.Connection[Any]]":
    """Connections to the tickets. No prepared statements: the pooler gives each transaction another session."""
    return ConnectionPool(
        os.environ["TICKETS_DSN"],
        kwargs={"prepare_threshold": None, "connect_timeout": 3, "application_name": "desk"},
        min_size=1,
        max_size=6,
        timeout=PATIENCE,
        check=ConnectionPool.check_connection,
        open=False,
    )


def mailroom(patience: float = 20.0) -> "psycopg.Connection[Any]":
    """A connection to the mailroom, tried again for a while."""
    until = time.monotonic() + patience
    while True:
        try:
            return psycopg.connect(
                os.environ["MAILROOM_DSN"], prepare_threshold=None, connect_timeout=3, application_name="mailer"
            )
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
