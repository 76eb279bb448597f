"""Mails of the outbox, a run of the delivery, and the program with a mail server of its own."""

from dataclasses import asdict, replace
from datetime import timedelta
from itertools import count

from orderctl.delivery import queries as rows
from orderctl.delivery import service as delivery
from orderctl.delivery.outbox import Outcome, settlement
from orderctl.mail.letters import Composer
from orderctl.mail.maildir import MaildirMailer
from orderctl.mail.outbox import MAILS, Letter, MailQuery
from orderctl.mail.queries import list_mails
from orderctl.mail.service import MailKind
from orderctl.mail.smtp import SmtpMailer, SmtpSettings
from support.cli import Cli
from support.factories import make_order, put
from support.rejection import CLOCK, ids, reject
from support.smtp_server import HOST

NOW = CLOCK.at
LETTER = Letter(subject="Subject", text="Text", html="<p>Text</p>")
MINUTE = timedelta(minutes=1)
COMPOSER = Composer()
_tokens = count(1)


def queue(store, orders=3):
    """A batch that mails one order each; the ids of the mails, in the order in which they are due."""
    order_ids = [f"Q{number}" for number in range(orders)]
    put(store, *(make_order(order_id) for order_id in order_ids))
    batch_id = reject(store, ids(*order_ids), notify=True, per_order=True).batch_id
    return sorted(f"{batch_id}.{number}" for number in range(1, orders + 1))


def claim(store, holder="t", *, limit=10, now=NOW, batch_id=None):
    return store.write(
        lambda connection: rows.claim(
            connection, MAILS, token=holder, until=now + 10 * MINUTE, now=now, limit=limit, batch_id=batch_id
        )
    )


def start(store, mail_id, holder="t", now=NOW):
    handed_over = {**asdict(LETTER), "sent_digest": LETTER.sent_digest(mail_id, "0" * 64)}
    started = store.write(
        lambda connection: rows.start(
            connection, MAILS, holder, {mail_id: handed_over}, until=now + 10 * MINUTE, now=now
        )
    )
    return started == {mail_id}


def settle(store, mail_id, state, *, holder="t", detail="", now=NOW):
    def work(connection):
        [mail] = list_mails(connection, MailQuery(ids=(mail_id,)))
        as_claimed = replace(mail, attempts=mail.attempts - 1)
        settled = settlement(as_claimed, Outcome(state=state, detail=detail), now)
        return rows.settle(connection, MAILS, holder, [settled], now)

    return store.write(work) == {mail_id}


def get(store, mail_id):
    with store.snapshot() as connection:
        return next(list_mails(connection, MailQuery(ids=(mail_id,))), None)


def act(store, action, *mail_ids, clock=CLOCK, reason="", **query):
    """What an operator does; gives how many mails changed."""
    picked = delivery.pick(store, MAILS, action, MailQuery(ids=mail_ids, **query))
    return delivery.act(store, MAILS, action, picked, actor="mia", reason=reason, clock=clock)


def states(store):
    with store.snapshot() as connection:
        return {mail.id: mail.state for mail in list_mails(connection, MailQuery())}


def smtp(port, **changes):
    plain = {
        "host": HOST,
        "port": port,
        "security": "none",
        "user": None,
        "password": None,
        "sender": "orders@brand.example",
        "reply_to": None,
        "timeout_s": 5,
    }
    return lambda: SmtpMailer(SmtpSettings(**(plain | changes)))


def maildir(path):
    return lambda: MaildirMailer(path, sender="orders@brand.example", reply_to=None)


def run(store, mailer_factory, *, clock=CLOCK, composer=COMPOSER, limit=None, progress=None, **how):
    sending = delivery.Sending(
        kind=MailKind(composer=composer, sender=mailer_factory),
        clock=clock,
        new_token=lambda: f"run{next(_tokens)}",
        **how,
    )
    return delivery.deliver(store, sending, limit=limit, progress=progress)


def mail_cli(url, home, port, **more):
    return Cli(
        url,
        home,
        ORDERCTL_MAIL_TRANSPORT="smtp",
        ORDERCTL_MAIL_HOST=HOST,
        ORDERCTL_MAIL_PORT=str(port),
        ORDERCTL_MAIL_SECURITY="none",
        ORDERCTL_MAIL_SENDER="orders@brand.example",
        **more,
    )
