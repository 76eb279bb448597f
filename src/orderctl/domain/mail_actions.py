"""What an operator may do with a mail: from which states, and what it becomes."""

from dataclasses import dataclass
from datetime import datetime

from orderctl.domain.outbox import MailState


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAction:
    """One action. `unasked` are the states that filters take without naming a state."""

    name: str
    allowed: tuple[MailState, ...]
    unasked: tuple[MailState, ...]
    to: MailState
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailEvent:
    """One line of a mail's log: what an operator did. Append-only."""

    mail_id: str
    id: str
    action: str
    from_state: MailState
    to_state: MailState
    reason: str
    actor: str
    at: datetime


_WAITS = (MailState.WAITING, MailState.RETRY, MailState.CLAIMED)
RETRY = MailAction(
    name="retry",
    allowed=(MailState.REFUSED, MailState.UNKNOWN, MailState.RETRY, MailState.CANCELLED),
    unasked=(MailState.REFUSED, MailState.RETRY),
    to=MailState.WAITING,
    detail="an operator lets it be sent again",
)
CANCEL = MailAction(
    name="cancel", allowed=_WAITS, unasked=_WAITS, to=MailState.CANCELLED, detail="cancelled by an operator"
)
SENT = MailAction(
    name="settle as sent",
    allowed=(MailState.UNKNOWN,),
    unasked=(MailState.UNKNOWN,),
    to=MailState.SENT,
    detail="an operator found out: it arrived",
)
NOT_SENT = MailAction(
    name="settle as not sent",
    allowed=(MailState.UNKNOWN,),
    unasked=(MailState.UNKNOWN,),
    to=MailState.REFUSED,
    detail="an operator found out: it did not arrive",
)
