"""Which mails a query means, as SQL."""

from orderctl.domain.text import fold, lower_ascii
from orderctl.ports import MailQuery
from orderctl.store.sql import Dialect, Fragment

# Whether a text holds another, on every engine alike and without patterns to escape.
_HOLDS = "replace({column}, :{text}, '') <> {column}"


def matching(dialect: Dialect, query: MailQuery) -> Fragment:
    """The conditions on a row of `mail`, each with AND before it."""
    conditions: list[str] = []
    bound: dict[str, object] = {}
    if query.ids:
        conditions.append(f"id IN ({dialect.ids('ids')})")
        bound["ids"] = dialect.bind_ids(query.ids)
    if query.states:
        conditions.append(f"state IN ({dialect.ids('states')})")
        bound["states"] = dialect.bind_ids([state.value for state in query.states])
    if query.batch_id is not None:
        conditions.append("batch_id = :batch")
        bound["batch"] = query.batch_id
    if query.buyer is not None:
        holds = _HOLDS.format(column="name_folded", text="in_name")
        conditions.append(
            f"buyer_id IN (SELECT buyer.id FROM buyer WHERE account = :account AND (buyer.id = :buyer OR {holds}))"
        )
        bound |= {"buyer": query.buyer, "in_name": fold(query.buyer)}
    if query.order_id is not None:
        conditions.append("id IN (SELECT mail_id FROM mail_order WHERE account = :account AND order_id = :order)")
        bound["order"] = query.order_id
    if query.recipient is not None:
        conditions.append(_HOLDS.format(column="lower(recipient)", text="in_address"))
        bound["in_address"] = lower_ascii(query.recipient)
    if query.queued_before is not None:
        conditions.append("created_at < :before")
        bound["before"] = dialect.instant(query.queued_before)
    return Fragment("".join(f" AND {condition}" for condition in conditions), bound)
