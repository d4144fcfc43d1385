"""`/mcp`: the tools, incidents and runbooks for agents, over the Model Context Protocol (streamable HTTP).

The SDK is imported by the first request, for it takes a second: whoever has no agent does not pay for it.
"""

from watchkeeper.server.mcp.gate import Gate

__all__ = ["Gate"]
