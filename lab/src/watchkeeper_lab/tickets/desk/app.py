"""The web application: `gunicorn desk.app:app`."""

import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
from desk import practice
from desk.stores import JOBS, MAILS, RETRY, SESSION_SECONDS, SESSIONS, VIEW_SECONDS, VIEWS, mailroom, pool
from flask import Flask, Response, abort, g, request
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

logging.basicConfig(level=logging.INFO, format="[%(asctime)s] %(levelname)s in %(name)s: %(message)s")
log = logging.getLogger("desk")
app = Flask("desk")
tickets = pool()
tickets.open()
if os.environ.get("DESK_PRACTICE") == "yes":
    app.register_blueprint(practice.blueprint)
    app.before_request(practice.broken)


@app.after_request
def _named(answer: Response) -> Response:
    answer.headers["X-Replica"] = socket.gethostname()
    return answer


def _unavailable(error: Exception) -> tuple[dict[str, str], int]:
    log.error("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
    return {"error": type(error).__name__}, 503


for failure in (RedisError, psycopg.Error, PoolTimeout):
    app.register_error_handler(failure, _unavailable)


@app.get("/ping")
def ping() -> str:
    """Alive."""
    return "pong\n"


@app.get("/status")
def status() -> dict[str, str]:
    """Whether both kinds of stores answer."""
    JOBS.ping()
    with tickets.connection() as connection:
        connection.execute("SELECT 1")
    return {"status": "ok"}


@app.post("/api/login")
def login() -> tuple[dict[str, str], int]:
    """A session for somebody."""
    name, document = uuid.uuid4().hex, json.dumps({"agent": request.json["agent"], "since": time.time()})
    SESSIONS.set(f"sess:{name}", document, ex=SESSION_SECONDS)
    return {"session": name, "document": document}, 201


@app.put("/api/drafts/<name>")
def draft(name: str) -> tuple[dict[str, str], int]:
    """An answer that is not sent yet; kept until it is."""
    SESSIONS.set(f"draft:{name}", request.json["text"])
    return {"draft": name}, 201


@app.get("/api/tickets")
def listing() -> dict[str, Any]:
    """The latest tickets."""
    with tickets.connection() as connection:
        rows = connection.execute("SELECT id, subject FROM tickets ORDER BY id DESC LIMIT 20").fetchall()
    return {"tickets": [{"id": row[0], "subject": row[1]} for row in rows]}


@app.post("/api/tickets")
def create() -> tuple[dict[str, int], int]:
    """A new ticket."""
    with tickets.connection() as connection:
        found = connection.execute(
            "INSERT INTO tickets (customer, subject, body) VALUES (%s, %s, %s) RETURNING id",
            (request.json["customer"], request.json["subject"], request.json["body"]),
        ).fetchone()
    return {"id": found[0]}, 201


@app.get("/api/tickets/<int:ticket>")
def show(ticket: int) -> Response:
    """One ticket; from the views where it is there, and where they fail from the database."""
    key, view = f"view:ticket:{ticket}", None
    try:
        view = VIEWS.get(key)
    except RedisError as error:
        log.warning("no view of %s: %s", ticket, error)
    if view is None:
        with tickets.connection() as connection:
            row = connection.execute(
                "SELECT t.id, t.subject, t.body, c.name FROM tickets t JOIN customers c ON c.id = t.customer"
                " WHERE t.id = %s",
                (ticket,),
            ).fetchone()
        if row is None:
            abort(404)
        view = json.dumps(dict(zip(("id", "subject", "body", "customer"), row, strict=True)))
        try:
            VIEWS.set(key, view, ex=VIEW_SECONDS)
        except RedisError as error:
            log.warning("view of %s not kept: %s", ticket, error)
    return Response(view, mimetype="application/json")


@app.post("/api/tickets/<int:ticket>/replies")
def reply(ticket: int) -> tuple[dict[str, str], int]:
    """Keep a reply, and have it mailed."""
    job, text = uuid.uuid4().hex, request.json["text"]
    with tickets.connection() as connection:
        connection.execute("INSERT INTO replies (ticket, job, text) VALUES (%s, %s, %s)", (ticket, job, text))
    MAILS.enqueue("desk.jobs.send_mail", job, ticket, text, job_id=job, retry=RETRY, result_ttl=60, job_timeout=60)
    return {"job": job}, 202


@app.get("/api/mails/<job>")
def mail(job: str) -> dict[str, str]:
    """Whether a mail has gone out; 404 until then."""
    with mailroom(patience=0.0) as connection:
        found = connection.execute("SELECT job FROM outbox WHERE job = %s", (job,)).fetchone()
    if found is None:
        abort(404)
    return {"job": job, "state": "sent"}


@app.get("/api/export")
def export() -> Response:
    """All tickets, one a line, over so many seconds."""
    seconds = min(3600.0, float(request.args.get("seconds", "1")))
    with tickets.connection() as connection:
        rows = connection.execute("SELECT id, subject FROM tickets LIMIT 5000").fetchall()

    def lines() -> Iterator[str]:
        rounds = max(1, int(seconds))
        for turn in range(rounds):
            yield "".join(["id,subject\n", *(f"{one},{subject}\n" for one, subject in rows[turn::rounds])])
            time.sleep(seconds / rounds)

    return Response(lines(), mimetype="text/csv")


@app.before_request
def _began() -> None:
    g.began = time.monotonic()
