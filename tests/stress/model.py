"""A small model of design.md, section 3, and a machine that holds the services against it after each step.

The model knows what the page says, in its own words: a table, and dictionaries of orders, mails and write-backs. Each
machine works in an account of its own, next to one whose orders have the same ids and must never change.
"""

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from orderctl.audit.queries import list_batches
from orderctl.audit.service import verify_log
from orderctl.changes import Change, ChangeKind, ChangeRequest, change_orders
from orderctl.database.address import parse_address
from orderctl.database.store import Store, make_engine
from orderctl.delivery.outbox import CANCEL, NOT_SENT, RETRY, SENT, DeliveryState, Outcome, settlement
from orderctl.delivery.queries import claim, expire_leases, find_states, settle, start
from orderctl.delivery.service import act, pick
from orderctl.erasure.service import erase_buyer
from orderctl.errors import UnexpectedPlanError, UsageError
from orderctl.filters.parser import parse_filter
from orderctl.mail.outbox import MAILS, Letter, MailQuery
from orderctl.mail.queries import claimed_mails, release_held
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import Status
from orderctl.orders.queries import get_order
from orderctl.rejection.plan import Provenance
from orderctl.rejection.policy import Policy, set_policy
from orderctl.rejection.service import RejectionRequest, execute_rejection, prepare_rejection
from orderctl.search.queries import Page, count_orders, list_ids
from orderctl.selection.selection import Choice, IdList, IdScope
from orderctl.writeback.outbox import WRITEBACKS, WriteBackQuery
from orderctl.writeback.queries import claimed_writebacks
from support.factories import ACME, KUMO, MUTE, NOW, FixedClock, make_order, put_all

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
# The orders that live in a system; the others are in none that is ever told.
SHOP = frozenset("ABCD")
LETTER = Letter(subject="s", text="t", html="h")
LEASE = timedelta(minutes=5)
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
    erased: bool = False

    def may_be_rejected(self, mode: Mode) -> bool:
        return MAY_BE_REJECTED[self.status][mode is Mode.INDIVIDUAL] and not any(self.papers)

    def is_open_business(self) -> bool:
        delivery_notes, _, backlog_skus = self.papers
        ended = self.status in (Status.REJECTED, Status.RETURNED_TO_CART) or self.archived
        return not ended and not (delivery_notes and not backlog_skus)


@dataclass
class Waiting:
    """A mail or a write-back as the model knows it: where it stands, and of which orders of which batch it is."""

    state: DeliveryState
    batch: str
    orders: frozenset[str]
    attempts: int = 0
    until: datetime | None = None

    def expire(self, now: datetime) -> None:
        """Whoever leased it died: it is due again, unless it was perhaps handed over."""
        if self.until is not None and self.until < now:
            begun = self.state is DeliveryState.SENDING
            again = DeliveryState.RETRY if self.attempts else DeliveryState.WAITING
            self.state, self.until = DeliveryState.UNKNOWN if begun else again, None


WAYS = ("shop", "notify", "per_order", "mail_at_once")
_DUE = DeliveryState.WAITING
_DONE = (DeliveryState.SENT, DeliveryState.REFUSED, DeliveryState.CANCELLED)
# How an attempt ends, "not now" and "there was none" among them.
ENDS = (
    *(DeliveryState.SENT, DeliveryState.SENT, DeliveryState.RETRY, DeliveryState.REFUSED, DeliveryState.UNKNOWN, _DUE),
    *("dies before", "dies after"),
)
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
        self.asked: dict[str, set[str]] = {}
        self.mails: dict[str, Waiting] = {}
        self.writebacks: dict[str, Waiting] = {}
        self.limit: int | None = None
        self.erased: set[str] = set()
        self._stack = ExitStack()
        self.store = self._stack.enter_context(Store(make_engine(parse_address(self.url)), self.account))

    def teardown(self) -> None:
        self._stack.close()

    @initialize()
    def somebody_elses_orders(self) -> None:
        # One of each buyer: whoever has no open business can be erased.
        self._bring(
            {each: Expected(Status.NEEDS_OC, buyer, (0, 0, 0)) for each, buyer in zip(IDS[:4], BUYERS, strict=True)}
        )
        with Store(make_engine(parse_address(self.url)), f"{self.account}x") as other:
            put_all(other, [make_order(each, reference="theirs") for each in IDS])

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
            # What was erased is written again as the file has it, without the buyer's words.
            if old.status is not Status.REJECTED and (old.erased or (old.status, old.buyer, old.papers) != content):
                old.status, old.buyer, old.papers = content
                old.touched += 1
                old.erased = False
        for source in ("shop", "paper"):
            put_all(self.store, [order for order in orders if (order.id in SHOP) is (source == "shop")], source)

    @rule(ids=some_ids, kind=st.sampled_from(list(ChangeKind)), tag=st.sampled_from(("late", "vip")))
    def somebody_changes(self, ids, kind, tag) -> None:
        tagging = kind in (ChangeKind.TAGGED, ChangeKind.UNTAGGED)
        request = ChangeRequest(
            choice=_choice(ids), change=Change(kind=kind, tag=tag if tagging else ""), ignore_unknown=True
        )
        done = change_orders(self.store, request, actor="mia", clock=self.clock, new_id=_new_id)
        changed = [each for each in ids if each in self.model and _changes(self.model[each], kind, tag)]
        assert done.changing == len(changed)

    @rule(target=plans, ids=some_ids, mode=st.sampled_from(list(Mode)), ways=st.sets(st.sampled_from(WAYS)))
    def somebody_plans(self, ids, mode, ways):
        by = Provenance(account=self.account, actor="mia", host="desk", program="orderctl", source="a machine")
        request = RejectionRequest(
            choice=_choice(ids),
            by=by,
            mode=mode,
            reason="dropped",
            systems={"shop": "id"} if "shop" in ways else {},
            **{way: way in ways for way in ("notify", "per_order", "mail_at_once")},
        )
        plan = prepare_rejection(self.store, request, clock=self.clock, new_id=_new_id)
        known = {each: self.model[each] for each in ids if each in self.model}
        wanted = {each for each, order in known.items() if order.may_be_rejected(mode)}
        assert set(plan.targets) == wanted
        assert {each for group in plan.skipped for each in group} == known.keys() - wanted
        assert plan.given.unknown_count == len(set(ids) - known.keys())
        assert plan.buyers == len({self.model[each].buyer for each in wanted} - {""})
        assert plan.mail.mails == (len(self._told(wanted, "per_order" in ways)) if "notify" in ways else 0)
        assert bool(plan.systems) == ("shop" in ways and bool(wanted & SHOP))
        return plan, {each: self.model[each].touched for each in wanted}, set(ids)

    @rule(planned=plans)
    def somebody_executes(self, planned) -> None:
        plan, seen, asked = planned
        approved = plan.approve(by="mia", how="--yes")
        refused = plan.id in self.asked or (self.limit is not None and len(seen) > self.limit)
        try:
            result = execute_rejection(self.store, approved, clock=self.clock, message_domain="brand.example")
        except UnexpectedPlanError:
            assert refused
            return
        assert not refused or not seen
        now = {each for each, touched in seen.items() if self.model[each].touched == touched}
        assert (result.rejected, {each.id for each in result.left_out}) == (len(now), seen.keys() - now)
        told = self._told(now, plan.mail.per_order) if plan.mail.notify else []
        to_tell = now & SHOP if plan.systems else set()
        assert (result.mails, result.writebacks) == (len(told), len(to_tell))
        for each in now:
            self.model[each].status, self.model[each].batch = Status.REJECTED, plan.id
            self.model[each].touched += 1
        if seen:
            self.asked[plan.id] = asked
            held = plan.systems and not plan.mail.at_once
            self.mails |= self._queued("mail_order", "mail_id", plan.id, told, DeliveryState.HELD if held else _DUE)
            self.writebacks |= self._queued("writeback", "id", plan.id, [{each} for each in to_tell], _DUE)

    def _told(self, ids: set[str], per_order: bool) -> list[set[str]]:
        """The orders of each mail."""
        mails: dict[str, set[str]] = {}
        for each in ids:
            buyer = self.model[each].buyer
            if buyer in {"acme", "kumo"} - self.erased:
                mails.setdefault(each if per_order else buyer, set()).add(each)
        return list(mails.values())

    def _queued(self, table, column, batch, wanted, state) -> dict[str, Waiting]:
        """What was queued, by its id; it is of the orders that are wanted."""
        found: dict[str, set[str]] = {}
        sql = f"SELECT {column}, order_id FROM {table} WHERE account = :account AND {column} LIKE :batch || '.%'"
        with self.store.snapshot() as connection:
            for item_id, order_id in connection.execute(sql, {"batch": batch}):
                found.setdefault(item_id, set()).add(order_id)
        assert sorted(map(sorted, found.values())) == sorted(map(sorted, wanted))
        return {item_id: Waiting(state, batch, frozenset(orders)) for item_id, orders in found.items()}

    @rule(kind=st.sampled_from(("mail", "writeback")), ends=st.sampled_from(ENDS))
    def somebody_hands_over(self, kind, ends) -> None:
        """One mail, or one write-back: claimed, begun, settled; it dies before or after it has begun."""
        outbox, known, read = self._kind(kind)
        now, token = self.clock.now(), _new_id()
        bound = {"token": token, "until": now + LEASE, "now": now}

        def take(connection):
            expire_leases(connection, outbox, now)
            if outbox is MAILS:
                release_held(connection, now)
            ids = claim(connection, outbox, limit=1, batch_id=None, **bound)
            return read(connection, ids) if ids else ()

        claimed = self.store.write(take)
        for each in known.values():
            each.expire(now)
            if each.state is DeliveryState.HELD and all(
                other.state is DeliveryState.SENT
                for other in self.writebacks.values()
                if other.batch == each.batch and other.orders & each.orders
            ):
                each.state = _DUE
        assert claimed or not any(each.state is _DUE for each in known.values())
        for item in claimed:
            mine = known[item.id]
            assert (mine.state in (_DUE, DeliveryState.RETRY), mine.attempts) == (True, item.attempts)
            mine.state, mine.until = DeliveryState.CLAIMED, now + LEASE
            if ends == "dies before":
                continue
            begun = {item.id: {**asdict(LETTER), "sent_digest": ""} if outbox is MAILS else {}}
            assert self.store.write(partial(_start, outbox=outbox, begun=begun, **bound)) == {item.id}
            mine.state, mine.attempts = DeliveryState.SENDING, mine.attempts + 1
            if ends == "dies after":
                continue
            settled = settlement(item, Outcome(state=ends, detail="said"), now)
            assert self.store.write(partial(_settle, outbox=outbox, token=token, settled=[settled], now=now)) == {
                item.id
            }
            mine.state, mine.attempts, mine.until = settled.state, settled.attempts, None

    @rule(
        kind=st.sampled_from(("mail", "writeback")),
        action=st.sampled_from((RETRY, CANCEL, SENT, NOT_SENT)),
        data=st.data(),
    )
    def an_operator_decides(self, kind, action, data) -> None:
        """With all that it is for, or with those in a state that is named."""
        outbox, known, _ = self._kind(kind)
        states = data.draw(st.sampled_from(((), *((state,) for state in action.allowed))))
        picked = pick(self.store, outbox, action, (MailQuery if outbox is MAILS else WriteBackQuery)(states=states))
        wanted = {item_id: each.state for item_id, each in known.items() if each.state in (states or action.unasked)}
        assert picked.states == wanted
        done = act(self.store, outbox, action, picked, actor="mia", reason="", clock=self.clock)
        assert done == len(wanted)
        for item_id in wanted:
            known[item_id].state, known[item_id].until = action.to, None

    def _kind(self, kind):
        if kind == "mail":
            return MAILS, self.mails, claimed_mails
        return WRITEBACKS, self.writebacks, claimed_writebacks

    @rule(most=st.sampled_from((None, 1, 3)))
    def the_owner_sets_a_limit(self, most) -> None:
        set_policy(self.store, Policy(max_orders=most), actor="owner", clock=self.clock)
        self.limit = most

    @rule(buyer=st.sampled_from(("acme", "kumo", "mute")))
    def the_owner_erases(self, buyer) -> None:
        """A buyer without open business is erased, from their orders too: a plan finds those changed."""
        theirs = [order for order in self.model.values() if order.buyer == buyer]
        told = [
            each
            for each in (*self.mails.values(), *self.writebacks.values())
            if any(self.model[order_id].buyer == buyer for order_id in each.orders)
        ]
        is_open = any(order.is_open_business() for order in theirs)
        try:
            done = erase_buyer(self.store, buyer, actor="owner", clock=self.clock)
        except UsageError:
            assert not theirs
            return
        except UnexpectedPlanError:
            assert is_open or not all(each.state in _DONE for each in told)
            return
        assert done.already == (buyer in self.erased)
        if not done.already:
            assert not is_open
            assert all(each.state in _DONE for each in told)
            self.erased.add(buyer)
            for order in theirs:
                order.touched, order.erased = order.touched + 1, True

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
            mails = find_states(connection, MAILS, MailQuery())
            writebacks = find_states(connection, WRITEBACKS, WriteBackQuery())
            verdicts = connection.execute(_VERDICTS).fetchall()
        assert {batch.id for batch in batches} == self.asked.keys()
        assert len(mails) == sum(batch.mails for batch in batches)
        assert mails == {mail_id: mail.state for mail_id, mail in self.mails.items()}
        assert writebacks == {item_id: each.state for item_id, each in self.writebacks.items()}
        # Each id that was asked about has one verdict: a batch, or why not.
        assert sorted(map(tuple, verdicts)) == sorted(
            (batch, each) for batch, ids in self.asked.items() for each in ids
        )

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


_VERDICTS = (
    "SELECT batch_id, order_id FROM batch_verdict WHERE account = :account UNION ALL"
    " SELECT batch_id, id FROM orders WHERE account = :account AND batch_id IS NOT NULL"
)


def _start(connection, *, outbox, token, begun, until, now):
    return start(connection, outbox, token, begun, until=until, now=now)


def _settle(connection, *, outbox, token, settled, now):
    return settle(connection, outbox, token, settled, now)


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
