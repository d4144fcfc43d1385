"""What a `watchkeeper up` loads, loaded once: programs of the tests are forked from here. It opens nothing."""

import watchkeeper.cli.executor  # noqa: F401
from watchkeeper.connectors.registry import Registry

Registry.installed()
