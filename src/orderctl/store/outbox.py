"""The outbox: mails as rows that workers lease, send and settle; see `ports.Outbox` (design.md, section 7)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from orderctl.domain.outbox import (
    MAX_ATTEMPTS,
    Letter,
    LetterFacts,
    Mail,
    MailState,
    Outcome,
    pause_after,
)
from orderctl.domain.reasons import words_of
from orderctl.ports import MailQuery
from orderctl.store.letter_facts import letter_facts
from orderctl.store.sql import Connection, Fragment, Row, read_instant

_COLUMNS = (
    "id, batch_id, buyer_id, recipient, language, message_id, state, attempts, next_attempt_at, created_at,"
    " updated_at, last_error, subject, text, html, (SELECT count(*) FROM mail_order WHERE"
    " mail_order.account = :account AND mail_order.mail_id = mail.id)"
)
_DUE = f"state IN ('{MailState.WAITING}', '{MailState.RETRY}') AND next_attempt_at <= :now"
_BACK = f"CASE WHEN attempts > 0 THEN '{MailState.RETRY}' ELSE '{MailState.WAITING}' END"
DIED = "the sender stopped while it was sending: the server may have taken this mail"


class SqlOutbox:
    """The mails of the connection's account."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(
        self, *, token: str, until: datetime, now: datetime, limit: int, batch_id: str | None
    ) -> tuple[Mail, ...]:
        """Lease the mails that are due, the longest due first. Workers never get the same one."""
        dialect = self._connection.dialect
        of_batch, bound = _of_batch(batch_id)
        due = self._connection.execute(
            f"SELECT id FROM mail WHERE account = :account AND {_DUE}{of_batch}"
            f" ORDER BY next_attempt_at, id LIMIT :most {dialect.lock_free('mail')}",
            {"now": dialect.instant(now), "most": limit, **bound},
        ).fetchall()
        claimed = [str(mail_id) for (mail_id,) in due]
        if not claimed:
            return ()
        self._connection.execute(
            f"UPDATE mail SET state = '{MailState.CLAIMED}', token = :token, lease_until = :until, updated_at = :now"
            f" WHERE account = :account AND id IN ({dialect.ids('claimed')})",
            {
                "token": token,
                "until": dialect.instant(until),
                "now": dialect.instant(now),
                "claimed": dialect.bind_ids(claimed),
            },
        )
        return self._in_order(claimed)

    def due(self, now: datetime, batch_id: str | None) -> int:
        """How many mails could be claimed."""
        of_batch, bound = _of_batch(batch_id)
        row = self._connection.execute(
            f"SELECT count(*) FROM mail WHERE account = :account AND {_DUE}{of_batch}",
            {"now": self._connection.dialect.instant(now), **bound},
        ).fetchone()
        return int(row[0]) if row else 0

    def facts(self, mail_id: str) -> LetterFacts | None:
        """What the mail's letter is made of; None if the mail or its buyer is gone."""
        row = self._connection.execute(
            "SELECT mail.buyer_id, batch.message, batch.reason, batch.reason_code FROM mail JOIN batch"
            " ON batch.account = mail.account AND batch.id = mail.batch_id"
            " WHERE mail.account = :account AND mail.id = :mail",
            {"mail": mail_id},
        ).fetchone()
        if row is None:
            return None
        told = Fragment(
            "id IN (SELECT order_id FROM mail_order WHERE account = :account AND mail_id = :mail)", {"mail": mail_id}
        )
        notes = self._connection.execute(
            "SELECT order_id, message FROM mail_order"
            " WHERE account = :account AND mail_id = :mail AND message <> '' ORDER BY order_id",
            {"mail": mail_id},
        )
        found = letter_facts(self._connection, row[0], told, message=row[1], reason=words_of(row[2], row[3]))
        return found and replace(found, notes=tuple((order_id, text) for order_id, text in notes))

    def start_sending(self, mail_id: str, token: str, letter: Letter, *, until: datetime, now: datetime) -> bool:
        """Note, before the server hears of it, that this mail is about to be sent; False if the lease is lost."""
        dialect = self._connection.dialect
        started = self._connection.execute(
            f"UPDATE mail SET state = '{MailState.SENDING}', attempts = attempts + 1, subject = :subject,"
            " text = :text, html = :html, lease_until = :until, updated_at = :now"
            f" WHERE account = :account AND id = :mail AND token = :token AND state = '{MailState.CLAIMED}'",
            {
                "mail": mail_id,
                "token": token,
                "subject": letter.subject,
                "text": letter.text,
                "html": letter.html,
                "until": dialect.instant(until),
                "now": dialect.instant(now),
            },
        )
        return started.rowcount == 1

    def settle(self, mail_id: str, token: str, outcome: Outcome, now: datetime) -> bool:
        """Note how the attempt ended; False if the mail is not the holder's any more.

        A sender that outlived its lease may still say what it knows: the mail is `unknown` until then.
        """
        held = f"id = :mail AND token = :token AND state IN ('{MailState.SENDING}', '{MailState.UNKNOWN}')"
        bound: dict[str, object] = {"mail": mail_id, "token": token}
        row = self._connection.execute(
            f"SELECT attempts FROM mail WHERE account = :account AND {held} {self._connection.dialect.lock('mail')}",
            bound,
        ).fetchone()
        if row is None:
            return False
        state, detail = _settled(outcome, row[0])
        due = now + pause_after(row[0]) if state is MailState.RETRY else now
        self._put_down(held, bound, state=state, detail=detail, due=due, now=now)
        return True

    def release(self, token: str, now: datetime) -> int:
        """Give back what the token's holder claimed and did not begin to send."""
        released = self._connection.execute(
            f"UPDATE mail SET state = {_BACK}, token = NULL, lease_until = NULL, updated_at = :now"
            f" WHERE account = :account AND token = :token AND state = '{MailState.CLAIMED}'",
            {"token": token, "now": self._connection.dialect.instant(now)},
        )
        return released.rowcount

    def expire(self, now: datetime) -> int:
        """End the leases that ran out: what was claimed is due again, what was being sent is `unknown`."""
        bound = {"now": self._connection.dialect.instant(now)}
        ran_out = "account = :account AND lease_until < :now"
        claimed = self._connection.execute(
            f"UPDATE mail SET state = {_BACK}, token = NULL, lease_until = NULL, updated_at = :now"
            f" WHERE {ran_out} AND state = '{MailState.CLAIMED}'",
            bound,
        )
        sending = self._connection.execute(
            f"UPDATE mail SET state = '{MailState.UNKNOWN}', lease_until = NULL, last_error = :died, updated_at = :now"
            f" WHERE {ran_out} AND state = '{MailState.SENDING}'",
            {**bound, "died": DIED},
        )
        return claimed.rowcount + sending.rowcount

    def get(self, mail_id: str) -> Mail | None:
        """One mail."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM mail WHERE account = :account AND id = :mail", {"mail": mail_id}
        ).fetchone()
        return _mail(row) if row else None

    def find(self, query: MailQuery) -> Iterator[Mail]:
        """The mails, newest first."""
        dialect = self._connection.dialect
        where, bound = ["account = :account"], dict[str, object]()
        if query.states:
            where.append(f"state IN ({dialect.ids('states')})")
            bound["states"] = dialect.bind_ids([state.value for state in query.states])
        if query.batch_id is not None:
            where.append("batch_id = :batch")
            bound["batch"] = query.batch_id
        limit = ""
        if query.limit is not None:
            limit, bound["most"] = " LIMIT :most", query.limit
        found = self._connection.stream(
            f"SELECT {_COLUMNS} FROM mail WHERE {' AND '.join(where)} ORDER BY created_at DESC, id DESC{limit}", bound
        )
        return map(_mail, found)

    def counts(self, batch_id: str | None) -> dict[MailState, int]:
        """How many mails are in each state, of one batch or of all."""
        of_batch, bound = _of_batch(batch_id)
        found = self._connection.execute(
            f"SELECT state, count(*) FROM mail WHERE account = :account{of_batch} GROUP BY state",
            bound,
        )
        counted = {MailState(state): int(number) for state, number in found}
        return {state: counted.get(state, 0) for state in MailState}

    def order_ids(self, mail_id: str) -> tuple[str, ...]:
        """The orders that the mail speaks of."""
        found = self._connection.execute(
            "SELECT order_id FROM mail_order WHERE account = :account AND mail_id = :mail ORDER BY order_id",
            {"mail": mail_id},
        )
        return tuple(str(order_id) for (order_id,) in found)

    def move(self, mail_id: str, *, frm: tuple[MailState, ...], to: MailState, detail: str, now: datetime) -> bool:
        """Put a mail that is in one of the states into another, and take it from whoever holds it."""
        dialect = self._connection.dialect
        held = f"id = :mail AND state IN ({dialect.ids('frm')})"
        bound = {"mail": mail_id, "frm": dialect.bind_ids([state.value for state in frm])}
        return self._put_down(held, bound, state=to, detail=detail, due=now, now=now) == 1

    def _put_down(
        self, where: str, bound: dict[str, object], *, state: MailState, detail: str, due: datetime, now: datetime
    ) -> int:
        dialect = self._connection.dialect
        changed = self._connection.execute(
            "UPDATE mail SET state = :state, last_error = :detail, next_attempt_at = :due, token = NULL,"
            f" lease_until = NULL, updated_at = :now WHERE account = :account AND {where}",
            {
                **bound,
                "state": state.value,
                "detail": detail,
                "due": dialect.instant(due),
                "now": dialect.instant(now),
            },
        )
        return changed.rowcount

    def _in_order(self, mail_ids: Sequence[str]) -> tuple[Mail, ...]:
        dialect = self._connection.dialect
        found = self._connection.execute(
            f"SELECT {_COLUMNS} FROM mail WHERE account = :account AND id IN ({dialect.ids('wanted')})"
            " ORDER BY next_attempt_at, id",
            {"wanted": dialect.bind_ids(mail_ids)},
        )
        return tuple(map(_mail, found))


def _of_batch(batch_id: str | None) -> tuple[str, dict[str, object]]:
    return ("", {}) if batch_id is None else (" AND batch_id = :batch", {"batch": batch_id})


def _settled(outcome: Outcome, attempts: int) -> tuple[MailState, str]:
    """The state that an outcome leads to: too many temporary refusals are a refusal."""
    if outcome.state is MailState.RETRY and attempts >= MAX_ATTEMPTS:
        return MailState.REFUSED, f"given up after {attempts} attempts: {outcome.detail}"
    return outcome.state, outcome.detail


def _mail(row: Row) -> Mail:
    composed = row[12] is not None
    return Mail(
        id=row[0],
        batch_id=row[1],
        buyer_id=row[2],
        recipient=row[3],
        language=row[4],
        message_id=row[5],
        state=MailState(row[6]),
        attempts=row[7],
        next_attempt_at=read_instant(row[8]),
        created_at=read_instant(row[9]),
        updated_at=read_instant(row[10]),
        last_error=row[11],
        letter=Letter(subject=row[12], text=row[13], html=row[14]) if composed else None,
        orders=row[15],
    )
