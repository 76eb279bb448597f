"""`log reentry`: the rejected orders of a batch as a file from which `import` makes new ones, on both engines."""

from dataclasses import replace

import pytest

from orderctl.orders.orders import OrderLine, Status
from orderctl.orders.queries import get_order
from support.cli import Cli
from support.factories import KUMO, make_order, put, put_all
from support.stores import open_store

LINES = (
    OrderLine(number=1, sku="=1+1", name="リネン", color="白", size="M", quantity=2, unit_price=2_000),
    OrderLine(number=2, sku="AB-12", quantity=3, unit_price=-50),
)
ORDERS = (
    make_order("1001", total=3_850, quantity=5, lines=LINES, note="ring first\nback door", tags=frozenset({"late"})),
    make_order("1002é", buyer=KUMO, currency="JPY", total=-120, lines=()),
    make_order("1003", buyer=None, reference="PO-7", delivery_to=None),
)


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, ORDERS)
        put(store, make_order("1004", status=Status.OC_CONFIRMED))
    return Cli(store_url, tmp_path / "home")


def stored(url, *ids):
    with open_store(url) as store, store.snapshot() as connection:
        return [get_order(connection, order_id) for order_id in ids]


def rejected(cli, *ids):
    ran = cli("reject", *ids, "--ignore-unknown", "--yes", "--format", "json")
    assert ran.code == 0, ran.err
    return ran.json["batch"]


def entered(order, new, batch):
    """The rejected order as it is entered anew; what only the store says of it is that of `new`."""
    return replace(
        order,
        id=new.id,
        status=Status.NEEDS_OC,
        note="\n".join(filter(None, (f"Re-entry of order {order.id}, rejected by batch {batch}", order.note))),
        tags=frozenset(),
        batch_id=None,
        rejected_at=None,
        changed_at=new.changed_at,
        version=1,
    )


def test_a_batch_is_entered_anew_from_each_format(cli, store_url, tmp_path):
    batch = rejected(cli, *(order.id for order in ORDERS), "1004")
    for ending, rule in (("csv", "{id}-R"), ("xlsx", "NEW {id}"), ("jsonl", "{id}/{id}")):
        file = tmp_path / f"again.{ending}"
        told = cli("log", "reentry", batch[-8:], "-o", str(file), "--new-id", rule)
        assert (told.code, told.out) == (0, "")
        said = f"3 orders written as new ones; enter them with: orderctl import {file}"
        assert said.replace(" ", "") in told.err.replace("\n", "").replace(" ", "")
        old = stored(store_url, *(order.id for order in ORDERS))
        ran = cli("import", str(file), "--format", "json")
        assert (ran.code, ran.json["created"]) == (0, 3), ran.err
        assert stored(store_url, *(order.id for order in ORDERS)) == old
        new = stored(store_url, *(rule.replace("{id}", order.id) for order in old))
        assert new == [entered(order, each, batch) for order, each in zip(old, new, strict=True)]
    assert cli("log", "verify").code == 0
    again = rejected(cli, "1001-R")
    assert cli("log", "reentry", again, "-o", str(tmp_path / "third.csv")).code == 0
    assert "1001-R-R," in (tmp_path / "third.csv").read_text()


def test_what_protected_the_old_order_is_not_of_the_new_one(cli, store_url, tmp_path):
    with open_store(store_url) as store:
        put(store, make_order("1005", backlog_skus=0), make_order("1006"))
    batch = rejected(cli, "1005", "1006")
    with open_store(store_url) as store:  # the source may say of a rejected order that it was invoiced
        put(store, make_order("1005", status=Status.REJECTED, invoices=2, delivery_notes=1, backlog_skus=3))
    file = tmp_path / "again.csv"
    assert cli("log", "reentry", batch, "-o", str(file)).code == 0
    assert cli("import", str(file)).code == 0
    for order in stored(store_url, "1005-R", "1006-R"):
        assert (order.invoices, order.delivery_notes, order.backlog_skus) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{id}-R", "order 1001-R is in the store already"),
        ("again", "--new-id 'again' gives every order the same id"),
        ("{id}" + "x" * 200, "is longer than 200 characters"),
        ("{id}.0", "of order 1001 would be read as '1001'"),
        ("{id}\t", "would be read as"),
        ("{id}\x1bR", "holds a control character"),
    ],
)
def test_new_ids_that_cannot_be_taken_are_refused_before_anything_is_written(cli, store_url, tmp_path, rule, said):
    with open_store(store_url) as store:
        put(store, make_order("1001-R"))
    batch = rejected(cli, "1001")
    file = tmp_path / "again.csv"
    ran = cli("log", "reentry", batch, "-o", str(file), "--new-id", rule)
    assert (ran.code, ran.out, file.exists()) == (2, "", False)
    assert said in ran.err


def test_a_file_that_is_no_import_or_is_there_is_refused(cli, tmp_path):
    batch = rejected(cli, "1001")
    for name in ("again.pdf", "again", "-"):
        ran = cli("log", "reentry", batch, "-o", str(tmp_path / name))
        assert (ran.code, "its ending is no format that import takes" in ran.err) == (2, True)
    kept = tmp_path / "kept.csv"
    kept.write_text("mine")
    assert cli("log", "reentry", batch, "-o", str(kept)).code == 2
    assert kept.read_text() == "mine"
    assert cli("log", "reentry", "nobatch9", "-o", str(tmp_path / "a.csv")).code == 2
    assert cli("log", "reentry", batch, "-o", str(kept), "--force").code == 0
