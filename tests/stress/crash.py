"""The crash harness: kill the program at a point, look at the store, run it again, compare with an undisturbed run.

A *scenario* is a store as it was before, one call of the program, and the call that goes on after a crash. Its
kill points are those that an undisturbed run passes, and so are its calls, any of which may raise; see `faultpoints`.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from orderctl.database.store import Store
from orderctl.orders.orders import Status
from orderctl.plans.plans import PlanTerms, SecondOperatorRule
from orderctl.plans.service import Operator, save_plan
from orderctl.rejection.plan import Provenance, RejectionPlan
from orderctl.rejection.service import RejectionRequest, execute_rejection, prepare_rejection
from orderctl.selection.selection import Choice, IdList, IdScope
from stress.faultpoints import PASSING
from stress.forkserver import Ended, ForkServer, fresh, search_path
from stress.invariants import Picture, mail_violations, rows, violations
from stress.stores import Template
from support.factories import KUMO, MUTE, FixedClock, make_order, put
from support.smtp_server import HOST, Inbox, read, scripted_server

TARGETS = frozenset({"K1", "K2", "K3", "K4", "K5"})
GIVEN = sorted(TARGETS | {"K6", "K7"})
BUYERS_TOLD = 2
_AFTER_THE_LEASE_S = 700
_SETTLED = frozenset({"sent", "unknown"})
REJECT = ("reject", *GIVEN, "--yes", "--notify", "--reason", "style dropped", "--message", "We are sorry.")
SEND = ("mail", "send")


def fill(store: Store) -> None:
    """Five orders to reject of two buyers with an address, one without and nobody; two that must stay."""
    put(
        store,
        make_order("K1"),
        make_order("K2", buyer=KUMO, currency="JPY", total=90_000),
        make_order("K3", status=Status.OC_CREATED),
        make_order("K4", buyer=MUTE),
        make_order("K5", buyer=None),
        make_order("K6", status=Status.OC_APPROVED),
        make_order("K7", buyer=KUMO, invoices=1),
    )


def _plan(store: Store, clock: FixedClock, plan_id: str) -> RejectionPlan:
    fill(store)
    request = RejectionRequest(
        choice=Choice(scope=IdScope(given=IdList(ids=tuple(GIVEN)), words="ids")),
        by=Provenance(account="main", actor="mia", host="desk", program="orderctl", source="a test"),
        notify=True,
    )
    return prepare_rejection(store, request, clock=clock, new_id=lambda: plan_id)


def fill_and_reject(store: Store) -> None:
    """The same, rejected, with the mails waiting."""
    clock = FixedClock(datetime.now(UTC) - timedelta(minutes=1))
    plan = _plan(store, clock, "b1")
    execute_rejection(store, plan.approve(by="mia", how="--yes"), clock=clock, message_domain="brand.example")


def fill_and_plan(store: Store) -> None:
    """The same, with a plan that is kept."""
    clock = FixedClock(datetime.now(UTC) - timedelta(minutes=1))
    terms = PlanTerms(lifetime=timedelta(days=1), rule=SecondOperatorRule())
    save_plan(store, _plan(store, clock, "planned1"), Operator(actor="mia", clock=clock, terms=terms))


@dataclass(frozen=True)
class Scenario:
    """A store, a call, and the way the mails go."""

    name: str
    fill: Callable[[Store], None]
    call: tuple[str, ...]
    transport: str = "smtp"


SCENARIOS = (
    Scenario("reject", fill, REJECT),
    Scenario("mail send", fill_and_reject, SEND),
    Scenario("mail send to a Maildir", fill_and_reject, SEND, "maildir"),
)


# What is tried with calls that raise: the same, and a kept plan with a report for programs.
FAULTY = (*SCENARIOS, Scenario("plan run", fill_and_plan, ("plan", "run", "planned1", "--yes", "--format", "json")))


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
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        for name in ("points", "orders_lost", "orders_doubled", "mails_lost", "mails_doubled", "unknown"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.wrong += other.wrong


class Bench:
    """One scenario on one engine, with its mail server and its way of starting the program."""

    def __init__(self, scenario: Scenario, template: Template, server: ForkServer, inbox: Inbox, folder: Path) -> None:
        self.scenario = scenario
        self._template = template
        self._server = server
        self._inbox = inbox
        self._folder = folder
        self.title = f"{scenario.name}, {template.engine}"

    def points(self) -> list[str]:
        """The points of an undisturbed run, whose end is as it should be."""
        return self._written("trace")

    def calls(self) -> list[str]:
        """The calls of an undisturbed run after its first change, each place once; see `faultpoints.Calls`."""
        places: dict[str, str] = {}
        for call in self._written("calls"):
            places.setdefault(call.rpartition(" ")[0], call)
        return list(places.values())

    def _written(self, what: str) -> list[str]:
        trace = self._folder / what
        with self._template.copy() as url:
            ended = self._server(*self.scenario.call, environ=self._environ(url), **{what: trace})
            assert ended.code == 0, ended
            assert Picture.of(url).rejected == TARGETS
            assert Picture.of(url).states == Counter(sent=BUYERS_TOLD)
            assert violations(url) + mail_violations(url, self._taken()) == []
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

        What `mail send` begins with changes nothing.
        """
        batches = [batch_id for (batch_id,) in rows(url, "SELECT id FROM batch")]
        rejects = self.scenario.call[0] != "mail"
        named = len(batches) == 1 and (not rejects or batches[0] in ended.out + ended.err)
        changed = rejects or set(Picture.of(url).states) != {"waiting"}
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
            for again in (self.scenario.call, SEND):
                ended = self._server(*again, environ=environ, later_s=_AFTER_THE_LEASE_S)
                # 3: the orders are named one by one, and the killed run had rejected all of them.
                if ended.code not in (0, 3, 5):
                    tally.wrong.append(f"going on ended with {ended.code}: {ended.err}")
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
        tally.wrong += found + mails

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
        lost = [each for each in picture.mails if each not in taken | unknown | refused]
        tally.mails_lost += len(lost)
        if lost or set(picture.states) - settled or len(picture.mails) != BUYERS_TOLD:
            tally.wrong.append(f"mails in the end: {picture.mails}, taken: {sorted(taken)}")
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
        return environ(url, self._folder, self._inbox.port, self.scenario.transport)


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
