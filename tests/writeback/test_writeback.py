"""What a rejection tells the systems in which its orders live, and mails that wait for that."""

import pytest

from orderctl.errors import OrderctlError
from support.audit import found_in
from support.stores import REFUSALS, open_store, raw, tamper
from support.systems import Shop

HEADER = "id,status,ordered,currency,total,buyer_id,buyer_name,buyer_email"
BUYERS = {"A": "x", "B": "y", "C": "x", "D": "z"}


@pytest.fixture
def shop(store_url, tmp_path):
    """Four orders: A, B, C in the shop, D in no system. A and C are of one buyer."""
    shop = Shop(tmp_path / "shop", store_url)
    for name, orders in {"shop": "ABC", "paper": "D"}.items():
        file = tmp_path / f"{name}.csv"
        rows = [
            f"{order},needs-oc,2026-01-01,EUR,10,{BUYERS[order]},N {BUYERS[order]},{BUYERS[order]}@b.example"
            for order in orders
        ]
        file.write_text("\n".join([HEADER, *rows]) + "\n")
        assert shop.cli("import", str(file), "--source", name).code == 0
    return shop


def test_orders_are_cancelled_where_they_live_and_their_buyers_told_after_that(shop):
    ran = shop.cli("reject", *"ABCD", "--reason", "style dropped", "--notify", "--yes", "--format", "json")
    assert ran.code == 0
    assert ran.json["plan"]["systems"] == [{"name": "shop", "key": "id", "orders": 3}]
    assert (ran.json["writebacks"]["queued"], ran.json["writebacks"]["sent"]) == (3, 3)
    assert shop.told == ["A", "B", "C"]
    assert shop.documents[0] | {"id": "", "batch": "", "rejected_at": ""} == {
        "id": "", "order": "A", "key": "A", "reference": "", "batch": "", "reason": "style dropped", "reason_code": "",
        "currency": "EUR", "total": "10.00", "rejected_at": "",
    }  # fmt: skip
    assert shop.states() == dict.fromkeys("ABC", "sent")
    assert shop.mails() == {"x@b.example": "sent", "y@b.example": "sent", "z@b.example": "sent"}


def test_the_preview_says_what_happens_in_which_order(shop):
    ran = shop.cli("reject", *"ABCD", "--notify", "--dry-run")
    assert "3 orders are cancelled in shop" in ran.err
    assert "each waits until its orders are cancelled" in " ".join(ran.err.split())
    assert shop.told == []
    now = shop.cli("reject", *"ABCD", "--notify", "--mail-now", "--dry-run")
    assert "each waits" not in now.err


def test_a_conflict_is_named_and_its_buyer_is_not_told(shop):
    shop.answer(B={"outcome": "refused", "detail": "it was shipped"}, C={"outcome": "later", "detail": "busy"})
    ran = shop.cli("reject", *"ABC", "--notify", "--yes")
    assert ran.code == 5
    assert "1 order cancelled there, 1 to try again later, 1 in conflict" in ran.out
    assert "2 held until their orders are cancelled" in ran.out
    assert shop.states() == {"A": "sent", "B": "refused", "C": "retry"}
    assert shop.mails() == {"x@b.example": "held", "y@b.example": "held"}
    listed = shop.cli("writeback", "list", "--state", "refused").out
    assert "shop does not cancel it: it was shipped" in listed
    # An operator decides: the buyer is told all the same.
    assert shop.cli("mail", "retry", "--state", "held", "--recipient", "y@b").code == 0
    assert shop.cli("mail", "send").code == 5
    assert shop.mails() == {"x@b.example": "held", "y@b.example": "sent"}
    # The shop is told again, and the mail goes by itself.
    shop.answer()
    assert shop.cli("writeback", "retry", "--state", "retry").code == 0
    assert shop.cli("writeback", "send").code == 0
    assert shop.cli("mail", "send").code == 0
    assert shop.mails() == {"x@b.example": "sent", "y@b.example": "sent"}
    assert shop.told == ["A", "B", "C", "C"]


@pytest.mark.parametrize("answer", ["die", "sleep", "no json", {"outcome": "perhaps"}], ids=str)
def test_an_answer_that_does_not_come_or_says_nothing_is_unknown_and_never_sent_again_by_itself(shop, answer):
    shop.answer(B=answer)
    assert shop.cli("reject", "B", "--notify", "--yes").code == 5
    assert shop.states() == {"B": "unknown"}
    assert shop.mails() == {"y@b.example": "held"}
    for _ in range(2):
        shop.cli("writeback", "send")
    assert shop.told == ["B"]
    assert shop.cli("writeback", "settle", "--state", "unknown", "--sent").code == 2
    assert shop.cli("writeback", "settle", "--all", "--sent", "--reason", "seen there").code == 0
    assert shop.cli("mail", "send").code == 0
    assert (shop.states(), shop.mails()) == ({"B": "sent"}, {"y@b.example": "sent"})
    [(event)] = shop.cli(
        "writeback", "show", shop.cli("writeback", "list", "--format", "ids").lines[0], "--format", "json"
    ).json["events"]
    assert (event["action"], event["from_state"], event["to_state"]) == ("settle as sent", "unknown", "sent")


@pytest.mark.parametrize(("tampering", "named"), [
    ("UPDATE writeback_event SET reason = 'x'", "log of write-back {id}: is not as act 1 says"),
    ("DELETE FROM writeback_event", "act 1 (writeback-settle as sent): is of 1 record, and the log has 0"),
    ("UPDATE writeback_event SET id = 'x'", "log of write-back {id}: no act tells of it"),
])  # fmt: skip
def test_what_was_done_to_a_write_back_stands_under_the_chain_of_acts(shop, store_url, tampering, named):
    shop.answer(B="die")
    assert shop.cli("reject", "B", "--yes").code == 5
    assert shop.cli("writeback", "settle", "--all", "--sent", "--reason", "seen there").code == 0
    assert found_in(store_url) == []
    (settled,) = shop.cli("writeback", "list", "--format", "ids").lines
    tamper(store_url, tampering)
    assert named.format(id=settled) in found_in(store_url)


def test_a_program_that_cannot_be_started_leaves_the_write_backs_and_their_mails_waiting(shop):
    shop.program.rename(shop.program.with_suffix(".away"))
    ran = shop.cli("reject", *"AD", "--notify", "--yes")
    assert ran.code == 5
    assert shop.states()["A"] in {"waiting", "unknown"}
    assert shop.mails() == {"x@b.example": "held", "z@b.example": "sent"}


def test_a_buyer_is_told_at_once_on_request(shop):
    shop.answer(B={"outcome": "later"})
    assert shop.cli("reject", "B", "--notify", "--mail-now", "--yes").code == 5
    assert shop.mails() == {"y@b.example": "sent"}


def test_a_rehearsal_tells_no_system(shop):
    assert shop.cli("reject", *"AB", "--notify", "--rehearse").code == 0
    assert (shop.told, shop.states()) == ([], {})


def test_a_saved_plan_tells_the_systems_when_it_runs(shop):
    made = shop.cli("reject", *"AB", "--save-plan", "--format", "json").json
    assert shop.told == []
    assert shop.cli("reject", "--plan", made["plan"]["id"], "--yes").code == 0
    assert shop.told == ["A", "B"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE writeback SET state = 'waiting'",
        "UPDATE writeback SET order_id = 'D'",
        "UPDATE writeback SET system_key = 'other'",
        "DELETE FROM writeback",
    ],
)
def test_a_write_back_that_was_sent_is_final(shop, store_url, statement):
    shop.cli("reject", "A", "--yes")
    with raw(store_url) as connection, pytest.raises(REFUSALS):
        connection.execute(statement)
    connection.close()


def test_what_an_operator_does_with_a_write_back_is_logged(shop, store_url):
    shop.answer(A={"outcome": "refused"})
    shop.cli("reject", "A", "--yes")
    with open_store(store_url) as store, pytest.raises(OrderctlError, match="logged"):
        store.write(lambda connection: connection.execute("UPDATE writeback SET state = 'waiting'"))


def test_without_systems_nothing_is_queued(shop):
    shop.config.unlink()
    ran = shop.cli("reject", "A", "--yes", "--format", "json")
    assert ran.json["writebacks"] == {"queued": 0}
    wrong = shop.cli("writeback", "send")
    assert (wrong.code, "no system is set up" in wrong.err) == (2, True)


def test_a_kind_that_there_is_not_is_named(shop):
    shop.config.write_text("[profile.default.systems.shop]\nkind = 'comand'\n")
    ran = shop.cli("reject", "A", "--yes")
    assert (ran.code, "there is no kind 'comand'" in ran.err, "command" in ran.err) == (2, True, True)
