"""A batch that somebody writes with SQL alone: whole, unless a test says what is wrong with it."""

from dataclasses import replace
from datetime import UTC, datetime

from orderctl.audit.log import Batch, digest_batch
from orderctl.orders.orders import OrderEvent

_EVENT = "order_id, id, batch_id, kind, from_status, to_status, detail, reason_code, actor, at, lines_digest"


def write_batch(connection, orders, *, batch="hand", login=None, text=False, event=None, digest=None, **wrong):
    """Reject these orders as the program does, one statement after the other, and commit nothing.

    `wrong` are fields of the batch, `event` those of its events, `digest` is another digest. `text`: times are text.
    """
    at = wrong.get("at") or datetime.now(UTC)
    stamp = f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z" if text else at
    mark = "?" if text else "%s"
    login = login if login is not None or text else connection.execute("SELECT session_user").fetchone()[0]
    by = f" (db: {login})" if login else ""
    last = connection.execute("SELECT position, digest FROM batch ORDER BY position DESC LIMIT 1").fetchone() or (0, "")
    actor = wrong.get("actor", "mia")
    listed = ", ".join(f"'{order_id}'" for order_id in orders)
    rows = connection.execute(f"SELECT id, status, lines_digest FROM orders WHERE id IN ({listed}) ORDER BY id")
    events = []
    for order_id, status, lines in rows.fetchall():
        fields = {"detail": wrong.get("reason", ""), "reason_code": wrong.get("reason_code", ""), "actor": actor}
        fields |= {"from_status": status, "to_status": "rejected", "kind": "rejected", "lines_digest": lines, "at": at}
        events.append(OrderEvent(**{"order_id": order_id, "id": batch, "batch_id": batch, **fields, **(event or {})}))
    names = _EVENT.split(", ")
    for each in events:
        values = [stamp if name == "at" and each.at == at else getattr(each, name) for name in names]
        connection.execute(
            f"INSERT INTO order_event (account, {_EVENT}) VALUES ('main', {', '.join([mark] * len(names))})", values
        )
    connection.execute(
        f"UPDATE orders SET status = 'rejected', rejected_at = {mark}, batch_id = {mark}, version = version + 1"
        f" WHERE id IN ({listed})",
        (stamp, batch),
    )
    fields = {"position": last[0] + 1, "at": at, "actor": actor, "actor_login": login or "", "previous": last[1]}
    fields |= {"approver": f"{actor}{by} (by hand)", "host": "", "program": "", "mode": "bulk", "source": ""}
    fields |= {"reason": "", "message": "", "mail_per_order": False, "skipped": 0, "mails": 0, "digest": ""}
    fields |= {"planned": len(events), "rejected": len(events), "leaves": ""}
    made = Batch(id=batch, **{**fields, **wrong})
    digested = digest_batch(made, events)
    made = replace(made, digest=digested.digest, leaves=digested.leaves, events_digest=digested.events_digest)
    made = replace(made, **(digest or {}))
    columns = [name for name in Batch.__dataclass_fields__ if name not in ("request_key", "request_digest")]
    values = [getattr(made, name) for name in columns]
    values = [stamp if value is made.at else int(value) if isinstance(value, bool) else value for value in values]
    connection.execute(
        f"INSERT INTO batch (account, {', '.join(columns)}) VALUES ('main', {', '.join([mark] * len(columns))})", values
    )
