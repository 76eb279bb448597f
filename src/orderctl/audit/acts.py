"""Verifies the acts of operators: their chain, and that the rows which tell them are those that they are of."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from orderctl.audit.log import Head
from orderctl.audit.verification import Continuation, Kind, LogVerdict, Tampering
from orderctl.changes import ChangeKind
from orderctl.database.acts import (
    EARLIER,
    EARLIER_ERASED,
    MAIL_ACT,
    MEMBER_ACT,
    PLAN_ACT,
    POLICY_SET,
    WRITEBACK_ACT,
    Act,
    Content,
    content_of,
    delivery_rows,
    loose_rows,
    member_rows,
    plan_rows,
    policy_digest,
    policy_rows,
    read_acts,
)
from orderctl.database.connection import Connection, Row
from orderctl.language import _, ngettext
from orderctl.orders.erasures import ERASED
from orderctl.orders.orders import GONE, IMPORTED, SEEN_AGAIN, Status

_ORDER_ACTS = frozenset({*ChangeKind, IMPORTED, GONE, SEEN_AGAIN, ERASED})
_ERASED_WORDS = "erased on "
_Told = tuple[Act | None, Iterator[Row]]


def check_acts(connection: Connection, verdict: LogVerdict, continuation: Continuation) -> Iterator[Tampering]:
    """Check every act, and every event, plan and policy that an act has to tell of."""
    chain = _ActChain()
    for act in read_acts(connection):
        yield from chain.check(act)
        continuation.take_act(act)
        verdict.acts += 1
        verdict.act_head = Head(act.position, act.digest)
    earlier = _Earlier(chain.earlier)
    yield from _orders(connection, earlier, verdict)
    for kind, acts in ((Kind.MAIL, MAIL_ACT), (Kind.WRITEBACK, WRITEBACK_ACT)):
        yield from _deliveries(connection, earlier, kind, acts)
    yield from _policies(connection, earlier, chain.policies)
    yield from _members(connection, chain.members)
    yield from earlier.check()
    verdict.earlier = earlier.content.number
    yield from _plans(connection, earlier)


class _ActChain:
    """Checks the acts, oldest first. `earlier` is the first one, if it covers what was there before."""

    def __init__(self) -> None:
        self.earlier: Act | None = None
        self.policies: dict[str, Act] = {}
        self.members: dict[str, Act] = {}
        self._before: Act | None = None

    def check(self, act: Act) -> Iterator[Tampering]:
        """Check the next act."""
        before, self._before = self._before, act
        expected = before.position + 1 if before else 1
        if act.position > expected:
            problem = ngettext(
                "{number:,} act before it, from number {first} on, is missing",
                "{number:,} acts before it, from number {first} on, are missing",
                act.position - expected,
                first=expected,
            )
            yield _of_act(act, problem)
        if act.previous != (before.digest if before else ""):
            yield _of_act(act, _("does not follow the act before it"))
        if act.digest != act.expected_digest:
            yield _of_act(act, _("was edited: its digest does not match"))
        if act.kind == EARLIER and before is None:
            self.earlier = act
        elif act.kind == EARLIER_ERASED and self.earlier:
            # Its time stays: what is of before that was there already.
            self.earlier = replace(act, at=self.earlier.at)
        elif act.kind == EARLIER:
            yield _of_act(act, _("covers what came before acts, and is not the first"))
        elif act.kind == POLICY_SET:
            self.policies[act.subject] = act
        elif act.kind.startswith(MEMBER_ACT):
            self.members[act.subject] = act


class _Earlier:
    """What was there before acts were recorded: all of it together is in the first act."""

    def __init__(self, act: Act | None) -> None:
        self._act = act
        self.content = Content()

    def covers(self, row: Row, at: object) -> bool:
        """Whether a row that no act tells of was there before; it then counts."""
        before = self.is_before(at)
        if before:
            self.content.add(*row)
        return before

    def is_before(self, at: object) -> bool:
        """Whether something of this time was there before acts were recorded."""
        return self._act is not None and at is not None and at <= self._act.at  # type: ignore[operator]

    def check(self) -> Iterator[Tampering]:
        """Check that exactly what was there is there, apart from what was erased."""
        act = self._act
        if act is not None and (act.number, act.content) != (self.content.number, self.content.digest):
            problem = _(
                "what was logged before it, {then:,} rows, is not as it was then: {found:,} rows",
                then=act.number,
                found=self.content.number,
            )
            yield _of_act(act, problem)


@dataclass(frozen=True, slots=True)
class _Log:
    """How the rows of a log tell an act: what differs between them, what they share, and what that must be."""

    differing: Callable[[Row], Row]
    shared: Callable[[Row], Row]
    expected: Callable[[Act], Row]
    named: Callable[[Row, str], Tampering]


def _orders(connection: Connection, earlier: _Earlier, verdict: LogVerdict) -> Iterator[Tampering]:
    """Check the events of orders outside batches."""
    log = _Log(
        differing=lambda row: row[2:3],
        shared=lambda row: row[3:],
        expected=lambda act: (
            act.detail,
            act.actor,
            act.at,
            None,
            Status.REJECTED.value if act.kind == IMPORTED else None,
            "",
            "",
        ),
        named=lambda row, problem: Tampering(kind=Kind.EVENT, order_id=row[2], event_id=row[0], problem=problem),
    )

    def counted(rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            verdict.loose += 1
            verdict.imported += row[1] == IMPORTED
            yield row

    acts = (act for act in read_acts(connection, "subject, kind") if act.kind in _ORDER_ACTS)
    for act, group in _matched(acts, counted(loose_rows(connection)), ""):
        yield from _check(log, act, group, earlier)


def _deliveries(connection: Connection, earlier: _Earlier, kind: Kind, kinds: str) -> Iterator[Tampering]:
    """Check the events of mails or of write-backs; the kinds of their acts begin with `kinds`."""
    log = _Log(
        differing=lambda row: (row[2], *row[6:]),
        shared=lambda row: row[3:6],
        expected=lambda act: (act.detail, act.actor, act.at),
        named=lambda row, problem: Tampering(kind=kind, subject=row[2], event_id=row[0], problem=problem),
    )
    acts = (act for act in read_acts(connection, "subject, kind") if act.kind.startswith(kinds))
    for act, group in _matched(acts, delivery_rows(connection, kind, addresses=kind is Kind.MAIL), kinds):
        yield from _check(log, act, group, earlier)


def _check(log: _Log, act: Act | None, rows: Iterable[Row], earlier: _Earlier) -> Iterator[Tampering]:
    """Check the rows that tell one act, or that no act tells of."""
    if act is None:
        yield from _without_act(log, rows, earlier)
        return
    content, expected = Content(), log.expected(act)
    for row in rows:
        content.add(*log.differing(row))
        shared = log.shared(row)
        # The words of an act stand first. An erasure may have taken them out of the row, or out of the act.
        erased = any(str(words[0]).startswith(_ERASED_WORDS) for words in (shared, expected))
        if shared[erased:] != expected[erased:]:
            yield log.named(row, _("is not as act {number:,} says", number=act.position))
    if content.number != act.number:
        problem = ngettext(
            "is of {number:,} record, and the log has {found:,}",
            "is of {number:,} records, and the log has {found:,}",
            act.number,
            found=content.number,
        )
        yield _of_act(act, problem)
    elif content.digest != act.content:
        yield _of_act(act, _("is of other records than the log has"))


def _without_act(log: _Log, rows: Iterable[Row], earlier: _Earlier) -> Iterator[Tampering]:
    """Name the rows that no act tells of: the first of those that were written together, and how many there are.

    An event that rejects an order would have to be in a batch; an import alone may bring one.
    """
    first, number = None, 0
    for row in rows:
        if row[1] != IMPORTED and row[7] == Status.REJECTED:
            yield log.named(row, _("is a rejection outside any batch"))
        elif not earlier.covers(row, row[5]):
            first, number = first or row, number + 1
    if first is not None:
        problem = ngettext(
            "no act tells of it",
            "no act tells of it, nor of the others written together with it, {number:,} in all",
            number,
        )
        yield log.named(first, problem)


def _policies(connection: Connection, earlier: _Earlier, acts: dict[str, Act]) -> Iterator[Tampering]:
    """Check the chain of the policies, and that each was put into force by an act."""
    position, before = 0, ""
    for row in policy_rows(connection):
        subject, (*said, digest) = str(row[0]), row
        if row[0] != position + 1 or row[5] != before:
            yield _of_policy(subject, _("does not follow the policy before it"))
        if policy_digest(*said) != digest:
            yield _of_policy(subject, _("was edited: its digest does not match"))
        act = acts.pop(subject, None)
        if act is None and not earlier.covers(row, row[1]):
            yield _of_policy(subject, _("no act tells of it"))
        elif act is not None and (digest, row[1], row[2]) != (act.content, act.at, act.actor):
            yield _of_policy(subject, _("is not as act {number:,} says", number=act.position))
        position, before = row[0], digest
    for subject, act in acts.items():
        yield _of_policy(subject, _("is gone: act {number:,} put it into force", number=act.position))


def _members(connection: Connection, acts: dict[str, Act]) -> Iterator[Tampering]:
    """Check what was done with members, as far as this login sees it.

    Acts tell of it since revision 0029, and never of the first member, who made the store.
    """
    rows = member_rows(connection)
    if rows is None:
        return
    since = min((act.at for act in acts.values()), default=None)
    for row in rows:
        subject = f"{row[0]}/{row[1]}"
        act = acts.pop(subject, None)
        if act is None and since and (row[3] is None or row[3] > since):
            yield _of_member(subject, _("no act tells of it"))
        elif act is not None and content_of([row]).digest != act.content:
            yield _of_member(subject, _("is not as act {number:,} says", number=act.position))
    for subject, act in acts.items():
        yield _of_member(subject, _("is gone: act {number:,} tells of it", number=act.position))


def _plans(connection: Connection, earlier: _Earlier) -> Iterator[Tampering]:
    """Check that each plan is as its last step left it."""
    steps = (act for act in read_acts(connection, "subject, position") if act.kind.startswith(PLAN_ACT))
    last = ([*of_plan][-1] for __, of_plan in groupby(steps, lambda act: act.subject))
    for act, told in _matched(last, plan_rows(connection), None):
        rows = [*told]
        if act is None:
            for row in rows:
                if not earlier.is_before(row[2]):
                    yield _of_plan(row[0], _("no act tells of it"))
        elif not rows:
            yield _of_plan(act.subject, _("is gone: act {number:,} was its last step", number=act.position))
        elif content_of(rows).digest != act.content:
            yield _of_plan(act.subject, _("is not as act {number:,} left it", number=act.position))


def _matched(acts: Iterator[Act], rows: Iterator[Row], kinds: str | None) -> Iterator[_Told]:
    """Each act with the rows that tell it, and the rows that no act tells of. Both are sorted by subject and kind.

    `kinds` is what the kinds of these acts begin with; None: the rows have no kind.
    """

    def of_act(act: Act) -> tuple[str, ...]:
        return (act.subject,) if kinds is None else (act.subject, act.kind)

    def of_row(row: Row) -> tuple[str, ...]:
        return (row[0],) if kinds is None else (row[0], f"{kinds}{row[1]}")

    act = next(acts, None)
    for key, group in groupby(rows, of_row):
        while act is not None and of_act(act) < key:
            yield act, iter(())
            act = next(acts, None)
        if act is not None and of_act(act) == key:
            yield act, group
            act = next(acts, None)
        else:
            yield None, group
    while act is not None:
        yield act, iter(())
        act = next(acts, None)


def _of_act(act: Act, problem: str) -> Tampering:
    return Tampering(kind=Kind.ACT, act=act.position, act_kind=act.kind, problem=problem)


def _of_plan(plan_id: str, problem: str) -> Tampering:
    return Tampering(kind=Kind.PLAN, subject=plan_id, problem=problem)


def _of_member(subject: str, problem: str) -> Tampering:
    return Tampering(kind=Kind.MEMBER, subject=subject, problem=problem)


def _of_policy(position: str, problem: str) -> Tampering:
    return Tampering(kind=Kind.POLICY, subject=position, problem=problem)
