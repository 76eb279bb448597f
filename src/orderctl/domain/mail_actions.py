"""What an operator may do with a mail: from which states, and what it becomes."""

from dataclasses import dataclass
from datetime import datetime

from orderctl.domain.mail_details import ARRIVED, CANCELLED, DID_NOT_ARRIVE, SENT_AGAIN
from orderctl.domain.outbox import MailState
from orderctl.language import later


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
    allowed=(MailState.REFUSED, MailState.UNKNOWN, MailState.RETRY, MailState.CANCELLED, MailState.WAITING),
    unasked=(MailState.REFUSED, MailState.RETRY),
    to=MailState.WAITING,
    detail=SENT_AGAIN,
)
CANCEL = MailAction(name="cancel", allowed=_WAITS, unasked=_WAITS, to=MailState.CANCELLED, detail=CANCELLED)
SENT = MailAction(
    name=later("settle as sent"),
    allowed=(MailState.UNKNOWN,),
    unasked=(MailState.UNKNOWN,),
    to=MailState.SENT,
    detail=ARRIVED,
)
NOT_SENT = MailAction(
    name=later("settle as not sent"),
    allowed=(MailState.UNKNOWN,),
    unasked=(MailState.UNKNOWN,),
    to=MailState.REFUSED,
    detail=DID_NOT_ARRIVE,
)
