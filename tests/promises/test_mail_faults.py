"""The mail server fails at every step: the rejection stands, and every buyer is told once or shown as unknown."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from stress.crash import BUYERS_TOLD, REJECT, SEND, TARGETS, environ, fill
from stress.invariants import Picture, mail_violations, violations
from support.smtp_server import DRIP, DROP, ENDLESS, HANG, PASSWORD, SLOW, USER, ca_file, real_server, scripted_server
from support.stores import open_store

LATER = {"later_s": 700}
DONE = {"sent": 2}
# What the server does at a step of the first mail; the exit code, the states then, and the states in the end.
FAULTS = [
    ({}, 0, DONE, DONE),
    ({"connect": "421 too busy"}, 5, {"waiting": 2}, DONE),
    ({"connect": "554 go away"}, 5, {"waiting": 2}, DONE),
    ({"connect": DROP}, 5, {"waiting": 2}, DONE),
    ({"connect": HANG}, 5, {"waiting": 2}, DONE),
    ({"EHLO": DROP}, 5, {"waiting": 2}, DONE),
    ({"EHLO": HANG}, 5, {"waiting": 2}, DONE),
    ({"MAIL": "451 later"}, 5, {"sent": 1, "retry": 1}, DONE),
    ({"MAIL": "550 not you"}, 5, {"sent": 1, "refused": 1}, {"sent": 1, "refused": 1}),
    ({"MAIL": HANG}, 5, {"sent": 1, "retry": 1}, DONE),
    ({"RCPT": "450 greylisted"}, 5, {"sent": 1, "retry": 1}, DONE),
    ({"RCPT": "550 no such user"}, 5, {"sent": 1, "refused": 1}, {"sent": 1, "refused": 1}),
    ({"RCPT": "421 closing"}, 5, {"sent": 1, "retry": 1}, DONE),
    ({"RCPT": DROP}, 5, {"sent": 1, "retry": 1}, DONE),
    ({"DATA": "554 no"}, 5, {"sent": 1, "refused": 1}, {"sent": 1, "refused": 1}),
    ({"DATA": HANG}, 5, {"sent": 1, "retry": 1}, DONE),
    ({"end": "452 disk full"}, 5, {"sent": 1, "retry": 1}, DONE),
    ({"end": "554 spam"}, 5, {"sent": 1, "refused": 1}, {"sent": 1, "refused": 1}),
    ({"EHLO": ENDLESS}, 5, {"waiting": 2}, DONE),
    ({"end": ENDLESS}, 5, {"sent": 1, "unknown": 1}, {"sent": 1, "unknown": 1}),
    ({"end": DRIP}, 5, {"sent": 1, "unknown": 1}, {"sent": 1, "unknown": 1}),
    ({"end": DROP}, 5, {"sent": 1, "unknown": 1}, {"sent": 1, "unknown": 1}),
    ({"end": HANG}, 5, {"sent": 1, "unknown": 1}, {"sent": 1, "unknown": 1}),
    ({"end": f"{SLOW}250 taken at last"}, 0, DONE, DONE),
    ({"connect": f"{SLOW}220 hello", "MAIL": f"{SLOW}250 ok", "DATA": f"{SLOW}354 go on"}, 0, DONE, DONE),
]


def _name(value):
    return " ".join(f"{step} {what}" for step, what in value.items()) if isinstance(value, dict) else ""


@pytest.fixture
def filled(sqlite_url):
    with open_store(sqlite_url) as store:
        fill(store)
    return sqlite_url


@pytest.mark.parametrize(("replies", "code", "then", "at_last"), FAULTS, ids=_name)
def test_a_server_that_fails_at_a_step(forks, filled, tmp_path, replies, code, then, at_last):
    with scripted_server(replies) as inbox:
        settings = environ(filled, tmp_path, inbox.port) | {"ORDERCTL_MAIL_TIMEOUT": "1"}
        ended = forks(*REJECT, environ=settings)
        assert ended.code == code, ended
        picture = Picture.of(filled)
        assert (picture.rejected, picture.states) == (TARGETS, Counter(then))
        assert forks(*SEND, environ=settings, **LATER).code == 0
        inbox.settle()
        taken = [mail["Message-ID"] for mail in inbox.mails]
    assert Picture.of(filled).states == Counter(at_last)
    refused = "end" in replies and replies["end"].startswith(("4", "5"))
    # A server that read a mail and then refused it has not taken it.
    assert violations(filled) + mail_violations(filled, taken[refused:]) == []
    assert len(set(taken)) == BUYERS_TOLD - (at_last.get("refused", 0) and not refused)


def test_a_server_that_is_not_there(forks, filled, tmp_path):
    with scripted_server() as inbox:
        settings = environ(filled, tmp_path, inbox.port)
    ended = forks(*REJECT, environ=settings)
    assert (ended.code, "cannot be reached: Connection refused" in ended.out) == (5, True), ended
    assert Picture.of(filled).states == {"waiting": BUYERS_TOLD}


@pytest.mark.parametrize(
    ("server", "changes", "said"),
    [
        ({"certificate_for": "other.example"}, {}, "certificate that is not trusted: "),
        ({"valid_until": datetime.now(UTC) - timedelta(days=1)}, {}, "certificate has expired"),
        ({}, {"ORDERCTL_MAIL_CA_FILE": ""}, "certificate that is not trusted"),
        ({}, {"ORDERCTL_MAIL_PASSWORD": "hunter2"}, "refused the login of"),
    ],
    ids=["another host", "expired", "unknown authority", "a wrong password"],
)
def test_a_server_that_cannot_be_trusted_or_does_not_trust_us_gets_nothing(
    forks, filled, tmp_path, server, changes, said
):
    with real_server("starttls", **server) as inbox:
        secured = {
            "ORDERCTL_MAIL_SECURITY": "starttls",
            "ORDERCTL_MAIL_USER": USER,
            "ORDERCTL_MAIL_PASSWORD": PASSWORD,
            "ORDERCTL_MAIL_CA_FILE": ca_file(tmp_path),
        }
        ended = forks(*REJECT, environ=environ(filled, tmp_path, inbox.port) | secured | changes)
        assert (ended.code, said in " ".join(ended.out.split())) == (5, True), ended
        assert inbox.messages == []
        assert "hunter2" not in ended.out + ended.err
    picture = Picture.of(filled)
    assert (picture.rejected, picture.states) == (TARGETS, {"waiting": BUYERS_TOLD})
