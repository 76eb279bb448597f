"""A small model of design.md, section 3, and a machine that holds the services against it after each step.

The model knows what the page says, in its own words: a table, a dictionary of orders, and counts of mails. Each
machine works in an account of its own, next to one whose orders have the same ids and must never change.
"""

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from orderctl.audit.queries import list_batches
from orderctl.audit.service import verify_log
from orderctl.changes import Change, ChangeKind, ChangeRequest, change_orders
from orderctl.database.address import parse_address
from orderctl.database.store import Store, make_engine
from orderctl.delivery.outbox import DeliveryState, Settlement, pause_after
from orderctl.delivery.queries import claim, expire_leases, settle, start
from orderctl.errors import UnexpectedPlanError
from orderctl.filters.parser import parse_filter
from orderctl.importing.queries import OrderImport
from orderctl.mail.outbox import MAILS, Letter, MailQuery
from orderctl.mail.queries import claimed_mails, list_mails
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import Status
from orderctl.orders.queries import get_order
from orderctl.rejection.plan import Provenance
from orderctl.rejection.service import RejectionRequest, execute_rejection, prepare_rejection
from orderctl.search.queries import Page, count_orders, list_ids
from orderctl.selection.selection import Choice, IdList, IdScope
from support.factories import ACME, KUMO, MUTE, NOW, FixedClock, make_order

_accounts = count(1)
IDS = tuple("ABCDEFGH")
# design.md, section 3: may it be rejected in bulk, and on its own?
MAY_BE_REJECTED = {
    Status.NEEDS_OC: (True, True),
    Status.OC_CREATED: (True, True),
    Status.OC_APPROVED: (False, True),
    Status.OC_DECLINED: (False, True),
    Status.OC_CONFIRMED: (False, True),
    Status.RETURNED_TO_CART: (False, False),
    Status.REJECTED: (False, False),
}
LETTER = Letter(subject="s", text="t", html="h")
BUYERS = {buyer.id: buyer for buyer in (ACME, KUMO, MUTE)} | {"": None}


@dataclass
class Expected:
    """An order as the model knows it. `touched` counts its changes: a plan knows it at one of them."""

    status: Status
    buyer: str
    papers: tuple[int, int, int]
    reference: str = ""
    archived: bool = False
    tags: set[str] = field(default_factory=set)
    touched: int = 0
    batch: str | None = None

    def may_be_rejected(self, mode: Mode) -> bool:
        return MAY_BE_REJECTED[self.status][mode is Mode.INDIVIDUAL] and not any(self.papers)


some_ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=6, unique=True)
statuses = st.sampled_from(list(Status))
papers = st.tuples(*(3 * [st.sampled_from((0, 0, 0, 0, 2))]))


class Services(RuleBasedStateMachine):
    """The services on one store; a subclass says on which."""

    url = ""
    plans = Bundle("plans")

    def __init__(self) -> None:
        super().__init__()
        self.account = f"account{next(_accounts)}"
        self.clock = FixedClock(NOW)
        self.model: dict[str, Expected] = {}
        self.batches = 0
        self.mails: dict[str, DeliveryState] = {}
        self._stack = ExitStack()
        self.store = self._stack.enter_context(Store(make_engine(parse_address(self.url)), self.account))

    def teardown(self) -> None:
        self._stack.close()

    @initialize()
    def somebody_elses_orders(self) -> None:
        self._bring({each: Expected(Status.NEEDS_OC, "acme", (0, 0, 0)) for each in IDS[:4]})
        with Store(make_engine(parse_address(self.url)), f"{self.account}x") as other:
            orders = [make_order(each, reference="theirs") for each in IDS]
            other.write(lambda connection: OrderImport(connection).store(orders, actor="ada", at=NOW, detail="theirs"))

    @rule(order_id=st.sampled_from(IDS), status=statuses, buyer=st.sampled_from(list(BUYERS)), papers=papers)
    def an_import_brings(self, order_id, status, buyer, papers) -> None:
        self._bring({order_id: Expected(status, buyer, papers)})

    def _bring(self, brought: dict[str, Expected]) -> None:
        orders = []
        for order_id, new in brought.items():
            delivery_notes, invoices, backlog_skus = new.papers
            orders.append(
                make_order(
                    order_id,
                    status=new.status,
                    buyer=BUYERS[new.buyer],
                    reference="PO",
                    delivery_notes=delivery_notes,
                    invoices=invoices,
                    backlog_skus=backlog_skus,
                )
            )
            old = self.model.get(order_id)
            if old is None:
                self.model[order_id] = new
                continue
            # A file rejects no order that is there.
            status = old.status if new.status is Status.REJECTED else new.status
            # What protects an order falls for no file, unless somebody asks for it.
            content = (status, new.buyer, tuple(map(max, old.papers, new.papers)))
            if old.status is not Status.REJECTED and (old.status, old.buyer, old.papers) != content:
                old.status, old.buyer, old.papers = content
                old.touched += 1
        self.store.write(lambda connection: OrderImport(connection).store(orders, actor="mia", at=NOW, detail="a file"))

    @rule(ids=some_ids, kind=st.sampled_from(list(ChangeKind)), tag=st.sampled_from(("late", "vip")))
    def somebody_changes(self, ids, kind, tag) -> None:
        tagging = kind in (ChangeKind.TAGGED, ChangeKind.UNTAGGED)
        request = ChangeRequest(
            choice=_choice(ids), change=Change(kind=kind, tag=tag if tagging else ""), ignore_unknown=True
        )
        done = change_orders(self.store, request, actor="mia", clock=self.clock, new_id=_new_id)
        changed = [each for each in ids if each in self.model and _changes(self.model[each], kind, tag)]
        assert done.changing == len(changed)

    @rule(target=plans, ids=some_ids, mode=st.sampled_from(list(Mode)), notify=st.booleans(), per_order=st.booleans())
    def somebody_plans(self, ids, mode, notify, per_order):
        by = Provenance(account=self.account, actor="mia", host="desk", program="orderctl", source="a machine")
        request = RejectionRequest(
            choice=_choice(ids), by=by, mode=mode, reason="dropped", notify=notify, per_order=per_order
        )
        plan = prepare_rejection(self.store, request, clock=self.clock, new_id=_new_id)
        known = {each: self.model[each] for each in ids if each in self.model}
        wanted = {each for each, order in known.items() if order.may_be_rejected(mode)}
        assert set(plan.targets) == wanted
        assert {each for group in plan.skipped for each in group} == known.keys() - wanted
        assert plan.given.unknown_count == len(set(ids) - known.keys())
        assert plan.buyers == len({self.model[each].buyer for each in wanted} - {""})
        assert plan.mail.mails == (len(self._told(wanted, per_order=per_order)) if notify else 0)
        return plan, {each: self.model[each].touched for each in wanted}

    @rule(planned=plans)
    def somebody_executes(self, planned) -> None:
        plan, seen = planned
        approved = plan.approve(by="mia", how="--yes")
        ran = any(order.batch == plan.id for order in self.model.values()) or plan.id in self._empty
        try:
            result = execute_rejection(self.store, approved, clock=self.clock, message_domain="brand.example")
        except UnexpectedPlanError:
            assert ran
            return
        assert not ran or not seen
        now = {each for each, touched in seen.items() if self.model[each].touched == touched}
        assert (result.rejected, {each.id for each in result.left_out}) == (len(now), seen.keys() - now)
        told = self._told(now, per_order=plan.mail.per_order) if plan.mail.notify else []
        assert result.mails == len(told)
        for each in now:
            self.model[each].status, self.model[each].batch = Status.REJECTED, plan.id
            self.model[each].touched += 1
        if seen:
            self.batches += 1
            self._empty.add(plan.id)

    @property
    def _empty(self) -> set[str]:
        """The plans that ran, those among them that found nothing left to do included."""
        return self.__dict__.setdefault("ran", set())

    def _told(self, ids: set[str], *, per_order: bool) -> list[str]:
        reachable = [each for each in ids if self.model[each].buyer in ("acme", "kumo")]
        return reachable if per_order else sorted({self.model[each].buyer for each in reachable})

    @rule(
        outcome=st.sampled_from(
            (DeliveryState.SENT, DeliveryState.RETRY, DeliveryState.REFUSED, DeliveryState.UNKNOWN, None)
        )
    )
    def somebody_sends_a_mail(self, outcome) -> None:
        """One mail: claimed, begun, settled; `None` dies in between."""
        now, token = self.clock.now(), _new_id()
        until = now + timedelta(minutes=5)
        self.store.write(lambda connection: expire_leases(connection, MAILS, now))
        claimed = self.store.write(
            lambda connection: claimed_mails(
                connection, claim(connection, MAILS, token=token, until=until, now=now, limit=1, batch_id=None)
            )
        )
        for mail in claimed:
            assert self.mails.get(mail.id, DeliveryState.WAITING) in (
                DeliveryState.WAITING,
                DeliveryState.RETRY,
                DeliveryState.CLAIMED,
            )
            started = self.store.write(
                partial(_start, token=token, begun={mail.id: asdict(LETTER)}, until=until, now=now)
            )
            assert started == {mail.id}
            self.mails[mail.id] = DeliveryState.UNKNOWN
            if outcome is not None:
                due = now + pause_after(mail.attempts + 1) if outcome is DeliveryState.RETRY else None
                settled = [
                    Settlement(item_id=mail.id, state=outcome, detail="said", attempts=mail.attempts + 1, due=due)
                ]
                assert self.store.write(partial(_settle, token=token, settled=settled, now=now)) == {mail.id}
                self.mails[mail.id] = outcome

    @rule(minutes=st.sampled_from((1, 6, 400)))
    def time_goes_by(self, minutes) -> None:
        self.clock.at += timedelta(minutes=minutes)

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        with self.store.snapshot() as connection:
            for order_id in list_ids(connection, _EVERYTHING, Page(sort="id")):
                order, expected = get_order(connection, order_id), self.model[order_id]
                assert (order.status, order.archived_at is not None, order.tags) == (
                    expected.status,
                    expected.archived,
                    frozenset(expected.tags),
                )
                assert order.batch_id == expected.batch
            assert count_orders(connection, _EVERYTHING) == len(self.model)
            batches = list(list_batches(connection, None))
            states = {mail.id: mail.state for mail in list_mails(connection, MailQuery())}
        assert len(batches) == self.batches
        assert len(states) == sum(batch.mails for batch in batches)
        for mail_id, state in states.items():
            wanted = self.mails.get(mail_id, DeliveryState.WAITING)
            # One whose sender died is being sent until its lease runs out.
            assert state == wanted or (wanted is DeliveryState.UNKNOWN and state is DeliveryState.SENDING)

    @invariant()
    def the_log_is_whole_and_nobody_elses_order_changed(self) -> None:
        wrong: list[object] = []
        verify_log(self.store, report=wrong.append, progress=lambda _done, _total: None)
        assert wrong == []
        with Store(make_engine(parse_address(self.url)), f"{self.account}x") as other, other.snapshot() as connection:
            for order_id in list_ids(connection, _EVERYTHING, Page()):
                order = get_order(connection, order_id)
                assert (order.status, order.reference, order.version) == (Status.NEEDS_OC, "theirs", 1)


_EVERYTHING = parse_filter("archived:yes or archived:no", today=NOW.date())
_ids = count(1)


def _start(connection, *, token, begun, until, now):
    return start(connection, MAILS, token, begun, until=until, now=now)


def _settle(connection, *, token, settled, now):
    return settle(connection, MAILS, token, settled, now)


def _new_id() -> str:
    return f"id{next(_ids):06}"


def _choice(ids) -> Choice:
    return Choice(scope=IdScope(given=IdList(ids=tuple(ids)), words="ids"))


def _changes(order: Expected, kind: ChangeKind, tag: str) -> bool:
    """Make the change in the model; whether there was one to make."""
    match kind:
        case ChangeKind.ARCHIVED | ChangeKind.UNARCHIVED:
            wanted = kind is ChangeKind.ARCHIVED
            changes, order.archived = order.archived is not wanted, wanted
            order.touched += changes
        case ChangeKind.TAGGED:
            changes = tag not in order.tags
            order.tags.add(tag)
        case ChangeKind.UNTAGGED:
            changes = tag in order.tags
            order.tags.discard(tag)
    return changes
