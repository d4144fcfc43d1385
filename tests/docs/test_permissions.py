"""What docs/permissions.md shows to be pasted is what is printed."""

import re
from typing import Any

import pytest

from tests.docs.pages import ROOT
from watchkeeper.cli.rights import printed
from watchkeeper.connectors import Registry
from watchkeeper.domain import Connector

PAGE = (ROOT / "docs" / "permissions.md").read_text()
SHOWN = re.findall(r"<!-- printed: --for (\S+) --as (\S+) -->\n```text\n(.*?)\n```", PAGE, re.DOTALL)
SHIPPED = ("container", "http", "nginx", "pgbouncer", "postgres", "redis", "service")
REGISTRY = Registry([connector for connector in Registry.installed() if connector.kind in SHIPPED])


def test_there_is_something_to_compare() -> None:
    assert len(SHOWN) == PAGE.count("<!-- printed") > 4


@pytest.mark.parametrize(("wanted", "way", "text"), SHOWN, ids=[f"{wanted}-{way}" for wanted, way, _ in SHOWN])
def test_what_is_shown_is_what_is_printed(wanted: str, way: str, text: str) -> None:
    assert text == "\n".join(printed(None, REGISTRY, wanted, way))


@pytest.mark.parametrize("connector", list(REGISTRY), ids=lambda connector: connector.kind)
def test_every_tool_that_is_shipped_declares_what_it_needs(connector: Connector[Any]) -> None:
    assert [tool.name for tool in connector.tools if not tool.rights] == []
