"""Mails that come back: whose report it is, what is recorded, and what an operator does then."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes

import pytest

from orderctl.delivery.outbox import RETRY, DeliveryState
from orderctl.mail.outbox import MailQuery
from orderctl.mail.queries import list_mails
from support.bounces import REPORTS, report
from support.cli import Cli, maildir_cli
from support.factories import ACME, make_order, put
from support.imap_server import imap_server
from support.mail import act, claim, get, mail_cli, settle, start
from support.rejection import ids, reject
from support.smtp_server import HOST, PASSWORD, USER, busy_server, ca_file

SENT, BOUNCED = DeliveryState.SENT, DeliveryState.BOUNCED
ADDRESSES = {name: f"buyer{number}@buyer.example" for number, name in enumerate(REPORTS)} | {
    "sendmail": "orders+26ss@acme.example",
    "gmail": "aline+wholesale@gmail.example",
}


def sent_mails(store, *addresses, state=SENT):
    """A mail that the server took to each address, by its order; oldest first."""
    orders = [
        make_order(f"B{number:02}", buyer=replace(ACME, id=f"buyer{address}", email=address))
        for number, address in enumerate(addresses)
    ]
    put(store, *orders)
    batch_id = reject(store, ids(*(order.id for order in orders)), notify=True, per_order=True).batch_id
    mail_ids = [f"{batch_id}.{number}" for number in range(1, len(addresses) + 1)]
    send(store, *mail_ids, state=state)
    return [get(store, mail_id) for mail_id in mail_ids]


def send(store, *mail_ids, state=SENT):
    claim(store, limit=100, now=datetime.now(UTC) + timedelta(minutes=1))
    for mail_id in mail_ids:
        start(store, mail_id)
        settle(store, mail_id, state, detail="250 taken")


class Mailbox:
    """A Maildir that reports come into, and the command that reads it."""

    def __init__(self, folder, cli):
        self.folder, self.cli = folder, cli
        for name in ("new", "cur", "tmp"):
            (folder / name).mkdir(parents=True)

    def put(self, message, name=None, folder="new"):
        (self.folder / folder / (name or str(len(list(self.folder.rglob("*")))))).write_bytes(message)

    def read(self, *more):
        return self.cli("mail", "bounces", str(self.folder), *more)

    @property
    def content(self):
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def mailbox(store_url, tmp_path):
    return Mailbox(tmp_path / "reports", mail_cli(store_url, tmp_path / "home", 25))


def messages(**counted):
    every = ("bounced", "known", "noted", "in-hand", "delayed", "copy", "earlier", "doubtful", "foreign", "other")
    return dict.fromkeys(every, 0) | {name.replace("_", "-"): number for name, number in counted.items()}


def test_the_report_of_each_common_server_is_for_its_own_mail(store, mailbox):
    mails = dict(zip(REPORTS, sent_mails(store, *(ADDRESSES[name] for name in REPORTS)), strict=True))
    # The same addresses once more: a report that went by the address alone would find two mails.
    others = [f"X{number:02}" for number in range(len(REPORTS))]
    put(store, *(make_order(each, buyer=replace(ACME, id=f"buyer{to}", email=to))
                 for each, to in zip(others, ADDRESSES.values(), strict=True)))  # fmt: skip
    batch_id = reject(store, ids(*others), notify=True, per_order=True).batch_id
    send(store, *(f"{batch_id}.{number}" for number in range(1, len(others) + 1)))
    for name, mail in mails.items():
        mailbox.put(report(name, mail.message_id, mail.recipient))
    mailbox.put(report("postfix", "<20260314.another@brand.example>", ADDRESSES["postfix"]))
    before = mailbox.content

    told = mailbox.read("--format", "json")

    assert told.code == 5
    assert told.json["messages"] == messages(bounced=11, foreign=1)
    assert {each["mail_id"]: each["recipient"] for each in told.json["bounced"]} == {
        mail.id: mail.recipient for mail in mails.values()
    }
    with store.snapshot() as connection:
        found = {mail.id: mail for mail in list_mails(connection, MailQuery())}
    assert {mail_id for mail_id, mail in found.items() if mail.state is BOUNCED} == {mail.id for mail in mails.values()}
    assert {mail.state for mail in found.values()} == {SENT, BOUNCED}
    words = {name: found[mail.id].last_error.removeprefix("it came back: ") for name, mail in mails.items()}
    assert words["postfix"].startswith("550 5.1.1 <buyer0@buyer.example>: Recipient address rejected: User unknown")
    assert words["qmail"].startswith("550 5.1.1 sorry, no mailbox here by that name.")
    assert words["amazon ses"] == "550 5.4.4 Invalid domain"
    assert words["exchange"] == "5.2.2"
    assert all(words.values())
    assert mailbox.content == before


def test_a_report_that_is_read_twice_changes_nothing(store, mailbox):
    (mail, without_id) = sent_mails(store, "a@buyer.example", "b@buyer.example")
    mailbox.put(report("postfix", mail.message_id, mail.recipient))
    mailbox.put(report("qmail", without_id.message_id, without_id.recipient))
    assert mailbox.read().code == 5
    once = get(store, mail.id), get(store, without_id.id)
    again = mailbox.read("--format", "json")
    assert (again.code, again.json["messages"]) == (0, messages(known=2))
    assert (get(store, mail.id), get(store, without_id.id)) == once
    events = mailbox.cli("mail", "show", mail.id, "--format", "json").json["events"]
    assert [(event["action"], event["from_state"], event["to_state"], event["actor"]) for event in events] == [
        ("bounced", "sent", "bounced", "mia")
    ]
    # Sent once more, the old report says nothing about it.
    act(store, RETRY, mail.id)
    send(store, mail.id)
    assert mailbox.read("--format", "json").json["messages"] == messages(known=2)
    assert get(store, mail.id).state is SENT


def test_a_second_report_of_the_same_attempt_does_not_count_for_the_next(store, mailbox):
    (mail,) = sent_mails(store, "a@buyer.example")
    mailbox.put(report("postfix", mail.message_id, mail.recipient))
    mailbox.read()
    mailbox.put(report("exim", mail.message_id, mail.recipient))
    assert mailbox.read("--format", "json").json["messages"] == messages(known=1, noted=1)
    act(store, RETRY, mail.id)
    send(store, mail.id)
    assert mailbox.read("--format", "json").json["messages"] == messages(known=2)
    assert get(store, mail.id).state is SENT


@pytest.mark.parametrize(
    ("name", "fate"),
    [("delayed", "delayed"), ("vacation", "other"), ("read receipt", "other"), ("a buyer's answer", "foreign")],
)
def test_what_is_no_report_of_a_mail_that_came_back_changes_nothing(store, mailbox, name, fate):
    (mail,) = sent_mails(store, "a@buyer.example")
    mailbox.put(report(name, mail.message_id, mail.recipient))
    told = mailbox.read("--format", "json")
    assert (told.code, told.json["messages"]) == (0, messages(**{fate: 1}))
    assert get(store, mail.id) == mail


def test_a_report_about_several_mails_is_doubtful_and_listed(store, mailbox):
    first, second = sent_mails(store, "a@buyer.example", "a2@buyer.example")
    whole = report("exim", second.message_id, second.recipient)
    two = report("exim", first.message_id, first.recipient) + whole.partition(b"headers. ------")[2]
    mailbox.put(two)
    told = mailbox.read()
    assert told.code == 5
    said = " ".join(told.err.split())
    assert first.message_id in said
    assert second.message_id in said
    assert (get(store, first.id), get(store, second.id)) == (first, second)


def test_a_server_that_reports_in_words_we_do_not_know_is_left_to_a_person(store, mailbox):
    (mail,) = sent_mails(store, "a@buyer.example")
    text = report("gmx", mail.message_id, mail.recipient)
    mailbox.put(
        text.replace(b"could not be delivered", b"konnte nicht zugestellt werden").replace(b"automatically", b"")
    )
    told = mailbox.read("--format", "json")
    assert (told.code, told.json["messages"]) == (5, messages(doubtful=1))
    assert get(store, mail.id) == mail


def test_a_mail_of_unknown_fate_that_comes_back_was_taken(store, mailbox):
    (mail,) = sent_mails(store, "a@buyer.example", state=DeliveryState.UNKNOWN)
    mailbox.put(report("postfix", mail.message_id, mail.recipient))
    assert mailbox.read("--format", "json").json["messages"] == messages(bounced=1)
    assert get(store, mail.id).state is BOUNCED


def test_the_report_of_a_mail_that_is_being_sent_waits(store, mailbox):
    (mail,) = sent_mails(store, "a@buyer.example")
    mailbox.put(report("postfix", mail.message_id, mail.recipient))
    mailbox.read()
    act(store, RETRY, mail.id)
    claim(store)
    start(store, mail.id)
    mailbox.put(report("exim", mail.message_id, mail.recipient))
    assert mailbox.read("--format", "json").json["messages"] == messages(known=1, in_hand=1)
    settle(store, mail.id, SENT)
    assert mailbox.read("--format", "json").json["messages"] == messages(known=1, bounced=1)


def test_a_mail_that_was_forwarded_came_back_from_another_address(store, mailbox):
    (mail,) = sent_mails(store, "a@buyer.example")
    mailbox.put(report("postfix", mail.message_id, "private@elsewhere.example"))
    assert mailbox.read("--format", "json").json["bounced"][0]["mail_id"] == mail.id


def test_a_report_about_a_copy_is_not_about_the_buyers_mail(store, store_url, mailbox, tmp_path):
    (mail,) = sent_mails(store, "a@buyer.example")
    mailbox.put(report("postfix", mail.message_id, "Sales@brand.example"))
    mailbox.put(report("postfix", mail.message_id, "private@elsewhere.example"))
    mailbox.cli = mail_cli(store_url, tmp_path / "home", 25, ORDERCTL_MAIL_CC="sales@brand.example")
    assert mailbox.read("--format", "json").json["messages"] == messages(copy=1, doubtful=1)
    assert get(store, mail.id) == mail


def test_other_accounts_do_not_see_the_mail(store, store_url, mailbox, tmp_path):
    (mail,) = sent_mails(store, "a@buyer.example")
    mailbox.put(report("postfix", mail.message_id, mail.recipient))
    mailbox.cli = mail_cli(store_url, tmp_path / "home", 25, ORDERCTL_ACCOUNT="other")
    assert mailbox.read("--format", "json").json["messages"] == messages(foreign=1)
    assert get(store, mail.id) == mail


def test_broken_messages_are_counted_and_nothing_else(store, mailbox):
    (mail,) = sent_mails(store, "a@buyer.example")
    whole = report("postfix", mail.message_id, mail.recipient)
    for cut in range(0, 600, 37):
        mailbox.put(whole[:cut])
    mailbox.put(bytes(range(256)) * 20)
    mailbox.put(
        b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n"
    )
    told = mailbox.read("--format", "json")
    assert (told.code, told.json["messages"]["bounced"]) == (0, 0)
    assert get(store, mail.id) == mail


def test_a_mail_that_came_back_is_listed_and_did_not_arrive(store, mailbox):
    (mail, other) = sent_mails(store, "a@buyer.example", "b@buyer.example")
    mailbox.put(report("postfix", mail.message_id, mail.recipient))
    told = mailbox.read()
    assert told.err.splitlines()[-1] == "1 mail came back; see: orderctl mail list --state bounced"
    assert "a@buyer.example" in told.out
    assert "550 5.1.1" in told.out
    assert mailbox.cli("mail", "list", "--state", "bounced", "--format", "ids").lines == [mail.id]
    listed = mailbox.cli("mail", "list")
    assert "it came back: 550 5.1.1" in " ".join(listed.out.split())
    assert listed.err == "1 sent, 1 bounced\n"
    assert other.id in listed.out


def test_where_reports_come_to_is_a_setting_or_said(store, mailbox):
    ran = mailbox.cli("mail", "bounces")
    assert (ran.code, "mail.bounces is not set" in ran.err) == (2, True)
    ran = mailbox.cli("mail", "bounces", str(mailbox.folder / "new"))
    assert (ran.code, "is not a Maildir" in ran.err) == (2, True)
    mailbox.cli.environ["ORDERCTL_MAIL_BOUNCES"] = str(mailbox.folder)
    assert mailbox.cli("mail", "bounces").err == "0 mails came back\n"


def test_a_mended_address_is_checked_and_logged(store, mailbox):
    mail, other = sent_mails(store, "old@buyer.example", "b@buyer.example")
    mailbox.put(report("postfix", mail.message_id, mail.recipient))
    mailbox.read()
    cli = mailbox.cli
    for wrong, said in {
        "two@a.example, b@a.example": "--to: ",
        "nobody": "--to: ",
        "old@buyer.example": "goes to old@buyer.example already",
    }.items():
        ran = cli("mail", "retry", mail.id, "--to", wrong)
        assert (ran.code, said in ran.err) == (2, True)
    ran = cli("mail", "retry", "--state", "bounced", "--to", "new@buyer.example")
    assert (ran.code, "named by their ids" in ran.err) == (2, True)
    ran = cli("mail", "retry", other.id, "--to", "new@buyer.example")
    assert (ran.code, f"{other.id} is sent" in ran.err) == (2, True)
    assert get(store, mail.id).recipient == "old@buyer.example"

    ran = cli("mail", "retry", mail.id, "--to", "new+26ss@buyer.example", "--reason", "told by phone")
    assert (ran.code, ran.err) == (0, "1 mail will be sent again; send with: orderctl mail send\n")
    moved = get(store, mail.id)
    assert (moved.recipient, moved.state) == ("new+26ss@buyer.example", DeliveryState.WAITING)
    assert (moved.message_id, moved.letter) == (mail.message_id, mail.letter)
    event = cli("mail", "show", mail.id, "--format", "json").json["events"][-1]
    assert (event["action"], event["from_recipient"], event["to_recipient"]) == (
        "retry", "old@buyer.example", "new+26ss@buyer.example",
    )  # fmt: skip
    shown = " ".join(cli("mail", "show", mail.id).out.split())
    assert "told by phone" in shown
    assert "old@buyer.example" in shown

    # What still comes back from the old address is not about the new one.
    send(store, mail.id)
    mailbox.put(report("exim", mail.message_id, "old@buyer.example"))
    assert mailbox.read("--format", "json").json["messages"] == messages(known=1, earlier=1)
    assert get(store, mail.id).state is SENT


def test_one_address_is_not_for_the_mails_of_several_buyers(store, mailbox):
    mails = sent_mails(store, "a@buyer.example", "b@buyer.example", state=DeliveryState.REFUSED)
    ran = mailbox.cli("mail", "retry", *(mail.id for mail in mails), "--to", "new@buyer.example")
    assert (ran.code, "go to several buyers" in ran.err) == (2, True)
    assert [get(store, mail.id) for mail in mails] == mails


@pytest.fixture
def imap_cli(store_url, tmp_path):
    """The command line that reads the folder of an IMAP server."""

    def made(port, folder="Bounces", user=USER, **more):
        secret = tmp_path / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)
        environ = {
            "ORDERCTL_MAIL_BOUNCES": f"imaps://{user}@{HOST}:{port}/{folder}",
            "ORDERCTL_MAIL_BOUNCES_PASSWORD_FILE": str(secret),
            "ORDERCTL_MAIL_CA_FILE": ca_file(tmp_path),
        }
        return Cli(store_url, tmp_path / "home", **(environ | more))

    return made


def test_an_imap_folder_is_read_over_tls_and_stays_as_it_is(store, imap_cli):
    mails = sent_mails(store, "a@buyer.example", "b@buyer.example", "c@buyer.example")
    messages_ = [report(name, mail.message_id, mail.recipient)
                 for name, mail in zip(("qmail", "gmail", "delayed"), mails, strict=True)]  # fmt: skip
    with imap_server(messages_) as box:
        told = imap_cli(box.port)("mail", "bounces", "--format", "json")
        again = imap_cli(box.port, user=USER.replace("@", "%40"))("mail", "bounces", "--format", "json")
    assert (told.code, told.json["messages"], told.err) == (5, messages(bounced=2, delayed=1), "")
    assert (again.code, again.json["messages"]) == (0, messages(known=2, delayed=1))
    assert [get(store, mail.id).state for mail in mails] == [BOUNCED, BOUNCED, SENT]
    asked = " ".join(box.commands)
    assert "EXAMINE" in asked
    assert "BODY.PEEK[]" in asked
    assert not any(word in asked for word in ("SELECT", "STORE", "DELETE", "MOVE", "EXPUNGE", "COPY", PASSWORD))


def test_what_keeps_an_imap_folder_from_being_read_is_said(imap_cli, store_url, tmp_path):
    with imap_server([]) as box:
        wrong = imap_cli(box.port, ORDERCTL_MAIL_BOUNCES_PASSWORD_FILE=str(private(tmp_path / "wrong", "guess")))
        for cli, said in (
            (wrong, "refused the login of orders@brand.example"),
            (imap_cli(box.port, folder="Elsewhere"), "has no folder 'Elsewhere'"),
            (imap_cli(box.port, ORDERCTL_MAIL_CA_FILE=""), "a certificate that is not trusted"),
        ):
            ran = cli("mail", "bounces")
            assert (ran.code, said in ran.err, "guess" in ran.err) == (1, True, False)
    gone = imap_cli(box.port)("mail", "bounces")
    assert (gone.code, "cannot be read: Connection refused" in gone.err) == (1, True)
    for address in ("imap://a@h/F", "imaps://h/F", "imaps://a@h", "imaps://a@h:x/F"):
        ran = Cli(store_url, tmp_path / "home", ORDERCTL_MAIL_BOUNCES=address)("mail", "bounces")
        assert (ran.code, "is not the address of an IMAP folder" in ran.err) == (2, True)
    ran = Cli(store_url, tmp_path / "home", ORDERCTL_MAIL_BOUNCES="imaps://a:secret@h/F")("mail", "bounces")
    assert (ran.code, "it holds a password" in ran.err, "secret" in ran.err) == (2, True, False)
    ran = Cli(store_url, tmp_path / "home", ORDERCTL_MAIL_BOUNCES="imaps://a@h/F")("mail", "bounces")
    assert (ran.code, "there is no password for a at h" in ran.err) == (2, True)


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_an_import_of_a_mended_address_names_the_mails_that_did_not_arrive(store, mailbox, tmp_path):
    mails = sent_mails(store, "old@buyer.example", "b@buyer.example")
    for mail in mails:
        mailbox.put(report("postfix", mail.message_id, mail.recipient))
    mailbox.read()
    file = tmp_path / "orders.csv"

    def brought(email):
        file.write_text(
            "order_id,status,buyer_id,buyer_name,buyer_email,currency,total,ordered_at\n"
            f"N1,needs-oc,buyerold@buyer.example,Acme Paris,{email},EUR,10.00,2026-03-01\n"
        )
        return mailbox.cli("import", str(file))

    assert "old address" not in brought("old@buyer.example").err
    ran = brought("new@buyer.example")
    said = " ".join(ran.err.split())
    assert "1 refused or bounced mail went to the old address of Acme Paris: " in said
    assert f"orderctl mail retry --to new@buyer.example {mails[0].id}" in said
    assert "old address" not in brought("new@buyer.example").err
    assert mailbox.cli("mail", "retry", "--to", "new@buyer.example", mails[0].id).code == 0


def test_letters_about_the_same_order_refer_to_one_another(store, store_url, tmp_path):
    other = replace(ACME, id="other", email="other@buyer.example")

    def told(order_id, **changes):
        put(store, make_order(order_id, **changes))
        batch_id = reject(store, ids(order_id), notify=True).batch_id
        return get(store, f"{batch_id}.1")

    first = told("T1", reference="PO-9")
    told("T2", reference="PO-9", buyer=other)
    told("T3", reference="PO-10")
    second, third = told("T1-R", reference="PO-9"), told("T1-RR", reference="PO-9")
    bare = told("T4", reference=""), told("T5", reference="")
    cli = maildir_cli(store_url, tmp_path)
    with_letters = {mail.id: cli("mail", "show", mail.id, "--raw").out for mail in (first, second, third, *bare)}
    assert cli("mail", "send").code == 0

    sent = [message_from_bytes(path.read_bytes()) for path in (tmp_path / "mails" / "new").iterdir()]
    threads = {mail["Message-ID"]: (mail["In-Reply-To"], mail["References"]) for mail in sent if mail["References"]}
    assert {own: (answered, " ".join(all_.split())) for own, (answered, all_) in threads.items()} == {
        second.message_id: (first.message_id, first.message_id),
        third.message_id: (second.message_id, f"{first.message_id} {second.message_id}"),
    }
    assert {mail_id: cli("mail", "show", mail_id, "--raw").out for mail_id in with_letters} == with_letters


def test_a_sample_goes_to_nobody_else(store, store_url, tmp_path):
    with busy_server() as inbox:
        cli = mail_cli(store_url, tmp_path / "home", inbox.port, ORDERCTL_MAIL_CC="a@b.example,c@d.example")
        assert cli("mail", "send", "--sample", "me@brand.example").code == 0
        wrong = mail_cli(store_url, tmp_path / "home", inbox.port, ORDERCTL_MAIL_BCC="nobody")("config", "check")
    assert [to for _, to in inbox.envelopes] == [["me@brand.example"]]
    assert inbox.mails[0]["Cc"] is None
    assert (wrong.code, "mail.bcc: 'nobody' is not one e-mail address" in wrong.out + wrong.err) == (2, True)
