from engine_fixtures import engine, image, network, run
from sshd_fixtures import sshd

__all__ = ["engine", "image", "network", "run", "sshd"]
