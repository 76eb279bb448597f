"""A rejection as values: the plan that is shown, the approved plan that runs, and the result.

A plan is immutable and computed before anything changes. The preview, the confirmation and the execution all use the
same plan: nothing is computed again (design.md, section 6).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from orderctl.audit.log import Head
from orderctl.core.money import Money
from orderctl.delivery.outbox import DeliveryReport
from orderctl.errors import ExitCode, UnexpectedPlanError, UsageError
from orderctl.language import _
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import OrderChange, OrderSummary, Status
from orderctl.rejection.impact import Impact, impact_document, read_impact
from orderctl.selection.notes import OrderNotes
from orderctl.selection.selection import Choice, FilterScope, IdScope, InputSummary, Origin, Scope

PLAN_SCHEMA = 1
_BLOCK_LENGTH = 300_000
# The end of a key: a quote that follows neither a backslash nor the start of a key. No id looks like this.
_BETWEEN_TARGETS = re.compile(r'[^\\{,\s]"\s*:\s*\d+\s*(,)')


@dataclass(frozen=True, slots=True)
class Targets:
    """The orders that a plan rejects, each with the version at which it was read.

    Kept as one JSON object from id to version, sorted by id. The database makes and reads it itself, so a plan of a
    million orders is one string and not a million objects.
    """

    packed: str
    count: int

    def versions(self) -> dict[str, int]:
        """The versions by id, decoded."""
        versions: dict[str, int] = json.loads(self.packed)
        return versions

    def __iter__(self) -> Iterator[str]:
        return iter(self.versions())

    def blocks(self) -> Iterator[str]:
        """JSON objects of some thousand orders each, in the same order."""
        start = 1
        while end := _BETWEEN_TARGETS.search(self.packed, start + _BLOCK_LENGTH):
            yield f"{{{self.packed[start : end.start(1)]}}}"
            start = end.end()
        yield f"{{{self.packed[start:]}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """The orders that one rule of `eligibility` skips; `packed` is a JSON array of their ids."""

    code: str
    count: int
    packed: str

    def __iter__(self) -> Iterator[str]:
        return iter(json.loads(self.packed))


@dataclass(frozen=True, slots=True, kw_only=True)
class MailPlan:
    """The mails that a plan queues. `buyers_without_address` and `orders_without_buyer` get none.

    `message` is the operator's message as `Wording.kept` gives it; `languages` counts the mails by the buyers' tags.
    `at_once`: they do not wait until the systems of their orders have cancelled them. `copied`: how many go to further
    addresses of their buyers too.
    """

    notify: bool
    message: str = ""
    per_order: bool = False
    mails: int = 0
    buyers_without_address: int = 0
    orders_without_buyer: int = 0
    languages: tuple[tuple[str, int], ...] = ()
    at_once: bool = False
    copied: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemOrders:
    """The planned orders that live in one system, which is told of them. `key`: the column that names them there."""

    name: str
    key: str
    orders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who rejects, from which host, with which program version, and how the orders were chosen, in words.

    `selection` is the actor's selection that orders come from, if any, and `more_selections` are further ones.
    Rejected orders are removed from them.
    """

    account: str
    actor: str
    host: str
    program: str
    source: str
    selection: str = ""
    more_selections: tuple[str, ...] = ()

    @property
    def selections(self) -> tuple[str, ...]:
        """The names of all selections that orders come from."""
        return (self.selection, *self.more_selections) if self.selection else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """A key that the caller chose, and a digest of the call, so that a repeated call is recognised."""

    key: str
    digest: str

    @classmethod
    def of(cls, key: str, choice: Choice, **options: str | bool | None) -> RequestKey:
        """The key of a call with this choice and these options. Raises UsageError if the key is not valid."""
        if not _KEY.fullmatch(key):
            raise UsageError(
                _("--key {key!r} is no key", key=key),
                hint=_(
                    "1 to {most} letters, digits and signs of ASCII without spaces, as in NIGHT-2026-11-28",
                    most=LONGEST_KEY,
                ),
            )
        # The digest is stored with the batch: never change what it covers.
        joined = {
            name: [_chosen(scope) for scope in scopes]
            for name, scopes in (("plus", choice.plus), ("only", choice.only), ("minus", choice.minus))
            if scopes
        }
        document = {**_chosen(choice.scope), **joined, "except": sorted(choice.excluded.ids), **options}
        return cls(key=key, digest=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The part of a plan that the store computes: the choice split by eligibility, and its figures.

    `before_credits` adds up only orders above zero, so that credits cannot bring a plan below a limit of amount.
    """

    given: InputSummary
    origins: tuple[Origin, ...] = ()
    targets: Targets
    skipped: tuple[Skipped, ...]
    totals: tuple[Money, ...]
    before_credits: tuple[Money, ...]
    buyers: int
    head: tuple[OrderSummary, ...]
    mail: MailPlan
    systems: tuple[SystemOrders, ...] = ()
    impact: Impact = field(default_factory=Impact)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionPlan(Assessment):
    """What a rejection would do. `id` becomes the id of the batch, so that a plan can run only once.

    With `max_age`, orders of which their source has not spoken for longer are skipped, and left out when the plan runs.
    """

    id: str
    made_at: datetime
    by: Provenance
    mode: Mode
    max_age: timedelta | None = None
    reason: str
    reason_code: str = ""
    notes: OrderNotes = field(default_factory=OrderNotes)

    def seen_since(self, now: datetime) -> datetime | None:
        """Since when the source of an order must have spoken of it; None if it need not."""
        return None if self.max_age is None else now - self.max_age

    @property
    def skipped_count(self) -> int:
        """How many of the chosen orders are skipped."""
        return sum(group.count for group in self.skipped)

    def without_mails(self) -> RejectionPlan:
        """The same plan without mails."""
        return replace(self, mail=MailPlan(notify=False, orders_without_buyer=self.mail.orders_without_buyer))

    def with_message(self, message: str) -> RejectionPlan:
        """The same plan with a message to the buyers, as `Wording.kept` gives it."""
        return replace(self, mail=replace(self.mail, message=message))

    def blanked(self, blank: Callable[[object], object]) -> RejectionPlan:
        """The same plan with other texts: `blank` takes and returns its JSON document."""
        document: Any = blank(json.loads(_canonical(_document(self))))
        return _from_document(document)

    def approve(self, *, by: str, how: str, request: RequestKey | None = None, login: str = "") -> ApprovedPlan:
        """Make the approved plan, which alone can run; `how` is the answer or flag that approved it.

        `login` is the database login of whoever made the plan.
        """
        return ApprovedPlan(plan=self, approver=by, how=how, request=request, login=login)

    def to_json(self) -> str:
        """The plan as canonical JSON text, with its schema version and digest."""
        body = _canonical(_document(self))
        return _canonical({"schema": PLAN_SCHEMA, "digest": _digest(body), "plan": json.loads(body)})

    @classmethod
    def from_json(cls, text: str) -> RejectionPlan:
        """Read `to_json`. Raises ValueError for an unknown schema, an edited plan, or other text."""
        try:
            document = json.loads(text)
            if document.get("schema") != PLAN_SCHEMA:
                raise ValueError(
                    _(
                        "plan schema {schema!r} is not {known}",
                        schema=document.get("schema"),
                        known=PLAN_SCHEMA,
                    )
                )
            if document.get("digest") != _digest(_canonical(document["plan"])):
                raise ValueError(_("the plan was edited after it was made: its digest does not match"))
            return _from_document(document["plan"])
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(_("the plan is not whole: a field is missing or of another kind")) from error

    @property
    def digest(self) -> str:
        """SHA-256 of the plan's canonical JSON, in hexadecimal."""
        return _digest(_canonical(_document(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedPlan:
    """A plan that somebody approved, with a request key if there is one. Made by `RejectionPlan.approve`.

    `login` is the database login of the plan's actor; empty on SQLite.
    """

    plan: RejectionPlan
    approver: str
    how: str
    request: RequestKey | None = None
    login: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A target that was no longer as planned when the batch ran; `status` is None if the order is gone.

    `changes` says what is different, for a saved plan.
    """

    id: str
    planned_version: int
    version: int | None
    status: str | None
    batch_id: str | None
    changes: tuple[OrderChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionResult:
    """What a batch did: the report, the JSON document and the exit code are made from it.

    `batch_id` and `head`, the place of the batch in the chain, are None if there was nothing to do. `unselected`
    counts the orders that were removed from the selection that they came from. `delivery` is None if no mail was sent
    in this run, `written_back` if no system was told. `rehearsed`: all of it was taken back.
    """

    plan: RejectionPlan
    batch_id: str | None
    rejected: int
    left_out: tuple[LeftOut, ...]
    totals: tuple[Money, ...]
    mails: int
    writebacks: int = 0
    head: Head | None = None
    unselected: int = 0
    delivery: DeliveryReport | None = None
    written_back: DeliveryReport | None = None
    rehearsed: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """An order that was left out counts more than a mail that waits."""
        if self.left_out:
            return ExitCode.FEWER_THAN_PLANNED
        return max(each.exit_code if each else ExitCode.DONE for each in (self.delivery, self.written_back))


def _canonical(document: object) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _document(plan: RejectionPlan) -> dict[str, Any]:
    document = asdict(plan)
    document["made_at"] = plan.made_at.isoformat()
    if not plan.by.selection:
        # This field and those below are left out if unused: plans saved before they existed keep their digest.
        del document["by"]["selection"]
    if not plan.by.more_selections:
        del document["by"]["more_selections"]
    if plan.before_credits == plan.totals:
        del document["before_credits"]
    if not plan.origins:
        del document["origins"]
    if not plan.systems:
        del document["systems"]
    for unused in [name for name in ("at_once", "copied") if not document["mail"][name]]:
        del document["mail"][unused]
    if plan.max_age is None:
        del document["max_age"]
    else:
        document["max_age"] = plan.max_age.total_seconds()
    document["impact"] = impact_document(plan.impact)
    for shown in document["head"]:
        for name in ("source", "seen_at"):  # not of a plan
            del shown[name]
        shown["ordered_at"] = shown["ordered_at"].isoformat()
        shown["delivery_from"] = shown["delivery_from"] and shown["delivery_from"].isoformat()
    return document


def _from_document(document: Mapping[str, Any]) -> RejectionPlan:
    mail = dict(document["mail"])
    mail["languages"] = tuple((tag, number) for tag, number in mail["languages"])
    given = dict(document["given"])
    for name in ("unknown", "excluded"):
        given[name] = tuple(given[name])
    return RejectionPlan(
        id=document["id"],
        made_at=datetime.fromisoformat(document["made_at"]),
        by=Provenance(**{**document["by"], "more_selections": tuple(document["by"].get("more_selections", ()))}),
        mode=Mode(document["mode"]),
        max_age=timedelta(seconds=document["max_age"]) if "max_age" in document else None,
        reason=document["reason"],
        reason_code=document["reason_code"],
        notes=OrderNotes(**document["notes"]),
        given=InputSummary(**given),
        origins=tuple(Origin(**origin) for origin in document.get("origins", ())),
        targets=Targets(**document["targets"]),
        skipped=tuple(Skipped(**group) for group in document["skipped"]),
        totals=_amounts(document["totals"]),
        before_credits=_amounts(document.get("before_credits", document["totals"])),
        buyers=document["buyers"],
        head=tuple(_summary(shown) for shown in document["head"]),
        mail=MailPlan(**mail),
        systems=tuple(SystemOrders(**each) for each in document.get("systems", ())),
        impact=read_impact(document["impact"]),
    )


def _amounts(documents: Iterable[Mapping[str, Any]]) -> tuple[Money, ...]:
    return tuple(Money(**money) for money in documents)


def _summary(document: Mapping[str, Any]) -> OrderSummary:
    delivery = document["delivery_from"]
    return OrderSummary(
        **{
            **document,
            "status": Status(document["status"]),
            "ordered_at": datetime.fromisoformat(document["ordered_at"]),
            "delivery_from": delivery and datetime.fromisoformat(delivery).date(),
        }
    )


LONGEST_KEY = 200
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}", re.ASCII)


class KeyUsedError(UnexpectedPlanError):
    """Another run with the same request key was first; this one changed nothing."""


def _chosen(scope: Scope) -> dict[str, object]:
    """The orders as they were asked for, not those found: they change with every rejection."""
    if isinstance(scope, IdScope):
        return {"ids": sorted(scope.given.ids), "notes": scope.given.notes.packed}
    if isinstance(scope, FilterScope):
        return {"filter": scope.filter.text}
    return {"selection": scope.name, "actor": scope.actor}


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What the store did with an approved plan. `head` is the place of its batch in the chain."""

    rejected: int
    left_out: tuple[LeftOut, ...]
    totals: tuple[Money, ...]
    mails: int
    head: Head
    writebacks: int = 0
    unselected: int = 0
