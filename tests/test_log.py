"""The log that proves itself: what digests cover, and that every kind of tampering is named, on both engines."""

from dataclasses import fields
from datetime import UTC, datetime

from orderctl.domain.log import NOT_SEALED, SEALED_FIELDS, SEALED_LATER, Batch, seal
from orderctl.domain.orders import OrderEvent

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


def test_a_digest_never_changes_whatever_later_versions_add():
    sealed = seal(BATCH, [EVENT])
    assert sealed.digest == "d97afc69283829c395ad00c3bdcfe3dd38348df7fb99362ec14ef77ee1e2b733"
    assert sealed.leaves == "fd02231f"


def test_every_field_of_a_batch_is_sealed_or_left_out_on_purpose():
    assert {field.name for field in fields(Batch)} == {*SEALED_FIELDS, *SEALED_LATER, *NOT_SEALED}
