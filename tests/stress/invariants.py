"""What must hold of a store whatever happened around it, read with plain SQL and not with the program's own readers."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass

import psycopg

from orderctl.audit.service import verify_log
from orderctl.audit.verification import Tampering
from orderctl.database.address import parse_address
from orderctl.database.store import Store, make_engine

_FALSE_REJECTIONS = """
SELECT o.id, 'belongs to a batch and is ' || o.status FROM orders AS o
 WHERE o.batch_id IS NOT NULL AND o.status <> 'rejected'
UNION ALL
SELECT o.id, 'was rejected by a batch that is not there' FROM orders AS o
 WHERE o.batch_id IS NOT NULL AND NOT EXISTS (
   SELECT 1 FROM batch AS b WHERE b.account = o.account AND b.id = o.batch_id)
UNION ALL
SELECT o.id, 'is rejected without its event' FROM orders AS o
 WHERE o.batch_id IS NOT NULL AND NOT EXISTS (
   SELECT 1 FROM order_event AS e WHERE e.account = o.account AND e.order_id = o.id AND e.batch_id = o.batch_id)
UNION ALL
SELECT o.id, 'was rejected although something stands against it' FROM orders AS o
 WHERE o.batch_id IS NOT NULL AND o.delivery_notes + o.invoices + o.backlog_skus > 0
UNION ALL
SELECT e.order_id, 'has a rejection in its log and is not rejected' FROM order_event AS e
 WHERE e.batch_id IS NOT NULL AND NOT EXISTS (
   SELECT 1 FROM orders AS o WHERE o.account = e.account AND o.id = e.order_id AND o.batch_id = e.batch_id)
UNION ALL
SELECT e.order_id, 'was rejected twice' FROM order_event AS e WHERE e.batch_id IS NOT NULL
 GROUP BY e.account, e.order_id HAVING count(*) > 1
UNION ALL
SELECT b.id, 'is a batch whose count is not that of its orders' FROM batch AS b
 WHERE b.rejected <> (SELECT count(*) FROM orders AS o WHERE o.account = b.account AND o.batch_id = b.id)
UNION ALL
SELECT b.id, 'is a batch whose count is not that of its mails' FROM batch AS b
 WHERE b.mails <> (SELECT count(*) FROM mail AS m WHERE m.account = b.account AND m.batch_id = b.id)
UNION ALL
SELECT o.id, 'stands in no mail although its buyer was to be told' FROM orders AS o
 JOIN batch AS b ON b.account = o.account AND b.id = o.batch_id AND b.mails > 0
 JOIN buyer AS y ON y.account = o.account AND y.id = o.buyer_id AND y.email IS NOT NULL
 WHERE NOT EXISTS (SELECT 1 FROM mail_order AS m WHERE m.account = o.account AND m.order_id = o.id)
UNION ALL
SELECT m.order_id, 'stands in two mails' FROM mail_order AS m GROUP BY m.account, m.order_id HAVING count(*) > 1
UNION ALL
SELECT w.order_id, 'is to be cancelled in two ways' FROM writeback AS w
 GROUP BY w.account, w.order_id HAVING count(*) > 1
UNION ALL
SELECT w.order_id, 'is to be cancelled in its system and was not rejected by that batch' FROM writeback AS w
 WHERE NOT EXISTS (
   SELECT 1 FROM orders AS o WHERE o.account = w.account AND o.id = w.order_id AND o.batch_id = w.batch_id)
UNION ALL
SELECT o.id, 'is in no write-back although its system is told of others' FROM orders AS o
 JOIN order_source AS s ON s.account = o.account AND s.order_id = o.id
 WHERE o.batch_id IS NOT NULL AND EXISTS (
   SELECT 1 FROM writeback AS w WHERE w.account = o.account AND w.batch_id = o.batch_id AND w.system = s.source)
 AND NOT EXISTS (SELECT 1 FROM writeback AS w WHERE w.account = o.account AND w.order_id = o.id)
UNION ALL
SELECT m.id, 'went to a buyer before the systems had cancelled the orders' FROM mail AS m
 JOIN mail_order AS t ON t.account = m.account AND t.mail_id = m.id
 JOIN writeback AS w ON w.account = m.account AND w.batch_id = m.batch_id AND w.order_id = t.order_id
 WHERE m.state NOT IN ('held', 'cancelled') AND w.state <> 'sent' AND NOT EXISTS (
   SELECT 1 FROM mail_event AS e WHERE e.account = m.account AND e.mail_id = m.id)
"""


def rows(url: str, sql: str) -> list[tuple]:
    """What a query gives, on either engine."""
    connect = psycopg.connect if url.startswith("postgres") else sqlite3.connect
    with closing(connect(url)) as connection:
        return connection.execute(sql).fetchall()


@dataclass(frozen=True)
class Picture:
    """A store's rejected orders, the states of its mails, and of its write-backs by their orders."""

    rejected: frozenset[str]
    mails: dict[str, str]
    states: Counter
    writebacks: dict[str, str]

    @classmethod
    def of(cls, url: str) -> "Picture":
        mails = dict(rows(url, "SELECT message_id, state FROM mail"))
        rejected = frozenset(order_id for (order_id,) in rows(url, "SELECT id FROM orders WHERE batch_id IS NOT NULL"))
        writebacks = dict(rows(url, "SELECT order_id, state FROM writeback"))
        return cls(rejected=rejected, mails=mails, states=Counter(mails.values()), writebacks=writebacks)


def violations(url: str) -> list[str]:
    """What does not hold; empty if all is well."""
    found = [f"{record} {what}" for record, what in rows(url, _FALSE_REJECTIONS)]
    tampered: list[Tampering] = []
    with Store(make_engine(parse_address(url)), "main") as store:
        verify_log(store, report=tampered.append, progress=lambda _done, _total: None)
    found += [f"{each.record} {each.problem}" for each in tampered]
    if not url.startswith("postgres"):
        found += [f"SQLite: {said}" for (said,) in rows(url, "PRAGMA integrity_check") if said != "ok"]
        found += [f"SQLite: foreign key {row}" for row in rows(url, "PRAGMA foreign_key_check")]
    return found


_HANDED_OVER = {"sent", "unknown", "sending"}


def mail_violations(url: str, taken: list[str]) -> list[str]:
    """`taken` are the Message-IDs of what the mail server took, each as often as it took it."""
    mails, times = Picture.of(url).mails, Counter(taken)
    found = [f"mail {each} was taken {number} times" for each, number in times.items() if number > 1]
    found += [
        f"mail {each} was taken and is {mails.get(each)}" for each in times if mails.get(each) not in _HANDED_OVER
    ]
    found += [
        f"mail {each} is sent and was never taken" for each in mails if mails[each] == "sent" and each not in times
    ]
    return found


_AGAIN = """
SELECT w.order_id, count(e.id) FROM writeback AS w LEFT JOIN writeback_event AS e
 ON e.account = w.account AND e.writeback_id = w.id AND e.action IN ({}) GROUP BY w.order_id
"""


def writeback_violations(url: str, told: Counter) -> list[str]:
    """`told`: how often the systems were told of each order. Once, and once more for each retry of an operator's."""
    writebacks = Picture.of(url).writebacks
    again = dict(rows(url, _AGAIN.format("'retry', 'asked: open'")))
    settled = dict(rows(url, _AGAIN.format("'settle as sent'")))
    found = [f"order {each} was told {number} times" for each, number in told.items() if number > 1 + again[each]]
    found += [
        f"order {each} was told and is {writebacks.get(each)}"
        for each in told
        if writebacks.get(each) not in _HANDED_OVER and not again[each]
    ]
    found += [
        f"order {each} is cancelled in no system"
        for each, state in writebacks.items()
        if state == "sent" and each not in told and not settled[each]
    ]
    return found
