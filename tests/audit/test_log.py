"""The log that proves itself: what digests cover, and that every kind of tampering is named, on both engines."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from orderctl.audit.log import (
    DIGESTED_FIELDS,
    DIGESTED_LATER,
    NOT_DIGESTED,
    SALTED_FIELDS,
    AlikeLines,
    Batch,
    MarkedOrder,
    digest_batch,
    event_line,
)
from orderctl.audit.verification import BatchCheck
from orderctl.changes import Change, ChangeKind, apply_change
from orderctl.database.line_digests import TOGETHER, lines_digest, order_digest
from orderctl.orders.orders import OrderLine, Status
from orderctl.rejection.service import execute_rejection
from support.audit import AT, BATCH, EVENT, digest_of_before, found_in
from support.cli import Cli
from support.factories import NOW, FixedClock, make_order, put, put_all
from support.rejection import ids, plan_for, reject
from support.stores import open_store, tamper


def test_a_digest_never_changes_whatever_later_versions_add():
    with_lines = replace(EVENT, lines_digest="0123456789abcdef")
    assert [digest_of_before(BATCH, [event]) for event in (EVENT, with_lines)] == [
        "d97afc69283829c395ad00c3bdcfe3dd38348df7fb99362ec14ef77ee1e2b733",
        "87516ca61877b91768bc1f16c861112b9f5d0b6e6275c8d396d8c1c130215f31",
    ]
    for event in (EVENT, with_lines):
        leaves = digest_batch(BATCH, [event]).leaves
        check = BatchCheck(replace(BATCH, digest=digest_of_before(BATCH, [event]), leaves=leaves))
        order = MarkedOrder(id="1001", batch_id="b1", status="rejected", rejected_at=AT,
                            lines_digest=event.lines_digest, lines=event.lines_digest)  # fmt: skip
        assert list(check.run([event], [order])) == []
    digested = digest_batch(BATCH, [EVENT])
    assert (digested.leaves, digested.digest, digested.events_digest) == (
        "fd02231f",
        "1100f7dc7189684e0230be05768705af86048fad11bd24f21495f1a362f9dbb3",
        "c05fd6e3901581a96268f755d786c970227c5a9991994603663b51f76eb5d42b",
    )
    line = (1, "AB-12", "Linen shirt", "écru", "M", 5, 2_410)
    assert [lines_digest("1001", [line]), lines_digest("1001", []), lines_digest("1002", [line])] == [
        "52368c695f646919",
        "3e9af56092fe5b00",
        "7aa1081367be4e44",
    ]
    amounts = ("EUR", 12_050, 5)
    assert [order_digest("1001", amounts, [line]), order_digest("1001", amounts, [])] == [
        "ta800d622e1952f3d",
        "t56df872c8080c782",
    ]


def test_a_salted_batch_is_digested_without_the_texts_that_may_be_erased():
    salted = replace(BATCH, salt="00" * 16)
    erased = replace(salted, source="", reason="", message="", salt="", texts_digest=salted.salted_digest)
    assert digest_batch(salted, [EVENT]).digest == digest_batch(erased, [EVENT]).digest
    for field in SALTED_FIELDS:
        assert digest_batch(replace(salted, **{field: "x"}), []).digest != digest_batch(salted, []).digest
    assert salted.salted_digest == "7567bb409cfa0420cec5c0395a4d3003e633920c11806e37019fbbfe33b1144d"


def test_no_two_events_share_a_line_whatever_they_hold():
    texts = ("", "x", '", "', "0123456789abcdef")
    events = [
        replace(EVENT, order_id=order_id, reason_code=code, lines_digest=lines)
        for order_id in ("1", '1"')
        for code in texts
        for lines in texts
    ]
    assert len({event_line(event) for event in events}) == len(events)
    alike = AlikeLines(
        lambda order_id, lines, code: replace(EVENT, order_id=order_id, reason_code=code, lines_digest=lines)
    )
    told = ((event.order_id, event.lines_digest, event.reason_code) for event in events)
    assert list(alike.of(told)) == [event_line(event) for event in events]


def test_every_field_of_a_batch_is_in_the_digest_or_left_out_on_purpose():
    assert {field.name for field in fields(Batch)} == {*DIGESTED_FIELDS, *DIGESTED_LATER, *NOT_DIGESTED}


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


@pytest.fixture
def batches(store_url):
    """Three batches (of two, two and one orders), one order that came as rejected, and a tag."""
    with open_store(store_url) as store:
        put_all(store, [make_order(f"L{number}") for number in range(1, 8)])
        put(store, make_order("old", status=Status.REJECTED, rejected_at=NOW))
        made = [
            reject(store, ids("L1", "L2")).batch_id,
            reject(store, ids("L3", "L4"), notify=True).batch_id,
            reject(store, ids("L5")).batch_id,
        ]
        late = Change(kind=ChangeKind.TAGGED, tag="late")
        store.write(lambda connection: apply_change(connection, ids("L1"), late, event_id="t1", actor="mia", at=NOW))
    return made


NOT_KNOWN = (
    "not known: whether the newest batches or acts were cut off, or all was written anew (--since CHECKPOINT tells)"
)


def test_a_log_that_nobody_touched_is_as_written(cli, batches):
    ran = cli("log", "verify")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[:3] == [
        "as written: 3 batches and 5 events of them",
        "2 acts besides rejecting, and 2 events of orders (imported as rejected: 1)",
        NOT_KNOWN,
    ]
    assert ran.lines[3].startswith("newest act: number 2, ")
    assert ran.lines[4] == f"head: batch {batches[2]}, number 3"
    head = ran.lines[5].split()[-1]
    (verdict,) = cli("log", "verify", "--format", "json", "--anchor", head).json
    assert verdict == {
        "schema": 1,
        "type": "verdict",
        "outcome": "as-written",
        "tampered": 0,
        "batches": 3,
        "events": 5,
        "anchored": True,
        "continues": None,
        "outside_batches": {"events": 2, "imported_as_rejected": 1},
        "acts": 2,
        "earlier": 0,
        "unknown_lines": 0,
        "unknown_mails": 0,
        "erasures": {"buyers": 0, "batches": 0},
        "head": {"batch": batches[2], "position": 3, "digest": head},
        "act_head": {"position": 2, "digest": ran.lines[3].split()[-1]},
    }


def test_an_empty_log_is_as_written(cli):
    ran = cli("log", "verify")
    assert (ran.code, ran.lines[:-1]) == (0, ["as written: 0 batches and 0 events of them"])


# Of what order L3 has in it once its only line is of one piece.
CHANGED = order_digest("L3", ("EUR", 12_050, 5), [(1, "AB-12", "Linen shirt", "white", "M", 1, 2_410)])
_RESET = "UPDATE orders SET status = 'needs-oc', rejected_at = NULL, batch_id = NULL WHERE id"
TAMPERINGS = {
    "an edited event": (
        ["UPDATE order_event SET actor = 'nobody' WHERE order_id = 'L2' AND kind = 'rejected'"],
        ["event of order L2 in batch {0}: was edited"],
    ),
    "an event taken out of its batch": (
        ["UPDATE order_event SET batch_id = NULL WHERE order_id = 'L2' AND kind = 'rejected'"],
        ["event of order L2 in batch {0}: was edited"],
    ),
    "an event under another id": (
        ["UPDATE order_event SET id = 'x' WHERE order_id = 'L2' AND kind = 'rejected'"],
        ["event of order L2 in batch {0}: was edited"],
    ),
    "a deleted event": (
        ["DELETE FROM order_event WHERE order_id = 'L3'"],
        ["event of order L3 in batch {1}: was removed"],
    ),
    "the last batch's event": (
        ["DELETE FROM order_event WHERE order_id = 'L5'"],
        ["event of order L5 in batch {2}: was removed"],
    ),
    "an inserted event": (
        [
            (
                "INSERT INTO order_event"
                " (account, order_id, id, batch_id, kind, from_status, to_status, detail, actor, at)"
                " SELECT account, 'L7', id, batch_id, kind, from_status, to_status, detail, actor, at FROM order_event"
                " WHERE order_id = 'L1' AND kind = 'rejected'"
            )
        ],
        ["event of order L7 in batch {0}: was inserted"],
    ),
    "a second event of one order": (
        [
            (
                "INSERT INTO order_event (account, order_id, id, batch_id, kind, detail, actor, at)"
                " SELECT account, order_id, 'a', batch_id, kind, detail, 'other', at FROM order_event"
                " WHERE order_id = 'L1' AND kind = 'rejected'"
            )
        ],
        ["event of order L1 in batch {0}: was inserted"],
    ),
    "a rejection outside any batch": (
        [
            (
                "INSERT INTO order_event (account, order_id, id, kind, to_status, actor, at)"
                " SELECT account, 'L7', 'x', 'rejected', 'rejected', actor, at FROM order_event WHERE order_id = 'L5'"
            )
        ],
        ["event of order L7: is a rejection outside any batch"],
    ),
    "an edited batch": (
        ["UPDATE batch SET reason = 'another' WHERE position = 2"],
        ["batch {1}: was edited: its digest does not match"],
    ),
    "edited short digests": (
        ["UPDATE batch SET leaves = 'zz' WHERE position = 2"],
        ["batch {1}: its short digests of events were edited"],
    ),
    "a batch written anew": (
        ["UPDATE batch SET digest = 'new' WHERE position = 2"],
        ["batch {1}: was edited: its digest does not match", "batch {2}: does not follow batch {1}"],
    ),
    "a removed batch": (
        ["DELETE FROM batch WHERE position = 2"],
        [
            "batch {2}: 1 batch before it, from number 2 on, is missing",
            "batch {2}: does not follow batch {0}",
            "batch {1}: was removed: 2 orders, 2 events, 1 mail still refer to it",
        ],
    ),
    "a removed last batch": (
        ["DELETE FROM batch WHERE position = 3"],
        ["batch {2}: was removed: 1 order, 1 event still refer to it"],
    ),
    "the first batch": (
        ["DELETE FROM batch WHERE position = 1"],
        [
            "batch {1}: 1 batch before it, from number 1 on, is missing",
            "batch {1}: names a batch before it, and is the first",
            "batch {0}: was removed: 2 orders, 2 events still refer to it",
        ],
    ),
    "a reordered chain": (
        [
            "UPDATE batch SET position = 9 WHERE position = 1",
            "UPDATE batch SET position = 1 WHERE position = 2",
            "UPDATE batch SET position = 2 WHERE position = 9",
        ],
        [
            "batch {1}: names a batch before it, and is the first",
            "batch {1}: was edited: its digest does not match",
            "batch {0}: does not follow batch {1}",
            "batch {0}: was edited: its digest does not match",
            "batch {2}: does not follow batch {0}",
        ],
    ),
    "an order taken back": (
        [f"{_RESET} = 'L4'"],
        ["order L4: is not marked as rejected any more, or is gone: batch {1} rejected it"],
    ),
    "an order half taken back": (
        ["UPDATE orders SET status = 'needs-oc', rejected_at = NULL WHERE id = 'L4'"],
        ["order L4: is not rejected any more: batch {1} rejected it"],
    ),
    "an order and its event": (
        ["DELETE FROM order_event WHERE order_id = 'L4'", f"{_RESET} = 'L4'"],
        ["batch {1}: 1 event of it was removed, and the orders of them no longer name it"],
    ),
    "an order of no batch": (
        ["UPDATE orders SET status = 'rejected', rejected_at = ordered_at WHERE id = 'L7'"],
        ["order L7: is rejected, and the log does not say by whom"],
    ),
    "an order put into a batch": (
        ["UPDATE orders SET status = 'rejected', rejected_at = ordered_at, batch_id = '{0}' WHERE id = 'L7'"],
        ["order L7: says it was rejected by batch {0}, which did not"],
    ),
    "an imported order reopened": (
        ["UPDATE orders SET status = 'needs-oc', rejected_at = NULL WHERE id = 'old'"],
        ["order old: came as rejected and is not any more"],
    ),
    **{
        f"a line {how}": ([statement], ["order L3: its lines or amounts are not those that batch {1} rejected"])
        for how, statement in {
            "changed": "UPDATE order_line SET unit_price = 1 WHERE order_id = 'L3'",
            "in other units": "UPDATE order_line SET quantity_decimals = 1 WHERE order_id = 'L3'",
            "named anew": "UPDATE order_line SET name = 'x' WHERE order_id = 'L3'",
            "renumbered": "UPDATE order_line SET number = 2 WHERE order_id = 'L3'",
            "removed": "DELETE FROM order_line WHERE order_id = 'L3'",
            "given to another order": "UPDATE order_line SET order_id = 'L7', number = 2 WHERE order_id = 'L3'",
            "inserted": (
                "INSERT INTO order_line (account, order_id, number, quantity, unit_price)"
                " SELECT account, order_id, 2, 1, 1 FROM order_line WHERE order_id = 'L3'"
            ),
        }.items()
    },
    **{
        f"a changed {column}": (
            [f"UPDATE orders SET {column} = {value} WHERE id = 'L3'"],
            ["order L3: its lines or amounts are not those that batch {1} rejected"],
        )
        for column, value in {"total": "total + 1", "quantity": "quantity + 1", "currency": "'USD'"}.items()
    },
    "the total of an order that came as rejected": (
        ["UPDATE orders SET total = total + 1 WHERE id = 'old'"],
        ["order old: its lines or amounts are not those that it came with"],
    ),
    "a line and its order's digest": (
        [
            "UPDATE order_line SET quantity = 1 WHERE order_id = 'L3'",
            f"UPDATE orders SET lines_digest = '{CHANGED}' WHERE id = 'L3'",
        ],
        ["order L3: its lines or amounts are not those that batch {1} rejected"],
    ),
    "a line and both digests": (
        [
            "UPDATE order_line SET quantity = 1 WHERE order_id = 'L3'",
            f"UPDATE orders SET lines_digest = '{CHANGED}' WHERE id = 'L3'",
            f"UPDATE order_event SET lines_digest = '{CHANGED}' WHERE order_id = 'L3'",
        ],
        ["event of order L3 in batch {1}: was edited"],
    ),
    "a digest of lines": (
        ["UPDATE orders SET lines_digest = 't0123456789abcdef' WHERE id = 'L3'"],
        ["order L3: the digest of its lines and amounts is not the one in the log of batch {1}"],
    ),
    "a line and no digest": (
        ["UPDATE order_line SET quantity = 1 WHERE order_id = 'L3'", "UPDATE orders SET lines_digest = ''"],
        [
            f"order L{number}: the digest of its lines and amounts is not the one in the log of batch {{{batch}}}"
            for number, batch in ((1, 0), (2, 0), (3, 1), (4, 1), (5, 2))
        ],
    ),
    "an event's digest of lines": (
        ["UPDATE order_event SET lines_digest = '0123456789abcdef' WHERE order_id = 'L3'"],
        ["event of order L3 in batch {1}: was edited"],
    ),
    "an event without its digest of lines": (
        ["UPDATE order_event SET lines_digest = '' WHERE order_id = 'L3'"],
        ["event of order L3 in batch {1}: was edited"],
    ),
    "an event's digest of lines, and a line": (
        [
            "UPDATE order_event SET lines_digest = '0123456789abcdef' WHERE order_id = 'L3'",
            "DELETE FROM order_line WHERE order_id = 'L3'",
        ],
        [
            "event of order L3 in batch {1}: was edited",
            "order L3: its lines or amounts are not those that batch {1} rejected",
        ],
    ),
    "a line of an order that came as rejected": (
        ["UPDATE order_line SET sku = 'ZZ' WHERE order_id = 'old'"],
        ["order old: its lines or amounts are not those that it came with"],
    ),
    "a mail removed": (
        ["DELETE FROM mail"],
        ["mails of batch {1}: the batch queued 1, and the outbox holds 0"],
    ),
}


@pytest.mark.parametrize(("statements", "records"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_the_tampered_record_is_named(batches, store_url, statements, records):
    tamper(store_url, *(statement.format(*batches) for statement in statements))
    assert found_in(store_url) == [record.format(*batches) for record in records]


def test_a_last_batch_removed_with_every_trace_shows_only_against_an_anchor(cli, batches, store_url):
    anchor = cli("log", "verify").lines[-1].split()[-1]
    tamper(
        store_url,
        "DELETE FROM batch WHERE position = 3",
        "DELETE FROM order_event WHERE order_id = 'L5'",
        f"{_RESET} = 'L5'",
    )
    assert found_in(store_url) == []
    assert found_in(store_url, anchor=anchor) == [
        "anchor: no batch has this digest: one that was there is gone, or was written anew"
    ]


def test_tampering_is_told_to_programs_too(cli, batches, store_url):
    tamper(store_url, "DELETE FROM order_event WHERE order_id = 'L3'")
    ran = cli("log", "verify", "--format", "json")
    record, verdict = ran.json
    assert record == {
        "schema": 1,
        "type": "tampering",
        "record": f"event of order L3 in batch {batches[1]}",
        "kind": "event",
        "problem": "was removed",
        "batch_id": batches[1],
        "order_id": "L3",
        "event_id": batches[1],
        "act": None,
        "act_kind": None,
        "subject": None,
        "erasure": None,
    }
    assert (ran.code, verdict["outcome"], verdict["tampered"]) == (1, "tampered", 1)
    ran = cli("log", "verify")
    assert (ran.code, ran.lines[0]) == (1, f"event of order L3 in batch {batches[1]}: was removed")
    assert "the log is not as it was written: 1 record" in ran.err


def test_lines_that_came_in_several_imports_in_any_order_are_as_written(store_url):
    lines = tuple(OrderLine(number=number, sku=f"S{number}", quantity=1, unit_price=9) for number in (10, 2, 1))
    with open_store(store_url) as store:
        put_all(store, [make_order("kept", lines=lines), make_order("less", lines=lines), make_order("none", lines=())])
        put_all(store, [make_order("less", lines=lines[1:]), make_order("none", lines=(), note="again")])
        put(store, make_order("kept", note="changed", lines=(), unsaid=frozenset({"lines", "quantity"})))
        reject(store, ids("kept", "less", "none"))
    assert found_in(store_url) == []
    tamper(store_url, "UPDATE order_line SET sku = 'x' WHERE number = 10")
    assert [found.split(":")[0] for found in found_in(store_url)] == ["order kept"]


def test_more_lines_than_are_read_at_a_time_are_as_written(store_url):
    with open_store(store_url) as store:
        put_all(store, [make_order(f"M{number:04}") for number in range(TOGETHER + 1)])
        reject(store, ids(*(f"M{number:04}" for number in range(TOGETHER + 1))))
    assert found_in(store_url) == []
    tamper(store_url, f"DELETE FROM order_line WHERE order_id IN ('M0000', 'M{TOGETHER:04}')")
    assert [found.split(":")[0] for found in found_in(store_url)] == ["order M0000", f"order M{TOGETHER:04}"]


def test_what_is_no_value_of_ours_in_a_line_is_a_change_like_another():
    assert len({lines_digest("1", [(1, value)]) for value in ("x", b"x", 1, 1.5, None)}) == 5


def test_another_account_has_a_chain_of_its_own(cli, batches, store_url):
    with open_store(store_url, "other") as store:
        put(store, make_order("L1"))
        reject(store, ids("L1"))
    tamper(store_url, "UPDATE batch SET actor = 'x' WHERE account = 'other'")
    assert cli("log", "verify").code == 0
    cli.environ["ORDERCTL_ACCOUNT"] = "other"
    assert cli("log", "verify").code == 1


def test_an_order_that_is_called_like_a_command_can_be_looked_at(cli, store_url):
    with open_store(store_url) as store:
        put_all(store, [make_order("verify"), make_order("show")])
        reject(store, ids("verify", "show"))
    for args in (["show", "verify"], ["show", "show"], ["--limit", "3", "verify"], ["--", "verify"]):
        assert "style dropped" in cli("log", *args).out
    assert cli("log", "verify").out.startswith("as written: 1 batch and 2 events")
    assert "orderctl log show verify" in cli("log", "--help").out


def test_each_batch_whose_time_is_before_that_of_the_one_before_it_is_named(cli, store_url):
    hours = (0, -1, -1, 0, -0.5)
    with open_store(store_url) as store:
        put_all(store, [make_order(f"C{number}") for number in range(len(hours))])
        made = []
        for number, ahead in enumerate(hours):
            plan = plan_for(store, ids(f"C{number}")).approve(by="mia", how="--yes")
            clock = FixedClock(NOW + timedelta(hours=ahead))
            made.append(execute_rejection(store, plan, clock=clock, message_domain="brand.example").batch_id)
    ran = cli("log", "verify")
    words = (
        "batch {}: is of 2026-03-14 08:{}:53 UTC, and batch {} before it of 2026-03-14 09:26:53 UTC: a clock was wrong"
    )
    named = [words.format(made[1], 26, made[0]), words.format(made[4], 56, made[3])]
    assert (ran.code, ran.lines[:-1]) == (1, named)
    assert "the log is not as it was written: 2 records" in ran.err
    first, _, verdict = cli("log", "verify", "--format", "json").json
    assert (first["kind"], first["batch_id"], verdict["outcome"]) == ("batch", made[1], "tampered")
