"""Questions that people ask: what a model may look at for an answer, and how the answer is told."""

from watchkeeper.server.chat.routes import router

__all__ = ["router"]
