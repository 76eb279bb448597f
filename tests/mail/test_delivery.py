"""Delivery on both engines and real servers: each mail once, and nothing lost or hidden when something breaks."""

import threading
from collections import Counter
from datetime import timedelta

import pytest

from orderctl.delivery.outbox import CANCEL, RETRY, DeliveryReport, DeliveryState, PutOff
from orderctl.delivery.run import CHUNK
from orderctl.errors import ServerUnavailableError
from orderctl.mail.letters import Composer
from orderctl.mail.outbox import MailQuery
from orderctl.mail.queries import list_mails
from orderctl.mail.smtp import SmtpMailer
from orderctl.orders.orders import Buyer
from support.factories import ACME, KUMO, FixedClock, make_order, put
from support.mail import act, claim, get, maildir, queue, run, smtp, start, states
from support.rejection import CLOCK, ids, reject
from support.smtp_server import DROP, HOST, body, read, scripted_server
from support.stores import open_store

NOW = CLOCK.at
ZOE = Buyer(id="zoe", name="Zoé", email="zoe@zoe.example", country="FR", language="fr")


def later(minutes):
    return FixedClock(NOW + timedelta(minutes=minutes))


def test_every_buyer_gets_their_letter(store):
    put(store, make_order("A1"), make_order("A2"), make_order("A3", buyer=KUMO, currency="JPY", total=90_000))
    reject(store, ids("A1", "A2", "A3"), notify=True, message="Sorry {{ 7*7 }}")
    seen = []
    with scripted_server() as inbox:
        report = run(store, smtp(inbox.port), progress=lambda done, total: seen.append((done, total)))
    assert report == DeliveryReport(sent=2)
    assert report.complete
    assert seen == [(1, 2), (2, 2)]
    mails = {mail["To"]: mail for mail in inbox.mails}
    assert set(mails) == {ACME.email, KUMO.email}
    assert (mails[ACME.email]["Subject"], mails[KUMO.email]["Subject"]) == (
        "Vos 2 commandes ont été refusées par nord",
        "【nord】ご注文 A3 をお断りしました",
    )
    assert "Sorry {{ 7*7 }}" in body(mails[ACME.email])
    assert "90,000 JPY" in body(mails[KUMO.email])
    with store.snapshot() as connection:
        for mail in list_mails(connection, MailQuery()):
            assert (mail.state, mail.last_error) == (DeliveryState.SENT, "250 taken")
            assert mail.letter.text == body(mails[mail.recipient])
            assert mail.message_id == mails[mail.recipient]["Message-ID"]


def test_without_due_mails_no_connection_is_made(store):
    (mail_id,) = queue(store, 1)
    claim(store)

    def never():
        raise AssertionError("connected")

    assert run(store, never) == DeliveryReport()
    assert run(store, never, clock=later(1), batch_id="another") == DeliveryReport()
    assert get(store, mail_id).state is DeliveryState.CLAIMED


def test_more_than_a_chunk_and_no_more_than_the_limit(store, tmp_path):
    queue(store, CHUNK + 5)
    assert run(store, maildir(tmp_path / "m"), limit=CHUNK + 2) == DeliveryReport(sent=CHUNK + 2)
    assert Counter(states(store).values()) == {DeliveryState.SENT: CHUNK + 2, DeliveryState.WAITING: 3}
    assert run(store, maildir(tmp_path / "m")) == DeliveryReport(sent=3)
    assert len(list((tmp_path / "m" / "new").iterdir())) == CHUNK + 5


def test_each_outcome_is_kept_and_the_run_goes_on(store):
    first, second, third, fourth, fifth = queue(store, 5)
    replies = {"RCPT": ["450 later", "550 no such user"], "end": [DROP, "250 taken", "421 closing"]}
    with scripted_server(replies) as inbox:
        report = run(store, smtp(inbox.port))
        assert report == DeliveryReport(sent=1, retry=2, refused=1, unknown=1)
        assert not report.complete
        assert states(store) == {
            first: DeliveryState.RETRY,
            second: DeliveryState.REFUSED,
            third: DeliveryState.UNKNOWN,
            fourth: DeliveryState.SENT,
            fifth: DeliveryState.RETRY,
        }
        assert get(store, first).last_error == "RCPT: 450 later"
        assert get(store, second).last_error == "RCPT: 550 no such user"
        assert get(store, first).next_attempt_at == NOW + timedelta(minutes=1)
        waits = PutOff(number=2, first=NOW + timedelta(minutes=1), last=NOW + timedelta(minutes=1))
        assert run(store, smtp(inbox.port), clock=later(0.9)) == DeliveryReport(put_off=waits)
        assert run(store, smtp(inbox.port), clock=later(1)) == DeliveryReport(sent=2)
    assert get(store, first).attempts == 2


def test_a_mail_of_unknown_fate_is_only_sent_again_when_an_operator_says_so(store):
    (mail_id,) = queue(store, 1)
    with scripted_server({"end": DROP}) as inbox:
        assert run(store, smtp(inbox.port)) == DeliveryReport(unknown=1)
        assert run(store, smtp(inbox.port), clock=later(10_000)) == DeliveryReport()
        act(store, RETRY, mail_id, clock=later(10_000))
        assert run(store, smtp(inbox.port), clock=later(10_000)) == DeliveryReport(sent=1)
    first, second = inbox.mails
    assert first["Message-ID"] == second["Message-ID"] == get(store, mail_id).message_id
    assert body(first) == body(second)


def test_the_same_message_id_stands_for_the_same_text(store, tmp_path):
    queue(store, 1)
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "subject.txt").write_text("A new subject", encoding="utf-8")
    with scripted_server({"end": "450 later"}) as inbox:
        run(store, smtp(inbox.port))
        run(store, smtp(inbox.port), clock=later(1), composer=Composer(tmp_path))
    assert [mail["Subject"] for mail in inbox.mails] == ["Votre commande Q0 a été refusée par nord"] * 2


def test_what_was_put_off_is_not_due_again_in_the_same_run(store):
    mail_ids = queue(store, CHUNK + 1)
    clock = FixedClock()

    def an_hour_passes(done, _total):
        clock.at += timedelta(hours=1)
        if done == CHUNK:
            act(store, CANCEL, mail_ids[-1])

    with scripted_server({"RCPT": "450 later"}) as inbox:
        report = run(store, smtp(inbox.port), clock=clock, progress=an_hour_passes)
    assert report == DeliveryReport(sent=CHUNK - 1, retry=1)


def test_a_sender_that_died_while_sending_leaves_an_unknown_that_is_not_resent(store, tmp_path):
    first, second = queue(store, 2)
    claim(store, "died")
    start(store, first, "died")
    assert run(store, maildir(tmp_path / "m"), clock=later(11)) == DeliveryReport(sent=1)
    assert states(store) == {first: DeliveryState.UNKNOWN, second: DeliveryState.SENT}
    assert run(store, maildir(tmp_path / "m"), clock=later(10_000)) == DeliveryReport()


def test_a_server_that_is_not_there_stops_the_run_and_the_mails_wait(store):
    with scripted_server() as inbox:
        port = inbox.port
    queue(store, 2)
    report = run(store, smtp(port))
    assert report == DeliveryReport(
        stopped=f"the mail server {HOST}:{port} cannot be reached: Connection refused;"
        " check mail.host and mail.port, or try later"
    )
    assert not report.complete
    assert set(states(store).values()) == {DeliveryState.WAITING}


def test_a_server_that_goes_away_stops_the_run_and_the_rest_wait(store):
    first, second, third = queue(store)
    with scripted_server({"connect": ["220 hello", "421 too busy"], "end": ["250 taken", "421 closing"]}) as inbox:
        report = run(store, smtp(inbox.port))
    assert (report.sent, report.retry) == (1, 1)
    assert "turned us away (421)" in report.stopped
    assert states(store) == {first: DeliveryState.SENT, second: DeliveryState.RETRY, third: DeliveryState.WAITING}
    assert get(store, third).attempts == 0


def test_a_server_that_suddenly_wants_a_login_leaves_nothing_unclear(store):
    first, second, third = queue(store)
    with scripted_server({"MAIL": ["250 ok", "530 login first"]}) as inbox:
        report = run(store, smtp(inbox.port))
    assert (report.sent, report.retry, "wants a login" in report.stopped) == (1, 0, True)
    assert states(store) == {first: DeliveryState.SENT, second: DeliveryState.WAITING, third: DeliveryState.WAITING}
    assert get(store, second).attempts == 0


BAD_TEMPLATES = [
    ("body.txt", "{{ nobody }}", "body.txt:1: the mail template is broken: 'nobody' is undefined"),
    ("subject.txt", "{% for %}", "subject.txt:1: the mail template is broken"),
    ("body.html", "{% include 'ja/nothing.html' %}", "the mail template ja/nothing.html is missing"),
    ("subject.txt", "{{ '\\ud800' }}", "it cannot be written as a message: "),
    ("body.txt", "{{ '\\udcff' }}", "it cannot be written as a message: "),
]


@pytest.mark.parametrize(("part", "text", "said"), BAD_TEMPLATES)
def test_what_is_wrong_with_one_mail_settles_that_mail_alone(store, tmp_path, part, text, said):
    put(store, make_order("A1", buyer=KUMO), make_order("A2"), make_order("A3", buyer=ZOE))
    reject(store, ids("A1", "A2", "A3"), notify=True)
    (tmp_path / "ja").mkdir()
    (tmp_path / "ja" / part).write_text(text, encoding="utf-8")
    composer = Composer(tmp_path)
    assert run(store, maildir(tmp_path / "m"), composer=composer) == DeliveryReport(sent=2, refused=1)
    ended = by_buyer(store)
    assert {buyer: mail.state for buyer, mail in ended.items()} == {
        "acme": DeliveryState.SENT,
        "kumo": DeliveryState.REFUSED,
        "zoe": DeliveryState.SENT,
    }
    assert said in ended["kumo"].last_error
    (tmp_path / "ja" / part).write_text("mended", encoding="utf-8")
    act(store, RETRY, ended["kumo"].id)
    assert run(store, maildir(tmp_path / "m"), composer=Composer(tmp_path)) == DeliveryReport(sent=1)


def by_buyer(store):
    with store.snapshot() as connection:
        return {mail.buyer_id: mail for mail in list_mails(connection, MailQuery())}


@pytest.mark.parametrize("brand", ["Ошибка Мода", "Atelier Été 東京", "Atelier KG Haus Señor é Société Ça"])
def test_a_brand_with_accents_reaches_every_buyer(store, tmp_path, brand):
    put(store, make_order("A1", brand=brand), make_order("A2", brand=brand, buyer=KUMO))
    reject(store, ids("A1", "A2"), notify=True)
    with scripted_server() as inbox:
        assert run(store, smtp(inbox.port, sender=f"{brand} <orders@brand.example>")) == DeliveryReport(sent=2)
    subjects = {mail["Subject"] for mail in inbox.mails}
    assert subjects == {f"Votre commande A1 a été refusée par {brand}", f"【{brand}】ご注文 A2 をお断りしました"}


def test_an_error_that_nobody_foresaw_settles_the_mail_that_met_it(store):
    first, second, third = queue(store)

    class Faulty(SmtpMailer):
        def send(self, mail, message, begin):
            if mail.id == first:
                raise RuntimeError("before the content")
            outcome = super().send(mail, message, begin)
            if mail.id == second:
                raise RuntimeError("after it")
            return outcome

    with scripted_server() as inbox:
        settings = smtp(inbox.port)()._settings
        assert run(store, lambda: Faulty(settings)) == DeliveryReport(sent=1, refused=1, unknown=1)
    assert states(store) == {first: DeliveryState.REFUSED, second: DeliveryState.UNKNOWN, third: DeliveryState.SENT}
    assert get(store, first).last_error.endswith("RuntimeError: before the content")


def test_an_interruption_gives_back_what_was_not_begun(store, tmp_path):
    first, second, third = queue(store)

    def interrupt(done, _total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(store, maildir(tmp_path / "m"), progress=interrupt)
    assert states(store) == {first: DeliveryState.SENT, second: DeliveryState.WAITING, third: DeliveryState.WAITING}


def test_an_interruption_in_the_middle_of_a_mail_is_not_called_a_failure(store):
    first, second = queue(store, 2)

    class Interrupted(SmtpMailer):
        def send(self, mail, message, begin):
            super().send(mail, message, begin)
            raise KeyboardInterrupt

    with scripted_server() as inbox:
        settings = smtp(inbox.port)()._settings
        with pytest.raises(KeyboardInterrupt):
            run(store, lambda: Interrupted(settings))
    assert states(store) == {first: DeliveryState.UNKNOWN, second: DeliveryState.WAITING}
    assert "may have taken" in get(store, first).last_error


def test_a_run_that_is_told_to_stop_ends_between_two_mails(store, tmp_path):
    queue(store, 3)
    sent = []
    report = run(
        store,
        maildir(tmp_path / "m"),
        progress=lambda done, _total: sent.append(done),
        should_stop=lambda: len(sent) == 2,
    )
    assert report == DeliveryReport(sent=2)
    assert Counter(states(store).values()) == {DeliveryState.SENT: 2, DeliveryState.WAITING: 1}


def test_a_mail_that_is_cancelled_during_the_run_is_not_sent(store, tmp_path):
    first, second, third = queue(store)

    def cancel_the_second(done, _total):
        if done == 1:
            act(store, CANCEL, second)

    assert run(store, maildir(tmp_path / "m"), progress=cancel_the_second) == DeliveryReport(sent=2)
    assert states(store) == {first: DeliveryState.SENT, second: DeliveryState.CANCELLED, third: DeliveryState.SENT}


def test_two_deliverers_at_once_send_each_mail_once(store_url, tmp_path):
    with open_store(store_url) as store:
        queue(store, 3 * CHUNK)
    reports, ready = [], threading.Barrier(2)

    def work():
        with open_store(store_url) as mine:
            ready.wait()
            reports.append(run(mine, maildir(tmp_path / "m")))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(report.sent for report in reports) == 3 * CHUNK
    written = [read(path.read_bytes())["Message-ID"] for path in (tmp_path / "m" / "new").iterdir()]
    assert len(written) == len(set(written)) == 3 * CHUNK
    with open_store(store_url) as store:
        assert set(states(store).values()) == {DeliveryState.SENT}


def test_a_mailer_that_cannot_start_raises_nothing_else(store):
    (mail_id,) = queue(store, 1)

    def broken():
        raise ServerUnavailableError("no way out", hint="mend it")

    assert run(store, broken).stopped == "no way out; mend it"
    assert get(store, mail_id).state is DeliveryState.WAITING
