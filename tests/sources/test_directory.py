"""Which of many resources the labels of an alert mean."""

from tests.domain.making import resource
from watchkeeper.sources import Directory

CACHE = resource("cache")
ORDERS = resource("orders", kind="postgres")


def directory() -> Directory:
    made = Directory()
    made.add(CACHE, ["127.0.0.1:6379", "172.18.0.2:6379"], ["shop/cache", "cache", "Sessions"])
    made.add(ORDERS, ["10.0.0.5:5432"], ["orders", "shop"])
    return made


def test_an_address_means_who_is_reached_there_and_comes_before_a_name() -> None:
    assert directory().meant({"instance": "redis://localhost:6379", "service": "orders"}) == [CACHE]
    assert directory().meant({"server": "10.0.0.5:5432"}) == [ORDERS]


def test_a_name_means_who_bears_it_also_as_the_host_of_an_address_that_is_nobodys() -> None:
    assert directory().meant({"service": "sessions"}) == [CACHE]
    assert directory().meant({"instance": "orders:9187", "name": "orders"}) == [ORDERS]


def test_several_are_all_told_each_once_and_nobody_is_guessed() -> None:
    assert directory().meant({"service": "shop", "container": "cache", "app": "cache"}) == [ORDERS, CACHE]
    assert directory().meant({"job": "cache", "instance": ""}) == []
