"""`mail send` as a worker, as processes: shared, killed, stopped, held to a rate (design.md, section 7)."""

import signal
import sqlite3
import time
from collections import Counter
from contextlib import contextmanager

import psycopg
import pytest

from orderctl.delivery.outbox import DeliveryReport, DeliveryState
from orderctl.delivery.queries import expire_leases
from orderctl.delivery.run import MAX_TROUBLES
from orderctl.delivery.workers import Pace
from orderctl.errors import UsageError
from orderctl.mail.outbox import MAILS
from support.factories import FixedClock
from support.mail import MINUTE, NOW, get, mail_cli, maildir, queue, run, smtp, states
from support.smtp_server import busy_server, read, scripted_server
from support.stores import open_store

ENDED = {signal.SIGINT: 130, signal.SIGTERM: 143}


@contextmanager
def workers(cli, number, *args):
    started = [cli.start("mail", "send", "--follow", *args) for _ in range(number)]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.communicate()


def wait_until(true, what, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.05)


def stop(worker, number=signal.SIGTERM):
    worker.send_signal(number)
    out, err = worker.communicate(timeout=30)
    assert "Traceback" not in err, err
    return worker.returncode, out, err


def message_ids(inbox):
    return [read(message)["Message-ID"] for message in inbox.messages]


def counted(url):
    with open_store(url) as store:
        return Counter(states(store).values())


def test_three_workers_share_an_outbox_and_one_that_is_killed_loses_and_repeats_nothing(postgres_url, tmp_path):
    mails, connections = 240, 2
    with open_store(postgres_url) as store:
        queue(store, mails)
    with busy_server(delay_s=0.01) as inbox:
        cli = mail_cli(postgres_url, tmp_path / "home", inbox.port)
        with workers(cli, 3, "--connections", str(connections)) as (killed, *others):
            wait_until(lambda: len(inbox.messages) > mails // 4, "a quarter of the mails")
            killed.kill()
            killed.wait()
            # What the killed one had leased is free when the lease ends: that moment comes now.
            wait_until(lambda: not counted(postgres_url)[DeliveryState.WAITING], "the mails that nobody had leased")
            with psycopg.connect(postgres_url, autocommit=True) as raw:
                # Rows that a worker has in hand are left to it.
                raw.execute(
                    "UPDATE mail SET lease_until = now() - interval '1 s' WHERE id IN"
                    " (SELECT id FROM mail WHERE lease_until IS NOT NULL FOR UPDATE SKIP LOCKED)"
                )
            done = {DeliveryState.SENT, DeliveryState.UNKNOWN}
            wait_until(lambda: not counted(postgres_url).keys() - done, "the end of all mails")
            ends = [stop(worker) for worker in others]
    assert [code for code, _, _ in ends] == [143, 143]
    assert all("sent" in out for _, out, _ in ends)
    received, found = Counter(message_ids(inbox)), counted(postgres_url)
    assert set(received.values()) == {1}
    assert found[DeliveryState.UNKNOWN] <= connections
    assert mails - found[DeliveryState.UNKNOWN] <= len(received) <= mails
    with open_store(postgres_url) as store:
        sent = {
            get(store, mail_id).message_id for mail_id, state in states(store).items() if state is DeliveryState.SENT
        }
    assert sent <= received.keys()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_mail_in_hand_be_finished_and_gives_back_the_rest(sqlite_url, tmp_path, number):
    with open_store(sqlite_url) as store:
        queue(store, 5)
    with busy_server(delay_s=0.5) as inbox:
        cli = mail_cli(sqlite_url, tmp_path / "home", inbox.port)
        with workers(cli, 1) as (worker,):
            wait_until(lambda: inbox.messages, "the first mail")
            code, out, err = stop(worker, number)
    assert code == ENDED[number]
    sent = len(inbox.messages)
    assert 1 <= sent < 5
    assert counted(sqlite_url) == {DeliveryState.SENT: sent, DeliveryState.WAITING: 5 - sent}
    assert out == f"{sent} mail{'s'[: sent > 1]} sent\n"
    assert "orderctl mail send" in err


def test_a_second_signal_leaves_at_once_and_says_what_nobody_can_know(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        queue(store, 2)
    with busy_server(delay_s=20) as inbox:
        cli = mail_cli(sqlite_url, tmp_path / "home", inbox.port)
        with workers(cli, 1) as (worker,):
            wait_until(lambda: counted(sqlite_url)[DeliveryState.SENDING], "a mail on its way")
            wait_until(lambda: inbox.messages, "its content at the server")
            worker.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert worker.poll() is None
            started = time.monotonic()
            code, _, _ = stop(worker)
    assert (code, time.monotonic() - started < 5) == (143, True)
    assert counted(sqlite_url) == {DeliveryState.UNKNOWN: 1, DeliveryState.WAITING: 1}


def test_a_worker_takes_up_what_is_queued_later(store_url, tmp_path):
    with busy_server() as inbox:
        cli = mail_cli(store_url, tmp_path / "home", inbox.port)
        with workers(cli, 1) as (worker,):
            with open_store(store_url) as store:
                queue(store, 3)
            wait_until(lambda: len(inbox.messages) == 3, "the mails")
            wait_until(lambda: counted(store_url) == {DeliveryState.SENT: 3}, "their record")
            assert stop(worker)[0] == 143


def test_a_refused_login_ends_a_worker_with_one_sentence_and_no_attempt(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        (mail_id,) = queue(store, 1)
    with scripted_server({"MAIL": "530 authentication required"}) as inbox:
        ran = mail_cli(sqlite_url, tmp_path / "home", inbox.port)("mail", "send", "--follow")
    assert ran.code == 5
    assert "wants a login" in ran.out
    with open_store(sqlite_url) as store:
        mail = get(store, mail_id)
    assert (mail.state, mail.attempts) == (DeliveryState.WAITING, 0)


def test_follow_and_limit_exclude_each_other(sqlite_url, tmp_path):
    ran = mail_cli(sqlite_url, tmp_path / "home", 25)("mail", "send", "--follow", "--limit", "3")
    assert (ran.code, "--limit would end it" in ran.err) == (2, True)


def test_a_rate_is_kept(store, tmp_path):
    queue(store, 6)
    started = time.monotonic()
    assert run(store, maildir(tmp_path / "m"), pace=Pace.parse("20/s", where="here")) == DeliveryReport(sent=6)
    assert time.monotonic() - started >= 5 / 20


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("5/s", 0.2), ("30/m", 2), ("1000/h", 3.6)])
def test_rates_that_are_read(text, seconds):
    assert Pace.parse(text, where="here").interval_s == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5", "0/s", "-1/s", "5/d", "fast", "1.5/s", "٣/s"])
def test_rates_that_are_none(text):
    with pytest.raises(UsageError, match="here: .* is not a rate"):
        Pace.parse(text, where="here")


def test_several_connections_send_at_once(store):
    queue(store, 24)
    with busy_server(delay_s=0.1) as inbox:
        started = time.monotonic()
        assert run(store, smtp(inbox.port), connections=8) == DeliveryReport(sent=24)
        took = time.monotonic() - started
    assert inbox.connections == 8
    assert len(set(message_ids(inbox))) == len(inbox.messages) == 24
    assert took < 24 * 0.1


def test_a_server_that_only_puts_off_is_given_time_and_then_left_alone(store, monkeypatch):
    monkeypatch.setattr("orderctl.delivery.workers._FIRST_PAUSE_S", 0.01)
    queue(store, MAX_TROUBLES + 4)
    with scripted_server({"RCPT": ["451 not now"] * 50}) as inbox:
        started = time.monotonic()
        report = run(store, smtp(inbox.port))
        took = time.monotonic() - started
    assert (report.retry, report.sent) == (MAX_TROUBLES, 0)
    assert report.stopped == f"the server put off {MAX_TROUBLES} in a row, at last: RCPT: 451 not now"
    assert took >= 0.01 * (2 ** (MAX_TROUBLES - 1) - 1)
    assert Counter(states(store).values()) == {DeliveryState.RETRY: MAX_TROUBLES, DeliveryState.WAITING: 4}


def test_leases_are_renewed_while_a_server_is_slow(sqlite_url):
    clock = FixedClock(NOW)
    with open_store(sqlite_url) as store, open_store(sqlite_url) as other:
        first, *_ = queue(store, 3)

        def a_minute_passes(_done, _total):
            clock.at += MINUTE
            other.write(lambda connection: expire_leases(connection, MAILS, clock.at))

        with busy_server() as inbox:
            report = run(store, smtp(inbox.port), clock=clock, progress=a_minute_passes)
        assert report == DeliveryReport(sent=3)
        assert len(inbox.messages) == 3
        assert get(store, first).state is DeliveryState.SENT


def test_at_most_one_mail_a_connection_is_marked_as_being_sent(sqlite_url):
    with open_store(sqlite_url) as store:
        queue(store, 20)
    seen = []

    def look(_done, _total):
        with sqlite3.connect(sqlite_url) as raw:
            seen.append(raw.execute("SELECT count(*) FROM mail WHERE state = 'sending'").fetchone()[0])
        raw.close()

    with open_store(sqlite_url) as store, busy_server(delay_s=0.02) as inbox:
        assert run(store, smtp(inbox.port), connections=3, progress=look) == DeliveryReport(sent=20)
    assert 1 <= max(seen) <= 3
