"""Archiving and tags, on both engines: what even a rejected order allows (design.md, section 3)."""

import pytest

from factories import NOW, make_order, put
from orderctl.domain.tags import parse_tag
from test_rejection import ids, reject


def change(store, verb, choice, *tag):
    return store.write(
        lambda work: getattr(work.changes, verb)(choice, *tag, event_id=f"{verb}{tag}", actor="mia", at=NOW)
    )


def order(store, order_id):
    with store.snapshot() as work:
        return work.orders.get(order_id)


@pytest.fixture
def _orders(store):
    put(store, make_order("K1"), make_order("K2"), make_order("K3"))
    reject(store, ids("K1"))


@pytest.mark.usefixtures("_orders")
def test_archiving_and_back_count_and_log_only_what_changed(store):
    assert change(store, "archive", ids("K1", "K2", "K9")) == 2
    assert order(store, "K1").archived_at == NOW
    assert change(store, "archive", ids("K1", "K2")) == 0
    assert change(store, "unarchive", ids("K1", "K3")) == 1
    assert order(store, "K1").archived_at is None
    assert order(store, "K2").archived_at == NOW
    with store.snapshot() as work:
        assert [event.kind for event in work.orders.events("K1")][-2:] == ["archived", "unarchived"]
        assert work.orders.events("K3") == ()


@pytest.mark.usefixtures("_orders")
def test_tags_come_and_go(store):
    assert change(store, "tag", ids("K1", "K2"), "late") == 2
    assert change(store, "untag", ids("K2", "K3"), "late") == 1
    assert order(store, "K1").tags == {"late"}
    assert order(store, "K2").tags == frozenset()


@pytest.mark.parametrize("text", ["", "  ", "a,b", "none", "ANY", "x" * 61, "a\x1bb"])
def test_what_is_not_a_tag(text):
    with pytest.raises(ValueError, match="is|holds|means"):
        parse_tag(text)
