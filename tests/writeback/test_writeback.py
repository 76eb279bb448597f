"""What a rejection tells the systems in which its orders live, and mails that wait for that."""

import signal
import time

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


def wait_until(true, what):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.05)


def due_again(shop, **answers):
    """A and B wait for the shop, which puts them off at first and answers so from now on."""
    later = {"outcome": "later"}
    shop.answer(A=later, B=later)
    assert shop.cli("reject", *"AB", "--notify", "--yes").code == 5
    assert shop.cli("writeback", "retry", "--all").code == 0
    shop.answer(**answers)


def ended(run):
    """A run that a signal ends after what it has in hand: its code, and the last that it says."""
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=60)
    return run.returncode, " ".join(err.split()).rpartition("orderctl: ")[2]


def test_what_a_signal_stops_says_what_was_sent(shop):
    due_again(shop, A="sleep")
    told = len(shop.told)
    run = shop.cli.start("writeback", "send")
    wait_until(lambda: len(shop.told) > told, "the program to be told")
    assert ended(run) == (143, "stopped; 0 orders cancelled there; what is left waits for: orderctl writeback send")
    assert shop.states() == {"A": "unknown", "B": "retry"}


def test_a_worker_says_what_it_sends_of_each_kind(shop):
    due_again(shop)
    run = shop.cli.start("writeback", "send", "--follow")
    wait_until(lambda: set(shop.mails().values()) == {"sent"}, "the mails")
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=60)
    said = " ".join(err.split())
    assert run.returncode == 143
    assert "orders cancelled there" in said
    assert out.splitlines() == ["2 orders cancelled there", "2 mails sent"]
    left = "what is left waits for: orderctl writeback send, orderctl mail send"
    assert said.endswith(f"stopped; 2 orders cancelled there, 2 mails sent; {left}")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("kind = 'command'\ncommand = '/nowhere/cancel --shop'", "systems.shop.command: there is no program /nowhere"),
        ("kind = 'command'\ncommand = 'no-such-program'", "there is no program no-such-program"),
        ("kind = 'file'\nfolder = '/nowhere'", "shop cannot be reached: /nowhere: No such file or directory"),
        ("kind = 'file'\nfolder = '/dev/null'", "shop cannot be reached: /dev/null: Not a directory"),
        ("kind = 'webhook'\nurl = 'https://shop.example/'", "systems.shop has no secret to sign with"),
        ("kind = 'sql'\nurl = 'postgresql://a@b/c'", "systems.shop.statement is not set"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_asked(shop, settings, said):
    shop.config.write_text(f"[profile.default.systems.shop]\n{settings}\n")
    for options in (["--yes"], ["--yes", "--no-recheck"], ["--dry-run"]):
        ran = shop.cli("reject", "A", *options)
        assert (ran.code, said in " ".join(ran.err.split())) == (2, True), ran.err
    assert shop.cli("search", "status:rejected").lines == []
    assert said in " ".join(shop.cli("config", "check").out.split())
    # Orders that live elsewhere are none of its business.
    assert shop.cli("reject", "D", "--yes").code == 0
