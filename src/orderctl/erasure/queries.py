"""The personal data of a buyer in the store: what there is of it, what forbids to erase it, and the erasure itself."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from orderctl.audit.log import Batch, BatchDigest, digest_again
from orderctl.audit.queries import batch_events, get_batch
from orderctl.core.text import fold
from orderctl.database.acts import PLAN_ACT, Act, erase_details, plan_rows, record_act, record_earlier_again, salted
from orderctl.database.connection import Connection, Dialect, Fragment, Row, packed, recordset
from orderctl.delivery.outbox import DeliveryState
from orderctl.erasure.scope import Scope, blanked_batch, blanked_event, blanked_mail
from orderctl.errors import OrderctlError
from orderctl.filters.saved import all_filters
from orderctl.language import _
from orderctl.mail.outbox import MailsDigest
from orderctl.mail.queries import address_moves, queued_mails
from orderctl.orders.erasures import ERASED, Erasure, Names, Words
from orderctl.orders.orders import Buyer, Status
from orderctl.orders.queries import BUYER, read_buyer
from orderctl.plans.plans import OPEN, PlanState, SavedPlan
from orderctl.plans.queries import find_plans, plan_text, rewrite_plan
from orderctl.rejection.plan import RejectionPlan

_SETTLED = f"'{Status.REJECTED}', '{Status.RETURNED_TO_CART}'"
# Open business: nobody put it away, its source still has it, and not all of it was delivered.
_OPEN_ORDER = (
    f"o.status NOT IN ({_SETTLED}) AND o.archived_at IS NULL AND o.gone_at IS NULL"
    " AND NOT (o.delivery_notes > 0 AND o.backlog_skus = 0)"
)
_SETTLED_DELIVERIES = {DeliveryState.SENT, DeliveryState.REFUSED, DeliveryState.CANCELLED, DeliveryState.BOUNCED}
_OPEN_DELIVERY = (
    f"state IN ({', '.join(repr(each.value) for each in DeliveryState if each not in _SETTLED_DELIVERIES)})"
)
_OF_BUYER = "account = :account AND buyer_id = :buyer"
_OF_ORDERS = f"account = :account AND order_id IN (SELECT id FROM orders WHERE {_OF_BUYER})"
# No index of mails goes by buyer. Each mail tells of an order that is rejected, and keeps its buyer.
_OF_BUYERS_MAIL = f"{_OF_BUYER} AND id IN (SELECT mail_id FROM mail_order WHERE {_OF_ORDERS})"


def get_buyer(connection: Connection, buyer_id: str) -> Buyer | None:
    """One buyer, whose row is locked until the end of a writing transaction; None if there is none."""
    row = connection.execute(
        f"{BUYER} AND id = :buyer",
        {"buyer": buyer_id},
    ).fetchone()
    return read_buyer(row) if row else None


def lock_buyer(connection: Connection, buyer_id: str) -> None:
    """Wait for imports that write this buyer, and make others wait."""
    if lock := connection.dialect.lock("buyer"):
        connection.execute(f"SELECT 1 FROM buyer WHERE account = :account AND id = :buyer {lock}", {"buyer": buyer_id})


def due_buyers(connection: Connection, before: datetime) -> tuple[str, ...]:
    """The buyers whose newest order is older than this, who have no open business and are not erased."""
    found = connection.execute(
        "SELECT o.buyer_id FROM orders AS o WHERE o.account = :account AND o.buyer_id IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM erasure AS e WHERE e.account = :account AND e.buyer_id = o.buyer_id) GROUP BY o.buyer_id"
        f" HAVING max(o.ordered_at) < :before AND sum(CASE WHEN {_OPEN_ORDER} THEN 1 ELSE 0 END) = 0"
        " ORDER BY o.buyer_id",
        {"before": connection.dialect.instant(before)},
    )
    return tuple(buyer_id for (buyer_id,) in found.fetchall())


def words_of(connection: Connection, buyer: Buyer) -> Words:
    """What names the buyer: now, and in the addresses of their letters."""
    found = connection.execute(f"SELECT DISTINCT recipient FROM mail WHERE {_OF_BUYERS_MAIL}", {"buyer": buyer.id})
    return Words(buyer, *(recipient for (recipient,) in found.fetchall()))


@dataclass(slots=True)
class Named:
    """Where texts outside of a buyer's own rows name the buyer: ids of batches and plans, saved filters and tags."""

    batches: set[str] = field(default_factory=set)
    plans: set[str] = field(default_factory=set)
    filters: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def find_named(connection: Connection, words: Mapping[str, Words]) -> dict[str, Named]:
    """Where each of these buyers is named, by id. Every text is read once, however many buyers there are."""
    names, found = Names(words), {buyer_id: Named() for buyer_id in words}
    for batch_id, text in _texts_of_batches(connection):
        for buyer_id in names.named_in(text):
            found[buyer_id].batches.add(batch_id)
    for plan_id, *texts in connection.stream("SELECT id, reason, plan FROM plan WHERE account = :account"):
        for buyer_id in set().union(*map(names.named_in, texts)):
            found[buyer_id].plans.add(plan_id)
    for kept in all_filters(connection):
        for buyer_id in names.named_in(kept.expression) | names.named_in(kept.name):
            found[buyer_id].filters.append(kept.name)
    tags = connection.stream("SELECT DISTINCT tag FROM order_tag WHERE account = :account ORDER BY tag")
    for (tag,) in tags:
        for buyer_id in names.named_in(tag):
            found[buyer_id].tags.append(tag)
    return found


def scope_of(connection: Connection, buyer: Buyer, words: Words, named: Named) -> Scope:
    """What the store holds of the buyer. `named` says where to look for words: an erasure may have taken some out."""
    bound = {"buyer": buyer.id}
    batches = {batch_id for batch_id, text in _texts_of_batches(connection, named.batches) if words.are_in(text)}
    plans = [
        saved
        for saved in find_plans(connection, PlanState, None, among=named.plans)
        if words.are_in(saved.reason) or words.are_in(plan_text(connection, saved.id))
    ]
    return Scope(
        buyer=buyer,
        words=words,
        orders=_count(connection, f"orders WHERE {_OF_BUYER}", **bound),
        mails=_count(connection, f"mail WHERE {_OF_BUYERS_MAIL}", **bound),
        open_orders=_count(connection, f"orders AS o WHERE o.{_OF_BUYER} AND {_OPEN_ORDER}", **bound),
        open_mails=_count(connection, f"mail WHERE {_OF_BUYERS_MAIL} AND {_OPEN_DELIVERY}", **bound)
        + _open_mails_of(connection, buyer.id, batches),
        open_writebacks=_count(connection, f"writeback WHERE {_OF_ORDERS} AND {_OPEN_DELIVERY}", **bound),
        plans=tuple(saved for saved in plans if saved.state not in OPEN),
        open_plans=_open_plans(connection, buyer.id, {saved.id for saved in plans}),
        filters=tuple(named.filters),
        tags=tuple(named.tags),
        batches=tuple(sorted(batches)),
        details=_naming_details(connection, words, batches),
    )


def _count(connection: Connection, of: str, **bound: object) -> int:
    row = connection.execute(f"SELECT count(*) FROM {of}", bound).fetchone()
    return int(row[0]) if row else 0


def _open_mails_of(connection: Connection, buyer_id: str, batches: set[str]) -> int:
    """The letters to others that are still to be written with words of these batches."""
    dialect = connection.dialect
    return _count(
        connection,
        f"mail WHERE account = :account AND buyer_id <> :buyer AND batch_id IN ({dialect.ids('batches')})"
        f" AND {_OPEN_DELIVERY}",
        buyer=buyer_id,
        batches=dialect.bind_ids(sorted(batches)),
    )


def _texts_of_batches(connection: Connection, among: Collection[str] | None = None) -> Iterator[tuple[str, str]]:
    """Each text of the batches, or of these, with its batch.

    That is what was said of a batch, of its single orders and mails, its plan, and where its ids came from.
    """
    if among is not None and not among:
        return
    dialect = connection.dialect
    only, bound = ("", {}) if among is None else ("AND {} IN (" + dialect.ids("ids") + ")", _ids(dialect, among))
    batches = f"SELECT id, source, reason, message, request_plan FROM batch WHERE account = :account {only}"
    for batch_id, *texts in connection.stream(batches.format("id"), bound):
        yield from ((batch_id, text) for text in texts)
    said = [
        f"SELECT batch_id, source FROM batch_origin WHERE account = :account {only.format('batch_id')}",
        (
            "SELECT DISTINCT batch_id, detail FROM order_event WHERE account = :account AND batch_id IS NOT NULL"
            f" AND detail <> '' {only.format('batch_id')}"
        ),
        *(
            f"SELECT DISTINCT m.batch_id, t.{column} FROM {table} AS t JOIN mail AS m ON m.account = :account"
            f" AND m.id = t.mail_id WHERE t.account = :account AND t.{column} <> '' {only.format('m.batch_id')}"
            for table, column in _OF_MAILS
        ),
    ]
    for query in said:
        yield from ((batch_id, text) for batch_id, text in connection.stream(query, bound))


_OF_MAILS = (
    ("mail_order", "message"),
    ("mail_event", "reason"),
    ("mail_event", "from_recipient"),
    ("mail_event", "to_recipient"),
)


def _ids(dialect: Dialect, ids: Collection[str]) -> dict[str, object]:
    return {"ids": dialect.bind_ids(sorted(ids))}


def _naming_details(connection: Connection, words: Words, batches: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The reasons on single orders that name the buyer, by batch."""
    dialect = connection.dialect
    found = connection.execute(
        f"SELECT DISTINCT batch_id, detail FROM order_event WHERE account = :account"
        f" AND batch_id IN ({dialect.ids('ids')}) AND detail <> ''",
        _ids(dialect, batches),
    )
    details: dict[str, tuple[str, ...]] = {}
    for batch_id, detail in found:
        if words.are_in(detail):
            details[batch_id] = (*details.get(batch_id, ()), detail)
    return details


def _open_plans(connection: Connection, buyer_id: str, naming: set[str]) -> tuple[str, ...]:
    """The open plans that name the buyer or have an order of theirs, newest first."""
    dialect = connection.dialect
    found = connection.execute(
        f"SELECT id FROM plan WHERE account = :account AND state IN ({dialect.ids('states')})"
        f" AND (id IN ({dialect.ids('ids')}) OR EXISTS (SELECT 1 FROM orders AS o JOIN plan_order AS p"
        " ON p.account = :account AND p.order_id = o.id WHERE o.account = :account AND o.buyer_id = :buyer"
        " AND p.plan_id = plan.id)) ORDER BY id DESC",
        {**_ids(dialect, naming), "states": dialect.bind_ids([state.value for state in OPEN]), "buyer": buyer_id},
    )
    return tuple(plan_id for (plan_id,) in found.fetchall())


def affected_batches(
    connection: Connection, scope: Scope, mark: str, before: Sequence[Erasure]
) -> Iterator[tuple[Batch, BatchDigest]]:
    """Each batch with words of the buyer as it stays, and the digest over that; `before` are all earlier erasures.

    Raises OrderctlError for one that is not as it was written: an erasure would hide that.
    """
    stays = {batch_id: digest for each in before for batch_id, digest in each.batches.items()}
    of_batches = f"SELECT id FROM mail WHERE account = :account AND batch_id IN ({connection.dialect.ids('ids')})"
    among = Fragment(of_batches, _ids(connection.dialect, scope.batches))
    moves = address_moves(connection, among) if scope.batches else {}
    for batch in filter(None, [get_batch(connection, batch_id) for batch_id in scope.batches]):
        was = digest_again(replace(batch, texts_digest=""), batch_events(connection, batch.id))
        mails_before, mails_after = MailsDigest(), MailsDigest()
        for mail in queued_mails(connection, moves, batch_id=batch.id) if batch.mails_digest else ():
            mails_before.add(mail)
            mails_after.add(blanked_mail(mail, scope, mark))
        as_queued = mails_before.hexdigest() == batch.mails_digest
        if was.digest != stays.get(batch.id, batch.digest) or not as_queued:
            raise OrderctlError(
                _("batch {batch} names the buyer and is not as it was written; nothing was changed", batch=batch.id),
                hint=_("see: orderctl log verify"),
            )
        after = blanked_batch(batch, mails_after, scope, mark)
        events = (blanked_event(event, scope, mark) for event in batch_events(connection, batch.id))
        made = digest_again(replace(after, texts_digest=""), events)
        yield replace(after, events_digest=made.events_digest), made


def blank_all(connection: Connection, scope: Scope, erasure: Erasure, stays: list[tuple[Batch, BatchDigest]]) -> None:
    """Put the mark in the place of each text of the buyer. The erasure is recorded already."""
    bound: dict[str, object] = {"buyer": scope.buyer.id, "mark": erasure.mark}
    connection.execute(
        "UPDATE buyer SET name = :mark, name_folded = :folded, email = NULL, contact = NULL, cc = NULL, bcc = NULL"
        " WHERE account = :account AND id = :buyer",
        {**bound, "folded": fold(erasure.mark)},
    )
    _blank_orders(connection, scope, erasure)
    _keep_proofs(connection, scope)
    _blank_mails(connection, bound)
    _blank_letters_to_others(connection, scope, erasure.mark)
    _blank_writebacks(connection, scope, bound)
    for batch, digest in stays:
        _blank_batch(connection, batch, digest, scope, erasure.mark)
    _blank_origins(connection, scope, erasure.mark)
    for saved in scope.plans:
        _blank_plan(connection, saved, scope.words, erasure.mark)


def _blank_orders(connection: Connection, scope: Scope, erasure: Erasure) -> None:
    """The orders, with an event for each; and what was said of them outside batches."""
    mark, dialect = erasure.mark, connection.dialect
    found = connection.execute(
        f"SELECT id, reference, note <> '' FROM orders WHERE {_OF_BUYER}", {"buyer": scope.buyer.id}
    )
    rows = [
        {"id": order_id, "reference": reference, "folded": fold(f"{order_id}\n{reference}\n{mark if noted else ''}")}
        for order_id, reference, noted in (
            (order_id, scope.words.blanked(reference, mark), noted) for order_id, reference, noted in found.fetchall()
        )
    ]
    at = {"mark": mark, "at": dialect.instant(erasure.at)}
    blank = ", ".join(f"{name} = CASE WHEN orders.{name} = '' THEN '' ELSE :mark END" for name in _ORDER_TEXTS)
    connection.execute(
        # MATERIALIZED: otherwise SQLite reads all the rows again for each order of the account.
        f"WITH r AS MATERIALIZED ({recordset(dialect, dict.fromkeys(('id', 'reference', 'folded'), 'text'))})"
        f" UPDATE orders SET {blank}, reference = r.reference, folded = r.folded, fingerprint = '', changed_at = :at,"
        " version = orders.version + 1 FROM r WHERE orders.account = :account AND orders.id = r.id",
        {"rows": packed(rows), **at},
    )
    ids = {"ids": dialect.bind_ids([str(row["id"]) for row in rows])}
    loose = connection.execute(
        "SELECT order_id, id, detail FROM order_event WHERE account = :account AND batch_id IS NULL AND detail <> ''"
        f" AND order_id {dialect.among('ids')}",
        ids,
    )
    _blank_named(connection, "order_event", ("order_id", "id", "detail"), loose.fetchall(), scope.words, mark)
    connection.execute(
        "INSERT INTO order_event (account, order_id, id, kind, actor, at)"
        f" SELECT account, id, :event, '{ERASED}', :actor, :at FROM orders WHERE {_OF_BUYER}",
        {"buyer": scope.buyer.id, "event": f"erasure.{erasure.position}", "actor": erasure.actor, "at": at["at"]},
    )


_ORDER_TEXTS = ("delivery_address", "billing_address", "note")


def _keep_proofs(connection: Connection, scope: Scope) -> None:
    """Put the digests of what goes of letters and of their addresses in the place of the salts."""
    bound = {"buyer": scope.buyer.id, **_ids(connection.dialect, scope.batches)}
    of_buyer = Fragment(f"SELECT id FROM mail WHERE {_OF_BUYERS_MAIL}", {"buyer": scope.buyer.id})
    own = queued_mails(connection, address_moves(connection, of_buyer), buyer_id=scope.buyer.id)
    for mail in [each for each in own if each.salt]:
        connection.execute(
            "UPDATE mail SET digest = :digest, salt = '' WHERE account = :account AND id = :mail",
            {"digest": mail.proof, "mail": mail.id},
        )
    gone_elsewhere = connection.execute(
        "SELECT e.mail_id, e.id, e.salt, e.from_recipient, e.to_recipient, m.buyer_id, m.batch_id FROM mail_event AS e"
        " JOIN mail AS m ON m.account = :account AND m.id = e.mail_id WHERE e.account = :account AND e.salt <> ''"
        f" AND e.mail_id IN ({of_buyer.sql} UNION SELECT id FROM mail WHERE account = :account"
        f" AND batch_id IN ({connection.dialect.ids('ids')}))",
        bound,
    ).fetchall()
    for mail_id, event_id, salt, *addresses, buyer_id, batch_id in gone_elsewhere:
        named = batch_id in scope.batches and any(map(scope.words.are_in, addresses))
        if named or buyer_id == scope.buyer.id:
            connection.execute(
                "UPDATE mail_event SET digest = :digest, salt = '' WHERE account = :account AND mail_id = :mail"
                " AND id = :event",
                {"digest": salted(salt, *addresses), "mail": mail_id, "event": event_id},
            )


def _blank_mails(connection: Connection, bound: dict[str, object]) -> None:
    """The letters to the buyer, with what operators said of them."""
    blank = ", ".join(
        f"{name} = CASE WHEN {name} IS NULL THEN NULL WHEN {name} = '' THEN '' ELSE :mark END"
        for name in ("subject", "text", "html", "last_error")
    )
    connection.execute(f"UPDATE mail SET recipient = :mark, sent_digest = '', {blank} WHERE {_OF_BUYERS_MAIL}", bound)
    for table, column in _OF_MAILS:
        connection.execute(
            f"UPDATE {table} SET {column} = :mark WHERE account = :account AND {column} <> ''"
            f" AND mail_id IN (SELECT id FROM mail WHERE {_OF_BUYERS_MAIL})",
            bound,
        )


def _blank_writebacks(connection: Connection, scope: Scope, bound: dict[str, object]) -> None:
    """What the systems said of the buyer's orders, what operators said of that, and keys that name the buyer."""
    connection.execute(
        f"UPDATE writeback_event SET reason = :mark WHERE account = :account AND reason <> ''"
        f" AND writeback_id IN (SELECT id FROM writeback WHERE {_OF_ORDERS})",
        bound,
    )
    connection.execute(f"UPDATE writeback SET last_error = :mark WHERE {_OF_ORDERS} AND last_error <> ''", bound)
    keys = connection.execute(f"SELECT id, system_key FROM writeback WHERE {_OF_ORDERS}", bound).fetchall()
    _blank_named(connection, "writeback", ("id", "system_key"), keys, scope.words, bound["mark"])


def _blank_letters_to_others(connection: Connection, scope: Scope, mark: str) -> None:
    """Letters to others with words of the same batches, as far as they name the buyer."""
    dialect = connection.dialect
    others = {"batches": dialect.bind_ids(scope.batches), "buyer": scope.buyer.id}
    in_batches = f"m.account = :account AND m.batch_id IN ({dialect.ids('batches')}) AND m.buyer_id <> :buyer"
    letters = connection.execute(
        f"SELECT m.id, m.subject, m.text, m.html FROM mail AS m WHERE {in_batches} AND m.subject IS NOT NULL", others
    )
    named = [mail_id for mail_id, *texts in letters.fetchall() if any(scope.words.are_in(text or "") for text in texts)]
    connection.execute(
        "UPDATE mail SET subject = :mark, text = :mark, html = :mark, sent_digest = '' WHERE account = :account"
        f" AND id IN ({dialect.ids('ids')})",
        {"mark": mark, "ids": dialect.bind_ids(named)},
    )
    for table, column in _OF_MAILS:
        said = connection.execute(
            f"SELECT DISTINCT t.mail_id, t.{column} FROM {table} AS t JOIN mail AS m ON m.account = :account"
            f" AND m.id = t.mail_id WHERE t.account = :account AND t.{column} <> '' AND {in_batches}",
            others,
        )
        _blank_named(connection, table, ("mail_id", column), said.fetchall(), scope.words, mark)


def _blank_batch(connection: Connection, batch: Batch, digest: BatchDigest, scope: Scope, mark: str) -> None:
    row = connection.execute(
        "SELECT request_plan FROM batch WHERE account = :account AND id = :batch", {"batch": batch.id}
    ).fetchone()
    texts = ("source", "reason", "message", "request_digest", "salt", "texts_digest", "events_digest", "mails_digest")
    connection.execute(
        f"UPDATE batch SET {', '.join(f'{name} = :{name}' for name in texts)}, leaves = :leaves,"
        " mail_leaves = :mail_leaves, request_plan = :plan WHERE account = :account AND id = :batch",
        {
            "batch": batch.id,
            "leaves": digest.leaves,
            "mail_leaves": batch.mail_leaves,
            "plan": _blanked_plan(row[0] if row else "", scope.words, mark)[0],
            **{name: getattr(batch, name) for name in texts},
        },
    )
    for detail in scope.details.get(batch.id, ()):
        connection.execute(
            "UPDATE order_event SET detail = :mark WHERE account = :account AND batch_id = :batch AND detail = :detail",
            {"mark": mark, "batch": batch.id, "detail": detail},
        )


def _blank_origins(connection: Connection, scope: Scope, mark: str) -> None:
    """Where the ids of batches and of selections came from."""
    for table, column in (("batch_origin", "source"), ("selection_item", "origin")):
        found = connection.execute(f"SELECT DISTINCT {column} FROM {table} WHERE account = :account").fetchall()
        _blank_named(connection, table, (column,), found, scope.words, mark)


def _blank_named(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Row], words: Words, mark: object
) -> None:
    """Put the mark in the place of each text that names the buyer: the last of the columns, the others find its row."""
    where = " AND ".join(f"{column} = :{column}" for column in columns)
    for row in rows:
        if words.are_in(row[-1]):
            connection.execute(
                f"UPDATE {table} SET {columns[-1]} = :mark WHERE account = :account AND {where}",
                {"mark": mark, **dict(zip(columns, row, strict=True))},
            )


def _blank_plan(connection: Connection, saved: SavedPlan, words: Words, mark: str) -> None:
    """A closed plan and its row, with new digests. One that somebody edited stays an edited one."""
    text, digest = _blanked_plan(plan_text(connection, saved.id), words, mark)
    after = replace(saved, reason=words.blanked(saved.reason, mark), plan_digest=digest or saved.plan_digest)
    rewrite_plan(connection, after.with_digest() if saved.is_intact else after, text)


def _blanked_plan(text: str, words: Words, mark: str) -> tuple[str, str]:
    """A plan in JSON without words of the buyer, and its digest; empty where it cannot be read and names the buyer."""
    if not words.are_in(text):
        return text, ""
    try:
        plan = RejectionPlan.from_json(text).blanked(lambda document: words.blanked_json(document, mark))
    except ValueError:
        return "", ""
    return plan.to_json(), plan.digest


def record_erasure(connection: Connection, scope: Scope, erasure: Erasure) -> None:
    """Record the erasure as acts: of the orders, and of each plan."""
    for saved in scope.plans:
        plan = Act(kind=f"{PLAN_ACT}{ERASED}", subject=saved.id, actor=erasure.actor, at=erasure.at)
        record_act(connection, plan.told_by(plan_rows(connection, saved.id)))
    event_id = f"erasure.{erasure.position}"
    found = connection.execute(
        f"SELECT order_id FROM order_event WHERE {_OF_ORDERS} AND id = :event ORDER BY order_id",
        {"event": event_id, "buyer": erasure.buyer_id},
    )
    ids = [order_id for (order_id,) in found.fetchall()]
    if ids:
        act = Act(kind=ERASED, subject=event_id, actor=erasure.actor, at=erasure.at)
        record_act(connection, act.of_keys(ids))


def erase_acts(connection: Connection, words: Mapping[str, Words], last: Erasure) -> None:
    """Take what names these buyers out of the acts, and cover anew what was there before acts were recorded.

    `last` is the last of their erasures.
    """
    erase_details(connection, Names(words).named_in, last.mark)
    record_earlier_again(connection, last.actor, last.at)
