"""The crash harness: kill the program at a point, look at the store, run it again, compare with an undisturbed run.

A *scenario* is a store as it was before, one call of the program, and the call that goes on after a crash. Its
kill points are those that an undisturbed run passes, and so are its calls, any of which may raise; see `faultpoints`.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from orderctl.database.clock import SystemClock
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.delivery.outbox import SENT, DeliveryState, Settlement
from orderctl.delivery.queries import claim, settle, start
from orderctl.delivery.service import act, pick
from orderctl.orders.orders import Status
from orderctl.plans.plans import PlanTerms, SecondOperatorRule
from orderctl.plans.service import Operator, save_plan
from orderctl.rejection.plan import Provenance, RejectionPlan
from orderctl.rejection.service import RejectionRequest, execute_rejection, prepare_rejection
from orderctl.selection.selection import Choice, IdList, IdScope
from orderctl.writeback.outbox import WRITEBACKS, WriteBackQuery
from stress.faultpoints import PASSING
from stress.forkserver import Ended, ForkServer, fresh, search_path
from stress.invariants import Picture, mail_violations, rows, violations, writeback_violations
from stress.stores import Template
from support.factories import KUMO, MUTE, FixedClock, make_order, put_all
from support.smtp_server import HOST, Inbox, read, scripted_server
from support.systems import CountingShop

TARGETS = frozenset({"K1", "K2", "K3", "K4", "K5"})
GIVEN = sorted(TARGETS | {"K6", "K7"})
BUYERS_TOLD = 2
_AFTER_THE_LEASE_S = 700
_SETTLED = frozenset({"sent", "unknown"})
REJECT = ("reject", *GIVEN, "--yes", "--notify", "--reason", "style dropped", "--message", "We are sorry.")
SEND, TELL, SETTLE = ("mail", "send"), ("writeback", "send"), ("writeback", "settle")


def fill(store: Store) -> None:
    """Five orders to reject of two buyers with an address, one without and nobody; two that must stay.

    All live in the shop, which only those know who have it in their settings.
    """
    orders = (
        make_order("K1"),
        make_order("K2", buyer=KUMO, currency="JPY", total=90_000),
        make_order("K3", status=Status.OC_CREATED),
        make_order("K4", buyer=MUTE),
        make_order("K5", buyer=None),
        make_order("K6", status=Status.OC_APPROVED),
        make_order("K7", buyer=KUMO, invoices=1),
    )
    put_all(store, orders, source="shop")


def _plan(store: Store, clock: FixedClock, plan_id: str, systems: Mapping[str, str] = {}) -> RejectionPlan:
    fill(store)
    request = RejectionRequest(
        systems=systems,
        choice=Choice(scope=IdScope(given=IdList(ids=tuple(GIVEN)), words="ids")),
        by=Provenance(account="main", actor="mia", host="desk", program="orderctl", source="a test"),
        notify=True,
    )
    return prepare_rejection(store, request, clock=clock, new_id=lambda: plan_id)


def fill_and_reject(store: Store, systems: Mapping[str, str] = {}) -> None:
    """The same, rejected, with the mails waiting; given a system, held."""
    clock = FixedClock(datetime.now(UTC) - timedelta(minutes=1))
    plan = _plan(store, clock, "b1", systems)
    execute_rejection(store, plan.approve(by="mia", how="--yes"), clock=clock, message_domain="brand.example")


def fill_and_reject_in_the_shop(store: Store) -> None:
    """The same, with the write-backs waiting and the mails held."""
    fill_and_reject(store, {"shop": "id"})


def fill_and_hear(*answers: DeliveryState) -> Callable[[Store], None]:
    """The same, after the shop answered so about the first orders."""

    def filled(store: Store) -> None:
        fill_and_reject_in_the_shop(store)
        now, outbox = datetime.now(UTC) - timedelta(seconds=30), WRITEBACKS
        until = now + timedelta(minutes=2)

        def tell(connection: Connection) -> None:
            ids = claim(connection, outbox, token="t", until=until, now=now, limit=len(answers), batch_id=None)
            start(connection, outbox, "t", {item_id: {} for item_id in ids}, until=until, now=now)
            heard = [
                Settlement(item_id=item_id, state=state, detail="so it said", attempts=1, due=now)
                for item_id, state in zip(ids, answers, strict=True)
            ]
            settle(connection, outbox, "t", heard, now)

        store.write(tell)

    return filled


def fill_and_plan(store: Store) -> None:
    """The same, with a plan that is kept."""
    clock = FixedClock(datetime.now(UTC) - timedelta(minutes=1))
    terms = PlanTerms(lifetime=timedelta(days=1), rule=SecondOperatorRule())
    save_plan(store, _plan(store, clock, "planned1"), Operator(actor="mia", clock=clock, terms=terms))


def fill_and_settle(store: Store) -> None:
    """The same, after an operator found all of them cancelled in the shop: nothing holds the mails any more."""
    fill_and_hear(*(len(TARGETS) * (DeliveryState.UNKNOWN,)))(store)
    picked = pick(store, WRITEBACKS, SENT, WriteBackQuery())
    act(store, WRITEBACKS, SENT, picked, actor="mia", reason="", clock=SystemClock())


@dataclass(frozen=True)
class Scenario:
    """A store, a call, the way the mails go, and perhaps the shop in which the orders live.

    `mails` and `writebacks` are how many end in which state once everything has gone on undisturbed.
    """

    name: str
    fill: Callable[[Store], None]
    call: tuple[str, ...]
    transport: str = "smtp"
    shop: str = ""
    mails: Mapping[str, int] = field(default_factory=lambda: {"sent": BUYERS_TOLD})
    writebacks: Mapping[str, int] = field(default_factory=dict)

    @property
    def goes_on(self) -> tuple[tuple[str, ...], ...]:
        """The calls after it. One round finds that a lease ran out, and the next one asks, where that can be asked."""
        telling = {"": (), "guarded": (TELL, TELL)}
        return (*telling.get(self.shop, (TELL,)), SEND)


SCENARIOS = (
    Scenario("reject", fill, REJECT),
    Scenario("mail send", fill_and_reject, SEND),
    Scenario("mail send to a Maildir", fill_and_reject, SEND, "maildir"),
)


def _in_the_shop(name: str, filled: Callable[[Store], None], call: tuple[str, ...], shop: str, **ends: int) -> Scenario:
    """`ends`: the write-backs in the end, `held`: the mails that are held then."""
    held = ends.pop("held", 0)
    mails = {"sent": BUYERS_TOLD - held, "held": held}
    return Scenario(name, filled, call, shop=shop, mails=mails, writebacks=ends or {"sent": len(TARGETS)})


_HEARD = fill_and_hear(DeliveryState.REFUSED, DeliveryState.UNKNOWN, DeliveryState.UNKNOWN, DeliveryState.RETRY)
_CANCELLED = {"refused": 1, "unknown": 2, "cancelled": 2, "held": 2}
IN_SYSTEMS = (
    _in_the_shop("reject, cancelled by a program", fill, REJECT, "program"),
    _in_the_shop("reject, cancelled in a database", fill, REJECT, "guarded"),
    _in_the_shop("writeback send to a program", fill_and_reject_in_the_shop, TELL, "program"),
    _in_the_shop("writeback send to a database", fill_and_reject_in_the_shop, TELL, "database"),
    _in_the_shop("writeback send to one that is asked", fill_and_reject_in_the_shop, TELL, "guarded"),
    _in_the_shop("writeback retry", _HEARD, ("writeback", "retry", "--all"), "program", sent=3, unknown=2, held=2),
    _in_the_shop("writeback settle", _HEARD, (*SETTLE, "--all", "--sent"), "program", sent=4, refused=1, held=1),
    _in_the_shop("writeback cancel", _HEARD, ("writeback", "cancel", "--all"), "database", **_CANCELLED),
    _in_the_shop("mails let go", fill_and_settle, SEND, "program"),
)


# What is tried with calls that raise: a kept plan with a report for programs too, and what tells a program.
FAULTY = (
    *SCENARIOS,
    Scenario("plan run", fill_and_plan, ("plan", "run", "planned1", "--yes", "--format", "json")),
    IN_SYSTEMS[0],
    IN_SYSTEMS[2],
)


# Mails go out beside the run: it has a few points more or fewer each time, and may not reach the last ones.
VARY = 8


@dataclass
class Tally:
    """What was tried and what came of it."""

    points: int = 0
    orders_lost: int = 0
    orders_doubled: int = 0
    mails_lost: int = 0
    mails_doubled: int = 0
    unknown: int = 0
    writebacks_lost: int = 0
    writebacks_doubled: int = 0
    writebacks_unknown: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


class Bench:
    """One scenario on one engine, with its mail server and its way of starting the program."""

    def __init__(self, scenario: Scenario, template: Template, server: ForkServer, inbox: Inbox, folder: Path) -> None:
        self.scenario = scenario
        self._template = template
        self._server = server
        self._inbox = inbox
        self._folder = folder
        self._shop = CountingShop(folder, scenario.shop) if scenario.shop else None
        self.title = f"{scenario.name}, {template.engine}"

    def points(self) -> list[str]:
        """The points of an undisturbed run, whose end is as it should be."""
        return self._written("trace")

    def calls(self) -> list[str]:
        """The calls of an undisturbed run after its first change, each place once; see `faultpoints.Calls`."""
        places: dict[str, str] = {}
        for call in self._written("calls"):
            places.setdefault(call.rpartition(" ")[0], call)
        assert places, "no call was seen after the first change"
        return list(places.values())

    def _written(self, what: str) -> list[str]:
        trace = self._folder / what
        with self._template.copy() as url:
            environ = self._environ(url)
            ended = self._server(*self.scenario.call, environ=environ, **{what: trace})
            assert ended.code == 0, ended
            for again in self.scenario.goes_on if self._shop else ():
                self._server(*again, environ=environ, later_s=_AFTER_THE_LEASE_S)
            picture = Picture.of(url)
            assert picture.rejected == TARGETS
            assert picture.states == Counter(self.scenario.mails), picture
            assert Counter(picture.writebacks.values()) == Counter(self.scenario.writebacks), picture
            assert violations(url) + mail_violations(url, self._taken()) + self._told_wrongly(url) == []
        return trace.read_text("utf-8").splitlines()

    def kill(self, at: int, *, a_fresh_process: bool = False) -> Tally:
        """Kill at a point, counted from 1, and go on."""
        run = fresh if a_fresh_process else self._server
        return self._tried(
            f"{self.title}, point {at}",
            lambda call, environ: run(*call, environ=environ, kill_at=at),
            lambda ended, _url: [] if ended.killed else [f"the run was not killed: {ended}"],
        )

    def die_after(self, seconds: float) -> Tally:
        """Die at an instant, wherever the run is then; it may have ended."""
        return self._tried(
            f"{self.title}, after {seconds * 1000:.1f} ms",
            lambda call, environ: self._server(*call, environ=environ, die_after_s=seconds),
            lambda _ended, _url: [],
        )

    def fail(self, at: str, fault: str) -> Tally:
        """Let a call raise after the change, and go on: the run has to say what it did."""
        return self._tried(
            f"{self.title}, {fault} where {at}",
            lambda call, environ: self._server(*call, environ=environ, fail_at=at, fault=fault),
            self._owned_up,
            settled=_SETTLED if fault in PASSING else _SETTLED | {"refused"},
        )

    def _owned_up(self, ended: Ended, url: str) -> list[str]:
        """A run whose change holds ends with a code that says so, and names the batch.

        What a delivery begins with changes nothing.
        """
        batches, picture = [batch_id for (batch_id,) in rows(url, "SELECT id FROM batch")], Picture.of(url)
        rejects = self.scenario.call[0] in ("reject", "plan")
        named = len(batches) == 1 and (not rejects or batches[0] in ended.out + ended.err)
        changed = rejects or {*picture.states, *picture.writebacks.values()} - {"waiting", "held"}
        return [] if named and ended.code in ((0, 5, 6, 9) if changed else (0, 1, 5, 9)) else [f"it ended so: {ended}"]

    def _tried(
        self,
        what: str,
        disturbed: Callable[[tuple[str, ...], Mapping[str, str]], Ended],
        wrong: Callable[[Ended, str], list[str]],
        settled: frozenset[str] = _SETTLED,
    ) -> Tally:
        tally = Tally(points=1)
        with self._template.copy() as url:
            environ = self._environ(url)
            tally.wrong += wrong(disturbed(self.scenario.call, environ), url)
            self._look(url, tally)
            for again in (self.scenario.call, *self.scenario.goes_on):
                ended = self._server(*again, environ=environ, later_s=_AFTER_THE_LEASE_S)
                # 3: the orders are named one by one, and the killed run had rejected all of them.
                if ended.code not in (0, 3, 5):
                    tally.wrong.append(f"going on ended with {ended.code}: {ended.err}")
            self._look(url, tally)
            if self._shop:
                self._resolve(url, environ, tally, settled)
                self._look(url, tally)
            self._compare(url, environ, tally, settled)
        tally.wrong = [f"{what}: {wrong}" for wrong in tally.wrong]
        return tally

    def _look(self, url: str, tally: Tally) -> None:
        """All or nothing, and every invariant."""
        rejected = Picture.of(url).rejected
        if rejected not in (frozenset(), TARGETS):
            tally.wrong.append(f"half a batch: {sorted(rejected)}")
        found = violations(url)
        tally.orders_doubled += sum("twice" in each for each in found)
        mails = mail_violations(url, self._taken())
        tally.mails_doubled += sum("times" in each for each in mails)
        told = self._told_wrongly(url)
        tally.writebacks_doubled += sum("times" in each for each in told)
        tally.wrong += found + mails + told

    def _told_wrongly(self, url: str) -> list[str]:
        return writeback_violations(url, self._shop.told()) if self._shop else []

    def _resolve(self, url: str, environ: Mapping[str, str], tally: Tally, settled: frozenset[str]) -> None:
        """What became unknown by the kill: one at most, of which an operator looks in the shop what it did.

        What could not be handed over, where that may be, is tried again.
        """
        before = self.scenario.writebacks.get("unknown", 0)
        unknown = sorted(each for each, state in Picture.of(url).writebacks.items() if state == "unknown")
        tally.writebacks_unknown += len(unknown) - before
        if len(unknown) - before not in (0, 1) or (len(unknown) > before and self.scenario.shop == "guarded"):
            tally.wrong.append(f"write-backs of unknown fate: {unknown}")
        shown = self._server("writeback", "list", "--state", "unknown", "--format", "ids", environ=environ).out
        if len(shown.split()) != len(unknown):
            tally.wrong.append(f"an unknown write-back is not shown: {shown}")
        calls: list[tuple[str, ...]] = []
        for order in unknown if len(unknown) > before else ():
            calls.append((*SETTLE, "--order", order, "--sent" if self._shop.told()[order] else "--not-sent"))
        if calls or "refused" in settled:
            calls += [("writeback", "retry", "--state", "refused"), *self.scenario.goes_on]
        for call in calls:
            ended = self._server(*call, environ=environ)
            if ended.code not in (0, 5):
                tally.wrong.append(f"{call} ended with {ended.code}: {ended.err}")

    def _compare(self, url: str, environ: Mapping[str, str], tally: Tally, settled: frozenset[str]) -> None:
        """With an undisturbed run: the same orders, and each buyer told once or shown as unknown.

        A mail that could not be made may be `refused`, with its reason, for a person to see.
        """
        picture, taken = Picture.of(url), set(self._taken())
        if picture.rejected != TARGETS:
            tally.orders_lost += len(TARGETS - picture.rejected)
            tally.wrong.append(f"rejected in the end: {sorted(picture.rejected)}")
        unknown = {each for each, state in picture.mails.items() if state == "unknown"}
        tally.unknown += len(unknown)
        refused = {each for each, state in picture.mails.items() if state == "refused"}
        held = {each for each, state in picture.mails.items() if state == "held"}
        lost = [each for each in picture.mails if each not in taken | unknown | refused | held]
        expected = self.scenario.mails.get("held", 0)
        tally.mails_lost += len(lost) + abs(len(held) - expected)
        if (
            lost
            or set(picture.states) - settled - {"held"}
            or len(held) != expected
            or len(picture.mails) != BUYERS_TOLD
        ):
            tally.wrong.append(f"mails in the end: {picture.mails}, taken: {sorted(taken)}")
        ended = Counter(picture.writebacks.values())
        if ended != Counter(self.scenario.writebacks):
            tally.writebacks_lost += len(TARGETS) - ended["sent"]
            tally.wrong.append(f"write-backs in the end: {picture.writebacks}")
        if unknown:
            shown = self._server("mail", "list", "--state", "unknown", environ=environ).out
            if sum("unknown" in line for line in shown.splitlines()) < len(unknown):
                tally.wrong.append(f"an unknown mail is not shown: {shown}")

    def _taken(self) -> list[str]:
        """The Message-IDs of what was taken on the present store."""
        if self.scenario.transport == "maildir":
            return [read(path.read_bytes())["Message-ID"] for path in (self._folder / "mails" / "new").glob("*")]
        self._inbox.settle()
        return [mail["Message-ID"] for mail in self._inbox.mails]

    def _environ(self, url: str) -> dict[str, str]:
        self._inbox.messages.clear()
        for old in (self._folder / "mails").glob("*/*"):
            old.unlink()
        made = environ(url, self._folder, self._inbox.port, self.scenario.transport)
        if self._shop is None:
            return made
        self._shop.open(TARGETS)
        return made | {"ORDERCTL_CONFIG": str(self._shop.config)}


def environ(url: str, folder: Path, port: int, transport: str = "smtp") -> dict[str, str]:
    """The settings of a run: a home of its own, and the mail server at a port of this computer."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder / "home"),
        # The copies of a store have its id, and each begins anew: none may know the newest batch of another.
        "XDG_STATE_HOME": str(folder / "state" / quote(url, safe="")[-100:]),
        "ORDERCTL_STORE": url,
        "ORDERCTL_ACTOR": "mia",
        "ORDERCTL_MAIL_TRANSPORT": transport,
        "ORDERCTL_MAIL_SENDER": "orders@brand.example",
        "ORDERCTL_MAIL_HOST": HOST,
        "ORDERCTL_MAIL_PORT": str(port),
        "ORDERCTL_MAIL_SECURITY": "none",
        "ORDERCTL_MAIL_TIMEOUT": "5",
        "ORDERCTL_MAIL_MAILDIR": str(folder / "mails"),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": search_path(),
        "COLUMNS": "200",
    }


@contextmanager
def bench(scenario: Scenario, postgres: str | None, server: ForkServer) -> Iterator[Bench]:
    """A scenario on PostgreSQL, given a server's URL, or on SQLite."""
    with tempfile.TemporaryDirectory(prefix="orderctl-crash-") as name, scripted_server() as inbox:
        folder = Path(name)
        yield Bench(scenario, Template(folder, postgres, scenario.fill), server, inbox, folder)


def sample(points: int, most: int, rng: random.Random) -> list[int]:
    """Some of the points, counted from 1, drawn by the seed."""
    return sorted(rng.sample(range(1, points + 1), min(most, points)))
