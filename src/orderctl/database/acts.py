"""Acts: what operators do besides rejecting, as one chain of each account (design.md, section 5b).

An act is one row, however many orders it is of. It is written in the transaction of what it tells, and its digest
covers the rows that tell it one by one: events of orders or of mails, a plan, a policy.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii

from orderctl.database.connection import Columns, Connection, Row, readable_instant

_UNREADABLE = datetime.fromtimestamp(0, UTC)  # stands for an instant that somebody edited: no digest matches it
# The first act of an account that had a log before there were acts: it covers what was there.
EARLIER = "earlier"
# It is covered anew when an erasure took words out of what was there.
EARLIER_ERASED = "earlier-erased"
# Of an act on orders, the kind is that of the events that tell it. The others are these, or begin like these.
POLICY_SET = "policy-set"
MAIL_ACT, WRITEBACK_ACT, PLAN_ACT, MEMBER_ACT = "mail-", "writeback-", "plan-", "member-"
_COLUMNS = Columns(
    "position, at, actor, login, kind, subject, detail, salt, detail_digest, number, content, previous, digest",
    at=lambda value: readable_instant(value) or _UNREADABLE,
)
# One transaction at a time adds to the chain of an account. It waits here, and not for a number that is taken: a long
# import would have to run again. Taken last, after all rows, so that nobody who holds it waits for rows.
_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' orderctl act ' || :account, 0))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act: who did what, and when. `subject` is the id of the events, the plan or the policy that tell it.

    `number` is how many rows tell it, and `content` a digest of them. `position` numbers the acts of the account from
    1; `previous` is the digest of the act before, empty for the first. `detail` may name a person: it is digested with
    the `salt`, and `detail_digest` is what that was before it was erased. `record_act` fills in what stands last.
    """

    kind: str
    subject: str
    actor: str
    at: datetime
    detail: str = ""
    salt: str = ""
    detail_digest: str = ""
    number: int = 1
    content: str = ""
    login: str = ""
    position: int = 0
    previous: str = ""
    digest: str = ""

    @property
    def expected_digest(self) -> str:
        """SHA-256 over every field but `digest`. Never change it: the digests of all acts depend on it."""
        covered = (
            self.position,
            self.at.isoformat(),
            self.actor,
            self.login,
            self.kind,
            self.subject,
            self.salted_digest,
            self.number,
            self.content,
            self.previous,
        )
        return hashlib.sha256(json.dumps(covered).encode()).hexdigest()

    @property
    def salted_digest(self) -> str:
        """The digest of the detail with the salt; empty if there was no detail."""
        if not self.salt:
            return self.detail_digest
        return salted(self.salt, self.detail)

    def of_keys(self, keys: Iterable[str]) -> "Act":
        """The act told by the rows with these keys, which alone differ between them."""
        return self.told_by((key,) for key in sorted(keys))

    def told_by(self, rows: Iterable[Row]) -> "Act":
        """The act told by these rows, sorted by their keys."""
        content = content_of(rows)
        return replace(self, number=content.number, content=content.digest)


def salted(salt: str, *texts: str) -> str:
    """The digest of texts that an erasure may take, which nobody can try out once the salt is gone too."""
    return hashlib.sha256(json.dumps([salt, *texts]).encode()).hexdigest()


class Content:
    """The digest of the rows of an act, in the order of their keys: of each its key, or all that it says."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.number = 0

    def add(self, *said: object) -> None:
        """Add what one row says; instants are digested as UTC."""
        line = encode_basestring_ascii(said[0]) if said[1:] == () and isinstance(said[0], str) else _line(said)
        self._digest.update(line.encode() + b"\n")
        self.number += 1

    @property
    def digest(self) -> str:
        """SHA-256 over the lines, as hexadecimal text."""
        return self._digest.hexdigest()


def content_of(rows: Iterable[Row]) -> Content:
    """The digest of these rows, which must be sorted by their keys."""
    content = Content()
    for row in rows:
        content.add(*row)
    return content


def record_act(connection: Connection, act: Act) -> Act:
    """Add an act to the chain of the account, at the end of the transaction that does it."""
    if connection.dialect.name != "sqlite":
        connection.execute(_TURN)
    row = connection.execute(
        f"SELECT {connection.dialect.login}, last.position, last.digest FROM (SELECT 1 AS one) AS present"
        " LEFT JOIN (SELECT position, digest FROM act WHERE account = :account ORDER BY position DESC LIMIT 1)"
        " AS last ON 1 = 1"
    ).fetchone()
    login, position, previous = row or ("", None, None)
    act = replace(act, at=act.at.astimezone(UTC), login=login, position=(position or 0) + 1, previous=previous or "")
    act = replace(act, salt=os.urandom(16).hex() if act.detail else "")
    act = replace(act, digest=act.expected_digest)
    _COLUMNS.insert(connection, "act", act)
    return act


def read_acts(connection: Connection, order: str = "position") -> Iterator[Act]:
    """Every act, in the order of the chain or of other columns."""
    found = connection.stream(f"SELECT {_COLUMNS.sql} FROM act WHERE account = :account ORDER BY {order}")
    return (Act(**_COLUMNS.values(row)) for row in found)


def loose_rows(connection: Connection) -> Iterator[Row]:
    """Every event of an order outside batches, sorted by its id, kind and order.

    Each row has id, kind, order, detail, actor, at, status before and after, reason code and lines digest.
    """
    found = connection.stream(
        "SELECT e.id, e.kind, e.order_id, e.detail, e.actor, e.at, e.from_status, e.to_status, e.reason_code,"
        " e.lines_digest FROM order_event AS e WHERE e.account = :account AND e.batch_id IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM batch AS b WHERE b.account = :account AND b.id = e.id) ORDER BY e.id, e.kind, e.order_id"
    )
    return ((*row[:5], readable_instant(row[5]), *row[6:]) for row in found)


def delivery_rows(connection: Connection, kind: str, *, addresses: bool = False) -> Iterator[Row]:
    """Every event of the deliveries of a kind, `mail` or `writeback`, sorted by its id, action and delivery.

    Each row has id, action, delivery, reason, actor, at, and the states before and after; with `addresses`, that of a
    mail that goes elsewhere has the digest of both too.
    """
    more = ", salt, from_recipient, to_recipient, digest" if addresses else ""
    found = connection.stream(
        f"SELECT id, action, {kind}_id, reason, actor, at, from_state, to_state{more} FROM {kind}_event"
        f" WHERE account = :account ORDER BY id, action, {kind}_id"
    )
    for row in found:
        salt, *texts, digest = row[8:] or ("", "")
        proof = salted(salt, *texts) if salt else digest
        yield (*row[:5], readable_instant(row[5]), *row[6:8], *((proof,) if proof else ()))


def policy_rows(connection: Connection) -> Iterator[Row]:
    """Every policy in the order of its chain: position, at, actor, login, rules, previous and digest."""
    found = connection.stream(
        "SELECT position, at, actor, actor_login, rules, previous, digest FROM policy WHERE account = :account"
        " ORDER BY position"
    )
    return ((row[0], readable_instant(row[1]), *row[2:]) for row in found)


def member_rows(connection: Connection) -> Iterator[Row] | None:
    """What was done with the members of the account, oldest first; None for a login that sees its own rows alone.

    Each row has login, number, action, at, actor and the actor's login.
    """
    if connection.dialect.name == "sqlite" or _is_true(connection, "row_security_active('member')"):
        return None
    found = connection.stream(
        "SELECT login, number, action, at, actor, actor_login FROM member WHERE account = :account"
        " ORDER BY at, login, number"
    )
    return ((*row[:3], readable_instant(row[3]), *row[4:]) for row in found)


def can_record(connection: Connection) -> bool:
    """Whether the login may write acts of the account: on PostgreSQL an owner may be no member of it."""
    dialect = connection.dialect
    shut_out = f"row_security_active('act') AND NOT :account IN ({dialect.accounts})"
    return dialect.name == "sqlite" or not _is_true(connection, shut_out)


def _is_true(connection: Connection, condition: str) -> bool:
    row = connection.execute(f"SELECT {condition}").fetchone()
    return bool(row and row[0])


def policy_digest(*said: object) -> str:
    """The digest of a policy: position, at, actor, login, rules as JSON text, and the digest of the one before."""
    return hashlib.sha256(_line(said).encode()).hexdigest()


_STEPS = (
    "id, plan_digest, made_at, author, author_login, targets, totals, reason, second_operator, expires_at, state,"
    " approver, approver_login, approved_at, how, due_at, closed_at, closed_by, closed_by_login, digest"
)


def plan_rows(connection: Connection, plan_id: str | None = None) -> Iterator[Row]:
    """Every saved plan as it is, or one of them, sorted by id; `plan_digest` stands for the plan itself."""
    columns = Columns(
        _STEPS, **dict.fromkeys(("made_at", "expires_at", "approved_at", "due_at", "closed_at"), readable_instant)
    )
    one, bound = ("", {}) if plan_id is None else (" AND id = :id", {"id": plan_id})
    found = connection.stream(f"SELECT {columns.sql} FROM plan WHERE account = :account{one} ORDER BY id", bound)
    return (tuple(columns.values(row).values()) for row in found)


def erase_details(connection: Connection, is_named: Callable[[str], object], mark: str) -> None:
    """Put the mark in the place of each detail that names somebody, and keep its digest."""
    for act in [each for each in read_acts(connection) if each.salt and is_named(each.detail)]:
        connection.execute(
            "UPDATE act SET detail = :mark, salt = '', detail_digest = :digest"
            " WHERE account = :account AND position = :position",
            {"mark": mark, "digest": act.salted_digest, "position": act.position},
        )


def record_earlier(connection: Connection, at: datetime) -> None:
    """Record the first act of an account: a digest of what its logs hold, if they hold anything."""
    content = _earlier_content(connection, None)
    if content.number:
        act = Act(kind=EARLIER, subject="", actor="", at=at, number=content.number, content=content.digest)
        record_act(connection, act)


def record_earlier_again(connection: Connection, actor: str, at: datetime) -> None:
    """Cover anew what was there before acts were recorded, if an erasure took words out of it."""
    covering = [act for act in read_acts(connection) if act.kind in {EARLIER, EARLIER_ERASED}]
    if not covering:
        return
    content = _earlier_content(connection, covering[0].at)
    if content.digest != covering[-1].content:
        again = Act(kind=EARLIER_ERASED, subject="", actor=actor, at=at, number=content.number, content=content.digest)
        record_act(connection, again)


def _earlier_content(connection: Connection, until: datetime | None) -> Content:
    """What no act tells of: the events outside batches and of mails, and the policies, until then."""
    content, told = Content(), {(act.subject, act.kind) for act in read_acts(connection)} if until else set()
    logs = (
        (loose_rows(connection), 5, ""),
        (delivery_rows(connection, "mail"), 5, MAIL_ACT),
        (policy_rows(connection), 1, None),
    )
    for rows, when, kinds in logs:
        for row in rows:
            key = (str(row[0]), POLICY_SET if kinds is None else f"{kinds}{row[1]}")
            if until is None or (row[when] is not None and row[when] <= until and key not in told):
                content.add(*row)
    return content


def _line(said: tuple[object, ...]) -> str:
    return json.dumps(said, default=lambda value: value.isoformat())
