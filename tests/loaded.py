"""What a `watchkeeper up` loads, loaded once: programs of the tests are forked from here. It opens nothing."""

import gc

import watchkeeper.cli.executor  # noqa: F401
from watchkeeper.connectors.registry import Registry

Registry.installed()
gc.collect()
gc.freeze()  # what all forks share is looked through here, not by each of them anew
