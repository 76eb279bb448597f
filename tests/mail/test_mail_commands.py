"""The outbox at the command line: what an operator finds, does to many mails, and is asked before."""

from dataclasses import replace
from datetime import timedelta

import pytest

from orderctl.delivery.outbox import CANCEL, RETRY, DeliveryState
from support.bounces import report
from support.factories import FixedClock, make_order, put
from support.mail import NOW, act, claim, get, mail_cli, queue, settle, start, states
from support.rejection import execute, ids, plan_for
from support.smtp_server import busy_server, read
from support.stores import open_store
from support.terminal import Terminal


@pytest.fixture
def outbox(sqlite_url, tmp_path):
    """One mail each: refused, unknown, unknown, waiting; and the command line on them."""
    with open_store(sqlite_url) as store:
        mail_ids = queue(store, 4)
        claim(store, limit=3)
        for mail_id, state in zip(
            mail_ids, (DeliveryState.REFUSED, DeliveryState.UNKNOWN, DeliveryState.UNKNOWN), strict=False
        ):
            start(store, mail_id)
            settle(store, mail_id, state, detail=f"as told {mail_id[-1]}")
    return mail_cli(sqlite_url, tmp_path / "home", 25), mail_ids, sqlite_url


def found(url):
    with open_store(url) as store:
        return list(states(store).values())


def test_never_everything_by_accident(outbox):
    cli, _, url = outbox
    before = found(url)
    for action in (["retry"], ["cancel"], ["settle", "--sent"]):
        ran = cli("mail", *action)
        assert (ran.code, "none was named" in ran.err) == (2, True)
    both = cli("mail", "cancel", "--all", "--state", "waiting")
    assert (both.code, "not by two of them" in both.err) == (2, True)
    assert found(url) == before


def test_a_filter_leaves_alone_what_it_was_not_told_to_take(outbox):
    cli, mail_ids, url = outbox
    ran = cli("mail", "retry", "--all")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        "left as they are: 2 unknown, 1 waiting",
        "1 mail will be sent again; send with: orderctl mail send",
    ]
    with open_store(url) as store:
        assert states(store)[mail_ids[0]] is DeliveryState.WAITING


def test_many_unknown_mails_are_sent_again_only_after_a_yes(outbox):
    cli, mail_ids, url = outbox
    asked = ["mail", "retry", "--state", "unknown"]
    alone = cli(*asked)
    assert (alone.code, "no terminal to confirm on" in alone.err, "--yes" in alone.err) == (2, True, True)
    with Terminal(cli, *asked) as terminal:
        terminal.type("y\ry")
        terminal.wait_for("2 mails of unknown fate may have arrived: send again, perhaps twice?")
        terminal.type("\r")
        assert terminal.end() == 4
    assert found(url).count(DeliveryState.UNKNOWN) == 2
    assert cli(*asked, "--yes", "--reason", "not in the server's log").code == 0
    assert found(url).count(DeliveryState.WAITING) == 3
    shown = cli("mail", "show", mail_ids[1]).out
    assert "retry (was unknown)" in shown
    assert "mia" in shown
    assert "not in the server's log" in shown
    (event,) = cli("mail", "show", mail_ids[1], "--format", "json").json["events"]
    assert (event["from_state"], event["to_state"], event["actor"]) == ("unknown", "waiting", "mia")


def test_ids_are_all_or_nothing(outbox):
    cli, mail_ids, url = outbox
    before = found(url)
    ran = cli("mail", "settle", "--sent", mail_ids[1], mail_ids[3])
    assert (ran.code, f"{mail_ids[3]} is waiting" in ran.err) == (2, True)
    assert found(url) == before
    assert cli("mail", "settle", "--sent", mail_ids[1], mail_ids[2]).err == "2 mails settled as sent\n"
    assert found(url).count(DeliveryState.SENT) == 2


def test_mails_are_listed_by_filters_and_formats(outbox):
    cli, mail_ids, _ = outbox
    assert cli("mail", "list", "--format", "ids", "--state", "unknown").lines == [mail_ids[2], mail_ids[1]]
    assert cli("mail", "list", "--format", "ids", "--order", "Q0").lines == [mail_ids[0]]
    assert cli("mail", "list", "--format", "ids", "--recipient", "@ACME", "--buyer", "paris").lines == mail_ids[::-1]
    assert cli("mail", "list", "--format", "ids", "--older-than", "1d").lines == mail_ids[::-1]
    wrong = cli("mail", "list", "--older-than", "long")
    assert (wrong.code, "--older-than: 'long' is no length of time" in wrong.err) == (2, True)
    ran = cli("mail", "list", "--limit", "1", "--batch", mail_ids[0].partition(".")[0])
    assert ran.err == "1 waiting, 1 refused, 2 unknown; 3 not shown, see --limit\n"


def test_mails_of_a_batch_are_listed_by_their_number(store_url, tmp_path):
    with open_store(store_url) as store:
        (earlier,) = queue(store, 1)
        batch = queue(store, 13)[0].partition(".")[0]  # one of them is rejected already
    cli = mail_cli(store_url, tmp_path / "home", 25)
    newest = [f"{batch}.{number}" for number in range(12, 0, -1)]
    assert cli("mail", "list", "--format", "ids").lines == [*newest, earlier]
    assert [line.split()[0] for line in cli("mail", "list", "--limit", "4").lines] == newest[:4]


@pytest.fixture
def twins(store_url, tmp_path):
    """Two batches whose ids end alike, a mail each, and an order that is called like the ending of one."""
    batches = ["06gqa1s0000000000000abcdef", "06gqa1s0000000000001abcdef"]
    with open_store(store_url) as store:
        put(store, make_order("T0"), make_order("T1"), make_order("00abcdef"))
        for order_id, batch in zip(("T0", "T1"), batches, strict=True):
            execute(store, replace(plan_for(store, ids(order_id), notify=True), id=batch))
    return mail_cli(store_url, tmp_path / "home", 25), batches


def test_batches_and_mails_are_named_by_any_ending_that_only_one_has(twins, tmp_path):
    cli, (first, second) = twins
    assert cli("log", "1abcdef", "--format", "json").json["id"] == second
    assert cli("log", "show", "000ABCDEF", "--format", "json").json["id"] == first
    assert cli("log", "00abcdef", "--format", "json").json["order"] == "00abcdef"
    assert first in cli("log", "report", "000abcdef", "-o", str(tmp_path / "report.html")).err
    assert cli("mail", "show", "1abcdef.1", "--format", "json").json["id"] == f"{second}.1"
    assert cli("mail", "list", "--batch", "000abcdef", "--format", "ids").lines == [f"{first}.1"]
    assert cli("mail", "cancel", "1abcdef.1", f"{second}.1").err == "1 mail will not be sent\n"
    assert cli("mail", "cancel", "--batch", "000abcdef").err == "1 mail will not be sent\n"
    assert cli("mail", "send", "--batch", "000abcdef").code == 0


@pytest.mark.parametrize(
    "args",
    [
        ["log", "abcdef"],
        ["log", "report", "abcdef", "-o", "report.html"],
        ["mail", "show", "abcdef.1"],
        ["mail", "retry", "abcdef.1"],
        ["mail", "cancel", "abcdef.1"],
        ["mail", "settle", "--sent", "abcdef.1"],
        ["mail", "cancel", "--batch", "abcdef"],
        ["mail", "list", "--batch", "abcdef"],
        ["mail", "send", "--batch", "abcdef"],
        ["mail", "send", "--batch", "abcdef", "--sample", "me@brand.example"],
    ],
    ids=" ".join,
)
def test_an_ending_that_several_have_is_refused_with_their_ids(twins, args):
    cli, batches = twins
    several = "mails" if "abcdef.1" in args else "batches"
    ran = cli(*args)
    assert (ran.code, ran.out) == (2, "")
    assert f"is the ending of several {several}: " in ran.err
    assert all(batch in ran.err for batch in batches)
    assert "type more of the id" in ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["mail", "show", "1abcdef.2"], "there is no mail '1abcdef.2' in this store\n"),
        (["mail", "cancel", "1abcdef"], "no mail '1abcdef' in this store: it does not end with a point and the number"),
        (["mail", "list", "--batch", "abcde"], "there is no batch 'abcde' in this store: it is no id and no ending"),
        (["mail", "send", "--batch", "aaaaaa"], "there is no batch 'aaaaaa' in this store\n"),
        (["log", "aaaaaa"], "there is no order and no batch 'aaaaaa' in this store\n"),
    ],
)
def test_an_ending_that_none_has_is_an_error(twins, args, said):
    ran = twins[0](*args)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_list_cuts_no_id_at_eighty_columns(outbox):
    cli, mail_ids, _ = outbox
    with Terminal(cli, "mail", "list", columns=80) as terminal:
        assert terminal.end() == 0
    for mail_id in mail_ids:
        assert any(line.startswith(f"{mail_id} ") for line in terminal.lines)
    assert "  as told 2" in terminal.lines


def test_a_mail_that_waits_is_shown_raw_as_it_will_go(outbox):
    cli, mail_ids, _ = outbox
    ran = cli("mail", "show", mail_ids[3], "--raw")
    message = read(ran.out.encode())
    assert (ran.code, message["To"], message["From"]) == (0, "achats@acme.example", "orders@brand.example")
    assert message["Message-ID"] == f"<orderctl.{mail_ids[3]}@brand.example>"
    assert message["Subject"] == "Votre commande Q3 a été refusée par nord"
    assert message["Date"] == "Sat, 14 Mar 2026 09:26:53 +0000"


def test_mails_that_a_wrong_clock_put_off_for_years_are_told_of_and_mended(store_url, tmp_path):
    ahead = NOW + timedelta(days=2_000)
    with open_store(store_url) as store:
        first, second, third, fourth = queue(store, 4)
        assert claim(store, "wrong clock", now=ahead, limit=2) == [first, second]
        start(store, first, "wrong clock", ahead)
        settle(store, first, DeliveryState.RETRY, holder="wrong clock", now=ahead)
        act(store, RETRY, third, clock=FixedClock(ahead))
        act(store, CANCEL, fourth)
    cli = mail_cli(store_url, tmp_path / "home", 25)
    cli.environ |= {"ORDERCTL_MAIL_TRANSPORT": "maildir", "ORDERCTL_MAIL_MAILDIR": str(tmp_path / "mails")}
    sent = cli("mail", "send", "--limit", "1")
    assert sent.code == 5
    assert "1 mail sent; 2 mails wait, due from 2031-09-04 09:26 UTC to 2031-09-04 09:27 UTC" in " ".join(
        sent.out.split()
    )
    listed = " ".join(cli("mail", "list").out.split())
    assert "next try 2031-09-04 09:26 UTC" in listed
    assert "next try 2031-09-04 09:27 UTC" in listed
    retried = cli("mail", "retry", "--state", "waiting", "--state", "retry")
    assert (retried.code, "2 mails will be sent again" in retried.err) == (0, True)
    sent = cli("mail", "send")
    assert (sent.code, "2 mails sent" in sent.out) == (0, True)


REPS = "id,status,ordered,currency,total,buyer_id,buyer_name,buyer_email,buyer_cc,buyer_bcc\n"
NORA, PAUL = "nora@brand.example", "paul@brand.example"


def with_copies(cli, folder, *rows):
    (folder / "orders.csv").write_text(REPS + "".join(f"{row}\n" for row in rows))
    return cli("import", str(folder / "orders.csv"), "--format", "json")


def test_each_buyer_has_copies_of_their_own(store_url, tmp_path):
    """From the file through the preview to the server; then taken away again, and back by our own export."""
    with busy_server() as inbox:
        cli = mail_cli(store_url, tmp_path / "home", inbox.port, ORDERCTL_MAIL_BCC="archive@brand.example")
        open_store(store_url)
        made = with_copies(
            cli,
            tmp_path,
            f"N1,needs-oc,2026-03-01,EUR,10.00,b1,Linden,linden@shop.example,{NORA}; {PAUL},archive@brand.example",
            f"N2,needs-oc,2026-03-01,EUR,10.00,b2,Ahorn,ahorn@shop.example,,{PAUL}",
            "N3,needs-oc,2026-03-01,EUR,10.00,b3,Birke,birke@shop.example,,",
        )
        assert made.code == 0
        assert cli("export", "N1", "-o", str(tmp_path / "own.csv")).code == 0
        seen = cli("reject", "N1", "N2", "N3", "--notify", "--dry-run", "--message", "Sorry")
        assert "3 mails (no language 3); 2 go to further addresses of their buyers too" in " ".join(seen.err.split())
        assert cli("reject", "N1", "--notify", "--dry-run", "--format", "json").json["plan"]["mail"]["copied"] == 1
        alone = " ".join(cli("reject", "N1", "--notify", "--dry-run").err.split())
        assert f"copies to archive@brand.example, {NORA}, {PAUL}" in alone
        assert cli("reject", "N1", "N2", "N3", "--notify", "--yes").code == 0
        told = {to[0]: to[1:] for _sender, to in inbox.envelopes}
        assert told == {
            "linden@shop.example": [NORA, PAUL, "archive@brand.example"],
            "ahorn@shop.example": ["archive@brand.example", PAUL],
            "birke@shop.example": ["archive@brand.example"],
        }
        headers = {message["To"]: message["Cc"] for message in inbox.mails}
        assert headers["linden@shop.example"] == f"{NORA}, {PAUL}"
        assert headers["ahorn@shop.example"] is None
        assert all(b"archive" not in message for message in inbox.messages)
        (mail,) = cli("mail", "list", "--recipient", "linden", "--format", "json").json
        assert "cc" not in mail  # a list does not look them up
        shown = cli("mail", "show", mail["id"], "--format", "json").json
        assert (shown["cc"], shown["bcc"]) == ([NORA, PAUL], ["archive@brand.example"])
        assert f"Copies {NORA}, {PAUL}, archive@brand.example" in " ".join(cli("mail", "show", mail["id"]).out.split())
        assert cli("log", "verify").code == 0
        # A blank cell says nothing, a hyphen takes away.
        kept = "N4,needs-oc,2026-03-01,EUR,10.00,b1,Linden,linden@shop.example,,-"
        assert with_copies(cli, tmp_path, kept).code == 0
        assert cli("show", "N4", "--format", "json").json["order"]["buyer"]["cc"] == f"{NORA}, {PAUL}"
        assert not cli("show", "N4", "--format", "json").json["order"]["buyer"]["bcc"]
        assert cli("import", str(tmp_path / "own.csv")).code == 0
        assert cli("show", "N4", "--format", "json").json["order"]["buyer"]["bcc"] == "archive@brand.example"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("nora", "must have an @-sign"),
        (f"{NORA} {PAUL}", "is not one e-mail address"),
        (f'"{NORA}\nBcc: x@evil.example"', "is not one e-mail address"),
        ("nöra@brand.example", "letters before the @ that not every mail server takes"),
        (";".join(f"r{number}@brand.example" for number in range(6)), "are more than 5 addresses"),
    ],
)
def test_copies_that_are_no_addresses_are_refused_with_their_cell(cell, said, sqlite_url, tmp_path):
    cli = mail_cli(sqlite_url, tmp_path / "home", 25)
    open_store(sqlite_url)
    ran = with_copies(cli, tmp_path, f"N1,needs-oc,2026-03-01,EUR,10.00,b1,Linden,linden@shop.example,{cell},")
    assert ran.code == 2
    assert said in " ".join((ran.out + ran.err).split())
    assert "buyer_cc" in ran.out + ran.err


def copies_past_the_import(store, column, text):
    store.write(
        lambda connection: connection.execute(
            f"UPDATE buyer SET {column} = :text WHERE account = :account", {"text": text}
        )
    )


def test_a_copy_that_was_written_past_the_import_reaches_no_server(store, store_url, tmp_path):
    """Nothing but an address gets into the envelope or a header, whatever the store holds; the reason is kept."""
    (mail_id,) = queue(store, 1)
    copies_past_the_import(store, "bcc", "x@evil.example>\r\nRCPT TO:<y@evil.example")
    with busy_server() as inbox:
        cli = mail_cli(store_url, tmp_path / "home", inbox.port)
        cli("mail", "send")
        assert inbox.messages == []
        assert all("evil" not in str(envelope) for envelope in inbox.envelopes)
    assert states(store)[mail_id] is DeliveryState.REFUSED
    assert "is not one e-mail address" in cli("mail", "show", mail_id, "--format", "json").json["last_error"]


def test_the_report_of_a_buyers_own_copy_is_no_bounce(store, store_url, tmp_path):
    (mail_id,) = queue(store, 1)
    copies_past_the_import(store, "cc", NORA)
    claim(store, limit=1)
    start(store, mail_id)
    settle(store, mail_id, DeliveryState.SENT, detail="250 taken")
    for name in ("new", "cur", "tmp"):
        (tmp_path / "reports" / name).mkdir(parents=True)
    message_id = get(store, mail_id).message_id
    (tmp_path / "reports" / "new" / "1").write_bytes(report("postfix", message_id, NORA))
    cli = mail_cli(store_url, tmp_path / "home", 25)
    counted = cli("mail", "bounces", str(tmp_path / "reports"), "--format", "json").json["messages"]
    assert {fate for fate, number in counted.items() if number} == {"copy"}
    assert states(store)[mail_id] is DeliveryState.SENT
