"""A worker of the queue: `python -m desk.worker`. A mail is short: it is sent without a process of its own."""

from desk.stores import JOBS, MAILS
from rq import SimpleWorker

if __name__ == "__main__":
    SimpleWorker([MAILS], connection=JOBS).work(logging_level="INFO")
