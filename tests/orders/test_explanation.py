"""What `show` says of an order: every ground, either way of rejecting, since when, what to do instead; both engines."""

import pytest

from orderctl.orders.orders import Status
from support.cli import Cli
from support.factories import make_order, put
from support.stores import open_store

OWN = "reject it on its own: orderctl reject {} --individual"
INVOICE = "cancel the invoice where it was made, import with --lower-counts, then reject"


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put(
            store,
            make_order("S1"),
            make_order("S2", status=Status.OC_APPROVED),
            make_order("S3", status=Status.OC_CONFIRMED, invoices=1),
        )
    return Cli(store_url, tmp_path / "home")


@pytest.mark.parametrize(
    ("order_id", "bulk", "individual", "instead"),
    [
        ("S1", [], [], []),
        ("S2", ["oc-approved"], [], [OWN.format("S2")]),
        ("S3", ["invoiced", "oc-confirmed"], ["invoiced"], [INVOICE]),
    ],
)
def test_the_grounds_as_json(cli, order_id, bulk, individual, instead):
    said = cli("show", order_id, "--format", "json").json["eligibility"]
    for mode, codes in (("bulk", bulk), ("individual", individual)):
        assert [ground["code"] for ground in said[mode]["grounds"]] == codes
        assert said[mode]["allowed"] is (not codes)
    assert said["instead"] == instead
    assert (said["since"], said["event"]) == (None, None)


def test_the_grounds_in_words(cli):
    assert "In bulk     can be rejected" in cli("show", "S1").lines
    lines = [line.rstrip() for line in cli("show", "S3").lines]
    start = next(number for number, line in enumerate(lines) if line.startswith("In bulk"))
    assert lines[start] == "In bulk     cannot be rejected: has an invoice; OC confirmed"
    assert lines[start + 1] == "On its own  cannot be rejected: has an invoice"
    assert " ".join(" ".join(lines[start + 2 : start + 4]).split()).startswith(f"Instead {INVOICE}")


def test_since_when_it_is_rejected_and_by_which_batch(cli):
    batch = cli("reject", "S1", "--yes", "--format", "json").json["batch"]
    said = cli("show", "S1", "--format", "json").json
    (event,) = said["events"]
    assert said["eligibility"]["event"] == event
    assert said["eligibility"]["since"] == event["at"] == said["order"]["rejected_at"]
    at = event["at"].replace("T", " ")[:19]
    text = " ".join(cli("show", "S1").out.split())
    assert "In bulk cannot be rejected: already rejected On its own cannot be rejected: already rejected" in text
    assert f"Since {at} UTC, rejected by mia, batch {batch} Instead nothing is left to do: a rejection is final" in text
