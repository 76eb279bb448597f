"""The mails of a batch under its digest: what was queued is proved, also after a new address and after an erasure."""

import hashlib
import json
import re
from contextlib import closing

import pytest

from orderctl.orders.orders import Buyer
from orderctl.selection.notes import OrderNote, OrderNotes
from support.audit import digests_again, found_in
from support.by_hand import write_batch
from support.cli import maildir_cli
from support.factories import make_order, put_all
from support.project import ROOT
from support.rejection import ids, reject
from support.smtp_server import read
from support.stores import REFUSALS, open_store, raw, tamper

ODD = Buyer(id='B "1"\\', name="Zoë & Søn", email="zoë+oc@bücher.example", country="DE", language="de")
JANE = Buyer(id="B2", name="Jane Döe", email="jane@shop.example", country="FR", language="fr")
BOB = Buyer(id="B3", name="Bob", email="bob@shop.example", country="GB", language="en")
NOTE = 'Sorry,\t"Zoë"\x7f:\nno \\ linen \U0001f9f5 \u2028.'

UNTOLD = "was erased, and no erasure tells of it"


@pytest.fixture
def cli(store_url, tmp_path):
    return maildir_cli(store_url, tmp_path)


@pytest.fixture
def queued(store_url):
    """Two batches: one tells three buyers of four orders, one with a message of its own; one tells Bob again."""
    with open_store(store_url) as store:
        buyers = {"M1": ODD, "M2": JANE, "M3": JANE, "M4": BOB, "M5": BOB}
        put_all(store, [make_order(order_id, buyer=buyer) for order_id, buyer in buyers.items()])
        said = {"M1": NOTE, "M2": "Dear Jane Döe", "M4": "ask jane@shop.example"}
        notes = OrderNotes.pack(OrderNote(id=order_id, message=message) for order_id, message in said.items())
        return [
            reject(store, ids("M1", "M2", "M3", "M4"), notify=True, notes=notes).batch_id,
            reject(store, ids("M5"), notify=True).batch_id,
        ]


def of(url, buyer_id):
    """The ids of the mails to a buyer."""
    with raw(url) as connection:
        found = connection.execute(f"SELECT id FROM mail WHERE buyer_id = '{buyer_id}' ORDER BY created_at, id")
        return [mail_id for (mail_id,) in found.fetchall()]


@pytest.fixture
def as_an_auditor(tmp_path, monkeypatch, capsys):
    """What the script of the page says of an export."""
    page = (ROOT / "docs/reference/log.md").read_text()
    (script,) = [each for each in re.findall("```python\n(.*?)```", page, re.DOTALL) if 'mails_digest"]' in each]

    def run(lines):
        (tmp_path / "log.jsonl").write_text("".join(f"{line}\n" for line in lines))
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        exec(script, {})  # noqa: S102 - as the page says it
        return capsys.readouterr().out.splitlines()

    return run


def test_what_was_queued_is_as_written_and_an_auditor_computes_it_from_the_export(cli, queued, as_an_auditor):
    (verdict,) = cli("log", "verify", "--format", "json").json
    assert (verdict["tampered"], verdict["unknown_mails"]) == (0, 0)
    lines = cli("log", "export").lines
    assert [kept == found for kept, found in digests_again(lines).values()] == [True, True]
    assert as_an_auditor(lines) == [f"{batch_id} mails ok" for batch_id in queued]
    changed = [line.replace("bob@shop.example", "eve@shop.example") for line in lines]
    assert as_an_auditor(changed) == [f"{batch_id} mails WRONG" for batch_id in queued]


CHANGED = "mail {0}: is not as it was queued"
ORDERS = "mails of batch {batch}: they tell of other orders than they were queued for"
TAMPERINGS = {
    "a recipient": (["UPDATE mail SET recipient = 'eve@shop.example' WHERE id = '{0}'"], [CHANGED]),
    "a language": (["UPDATE mail SET language = 'ja' WHERE id = '{0}'"], [CHANGED]),
    "a buyer": (["UPDATE mail SET buyer_id = 'B2' WHERE id = '{0}'"], [CHANGED]),
    "a Message-ID": (["UPDATE mail SET message_id = '<x@y>' WHERE id = '{0}'"], [CHANGED]),
    "a salt": (["UPDATE mail SET salt = '00' WHERE id = '{0}'"], [CHANGED]),
    "no salt": (["UPDATE mail SET salt = '' WHERE id = '{0}'"], [CHANGED]),
    "a message": (["UPDATE mail_order SET message = 'x' WHERE order_id = 'M4'"], [CHANGED]),
    "a message taken away": (["UPDATE mail_order SET message = '' WHERE order_id = 'M4'"], [CHANGED]),
    "another order": (["UPDATE mail_order SET order_id = 'M5' WHERE order_id = 'M3'"], [ORDERS]),
    "an order less": (["DELETE FROM mail_order WHERE order_id = 'M3'"], [ORDERS]),
    "an order in another mail": (["UPDATE mail_order SET mail_id = '{0}' WHERE order_id = 'M3'"], [ORDERS]),
    "two at once": (
        ["UPDATE mail SET recipient = 'eve@shop.example' WHERE id IN ('{0}', '{1}')"],
        [CHANGED, "mail {1}: is not as it was queued"],
    ),
    "short digests": (
        ["UPDATE batch SET mail_leaves = 'zz' WHERE id = '{batch}'"],
        ["batch {batch}: its short digests of mails were edited"],
    ),
    "the digest of the mails": (
        ["UPDATE batch SET mails_digest = '' WHERE id = '{batch}'"],
        ["batch {batch}: was edited: its digest does not match"],
    ),
}


@pytest.mark.parametrize(("statements", "records"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_the_mail_that_somebody_changed_is_named(queued, store_url, statements, records):
    (bobs, _again), (other, *_rest) = of(store_url, "B3"), of(store_url, "B2")
    first, second = sorted([bobs, other])
    names = {"batch": queued[0]}
    if len(records) == 1:
        first = bobs
    tamper(store_url, *(statement.format(first, second, **names) for statement in statements))
    assert found_in(store_url) == [record.format(first, second, **names) for record in records]


def test_an_erased_mail_without_an_erasure_is_named(queued, store_url):
    mail_id = of(store_url, "B2")[0]
    with raw(store_url) as connection:
        row = connection.execute(
            f"SELECT id, buyer_id, recipient, language, message_id, salt FROM mail WHERE id = '{mail_id}'"
        ).fetchone()
    proof = hashlib.sha256((_packed(*row) + _packed("M2", "Dear Jane Döe")).encode()).hexdigest()
    tamper(store_url, f"UPDATE mail SET digest = '{proof}', salt = '', recipient = 'x' WHERE id = '{mail_id}'")
    assert found_in(store_url) == [f"mail {mail_id}: {UNTOLD}"]


def _packed(*texts):
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))


@pytest.fixture
def readdressed(cli, queued, store_url):
    """Bob's first mail goes to another address, and then to a third."""
    mail_id = of(store_url, "B3")[0]
    for address in ("new@shop.example", "newer@shop.example"):
        ran = cli("mail", "retry", mail_id, "--to", address, "--reason", "told by phone")
        assert ran.code == 0, ran.err
    return mail_id


def test_a_new_address_that_was_logged_is_as_written(cli, readdressed, as_an_auditor, store_url):
    assert found_in(store_url) == []
    assert all(said.endswith(" ok") for said in as_an_auditor(cli("log", "export").lines))


MOVED = "mail {0}: goes to another address, and its log has no such change"
MOVES = {
    "the mail alone": (["UPDATE mail SET recipient = 'eve@x.example' WHERE id = '{0}'"], [MOVED]),
    "where it went": (
        ["UPDATE mail_event SET to_recipient = 'eve@x.example' WHERE to_recipient = 'newer@shop.example'"],
        [MOVED, "act 2 (mail-retry): is of other records than the log has"],
    ),
    "the mail and where it went": (
        [
            "UPDATE mail SET recipient = 'eve@x.example' WHERE id = '{0}'",
            "UPDATE mail_event SET to_recipient = 'eve@x.example' WHERE to_recipient = 'newer@shop.example'",
        ],
        ["act 2 (mail-retry): is of other records than the log has"],
    ),
    "a log without a salt": (
        ["UPDATE mail_event SET salt = '' WHERE to_recipient = 'newer@shop.example'"],
        ["act 2 (mail-retry): is of other records than the log has"],
    ),
    "where it was to go first": (
        ["UPDATE mail_event SET from_recipient = 'eve@x.example' WHERE from_recipient = 'bob@shop.example'"],
        ["mail {0}: is not as it was queued", "act 1 (mail-retry): is of other records than the log has"],
    ),
    "an event taken away": (
        ["DELETE FROM mail_event WHERE to_recipient = 'newer@shop.example'"],
        [MOVED, "act 2 (mail-retry): is of 1 record, and the log has 0"],
    ),
}


@pytest.mark.parametrize(("statements", "records"), MOVES.values(), ids=MOVES)
def test_an_address_that_no_act_tells_of_is_named(readdressed, store_url, statements, records):
    tamper(store_url, *(statement.format(readdressed) for statement in statements))
    assert found_in(store_url) == [record.format(readdressed) for record in records]


def cancelled(cli):
    """Nothing waits any more, so that buyers can be erased."""
    assert cli("mail", "cancel", "--all").code == 0


def test_the_proof_holds_after_an_erasure_and_shows_changes_of_what_stays(cli, readdressed, as_an_auditor, store_url):
    cancelled(cli)
    assert cli("buyer", "erase", "B2", "--yes").code == 0
    assert found_in(store_url) == []
    lines = cli("log", "export").lines
    assert not any("jane" in line.lower() for line in lines)
    assert [kept == found for kept, found in digests_again(lines).values()] == [True, True]
    assert all(said.endswith(" ok") for said in as_an_auditor(lines))
    bobs, janes = readdressed, of(store_url, "B2")[0]
    for change, named in {
        f"UPDATE mail SET recipient = 'x' WHERE id = '{janes}'": f"mail {janes}: {UNTOLD}",
        f"UPDATE mail SET digest = 'x' WHERE id = '{janes}'": f"mail {janes}: is not as it was queued",
        f"UPDATE mail SET language = 'x' WHERE id = '{bobs}'": f"mail {bobs}: is not as it was queued",
        "UPDATE mail_order SET message = 'x' WHERE order_id = 'M4'": f"mail {bobs}: is not as it was queued",
    }.items():
        with raw(store_url) as connection:
            column, table = change.split()[3], change.split()[1]
            where = change.partition("WHERE")[2]
            (before,) = connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
        tamper(store_url, change)
        assert found_in(store_url) == [named], change
        tamper(store_url, f"UPDATE {table} SET {column} = '{before}' WHERE {where}")
        assert found_in(store_url) == []


def test_a_buyer_whose_mails_went_elsewhere_can_be_erased(cli, readdressed, store_url):
    cancelled(cli)
    assert cli("buyer", "erase", "B3", "--yes").code == 0
    assert found_in(store_url) == []
    assert cli("buyer", "erase", "B2", "--yes").code == 0
    assert cli("buyer", "erase", 'B "1"\\', "--yes").code == 0
    assert found_in(store_url) == []
    tamper(store_url, f"UPDATE mail_event SET digest = 'x' WHERE mail_id = '{readdressed}' AND digest <> ''")
    assert [found.partition(":")[0] for found in found_in(store_url)] == ["act 1 (mail-retry)", "act 2 (mail-retry)"]


def test_an_address_of_somebody_else_that_is_erased_leaves_the_proof(cli, queued, store_url):
    mail_id = of(store_url, "B3")[0]
    for address in ("jane@shop.example", "bob@new.example"):
        assert cli("mail", "retry", mail_id, "--to", address).code == 0
    cancelled(cli)
    assert cli("buyer", "erase", "B2", "--yes").code == 0
    with raw(store_url) as connection:
        found = connection.execute("SELECT from_recipient, to_recipient FROM mail_event WHERE action = 'retry'")
        assert not any("jane" in text for row in found.fetchall() for text in row)
    assert found_in(store_url) == []


def test_a_batch_whose_mails_were_changed_is_not_erased(cli, queued, store_url):
    cancelled(cli)
    tamper(store_url, f"UPDATE mail SET recipient = 'eve@x.example' WHERE id = '{of(store_url, 'B3')[0]}'")
    ran = cli("buyer", "erase", "B2", "--yes")
    assert (ran.code, "is not as it was written" in " ".join(ran.err.split())) == (1, True)


@pytest.mark.parametrize("wrong", [{"mails_digest": "ab"}, {"mails": 1}], ids=["of no mails", "without a digest"])
def test_the_database_refuses_a_batch_whose_digest_of_mails_does_not_fit(store_url, wrong):
    with open_store(store_url) as store:
        put_all(store, [make_order("H1")])
    with closing(raw(store_url)) as connection:
        connection.execute("BEGIN")
        with pytest.raises(REFUSALS, match="a batch with mails has a digest of them|counts its own"):
            write_batch(connection, ["H1"], text="://" not in store_url, **wrong)


def test_a_letter_that_was_sent_proves_itself_by_the_digest_of_its_message(cli, queued, store_url, tmp_path):
    assert cli("mail", "send").code == 5  # one address is none that a server knows
    sent = {read(path.read_bytes())["To"]: path.read_bytes() for path in (tmp_path / "mails" / "new").iterdir()}
    with raw(store_url) as connection:
        kept = connection.execute(
            f"SELECT id, recipient, sent_digest FROM mail WHERE batch_id = '{queued[0]}'"
        ).fetchall()
    bob = next(mail_id for mail_id, to, _ in kept if to == BOB.email)
    digests = {to: digest[:64] for _, to, digest in kept}
    message = sent[BOB.email].replace(b"\n", b"\r\n")  # a Maildir has the line breaks of its computer
    assert digests[BOB.email] == hashlib.sha256(message).hexdigest()
    assert len({*digests.values()}) == 3  # that of the mail that was refused is empty
    assert found_in(store_url) == []
    for change in ("text = 'We never rejected it.'", "subject = ''", "sent_digest = replace(sent_digest, '0', '1')"):
        with raw(store_url) as connection:
            [before] = connection.execute(f"SELECT subject, text, sent_digest FROM mail WHERE id = '{bob}'").fetchall()
        tamper(store_url, f"UPDATE mail SET {change} WHERE id = '{bob}'")
        assert found_in(store_url) == [
            f"mail {bob}: its letter, or the digest of it, is not as it was when it was sent"
        ]
        subject, text, digest = (value.replace("'", "''") for value in before)
        was = f"subject = '{subject}', text = '{text}', sent_digest = '{digest}'"
        tamper(store_url, f"UPDATE mail SET {was} WHERE id = '{bob}'")
        assert found_in(store_url) == []


def test_the_digest_of_a_message_is_written_as_it_is_sent_and_never_again(cli, queued, store_url):
    assert cli("mail", "send").code == 5
    with raw(store_url) as connection:
        for state in ("sent", "refused"):
            with pytest.raises(REFUSALS, match="keeps its recipient, its orders and its text"):
                connection.execute(f"UPDATE mail SET sent_digest = 'x' WHERE state = '{state}'")
            connection.rollback()
