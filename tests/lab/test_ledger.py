"""The ledger remembers every acknowledged write, and nothing can be changed in it afterwards."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchkeeper_lab.ledger import Ledger, Write, digest, succeeded


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def test_an_acknowledged_write_is_expected(ledger: Ledger) -> None:
    write = Write.of("draft", "order-draft:1", "{}")
    ledger.acknowledged([write])
    assert ledger.expected() == [write]
    assert write.digest == digest(b"{}")


def test_a_cart_being_checked_out_is_no_longer_expected_but_a_later_write_to_it_is(ledger: Ledger) -> None:
    first = Write.of("cart", "cart:1", "2", field="100")
    later = Write.of("cart", "cart:1", "3", field="200")
    ledger.acknowledged([first])
    ledger.removed("maybe_gone", ["cart:1"])
    ledger.acknowledged([later])
    assert ledger.expected() == [later]


def test_what_expires_soon_is_not_asked_for(ledger: Ledger) -> None:
    soon = Write.of("cart", "cart:1", "2", field="1", expires_at=time.time() + 30)
    late = Write.of("cart", "cart:2", "2", field="1", expires_at=time.time() + 3000)
    ledger.acknowledged([soon, late])
    assert ledger.expected() == [late]


@pytest.mark.parametrize("statement", ["UPDATE writes SET key = 'x'", "DELETE FROM writes", "DELETE FROM requests"])
def test_rows_can_not_be_changed_or_removed(ledger: Ledger, tmp_path: Path, statement: str) -> None:
    ledger.acknowledged([Write.of("draft", "order-draft:1", "{}")])
    ledger.request("GET", "/ready", 200, 0.01)
    other = sqlite3.connect(tmp_path / "ledger.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="append only"):
        other.execute(statement)
    other.close()
    assert len(ledger.expected()) == 1


def test_downtime_is_the_longest_stretch_without_a_success(ledger: Ledger) -> None:
    began = time.time()
    for status in (200, 503, 0, 201):
        ledger.request("GET", "/ready", status, 0.01)
        time.sleep(0.05)
    seen = ledger.requests(began)
    assert (seen.total, seen.failed) == (4, 2)
    assert 0.15 <= seen.downtime < 1.0


def test_no_failure_is_no_downtime_however_quiet_it_was(ledger: Ledger) -> None:
    began = time.time() - 100
    ledger.request("GET", "/ready", 200, 0.01)
    assert ledger.requests(began).downtime == 0.0


def test_two_processes_write_into_one_ledger(ledger: Ledger, tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as second:
        second.acknowledged([Write.of("order", "o1", "100")])
    ledger.acknowledged([Write.of("order", "o2", "100")])
    assert {write.key for write in ledger.expected()} == {"o1", "o2"}


def test_a_refusal_is_an_answer_and_a_failure_is_not() -> None:
    assert [succeeded(status) for status in (200, 201, 409, 500, 503, 0)] == [True, True, True, False, False, False]
