"""A model server whose features lie in a Redis: what cannot be written there is missing when it predicts.

PORT (it listens there, as model servers do), REDIS_PORT, the server's address and token, a folder for its spool.
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis

from watchkeeper_monitor import Monitor


def main(port: str, store: str, server: str, token: str, spool: str) -> None:
    features = redis.Redis(port=int(store), decode_responses=True)
    monitor = Monitor("ranker", version="1.4.0", server=server, token=token, push_seconds=0.5, spool=spool)

    def predict() -> None:
        for number in range(10**9):
            try:
                features.set(f"clicks:{number}", number % 7, ex=30)
                clicks = int(features.get(f"clicks:{number}") or 0)
            except redis.RedisError:
                clicks = None
            monitor.track(
                f"sku-{number % 9}",
                confidence=0.8,
                latency_seconds=0.01 + number % 5 / 1000,
                features={"clicks": clicks, "age_days": number % 300},
            )
            time.sleep(0.01)  # the rate at which it is asked

    threading.Thread(target=predict, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", int(port)), BaseHTTPRequestHandler).serve_forever()


main(*sys.argv[1:])
