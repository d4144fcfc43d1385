from engine_fixtures import engine, image, run

__all__ = ["engine", "image", "run"]
