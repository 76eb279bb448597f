"""A batch and an event of the log, and what a verification names."""

import hashlib
import json
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


# As docs/reference/log.md tells an auditor to do it, with the standard library alone.
_HEADER = ("id", "position", "at", "actor", "approver", "host", "program", "mode", "source", "reason", "message",
          "mail_per_order", "planned", "rejected", "skipped", "mails", "previous")  # fmt: skip
_LINE = ("order_id", "id", "batch_id", "kind", "from_status", "to_status", "detail", "actor", "at")


_LATER = ("actor_login", "events_digest", "mails_digest", "reason_code", "request_key", "request_digest")


def _digest(header, lines):
    if "events_digest" in header:
        blocks = [hashlib.sha256(b"".join(lines[at : at + 1000])).digest() for at in range(0, len(lines), 1000)]
        header, lines = header | {"events_digest": hashlib.sha256(b"".join(blocks)).hexdigest()}, []
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + b"".join(lines)).hexdigest()


def digests_again(records):
    """The digest that each batch should have and the one that its records have, by the id of the batch."""
    records = [json.loads(line) for line in records]
    erased = {batch: kept for each in records if each["record"] == "erasure" for batch, kept in each["batches"].items()}
    batches = {}
    for record in records:
        if record["record"] == "batch":
            header = {name: record[name] for name in _HEADER} | {name: record[name] for name in _LATER if record[name]}
            salted = record["salt"] or record["texts_digest"]
            if salted and record["id"] not in erased:
                texts = [header.pop(name, "") for name in ("source", "reason", "message", "request_digest")]
                salted = hashlib.sha256(json.dumps([record["salt"], *texts]).encode()).hexdigest()
                header["salted"] = salted if record["salt"] else record["texts_digest"]
            lines = []
            batches[record["id"]] = (erased.get(record["id"], record["digest"]), header, lines)
        elif record["record"] == "event" and record["batch_id"]:
            fields = [record[name] for name in _LINE]
            if record["lines_digest"]:
                fields += [record["reason_code"], record["lines_digest"]]
            elif record["reason_code"]:
                fields.append(record["reason_code"])
            lines.append(json.dumps(fields).encode() + b"\n")
    return {batch: (kept, _digest(header, lines)) for batch, (kept, header, lines) in batches.items()}
