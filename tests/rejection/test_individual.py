"""One order singled out by its id: `reject ID --individual` (design.md, section 3)."""

import pytest

from orderctl.orders.orders import Status
from support.cli import maildir_cli
from support.factories import NOW, make_order, put
from support.stores import open_store


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put(
            store,
            make_order("I1"),
            make_order("I2", status=Status.OC_APPROVED),
            make_order("I3", status=Status.OC_DECLINED),
            make_order("I4", status=Status.OC_CONFIRMED),
            make_order("I5", status=Status.RETURNED_TO_CART),
            make_order("I6", status=Status.REJECTED, rejected_at=NOW),
            make_order("I7", status=Status.OC_CONFIRMED, invoices=1),
        )
    return maildir_cli(store_url, tmp_path)


def test_an_order_on_its_own_is_rejected_with_mail_and_log(cli, tmp_path):
    assert "0 orders" in cli("reject", "I4", "--dry-run").err
    ran = cli("reject", "I4", "--individual", "--yes", "--reason", "dropped", "--notify", "--format", "json")
    assert ran.code == 0
    assert (ran.json["plan"]["mode"], ran.json["rejected"], ran.json["mails"]["sent"]) == ("individual", 1, 1)
    assert "This cannot be undone." in ran.err
    assert len(list((tmp_path / "mails" / "new").iterdir())) == 1
    (event,) = cli("show", "I4", "--format", "json").json["events"]
    assert (event["from_status"], event["to_status"], event["detail"]) == ("oc-confirmed", "rejected", "dropped")
    (batch,) = cli("log", "--format", "json").json
    assert (batch["mode"], batch["rejected"]) == ("individual", 1)


def test_what_may_be_rejected_on_its_own_is_the_individual_column(cli):
    ended = {}
    for order_id in ("I1", "I2", "I3", "I4", "I5", "I6", "I7"):
        ran = cli("reject", order_id, "--individual", "--yes", "--format", "json")
        ended[order_id] = (ran.code, ran.json["rejected"], [group["code"] for group in ran.json["plan"]["skipped"]])
    rejected = (0, 1, [])
    assert ended == {
        "I1": rejected,
        "I2": rejected,
        "I3": rejected,
        "I4": rejected,
        "I5": (3, 0, ["returned-to-cart"]),
        "I6": (3, 0, ["already-rejected"]),
        "I7": (3, 0, ["invoiced"]),
    }


@pytest.mark.parametrize(
    "source",
    [
        ["I2", "I3"],
        ["--filter", "id:I2"],
        ["--ids", "-"],
        ["--name", "x"],
        ["--saved", "x"],
        [],
        ["I2", "--except", "I2"],
    ],
    ids=" ".join,
)
def test_more_than_one_id_or_another_source_is_a_wrong_call(cli, source):
    ran = cli("reject", *source, "--individual", "--yes", stdin="I2\n")
    assert (ran.code, ran.out) == (2, "")
    assert "--individual rejects one order, named by its id" in ran.err
    assert "rejected" not in cli("show", "I2", "--format", "json").json["order"]["status"]


def test_without_a_terminal_or_yes_nothing_is_rejected(cli):
    assert cli("reject", "I2", "--individual").code == 2
    assert cli("reject", "I2", "--individual", "--dry-run").code == 0
    assert cli("show", "I2", "--format", "json").json["order"]["status"] == "oc-approved"
