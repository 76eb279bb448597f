"""What an operator may do with mails: let them be sent again, cancel them, say what became of them."""

from orderctl.domain.errors import UsageError
from orderctl.domain.outbox import MailState
from orderctl.ports import Clock, Store


def retry_mail(store: Store, mail_id: str, *, clock: Clock) -> None:
    """Let a mail be sent again. Raises UsageError unless it was refused, cancelled, put off or is of unknown fate."""
    frm = (MailState.REFUSED, MailState.UNKNOWN, MailState.RETRY, MailState.CANCELLED)
    _move(store, mail_id, frm=frm, to=MailState.WAITING, detail="an operator lets it be sent again", clock=clock)


def cancel_mail(store: Store, mail_id: str, *, clock: Clock) -> None:
    """Never send a mail. Raises UsageError unless it still waits."""
    frm = (MailState.WAITING, MailState.RETRY, MailState.CLAIMED)
    _move(store, mail_id, frm=frm, to=MailState.CANCELLED, detail="cancelled by an operator", clock=clock)


def settle_mail(store: Store, mail_id: str, *, as_sent: bool, clock: Clock) -> None:
    """Say what became of a mail of unknown fate: it arrived, or it did not. Raises UsageError for another."""
    to = MailState.SENT if as_sent else MailState.REFUSED
    found = "it arrived" if as_sent else "it did not arrive"
    _move(store, mail_id, frm=(MailState.UNKNOWN,), to=to, detail=f"an operator found out: {found}", clock=clock)


def _move(store: Store, mail_id: str, *, frm: tuple[MailState, ...], to: MailState, detail: str, clock: Clock) -> None:
    now = clock.now()
    moved = store.write(lambda work: work.outbox.move(mail_id, frm=frm, to=to, detail=detail, now=now))
    if moved:
        return
    with store.snapshot() as work:
        mail = work.outbox.get(mail_id)
    if mail is None:
        raise UsageError(f"there is no mail {mail_id!r} in this store", hint="orderctl mail list shows them")
    raise UsageError(
        f"mail {mail_id} is {mail.state}; only one that is {_or(frm)} can become {to}",
        hint=f"look first: orderctl mail show {mail_id}",
    )


def _or(states: tuple[MailState, ...]) -> str:
    *others, last = states
    return f"{', '.join(others)} or {last}" if others else str(last)
