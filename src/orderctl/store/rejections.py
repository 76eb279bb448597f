"""Executes an approved plan, and reads what was done; see `ports.Rejections` (design.md, section 6, step 5)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from orderctl.domain.eligibility import Mode
from orderctl.domain.errors import UnexpectedPlanError
from orderctl.domain.log import Batch
from orderctl.domain.money import Money
from orderctl.domain.orders import OrderEvent, OrderSummary
from orderctl.domain.outbox import LetterFacts
from orderctl.domain.rejection import ApprovedPlan, LeftOut, RejectionPlan
from orderctl.domain.request_keys import KeyUsedError
from orderctl.domain.selection import Choice
from orderctl.language import say
from orderctl.ports import Assessment, Executed
from orderctl.store import rows
from orderctl.store.assessments import assess
from orderctl.store.exclusions import with_exclusions
from orderctl.store.executions import event_of, mark_rejected
from orderctl.store.letter_facts import sample_facts
from orderctl.store.queueing import queue_mails
from orderctl.store.sealing import SealingThread
from orderctl.store.sql import Connection, ids_ending

_IN_BATCH = "account = :account AND batch_id = :batch"
_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' orderctl batch ' || :account, 0))"


class SqlRejections:
    """Rejections of the connection's account."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def assess(
        self, choice: Choice, mode: Mode, *, notify: bool, per_order: bool, changed_since: datetime
    ) -> Assessment:
        """Split the choice by eligibility and add it up; see `assessments` and `impact`."""
        found = assess(self._connection, choice, mode, notify=notify, per_order=per_order, changed_since=changed_since)
        return replace(found, given=with_exclusions(self._connection, found.given, choice))

    def targets(self, plan: RejectionPlan) -> tuple[OrderSummary, ...]:
        """Every target as it is now, newest first."""
        dialect = self._connection.dialect
        # Sorted here: asked for in that order, SQLite walks the index of the days.
        sql = rows.summaries_sql(f"id IN ({dialect.ids('ids')})", "id")
        found = map(rows.summary, self._connection.execute(sql, {"ids": dialect.bind_ids(list(plan.targets))}))
        return tuple(sorted(found, key=lambda order: (order.ordered_at, order.id), reverse=True))

    def sample(self, plan: RejectionPlan) -> tuple[LetterFacts, ...]:
        """What a mail in each language of the plan would be made of."""
        return sample_facts(self._connection, plan)

    def wait_for_turn(self) -> None:
        """Wait until no other batch is being made, and keep others waiting until the end of the transaction.

        On SQLite one transaction writes at a time. On PostgreSQL, of two batches that were made side by side the one
        that began first could come to stand behind the other.
        """
        if self._connection.dialect.name != "sqlite":
            self._connection.execute(_TURN)

    def execute(self, approved: ApprovedPlan, at: datetime, message_domain: str) -> Executed:
        """Reject every target that is still as planned, with its event, batch and mails.

        Raises UnexpectedPlanError if the plan ran before, KeyUsedError if another plan did under the caller's key.
        """
        plan = approved.plan
        if self.batch(plan.id) is not None:
            raise UnexpectedPlanError(
                say("plan {id} has run already", id=plan.id), hint=say("see: orderctl log {id}", id=plan.id)
            )
        if approved.request and self.batch_of_request(approved.request.key):
            raise KeyUsedError(
                say("another run under the key {key} was first", key=approved.request.key),
                hint=say("try again in a moment"),
            )
        rejected = 0
        with SealingThread(lambda *differing: event_of(plan, at, *differing)) as sealing:
            for events in mark_rejected(self._connection, plan, at):
                sealing.add(events)
                rejected += len(events)
            mails = queue_mails(self._connection, plan, at, message_domain) if plan.mail.notify else 0
            batch = self._batch(approved, at, rejected, mails)
            sealed = sealing.seal(batch)
        self._insert_batch(replace(batch, digest=sealed.digest, leaves=sealed.leaves), approved)
        return replace(self._executed(plan, rejected, mails), unselected=self._unselect(plan))

    def outcome(self, plan: RejectionPlan) -> Executed | None:
        """What the plan's batch did; None if it never ran."""
        batch = self.batch(plan.id)
        return self._executed(plan, batch.rejected, batch.mails) if batch else None

    def batch(self, batch_id: str) -> Batch | None:
        """One batch."""
        row = self._connection.execute(
            f"SELECT {rows.BATCH_COLUMNS} FROM batch WHERE account = :account AND id = :id", {"id": batch_id}
        ).fetchone()
        return rows.batch(row) if row else None

    def batch_of_request(self, key: str) -> tuple[Batch, str] | None:
        """The batch that has a caller's key, and the plan that it ran."""
        row = self._connection.execute(
            f"SELECT {rows.BATCH_COLUMNS}, request_plan FROM batch WHERE account = :account AND request_key = :key",
            {"key": key},
        ).fetchone()
        return (rows.batch(row), row[-1]) if row else None

    def ids_ending(self, ending: str) -> tuple[str, ...]:
        """The ids that end so, at most a few, newest first."""
        return ids_ending(self._connection, "batch", ending)

    def batches(self, limit: int | None) -> Iterator[Batch]:
        """The batches, newest first."""
        newest = f"SELECT {rows.BATCH_COLUMNS} FROM batch WHERE account = :account ORDER BY position DESC"
        found = (
            self._connection.stream(newest)
            if limit is None
            else self._connection.execute(f"{newest} LIMIT :batch_limit", {"batch_limit": limit})
        )
        return map(rows.batch, found)

    def batch_orders(self, batch_id: str) -> Iterator[OrderEvent]:
        """The events of a batch, in the order of their order ids."""
        found = self._connection.stream(
            f"SELECT {rows.EVENT_COLUMNS} FROM order_event WHERE account = :account AND id = :batch"
            f" AND order_id IN (SELECT id FROM orders WHERE {_IN_BATCH}) ORDER BY order_id",
            {"batch": batch_id},
        )
        return map(rows.event, found)

    def _batch(self, approved: ApprovedPlan, at: datetime, rejected: int, mails: int) -> Batch:
        """The batch as it is sealed: after the one before, and without its seal."""
        plan, request = approved.plan, approved.request
        last = next(self.batches(1), None)
        return Batch(
            id=plan.id,
            position=last.position + 1 if last else 1,
            at=at,
            actor=plan.by.actor,
            approver=f"{approved.approver} ({approved.how})",
            host=plan.by.host,
            program=plan.by.program,
            mode=plan.mode,
            source=plan.by.source,
            reason=plan.reason,
            reason_code=plan.reason_code,
            message=plan.mail.message,
            mail_per_order=plan.mail.per_order,
            planned=plan.targets.count,
            rejected=rejected,
            skipped=plan.skipped_count,
            mails=mails,
            digest="",
            leaves="",
            previous=last.digest if last else "",
            request_key=request.key if request else "",
            request_digest=request.digest if request else "",
        )

    def _insert_batch(self, batch: Batch, approved: ApprovedPlan) -> None:
        columns = [*rows.BATCH_COLUMNS.split(", "), "request_plan"]
        values = {column: getattr(batch, column, "") for column in columns}
        values |= {
            "at": self._connection.dialect.instant(batch.at),
            "mail_per_order": int(batch.mail_per_order),
            "mode": Mode(batch.mode).value,
            "request_key": batch.request_key or None,
            "request_plan": approved.plan.to_json() if approved.request else "",
        }
        self._connection.execute(
            f"INSERT INTO batch (account, {', '.join(columns)})"
            f" VALUES (:account, {', '.join(f':{column}' for column in columns)})",
            values,
        )

    def _unselect(self, plan: RejectionPlan) -> int:
        """Take what was rejected out of the selection that it came from; gives how many orders."""
        if not plan.by.selection:
            return 0
        taken = self._connection.execute(
            "DELETE FROM selection_item WHERE account = :account AND actor = :actor AND name = :name"
            " AND EXISTS (SELECT 1 FROM orders AS o WHERE o.account = :account"
            " AND o.id = selection_item.order_id AND o.batch_id = :batch)",
            {"actor": plan.by.actor, "name": plan.by.selection, "batch": plan.id},
        )
        return taken.rowcount

    def _executed(self, plan: RejectionPlan, rejected: int, mails: int) -> Executed:
        complete = rejected == plan.targets.count
        return Executed(
            rejected=rejected,
            left_out=() if complete else self._left_out(plan),
            totals=plan.totals if complete else self._totals(plan.id),
            mails=mails,
        )

    def _totals(self, batch_id: str) -> tuple[Money, ...]:
        found = self._connection.execute(
            f"SELECT currency, CAST(sum(total) AS BIGINT) FROM orders WHERE {_IN_BATCH} GROUP BY currency"
            " ORDER BY currency",
            {"batch": batch_id},
        )
        return tuple(Money(currency, minor) for currency, minor in found)

    def _left_out(self, plan: RejectionPlan) -> tuple[LeftOut, ...]:
        found = self._connection.execute(
            "SELECT target.key, target.value, o.version, o.status, o.batch_id"
            f" FROM ({self._connection.dialect.pairs('targets')}) AS target"
            " LEFT JOIN orders AS o ON o.account = :account AND o.id = target.key"
            " WHERE o.batch_id IS NULL OR o.batch_id <> :batch ORDER BY target.key",
            {"targets": plan.targets.packed, "batch": plan.id},
        )
        return tuple(
            LeftOut(id=row[0], planned_version=row[1], version=row[2], status=row[3], batch_id=row[4]) for row in found
        )
