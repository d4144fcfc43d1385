from engine_fixtures import engine, image, network, run

__all__ = ["engine", "image", "network", "run"]
