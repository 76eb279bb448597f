"""Mails as deliveries: how each is written, and which ones an operator picks (design.md, section 7)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from orderctl.core.times import Progress
from orderctl.database.connection import Connection
from orderctl.database.endings import find_batch, find_mails
from orderctl.database.store import Store
from orderctl.delivery.outbox import DeliveryAction, DeliveryReport, DeliveryState, Outbox, Settlement, settlement
from orderctl.delivery.run import CHUNK
from orderctl.delivery.service import Picked, Sending, pick
from orderctl.delivery.workers import Job, unsendable
from orderctl.mail.letter_context import queued_letters
from orderctl.mail.outbox import GONE, MAILS, LetterContext, Mail, MailQuery
from orderctl.mail.queries import claimed_mails, list_mails, mail_states, release_held
from orderctl.mail.transports import Mailer

if TYPE_CHECKING:
    from orderctl.mail.letters import Composer


@dataclass(slots=True, kw_only=True)
class MailKind:
    """Mails as a kind of deliveries: the composer of their letters, and the mail server."""

    composer: "Composer"
    sender: Callable[[], Mailer]
    outbox: Outbox = MAILS
    _writer: Mailer | None = field(default=None, init=False)

    def ready(self) -> None:
        """Raise ServerUnavailableError or UsageError if no mail can be sent at all."""
        self._writer = self.sender()

    def before(self, store: Store) -> None:
        """Nothing."""

    @staticmethod
    def wake(connection: Connection, now: datetime) -> None:
        """Let go of mails whose orders are cancelled in their systems by now."""
        release_held(connection, now)

    @staticmethod
    def read(connection: Connection, ids: Sequence[str]) -> tuple[Mail, ...]:
        """The mails of these ids, longest due first."""
        return claimed_mails(connection, ids)

    @staticmethod
    def facts(connection: Connection, mails: Sequence[Mail]) -> Mapping[str, LetterContext]:
        """The content of the letters that are not composed yet, by mail id."""
        return queued_letters(connection, [mail.id for mail in mails if mail.letter is None])

    def prepare(self, mail: Mail, facts: LetterContext | None, now: datetime) -> Job | Settlement:
        """The mail with its message, or how it ends without one: its letter cannot be made, or its buyer is gone."""
        assert self._writer is not None  # noqa: S101 - for the type checker: a run begins with `ready`
        try:
            # A letter that was composed before is sent unchanged: one Message-ID stands for one text.
            letter = mail.letter or (self.composer.compose(facts) if facts else None)
            if letter is not None:
                recorded = {"subject": letter.subject, "text": letter.text, "html": letter.html}
                return Job(item=mail, message=self._writer.write(mail, letter), recorded=recorded)
        except Exception as error:  # noqa: BLE001 - a template may raise anything
            return settlement(mail, unsendable(error), now)
        return Settlement(item_id=mail.id, state=DeliveryState.REFUSED, detail=GONE, attempts=mail.attempts)


def try_delivery(connection: Connection, sending: Sending[MailKind], *, progress: Progress) -> DeliveryReport:
    """What sending the mails of a batch would give if the server took each: their messages are made, and not sent.

    Raises ServerUnavailableError and UsageError if no mail can be sent at all.
    """
    kind, now = sending.kind, sending.clock.of(connection)
    kind.ready()
    query = MailQuery(batch_id=sending.batch_id)
    states: Counter[DeliveryState] = Counter()
    mails, total = list_mails(connection, query), len(mail_states(connection, query))
    while together := list(islice(mails, CHUNK)):
        facts = kind.facts(connection, together)
        for mail in together:
            made = kind.prepare(mail, facts.get(mail.id), now)
            states[made.state if isinstance(made, Settlement) else DeliveryState.SENT] += 1
        progress(states.total(), total)
    return DeliveryReport(
        sent=states[DeliveryState.SENT], retry=states[DeliveryState.RETRY], refused=states[DeliveryState.REFUSED]
    )


def pick_mails(store: Store, action: DeliveryAction, query: MailQuery) -> Picked:
    """The mails of the query that the action applies to; see `delivery.service.pick`. Raises UsageError."""
    with store.snapshot() as connection:
        query = found_in(connection, query)
        found = mail_states(connection, replace(query, states=()))
    return pick(MAILS, action, found, named=query.ids, states=query.states)


def found_in(connection: Connection, query: MailQuery) -> MailQuery:
    """The query with full ids instead of endings. Raises UsageError for an id or ending that is not found."""
    batch_id = None if query.batch_id is None else find_batch(connection, query.batch_id)
    return replace(query, ids=find_mails(connection, query.ids), batch_id=batch_id)
