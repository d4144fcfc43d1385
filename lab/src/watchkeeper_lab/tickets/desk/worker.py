"""A worker of the queue: `python -m desk.worker`. What jobs need is imported once, before it forks for each."""

import desk.jobs  # noqa: F401
from desk.stores import JOBS, MAILS
from rq import Worker

if __name__ == "__main__":
    Worker([MAILS], connection=JOBS).work(logging_level="INFO")
