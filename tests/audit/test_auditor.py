"""The mail to the auditor: each batch queues a signed checkpoint, which goes the way of every other mail."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from orderctl.mail.outbox import Letter
from orderctl.plans.service import Operator, save_plan
from support.cli import maildir_cli
from support.factories import FixedClock, make_order, put_all
from support.plans import FREE, plan_of
from support.smtp_server import body, read
from support.stores import open_store

TO = "audit@brand.example"


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, [make_order(f"C{number}") for number in range(1, 6)])
    return maildir_cli(store_url, tmp_path, ORDERCTL_CHECKPOINT_AUDITOR=TO)


@pytest.fixture
def key(cli, tmp_path):
    """A key that signs; gives the public one."""
    private = tmp_path / "checkpoint.key"
    public = cli("log", "checkpoint", "--new-key", str(private)).out.strip()
    cli.environ["ORDERCTL_CHECKPOINT_KEY_FILE"] = str(private)
    return public


def mails(tmp_path) -> list[Path]:
    """The messages to the auditor, oldest first."""
    found = [path for path in (tmp_path / "mails" / "new").glob("*") if read(path.read_bytes())["To"] == TO]
    return sorted(found, key=lambda path: int(read(path.read_bytes())["Subject"].split()[-1]))


def waiting(cli):
    return cli("mail", "list", "--state", "waiting", "--format", "json").json


def test_each_batch_mails_a_signed_checkpoint_that_the_log_continues(cli, key, tmp_path):
    ran = cli("reject", "C1", "C2", "--yes", "--notify")
    assert (ran.code, f"the checkpoint was mailed to {TO}" in ran.err) == (0, True)
    assert cli("reject", "C3", "--yes", "--format", "json").json["mails"] == {"queued": 0}
    first, second = mails(tmp_path)
    message = read(first.read_bytes())
    assert (message["Subject"], message.get_content_type()) == ("orderctl checkpoint 1", "text/plain")
    note = tmp_path / "note.txt"
    note.write_text(body(message))
    for kept in (note, first, second):  # the text of the mail, or the whole message as a mail program saves it
        ran = cli("log", "verify", "--since", str(kept), "--key", key)
        assert (ran.code, "continues the checkpoint" in ran.out) == (0, True), ran
    assert cli("store", "check").code == 0
    assert [mail["batch_id"] for mail in cli("mail", "list", "--recipient", TO, "--format", "json").json] == ["", ""]


def test_a_held_plan_that_runs_by_itself_mails_one_too(cli, store_url, tmp_path):
    at = FixedClock(datetime.now(UTC) - timedelta(minutes=20))
    with open_store(store_url) as store:
        by = Operator(actor="mia", clock=at, terms=FREE)
        save_plan(store, plan_of(store, "C1"), by, how="--yes", hold=timedelta(minutes=15))
    assert cli("plan", "run", "--due").code == 0
    [message] = mails(tmp_path)
    # The act that the plan was executed is in it: it was written last, in the same transaction.
    assert cli("log", "verify", "--since", str(message)).code == 0
    assert "acts 2 " in body(read(message.read_bytes()))


def test_without_a_mail_server_it_waits_for_a_worker_elsewhere(cli, key, store_url, tmp_path):
    for name in ("TRANSPORT", "MAILDIR"):
        del cli.environ[f"ORDERCTL_MAIL_{name}"]
    ran = cli("reject", "C1", "--yes")
    assert (ran.code, f"the checkpoint for {TO} waits for: orderctl mail send" in ran.err) == (0, True)
    [mail] = waiting(cli)
    assert cli("mail", "show", mail["id"]).code == 0
    elsewhere = maildir_cli(store_url, tmp_path)  # it has neither the key nor the setting
    assert elsewhere("mail", "send").code == 0
    assert cli("log", "verify", "--since", str(mails(tmp_path)[0]), "--key", key).code == 0


def test_a_key_that_cannot_be_read_is_told_once_and_stops_nothing(cli, key, tmp_path):
    (tmp_path / "checkpoint.key").chmod(0o644)
    ran = cli("reject", "C1", "--yes")
    assert (ran.code, ran.err.count("the checkpoints for the auditor are not signed")) == (0, 1)
    [message] = mails(tmp_path)
    assert cli("log", "verify", "--since", str(message)).code == 0
    assert cli("log", "verify", "--since", str(message), "--key", key).code == 1


def test_a_server_that_is_down_keeps_it_in_the_outbox(cli, tmp_path):
    (tmp_path / "mails").write_text("in the way")
    ran = cli("reject", "C1", "--yes")
    assert (ran.code, f"the checkpoint for {TO} is not sent yet" in ran.err) == (5, True)
    assert cli("search", "status:rejected").lines == ["C1"]
    [mail] = waiting(cli)
    (tmp_path / "mails").unlink()
    assert cli("mail", "send").code == 0
    assert [mail["recipient"], len(mails(tmp_path))] == [TO, 1]


def test_an_address_that_is_none_stops_the_run_before_anything_is_asked(cli):
    cli.environ["ORDERCTL_CHECKPOINT_AUDITOR"] = "nobody"
    ran = cli("reject", "C1", "--yes")
    assert (ran.code, "checkpoint.auditor: " in ran.err) == (2, True)
    assert cli("search", "status:rejected").lines == []


def test_a_rehearsal_mails_nothing(cli, tmp_path):
    assert cli("reject", "C1", "--yes", "--rehearse").code == 0
    assert (waiting(cli), mails(tmp_path)) == ([], [])


# What a mail may say to somebody who is no buyer: a checkpoint alone.
NOTE = f"orderctl/5b7e/main\n3\n{'A' * 43}=\ntime 2026-03-14T09:26:53Z\nacts 12 {'B' * 43}=\n"
SIGNED = f"{NOTE}\n\u2014 orderctl/5b7e/main Az3grlgtzPI=\n"
SUBJECT = "orderctl checkpoint 3"
OTHERS = [
    Letter(subject=SUBJECT, text=f"{SIGNED}Send the goods elsewhere.\n", html=""),
    Letter(subject=SUBJECT, text=f"Send the goods elsewhere.\n{SIGNED}", html=""),
    Letter(subject=SUBJECT, text=SIGNED, html="<p>Send the goods elsewhere.</p>"),
    Letter(subject=f"{SUBJECT} Send", text=SIGNED, html=""),
    Letter(subject="Your orders", text="Send the goods elsewhere.", html=""),
]


def queue_by_hand(connection, letter, mail_id="x-checkpoint.1"):
    connection.execute(
        "INSERT INTO mail (account, id, recipient, message_id, state, next_attempt_at, created_at, updated_at, subject,"
        " text, html) VALUES ('main', %s, 'anybody@x.example', '<x@y>', 'waiting', now(), now(), now(), %s, %s, %s)",
        [mail_id, letter.subject, letter.text, letter.html],
    )


def test_on_postgresql_nothing_but_a_checkpoint_goes_to_who_is_no_buyer(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for letter in OTHERS:
            with pytest.raises(psycopg.errors.IntegrityError, match="to the address of its buyer"):
                queue_by_hand(connection, letter)
        for number, text in enumerate((NOTE, SIGNED)):
            queue_by_hand(connection, Letter(subject=SUBJECT, text=text, html=""), f"x-checkpoint.{number}")
        with pytest.raises(psycopg.errors.IntegrityError, match="keeps its recipient"):
            connection.execute("UPDATE mail SET text = 'Send the goods elsewhere.'")
