"""Pages by key: each begins after the last order of the one before, and all of them together are the whole list."""

from datetime import UTC, date, datetime

import pytest

from orderctl.filters.filters import OrderFilter
from orderctl.filters.queries import SORTS
from orderctl.search.queries import Page, list_ids, list_orders
from support.cli import Cli
from support.factories import make_order, put_all
from support.stores import open_store

EVERYTHING = OrderFilter("")
ORDERS = [
    make_order(
        f"P{number:02}",
        total=100 * (number % 4),
        country=None if number % 3 == 0 else "FR",
        delivery_from=None if number % 5 == 0 else date(2026, 9, 1 + number % 3),
        delivery_to=None,
        ordered_at=datetime(2026, 1, 1 + number % 6, tzinfo=UTC),
        reference="" if number % 2 else f"r{number % 7}",
    )
    for number in range(23)
]


@pytest.fixture
def filled(store):
    put_all(store, ORDERS)
    return store


def in_pages(connection, sort, size):
    last = None
    while page := list(list_orders(connection, EVERYTHING, Page(limit=size, sort=sort, after=last))):
        assert len(page) <= size
        yield from (order.id for order in page)
        last = page[-1].id


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("name", SORTS)
def test_the_pages_together_are_the_whole_list(filled, name, sign):
    sort = sign + name
    with filled.snapshot() as connection:
        whole = list(list_ids(connection, EVERYTHING, Page(sort=sort)))
        assert list(in_pages(connection, sort, 4)) == whole
        assert list(list_ids(connection, EVERYTHING, Page(sort=sort, after=whole[10]))) == whole[11:]
    assert len(whole) == len(ORDERS)


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, ORDERS)
    return Cli(store_url, tmp_path / "home")


def test_search_goes_on_after_an_order(cli):
    ran = cli("search", "--sort", "id", "--after", "P20")
    assert (ran.code, ran.lines) == (0, ["P21", "P22"])
    assert cli("search", "country:FR", "--sort", "-id", "--after", "P03", "--limit", "1").lines == ["P02"]


def test_search_after_an_order_that_is_not_there_says_so(cli):
    ran = cli("search", "--after", "P99")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "orderctl: there is no order 'P99' in this store, so nothing comes after it\n"
        "hint: --after takes the last id of the page before\n"
    )
