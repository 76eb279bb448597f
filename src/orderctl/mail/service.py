"""Mails as deliveries: how each is written, which came back, and which go to another address (design.md, section 7)."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING

from orderctl.core.ids import new_id
from orderctl.core.times import Progress
from orderctl.database.acts import salted
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.delivery.outbox import (
    RETRY,
    DeliveryReport,
    DeliveryState,
    Logged,
    Outbox,
    Settlement,
    settlement,
)
from orderctl.delivery.queries import change, find_states, log
from orderctl.delivery.run import CHUNK
from orderctl.delivery.service import Sending, pick
from orderctl.delivery.workers import Job, unsendable
from orderctl.errors import UsageError
from orderctl.language import _
from orderctl.mail.outbox import (
    BOUNCE,
    BOUNCED,
    GONE,
    MAILS,
    Bounced,
    BounceNotice,
    BounceReport,
    Fate,
    LetterContext,
    Mail,
    MailQuery,
    Verdict,
)
from orderctl.mail.queries import Heard, claimed_mails, for_writing, heard_of, list_mails, queued_letters, release_held
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
                message = self._writer.write(mail, letter)
                handed_over = letter.sent_digest(mail.id, sha256(message).hexdigest())
                return Job(item=mail, message=message, recorded={**asdict(letter), "sent_digest": handed_over})
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
    mails, total = list_mails(connection, query), len(find_states(connection, MAILS, query))
    while together := for_writing(connection, tuple(islice(mails, CHUNK))):
        facts = kind.facts(connection, together)
        for mail in together:
            made = kind.prepare(mail, facts.get(mail.id), now)
            states[made.state if isinstance(made, Settlement) else DeliveryState.SENT] += 1
        progress(states.total(), total)
    return DeliveryReport(
        sent=states[DeliveryState.SENT], retry=states[DeliveryState.RETRY], refused=states[DeliveryState.REFUSED]
    )


_TOGETHER = 200
_IN_HAND = frozenset({DeliveryState.CLAIMED, DeliveryState.SENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceReader:
    """Records what reports say of mails. `copies` are the addresses that get a copy of each by setting."""

    actor: str
    clock: Clock
    copies: tuple[str, ...] = ()

    def record(self, store: Store, notices: Iterable[BounceNotice]) -> BounceReport:
        """Mark the mails that came back, each by its own report; what was recorded before changes nothing."""
        bounced: list[Bounced] = []
        doubtful: list[BounceNotice] = []
        fates: Counter[Fate] = Counter()
        coming = iter(notices)
        while together := list(islice(coming, _TOGETHER)):
            for notice, fate, mail in store.write(lambda connection: self._write(connection, together)):
                fates[fate] += 1
                if fate is Fate.DOUBTFUL:
                    doubtful.append(notice)
                if fate is Fate.BOUNCED and mail is not None:
                    words = _words(notice, mail)
                    bounced.append(Bounced(mail_id=mail.id, recipient=mail.recipient, words=words, report=notice.id))
        return BounceReport(bounced=tuple(bounced), doubtful=tuple(doubtful), fates=fates)

    def _write(
        self, connection: Connection, notices: Sequence[BounceNotice]
    ) -> list[tuple[BounceNotice, Fate, Mail | None]]:
        at = self.clock.of(connection)
        named = [message_id for notice in notices for message_id in notice.message_ids]
        heard = heard_of(connection, named) if named else {}
        told = []
        for notice in notices:
            of_mail = heard.get(notice.message_ids[0]) if len(notice.message_ids) == 1 else None
            fate = self._fate(notice, of_mail)
            mail = of_mail.mail if of_mail else None
            if of_mail and mail and fate in {Fate.BOUNCED, Fate.NOTED}:
                words = _words(notice, mail)
                act = Logged(event_id=new_id(), actor=self.actor, reason=words, at=at, noted={"report": notice.id})
                if fate is Fate.NOTED:
                    log(connection, MAILS, BOUNCE, [mail.id], act, stays=True)
                else:
                    action = replace(BOUNCE, detail=_(BOUNCED, words=words)) if words else BOUNCE
                    change(connection, MAILS, action, {mail.id: mail.state}, act)
                of_mail.reports.add(notice.id)
                heard[mail.message_id] = replace(of_mail, mail=replace(mail, state=_after(fate, mail)))
            told.append((notice, fate, mail))
        return told

    def _fate(self, notice: BounceNotice, heard: Heard | None) -> Fate:
        if notice.verdict is Verdict.NONE:
            return Fate.OTHER
        if heard is None and len(notice.message_ids) < 2:  # noqa: PLR2004 - several are ours, and none is certain
            return Fate.OTHER if notice.verdict is Verdict.UNCLEAR else Fate.FOREIGN
        if notice.verdict is Verdict.DELAYED:
            return Fate.DELAYED
        if heard is None or notice.verdict is Verdict.UNCLEAR:
            return Fate.DOUBTFUL
        return self._fate_of_failed(notice, heard)

    def _fate_of_failed(self, notice: BounceNotice, heard: Heard) -> Fate:
        if notice.id in heard.reports:
            return Fate.KNOWN
        if fate := self._fate_by_address(notice, heard):
            return fate
        if heard.mail.state in _IN_HAND:
            return Fate.IN_HAND
        return Fate.BOUNCED if heard.mail.state in BOUNCE.allowed else Fate.NOTED

    def _fate_by_address(self, notice: BounceNotice, heard: Heard) -> Fate | None:
        """What the addresses say against it: the report is about a copy, or about an address from before."""
        named = notice.addresses
        if not named or _address(heard.mail) in named:
            return None
        if named & heard.earlier:
            return Fate.EARLIER
        copies = {each.lower() for each in (*self.copies, *heard.mail.cc, *heard.mail.bcc)}
        if named <= copies:
            return Fate.COPY
        # Mails are forwarded, so that the failed address may be another. With copies it could be that of a copy.
        return Fate.DOUBTFUL if copies else None


def _after(fate: Fate, mail: Mail) -> DeliveryState:
    return BOUNCE.to if fate is Fate.BOUNCED else mail.state


def _address(mail: Mail) -> str:
    """The recipient in lower case and in the ASCII form that servers name."""
    # The library that checks addresses takes long to load, and this one was checked.
    local, _at, domain = mail.recipient.lower().rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return mail.recipient.lower()


def _words(notice: BounceNotice, mail: Mail) -> str:
    """Why this mail came back: what the report says of its address, else of any."""
    mine = (failure.words for failure in notice.failures if _address(mail) in failure.addresses and failure.words)
    return next(mine, notice.words)


def readdress(store: Store, query: MailQuery, to: str, *, actor: str, reason: str, clock: Clock) -> int:
    """Let mails of one buyer, named by their ids, be sent to another address; returns how many.

    Raises UsageError if they are of several buyers, in no state for it, or go to this address already.
    """
    picked = pick(store, MAILS, RETRY, query)

    def work(connection: Connection) -> int:
        at, done = clock.of(connection), 0
        mails = list(list_mails(connection, MailQuery(ids=tuple(picked.states))))
        if len({mail.buyer_id for mail in mails}) > 1:
            raise UsageError(
                _("these mails go to several buyers, and --to is one address"),
                hint=_("give the mails of one buyer: orderctl mail list --buyer ID"),
            )
        for mail in mails:
            if mail.recipient == to:
                raise UsageError(
                    _("mail {id} goes to {address} already", id=mail.id, address=to), hint=_("leave out --to")
                )
            salt = os.urandom(16).hex()
            act = Logged(
                event_id=new_id(),
                actor=actor,
                reason=reason,
                at=at,
                noted={"from_recipient": mail.recipient, "to_recipient": to, "salt": salt},
                changes={"recipient": to},
                proof=salted(salt, mail.recipient, to),
            )
            done += change(connection, MAILS, RETRY, {mail.id: picked.states[mail.id]}, act)
        return done

    return store.write(work)
