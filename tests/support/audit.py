"""A batch and an event of the log, and what a verification names."""

import hashlib
from datetime import UTC, datetime

from orderctl.audit.log import Batch, event_line, header_line
from orderctl.audit.service import verify_log
from orderctl.audit.verification import Noted
from orderctl.orders.orders import OrderEvent
from support.stores import open_store, tamper

AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
BATCH = Batch(
    id="b1",
    position=1,
    at=AT,
    actor="mia",
    approver="mia (--yes)",
    host="desk",
    program="orderctl 0.1.0",
    mode="bulk",
    source="ids",
    reason="style dropped",
    message="Désolé",
    mail_per_order=False,
    planned=1,
    rejected=1,
    skipped=0,
    mails=0,
    digest="",
    leaves="",
    previous="",
)
EVENT = OrderEvent(
    order_id="1001",
    id="b1",
    batch_id="b1",
    kind="rejected",
    from_status="needs-oc",
    to_status="rejected",
    detail="style dropped",
    actor="mia",
    at=AT,
)


def digest_of_before(batch, events):
    """The digest of a batch as versions before 0021 made it: over its fields and its events themselves."""
    return hashlib.sha256(header_line(batch) + b"".join(map(event_line, events))).hexdigest()


def found_in(url, **noted):
    """What a verification names, each record with its problem."""
    found = []
    with open_store(url) as store:
        verify_log(store, noted=Noted(**noted), report=found.append, progress=lambda _done, _total: None)
    return [f"{tampering.record}: {tampering.problem}" for tampering in found]


def cut_last_batch(url):
    """Remove the newest batch, of orders that needed an OC, with every trace."""
    newest = "(SELECT id FROM batch ORDER BY position DESC LIMIT 1)"
    tamper(
        url,
        f"UPDATE orders SET status = 'needs-oc', rejected_at = NULL, batch_id = NULL WHERE batch_id = {newest}",
        f"DELETE FROM order_event WHERE batch_id = {newest}",
        f"DELETE FROM batch WHERE id = {newest}",
    )
