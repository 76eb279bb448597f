"""SMTP and Maildir against real servers: every way in which an attempt can end, and what a message holds."""

import stat
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from orderctl.core.addresses import ascii_address
from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import ServerUnavailableError, UnsendableError, UsageError
from orderctl.mail.maildir import MaildirMailer
from orderctl.mail.message import build_message
from orderctl.mail.outbox import Letter, Mail
from orderctl.mail.smtp import SmtpMailer, SmtpSettings
from stress import names
from support.factories import NOW
from support.smtp_server import (
    DRIP,
    DROP,
    ENDLESS,
    HANG,
    HOST,
    PASSWORD,
    USER,
    body,
    busy_server,
    ca_file,
    read,
    real_server,
    scripted_server,
)

# aiosmtpd does not count the TLS that a connection begins with.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
SENDER = "orders@brand.example"
LETTER = Letter(
    subject="Your order A1 was rejected",
    text="Hello\n.\n..dots\n",
    html='<!DOCTYPE html>\n<html lang="en">\n<p>Hello</p>\n</html>\n',
)
MAIL = Mail(
    id="b.1",
    batch_id="b",
    buyer_id="acme",
    recipient="achats@acme.example",
    language="fr",
    message_id="<orderctl.b.1@brand.example>",
    state=DeliveryState.SENDING,
    attempts=1,
    next_attempt_at=NOW,
    created_at=NOW,
    updated_at=NOW,
    last_error="",
    orders=1,
)


def settings(port, **changes):
    plain = {
        "host": HOST,
        "port": port,
        "security": "none",
        "user": None,
        "password": None,
        "sender": SENDER,
        "reply_to": "sales@brand.example",
        "timeout_s": 5,
    }
    return SmtpSettings(**(plain | changes))


def hand_over(mailer, mail=MAIL, letter=LETTER):
    return mailer.send(mail, mailer.write(mail, letter), lambda: True)


def secured(port, security, folder, **changes):
    login = {"user": USER, "password": PASSWORD, "ca_file": ca_file(folder)}
    return settings(port, **({"security": security} | login | changes))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_many_mails_go_over_one_encrypted_logged_in_connection(security, tmp_path):
    with real_server(security) as inbox:
        with SmtpMailer(secured(inbox.port, security, tmp_path)) as mailer:
            outcomes = [hand_over(mailer, replace(MAIL, message_id=f"<b.{n}@brand.example>")) for n in range(3)]
        assert [outcome.state for outcome in outcomes] == [DeliveryState.SENT] * 3
        assert outcomes[0].detail == "250 2.0.0 Ok: queued as 4F2A"
        assert inbox.envelopes == [(SENDER, ["achats@acme.example"])] * 3
        first = inbox.mails[0]
        assert (first["From"], first["To"], first["Reply-To"]) == (SENDER, MAIL.recipient, "sales@brand.example")
        assert (first["Message-ID"], first["Subject"]) == ("<b.0@brand.example>", LETTER.subject)
        assert body(first) == LETTER.text
        assert body(first, "html") == LETTER.html


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_wrong_password_stops_the_run_and_is_not_repeated(security, tmp_path):
    with real_server(security) as inbox:
        wrong = secured(inbox.port, security, tmp_path, password="hunter2")
        with pytest.raises(
            ServerUnavailableError, match=r"refused the login of orders@brand.example \(535\)"
        ) as caught:
            SmtpMailer(wrong).__enter__()
        assert "hunter2" not in f"{caught.value} {caught.value.hint} {wrong!r}"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_another_host_stops_the_run(security, tmp_path):
    with real_server(security, certificate_for="other.example") as inbox:
        with pytest.raises(ServerUnavailableError, match="certificate that is not trusted") as caught:
            SmtpMailer(secured(inbox.port, security, tmp_path)).__enter__()
        assert "mail.ca_file" in caught.value.hint


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_an_unknown_authority_stops_the_run(security, tmp_path):
    with (
        real_server(security) as inbox,
        pytest.raises(ServerUnavailableError, match="certificate that is not trusted"),
    ):
        SmtpMailer(secured(inbox.port, security, tmp_path, ca_file=None)).__enter__()


def test_a_server_without_starttls_gets_neither_password_nor_mail(tmp_path):
    with scripted_server() as inbox:
        with pytest.raises(ServerUnavailableError, match="does not offer starttls"):
            SmtpMailer(secured(inbox.port, "starttls", tmp_path)).__enter__()
        assert inbox.messages == []


def test_a_server_that_does_not_speak_tls_stops_the_run(tmp_path):
    with scripted_server() as inbox, pytest.raises(ServerUnavailableError, match="did not agree on encryption"):
        SmtpMailer(secured(inbox.port, "tls", tmp_path)).__enter__()


def test_a_server_that_is_not_there_stops_the_run():
    with scripted_server() as inbox:
        port = inbox.port
    with pytest.raises(ServerUnavailableError, match=f"{HOST}:{port} cannot be reached: Connection refused"):
        SmtpMailer(settings(port)).__enter__()


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"connect": "421 too busy"}, "turned us away (421)"),
        ({"connect": DROP}, "cannot be reached"),
        ({"connect": HANG}, "cannot be reached"),
        ({"EHLO": DROP}, "cannot be reached"),
        ({"connect": ENDLESS}, "cannot be reached: Connection unexpectedly closed: its reply has no end"),
        ({"connect": DRIP}, "cannot be reached"),
        ({"EHLO": ENDLESS}, "cannot be reached: Connection unexpectedly closed: its reply has no end"),
        ({"EHLO": DRIP}, "cannot be reached"),
    ],
)
def test_a_server_that_will_not_talk_stops_the_run(replies, said):
    with scripted_server(replies) as inbox:
        with pytest.raises(ServerUnavailableError) as caught:
            SmtpMailer(settings(inbox.port, timeout_s=0.2)).__enter__()
        assert said in str(caught.value)


TIMED_OUT = "the connection was lost (Connection unexpectedly closed: timed out)"
NO_END = "the connection was lost (Connection unexpectedly closed: its reply has no end)"
ENDS = [
    ({}, DeliveryState.SENT, "250 taken"),
    ({"MAIL": "451 try later"}, DeliveryState.RETRY, "MAIL: 451 try later"),
    ({"MAIL": "550 not you"}, DeliveryState.REFUSED, "MAIL: 550 not you"),
    ({"MAIL": "421 closing"}, DeliveryState.RETRY, "MAIL: 421 closing"),
    ({"MAIL": HANG}, DeliveryState.RETRY, f"MAIL: {TIMED_OUT}"),
    ({"RCPT": "450 greylisted"}, DeliveryState.RETRY, "RCPT: 450 greylisted"),
    ({"RCPT": "550 no such user"}, DeliveryState.REFUSED, "RCPT: 550 no such user"),
    ({"RCPT": "421 closing"}, DeliveryState.RETRY, "RCPT: 421 closing"),
    ({"RCPT": DROP}, DeliveryState.RETRY, "RCPT: the connection was lost"),
    ({"DATA": "452 disk full"}, DeliveryState.RETRY, "DATA: 452 disk full"),
    ({"DATA": "554 no"}, DeliveryState.REFUSED, "DATA: 554 no"),
    ({"DATA": DROP}, DeliveryState.RETRY, "DATA: the connection was lost"),
    ({"end": "452 disk full"}, DeliveryState.RETRY, "end of data: 452 disk full"),
    ({"end": "421 closing"}, DeliveryState.RETRY, "end of data: 421 closing"),
    ({"end": "554 spam"}, DeliveryState.REFUSED, "end of data: 554 spam"),
    ({"end": DROP}, DeliveryState.UNKNOWN, "end of data: the connection was lost"),
    ({"end": HANG}, DeliveryState.UNKNOWN, f"end of data: {TIMED_OUT}"),
    ({"MAIL": ENDLESS}, DeliveryState.RETRY, f"MAIL: {NO_END}"),
    ({"MAIL": DRIP}, DeliveryState.RETRY, f"MAIL: {TIMED_OUT}"),
    ({"RCPT": ENDLESS}, DeliveryState.RETRY, f"RCPT: {NO_END}"),
    ({"DATA": DRIP}, DeliveryState.RETRY, f"DATA: {TIMED_OUT}"),
    ({"end": ENDLESS}, DeliveryState.UNKNOWN, f"end of data: {NO_END}"),
    ({"end": DRIP}, DeliveryState.UNKNOWN, f"end of data: {TIMED_OUT}"),
    ({"end": "gibberish"}, DeliveryState.UNKNOWN, "end of data: -1"),
    ({"end": "250 \x1b[2Jtaken"}, DeliveryState.SENT, r"250 \x1b[2Jtaken"),
]


@pytest.mark.parametrize(
    "offers", [{}, {"EHLO": ["250-brand.example\r\n250 PIPELINING"] * 3}], ids=["one by one", "at once"]
)
@pytest.mark.parametrize(("replies", "state", "detail"), ENDS)
def test_how_an_attempt_ends(replies, state, detail, offers):
    with scripted_server(replies | offers) as inbox:
        with SmtpMailer(settings(inbox.port, timeout_s=0.3)) as mailer:
            outcome = hand_over(mailer)
            assert (outcome.state, outcome.detail[: len(detail)]) == (state, detail)
            assert hand_over(mailer).state is DeliveryState.SENT
        assert body(read(inbox.messages[-1])) == LETTER.text


def test_a_server_that_wants_a_login_stops_the_run():
    with scripted_server({"MAIL": "530 5.7.0 Authentication required"}) as inbox:
        with SmtpMailer(settings(inbox.port)) as mailer, pytest.raises(ServerUnavailableError, match="wants a login"):
            hand_over(mailer)
        assert inbox.messages == []


def test_a_connection_that_was_idle_too_long_is_made_again():
    with scripted_server({"MAIL": ["250 ok", DROP]}) as inbox:
        with SmtpMailer(settings(inbox.port)) as mailer:
            assert [hand_over(mailer).state for _ in range(2)] == [DeliveryState.SENT] * 2
        assert (inbox.connections, len(inbox.messages)) == (2, 2)


def test_a_connection_carries_only_so_many_mails():
    with scripted_server() as inbox:
        with SmtpMailer(settings(inbox.port, max_per_connection=2)) as mailer:
            assert [hand_over(mailer).state for _ in range(5)] == [DeliveryState.SENT] * 5
        assert (inbox.connections, len(inbox.messages)) == (3, 5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host": ""}, "mail.host is not set"),
        ({"security": "ssl"}, "mail.security is 'ssl'"),
        ({"host": "smtp.brand.example"}, "for everyone in between to read"),
        ({"user": "mia"}, "there is no password for mia"),
        ({"sender": "nobody"}, "mail.sender: 'nobody' is not one e-mail address"),
        ({"sender": "a@b.example, c@d.example"}, "mail.sender"),
        ({"reply_to": "x@y.example\r\nBcc: z@z.example"}, "mail.reply_to"),
    ],
)
def test_settings_that_could_not_work_are_refused(changes, said):
    with pytest.raises(UsageError) as caught:
        settings(25, **changes)
    assert said in str(caught.value)


def test_a_missing_ca_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="missing.pem"):
        SmtpMailer(settings(25, ca_file=str(tmp_path / "missing.pem"))).__enter__()


COPIES = {"cc": ("sales@brand.example",), "bcc": ("archive@brand.example",)}


def test_copies_go_out_with_the_mail_and_unseen_ones_stand_nowhere():
    with busy_server() as inbox, SmtpMailer(settings(inbox.port, **COPIES)) as mailer:
        assert hand_over(mailer).state is DeliveryState.SENT
        assert hand_over(mailer, replace(MAIL, recipient="sales@brand.example")).state is DeliveryState.SENT
    assert [to for _, to in inbox.envelopes] == [
        [MAIL.recipient, "sales@brand.example", "archive@brand.example"],
        ["sales@brand.example", "archive@brand.example"],
    ]
    assert inbox.mails[0]["Cc"] == "sales@brand.example"
    assert b"archive" not in inbox.messages[0]


@pytest.mark.parametrize("refusal", ["550 5.1.1 nobody", "450 4.2.0 later"])
def test_a_copy_that_is_refused_keeps_no_buyer_from_being_told(refusal):
    with scripted_server({"RCPT": ["250 ok", refusal]}) as inbox:
        with SmtpMailer(settings(inbox.port, **COPIES)) as mailer:
            outcome = hand_over(mailer)
        assert outcome.state is DeliveryState.SENT
        assert outcome.detail == f"250 taken; no copy to <sales@brand.example> {refusal}"
        assert len(inbox.messages) == 1


@pytest.mark.parametrize("offers", ["250 brand.example", "250-brand.example\r\n250 PIPELINING"])
def test_no_copy_goes_out_alone(offers):
    with scripted_server({"EHLO": offers, "RCPT": ["550 5.1.1 nobody"]}) as inbox:
        with SmtpMailer(settings(inbox.port, **COPIES)) as mailer:
            assert hand_over(mailer).state is DeliveryState.REFUSED
            assert hand_over(mailer).state is DeliveryState.SENT
        assert len(inbox.messages) == 1


def test_many_copies_and_earlier_letters_stand_on_lines_of_their_own():
    many = tuple(f"copy{number}@brand.example" for number in range(60))
    earlier = tuple(f"<orderctl.{number}.1@brand.example>" for number in range(10))
    message = build(replace(MAIL, earlier=earlier), cc=many)
    assert max(map(len, message.split(b"\r\n"))) < 100
    read_back = read(message)
    assert read_back["Cc"] == ", ".join(many)
    assert (read_back["In-Reply-To"], read_back["References"]) == (earlier[-1], " ".join(earlier))


def build(mail=MAIL, letter=LETTER, **changes):
    parts = {"sender": SENDER, "reply_to": "sales@brand.example"}
    return build_message(mail, letter, **(parts | changes))


def test_the_headers_of_a_message():
    read_back = read(build())
    assert dict(read_back.items()) == {
        "Message-ID": MAIL.message_id,
        "X-Orderctl-Message-ID": MAIL.message_id,
        "From": SENDER,
        "To": MAIL.recipient,
        "Subject": LETTER.subject,
        "Date": "Sat, 14 Mar 2026 09:26:53 +0000",
        "Auto-Submitted": "auto-generated",
        "Reply-To": "sales@brand.example",
        "Content-Language": "en",
        "MIME-Version": "1.0",
        "Content-Type": read_back["Content-Type"],
    }
    assert read_back.get_content_type() == "multipart/alternative"
    assert "Reply-To" not in read(build(reply_to=""))


def test_a_japanese_message_is_seven_bit_and_reads_back():
    letter = Letter(subject="【nord】ご注文12件をお断りしました" * 5, text="様\n", html='<html lang="ja">様</html>\n')
    message = build(letter=letter)
    assert message.isascii()
    assert max(map(len, message.split(b"\r\n"))) <= 78
    read_back = read(message)
    assert (read_back["Subject"], read_back["Content-Language"]) == (letter.subject, "ja")
    assert body(read_back) == letter.text


@settings_of(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_names_in_every_script_read_back(random):
    names.check(names.make_sample(random))


def test_a_long_message_id_stays_as_it_is():
    message_id = f"<orderctl.{'0' * 36}.12345@{'long.' * 12}example>"
    assert build(replace(MAIL, message_id=message_id)).startswith(f"Message-ID: {message_id}\r\n".encode())


@pytest.mark.parametrize(
    ("mail", "letter", "said"),
    [
        ({}, {"subject": "Hello\r\nBcc: all@acme.example"}, "cannot be written"),
        ({}, {"subject": "Hello\nBcc: all@acme.example"}, "cannot be written"),
        ({"recipient": "a@b.example, c@d.example"}, {}, "is not one e-mail address"),
        ({"recipient": "a@b.example\r\nBcc: c@d.example"}, {}, "is not one e-mail address"),
        ({"recipient": ""}, {}, "is not one e-mail address"),
        ({"recipient": "用户@acme.example"}, {}, "letters before the @"),
        ({"message_id": "<a@b>\r\nBcc: c@d.example"}, {}, "is not a Message-ID"),
    ],
)
def test_a_header_cannot_be_smuggled_in(mail, letter, said):
    with pytest.raises(UnsendableError) as caught:
        build(replace(MAIL, **mail), replace(LETTER, **letter))
    assert said in str(caught.value)


def test_a_domain_beyond_ascii_is_written_as_servers_know_it():
    assert ascii_address("order@雲.example") == "order@xn--op5a.example"


def test_an_unsendable_mail_is_not_written_and_the_server_never_hears_of_it():
    with scripted_server() as inbox:
        with SmtpMailer(settings(inbox.port)) as mailer:
            with pytest.raises(UnsendableError, match="letters before the @"):
                mailer.write(replace(MAIL, recipient="用户@acme.example"), LETTER)
            assert hand_over(mailer).state is DeliveryState.SENT
        assert len(inbox.messages) == 1


def test_a_maildir_holds_what_would_have_been_sent(tmp_path):
    path = tmp_path / "trial" / "mails"
    with MaildirMailer(path, sender=SENDER, reply_to=None) as mailer:
        outcome = hand_over(mailer)
    (written,) = (path / "new").iterdir()
    assert (outcome.state, outcome.detail) == (DeliveryState.SENT, f"written to {written}")
    mail = read(written.read_bytes())
    assert (mail["To"], mail["Message-ID"]) == (MAIL.recipient, MAIL.message_id)
    assert body(mail) == LETTER.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_a_maildir_wants_a_sender_too(tmp_path):
    with pytest.raises(UsageError, match="mail.sender: 'nobody' is not one e-mail address"):
        MaildirMailer(tmp_path, sender="nobody", reply_to="")


def test_a_maildir_that_cannot_be_written_stops_the_run(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ServerUnavailableError, match="cannot be written"):
        MaildirMailer(tmp_path / "file", sender=SENDER, reply_to=None).__enter__()


PIPELINING = {"EHLO": ["250-brand.example\r\n250 PIPELINING"] * 3}


def test_a_server_that_waits_for_content_although_it_refused_gets_none():
    with scripted_server(PIPELINING | {"RCPT": "550 no such user"}) as inbox:
        with SmtpMailer(settings(inbox.port)) as mailer:
            outcome = hand_over(mailer)
            assert (outcome.state, outcome.detail) == (DeliveryState.REFUSED, "RCPT: 550 no such user")
            assert hand_over(mailer).state is DeliveryState.SENT
        assert inbox.connections == 1
        assert [bool(message) for message in inbox.messages] == [False, True]


def test_the_first_refusal_counts_although_the_connection_ends_after_it():
    with scripted_server(PIPELINING | {"MAIL": "550 not you", "RCPT": DROP}) as inbox:
        with SmtpMailer(settings(inbox.port)) as mailer:
            outcome = hand_over(mailer)
        assert (outcome.state, outcome.detail) == (DeliveryState.REFUSED, "MAIL: 550 not you")


@pytest.mark.parametrize("offers", [{}, PIPELINING], ids=["one by one", "at once"])
def test_a_mail_that_is_not_ours_any_more_is_not_sent(offers):
    with scripted_server(offers) as inbox:
        with SmtpMailer(settings(inbox.port)) as mailer:
            assert mailer.send(MAIL, mailer.write(MAIL, LETTER), lambda: False) is None
            assert hand_over(mailer).state is DeliveryState.SENT
        assert [message for message in inbox.messages if message] == inbox.messages[-1:]


def test_the_same_mail_is_the_same_message_byte_by_byte():
    assert build() == build()
    assert build() != build(replace(MAIL, message_id="<orderctl.b.2@brand.example>"))


def test_a_maildir_with_a_link_in_it_is_not_written_through(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "tmp").symlink_to(elsewhere)
    with pytest.raises(ServerUnavailableError) as caught:
        MaildirMailer(tmp_path / "mails", sender=SENDER, reply_to=None).connect()
    assert "it holds a link instead of a folder" in str(caught.value)
    assert list(elsewhere.iterdir()) == []
