"""What judges the support desk, besides what judges every Redis and PostgreSQL."""

from watchkeeper_lab.tickets.oracle import desk, pages, pooler

__all__ = ["desk", "pages", "pooler"]
