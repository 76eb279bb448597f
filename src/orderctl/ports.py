"""What the services ask of the outside world. Adapters fulfil these; `bootstrap` puts them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from orderctl.domain.impact import Impact

if TYPE_CHECKING:
    from orderctl.domain.changes import Change, Reach
    from orderctl.domain.clocks import Reading
    from orderctl.domain.eligibility import Mode
    from orderctl.domain.filters import OrderFilter
    from orderctl.domain.import_figures import ImportCounts, RowProblem, SourceFigures
    from orderctl.domain.log import Batch
    from orderctl.domain.mail_actions import MailAction, MailEvent
    from orderctl.domain.money import Money
    from orderctl.domain.orders import Order, OrderEvent, OrderSummary
    from orderctl.domain.outbox import Letter, LetterFacts, Mail, MailState, Outcome, PutOff, Settlement
    from orderctl.domain.rejection import ApprovedPlan, Given, LeftOut, MailPlan, RejectionPlan, Skipped, Targets
    from orderctl.domain.saved_plans import PlanState, SavedPlan
    from orderctl.domain.selection import Choice
    from orderctl.domain.statistics import Breakdown, Figure, Question, Subject
    from orderctl.domain.verification import LostBatch, MarkedOrder

T = TypeVar("T")


class Clock(Protocol):
    """The present, as an aware UTC instant. `now` is the computer's: for what is shown, and decides nothing."""

    def now(self) -> datetime: ...
    def of(self, work: UnitOfWork) -> datetime:
        """What decides in a transaction: the database's clock where it has one, and else the computer's."""

    def for_record(self, work: UnitOfWork) -> datetime:
        """The same for what is written into the log. Raises OrderctlError if it is behind the newest record there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which orders to list: newest first unless `sort` names a column (`-` before it: descending).

    `after`: those that come after the order of this id, itself not among them.
    """

    limit: int | None = None
    sort: str = "-ordered"
    after: str | None = None


class Orders(Protocol):
    """Reads orders. Every read is scoped to the account the store was opened for."""

    def page(self, wanted: OrderFilter, page: Page) -> Iterator[OrderSummary]: ...
    def fields(self, wanted: OrderFilter, page: Page, names: Sequence[str]) -> Iterator[Mapping[str, Sequence[Any]]]:
        """The same page, of the summaries only some fields: by their names the values of a block of orders."""

    def count(self, wanted: OrderFilter, *, at_most: int | None = None) -> int: ...
    def ids(self, wanted: OrderFilter, page: Page) -> Iterator[str]: ...
    def get(self, order_id: str) -> Order | None: ...
    def chosen(self, choice: Choice) -> Iterator[Order]: ...
    def events(self, order_id: str) -> tuple[OrderEvent, ...]: ...


class Selections(Protocol):
    """Named sets of order ids, per operator. Each change gives the number of orders that it moved."""

    def add(self, actor: str, name: str, choice: Choice, origin: str, at: datetime) -> int: ...
    def remove(self, actor: str, name: str, choice: Choice) -> int: ...
    def clear(self, actor: str, name: str) -> int: ...
    def size(self, actor: str, name: str) -> int: ...
    def page(self, actor: str, name: str, limit: int | None) -> Iterator[OrderSummary]: ...
    def names(self, actor: str) -> tuple[tuple[str, int], ...]: ...
    def unknown(self, ids: Sequence[str]) -> tuple[str, ...]: ...
    def as_stored(self, ids: Sequence[str]) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFilter:
    """A filter with a name, shared by everyone on the store: the expression as written, who, when."""

    name: str
    expression: str
    actor: str
    saved_at: datetime


class SavedFilters(Protocol):
    """Filters with names. `save` replaces the expression `over` and no other (None: nothing); False if it could not."""

    def save(self, saved: SavedFilter, *, over: str | None) -> bool: ...
    def get(self, name: str) -> SavedFilter | None: ...
    def all(self) -> tuple[SavedFilter, ...]: ...
    def delete(self, name: str) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A choice split by eligibility, with its figures: what the store contributes to a plan."""

    given: Given
    targets: Targets
    skipped: tuple[Skipped, ...]
    totals: tuple[Money, ...]
    before_credits: tuple[Money, ...]
    buyers: int
    head: tuple[OrderSummary, ...]
    mail: MailPlan
    impact: Impact = field(default_factory=Impact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What the store did of an approved plan; `unselected` of its orders were taken out of their selection."""

    rejected: int
    left_out: tuple[LeftOut, ...]
    totals: tuple[Money, ...]
    mails: int
    unselected: int = 0


class Rejections(Protocol):
    """Plans and executes, set-based, inside the database."""

    def assess(
        self, choice: Choice, mode: Mode, *, notify: bool, per_order: bool, changed_since: datetime
    ) -> Assessment: ...
    def targets(self, plan: RejectionPlan) -> tuple[OrderSummary, ...]: ...
    def sample(self, plan: RejectionPlan) -> tuple[LetterFacts, ...]: ...
    def wait_for_turn(self) -> None:
        """Wait until no other batch is being made, and keep others waiting until the end of the transaction."""

    def execute(self, approved: ApprovedPlan, at: datetime, message_domain: str) -> Executed: ...
    def outcome(self, plan: RejectionPlan) -> Executed | None: ...
    def batch(self, batch_id: str) -> Batch | None: ...
    def batch_of_request(self, key: str) -> tuple[Batch, str] | None:
        """The batch that has a caller's key, and the plan that it ran."""

    def ids_ending(self, ending: str) -> tuple[str, ...]: ...
    def batches(self, limit: int | None) -> Iterator[Batch]: ...
    def batch_orders(self, batch_id: str) -> Iterator[OrderEvent]: ...


class Plans(Protocol):
    """Plans that are kept. `change` takes a step only from the seal before, so that each is taken once."""

    def save(self, saved: SavedPlan, plan: RejectionPlan) -> None: ...
    def ids_ending(self, ending: str) -> tuple[str, ...]: ...
    def get(self, plan_id: str, *, lock: bool = False) -> SavedPlan | None: ...
    def text(self, plan_id: str) -> str: ...
    def find(self, states: Iterable[PlanState], limit: int | None) -> tuple[SavedPlan, ...]: ...
    def due(self, now: datetime) -> tuple[str, ...]: ...
    def change(self, before: SavedPlan, after: SavedPlan) -> bool: ...
    def differences(self, plan: RejectionPlan) -> tuple[LeftOut, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MailQuery:
    """Which mails: by id, state, batch, buyer (id, or text in the name), order, text in the address, age."""

    ids: tuple[str, ...] = ()
    states: tuple[MailState, ...] = ()
    batch_id: str | None = None
    buyer: str | None = None
    order_id: str | None = None
    recipient: str | None = None
    queued_before: datetime | None = None
    limit: int | None = None


class Outbox(Protocol):
    """The mails of the account. A claim is a lease with a token; every later write is fenced by it."""

    def claim(
        self, *, token: str, until: datetime, now: datetime, limit: int, batch_id: str | None
    ) -> tuple[Mail, ...]: ...
    def due(self, now: datetime, batch_id: str | None) -> int: ...
    def put_off(self, now: datetime, batch_id: str | None) -> PutOff | None: ...
    def facts(self, mail_ids: Sequence[str]) -> dict[str, LetterFacts]: ...
    def start_sending(
        self, token: str, begun: Mapping[str, Letter], *, until: datetime, now: datetime
    ) -> frozenset[str]: ...
    def sending(self, token: str) -> frozenset[str]: ...
    def settle(self, token: str, settled: Sequence[Settlement], now: datetime) -> frozenset[str]: ...
    def renew(self, token: str, until: datetime) -> int: ...
    def release(self, token: str, now: datetime) -> int: ...
    def expire(self, now: datetime) -> int: ...
    def get(self, mail_id: str) -> Mail | None: ...
    def find(self, query: MailQuery) -> Iterator[Mail]: ...
    def counts(self, query: MailQuery) -> dict[MailState, int]: ...
    def states(self, query: MailQuery) -> dict[str, MailState]: ...
    def events(self, mail_id: str) -> tuple[MailEvent, ...]: ...
    def order_ids(self, mail_id: str) -> tuple[str, ...]: ...
    def act(
        self,
        action: MailAction,
        mails: Mapping[str, MailState],
        *,
        event_id: str,
        actor: str,
        reason: str,
        at: datetime,
    ) -> int: ...


class Changes(Protocol):
    """What may be changed on any order. `apply` gives the number of orders that changed."""

    def reach(self, choice: Choice, change: Change) -> Reach: ...
    def apply(self, choice: Choice, change: Change, *, event_id: str, actor: str, at: datetime) -> int: ...


class Figures(Protocol):
    """Counts and amounts per currency, added up inside the database."""

    def totals(self, wanted: OrderFilter, subject: Subject) -> tuple[Figure, ...]: ...
    def rejected(self, wanted: OrderFilter) -> int: ...
    def breakdown(self, wanted: OrderFilter, subject: Subject, question: Question) -> Breakdown: ...


class Imports(Protocol):
    """Writes orders that come from files; `foresee` says what that would do, and changes nothing."""

    def store(
        self, orders: Sequence[Order], *, actor: str, at: datetime, detail: str, lower_counts: bool = False
    ) -> ImportCounts: ...
    def foresee(self, orders: Sequence[Order], *, lower_counts: bool) -> ImportCounts: ...


class Record(Protocol):
    """The whole log of the account as it stands, streamed for those who check or export it."""

    def batches(self) -> Iterator[Batch]: ...
    def batch_events(self) -> Iterator[tuple[str, OrderEvent]]: ...
    def batch_summaries(self, batch_id: str) -> Iterator[OrderSummary]: ...
    def loose_events(self) -> Iterator[OrderEvent]: ...
    def marked_orders(self) -> Iterator[MarkedOrder]: ...
    def unbatched_orders(self) -> Iterator[MarkedOrder]: ...
    def lost_batches(self) -> Iterator[LostBatch]: ...
    def unproven_orders(self) -> Iterator[str]: ...
    def reopened_orders(self) -> Iterator[str]: ...
    def mails_by_batch(self) -> dict[str, int]: ...
    def size(self) -> int: ...


class OrderSource(Protocol):
    """A file of orders, read and checked. `orders` and `problems` start anew at every call."""

    @property
    def figures(self) -> SourceFigures: ...
    def orders(self) -> Iterator[Order]: ...
    def problems(self) -> Iterator[RowProblem]: ...


class UnitOfWork(Protocol):
    """One transaction over the store of one account."""

    @property
    def orders(self) -> Orders: ...
    @property
    def selections(self) -> Selections: ...
    @property
    def saved_filters(self) -> SavedFilters: ...
    @property
    def rejections(self) -> Rejections: ...
    @property
    def plans(self) -> Plans: ...
    @property
    def login(self) -> str: ...
    def present(self, local: datetime) -> datetime: ...
    def reading(self, local: datetime, *, wrong: str) -> Reading: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def imports(self) -> Imports: ...
    @property
    def changes(self) -> Changes: ...
    @property
    def figures(self) -> Figures: ...
    @property
    def record(self) -> Record: ...


class Store(Protocol):
    """The database. `write` runs `work` in one transaction, again if the engine asks for a retry.

    When a commit is cut off, `landed` is asked on a new connection what came of it. `foreseen` is a snapshot as it
    would be after a change, of which nothing stays.
    """

    @property
    def account(self) -> str: ...
    @property
    def label(self) -> str: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
    def snapshot(self) -> AbstractContextManager[UnitOfWork]: ...
    def foreseen(self, change: Callable[[UnitOfWork], object]) -> AbstractContextManager[UnitOfWork]: ...
    def write(
        self, work: Callable[[UnitOfWork], T], *, landed: Callable[[UnitOfWork], T | None] | None = None
    ) -> T: ...


class Composer(Protocol):
    """Turns facts into what a buyer reads, in the buyer's language or, without templates for it, the default one."""

    def language_of(self, tag: str) -> str: ...
    def compose(self, facts: LetterFacts) -> Letter: ...


# Asked once a mail, just before its server could take it: whether the store knows of it and it is still ours.
Begin = Callable[[], bool]


class Mailer(Protocol):
    """One connection over which mails leave, as a context manager that opens and closes it.

    `connect` and `send` may raise MailUnavailableError: then nothing was handed over.
    """

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    @property
    def connected(self) -> bool:
        """Whether the next mail can go over the connection as it is."""

    def connect(self) -> None:
        """Connect anew if that is needed."""

    def write(self, mail: Mail, letter: Letter) -> bytes:
        """The message that a mail is; no connection is needed. Raises UnsendableError."""

    def send(self, mail: Mail, message: bytes, begin: Begin) -> Outcome | None:
        """Hand one mail over and say how that ended; None if `begin` said no, and so nothing was sent."""


class Progress(Protocol):
    """Called with how many units are done, and of how many where that is known."""

    def __call__(self, done: int, total: int | None, /) -> None: ...


Rows = Iterable[dict[str, object]]
