"""What agents may do that come over the Model Context Protocol."""

from watchkeeper.settings.part import Part


class McpSettings(Part):
    """`writes`: whether they may ask for changes at all. Policy decides on each one even then."""

    writes: bool = False
