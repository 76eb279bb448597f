"""Many at once: eight processes work on one store for a while, and what each believes it did is held against the store.

And three workers that tell a system and the buyers; one of them is killed.

`python -m stress.many URL SMTP_PORT SECONDS SEED` forks the workers and prints a JSON object: what the rejecting
ones reported, and the sentences of errors that nobody expects.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiosmtpd.controller import Controller

from orderctl.changes import Change, ChangeKind, ChangeRequest, change_orders
from orderctl.core.ids import new_id
from orderctl.database.address import parse_address
from orderctl.database.clock import SystemClock
from orderctl.database.store import Store, make_engine
from orderctl.delivery.service import Sending, deliver
from orderctl.errors import OrderctlError, StoreUnavailableError
from orderctl.importing.queries import OrderImport
from orderctl.mail.letters import Composer
from orderctl.mail.service import MailKind
from orderctl.mail.smtp import SmtpMailer, SmtpSettings
from orderctl.orders.orders import Buyer, SaidOrder, Status
from orderctl.rejection.plan import Provenance
from orderctl.rejection.service import RejectionRequest, execute_rejection, prepare_rejection
from orderctl.selection.selection import Choice, IdList, IdScope
from stress.crash import SEND, SETTLE, TELL, Tally, environ
from stress.forkserver import ForkServer, search_path
from stress.invariants import Picture, mail_violations, rows, violations, writeback_violations
from support.factories import ACME, KUMO, MUTE, make_order, put_all
from support.smtp_server import HOST, Inbox, free_port
from support.systems import CountingShop

ORDERS = 400
CLOCK = SystemClock()
BUYERS = (ACME, KUMO, MUTE, Buyer(id="late", name="Late & Sons", email="late@late.example", language="en"))
IDS = tuple(f"M{number:04}" for number in range(ORDERS))
_PATIENCE_S = 4
_MAY_HAPPEN = "another program imported some of the same orders"


def fill(store: Store) -> None:
    put_all(store, (make_order(each, buyer=BUYERS[number % 4]) for number, each in enumerate(IDS)))


@dataclass
class Worker:
    """One process: its own connection, its own random numbers, and what it saw."""

    store: Store
    port: int
    until: float
    rng: random.Random
    seen: Counter
    wrong: list[str]

    def loop(self, step: Callable[[], None]) -> None:
        # On a busy machine a turn may come late: nobody leaves without having done anything.
        while (now := time.monotonic()) < self.until or (now < self.until + _PATIENCE_S and not self._did_something):
            try:
                step()
            except StoreUnavailableError:
                self.seen["busy"] += 1
            except OrderctlError as error:
                if _MAY_HAPPEN not in str(error):
                    self.wrong.append(f"{step.__name__}: {error}")
            except Exception:  # noqa: BLE001 - whatever it is, it must not be
                self.wrong.append(f"{step.__name__}: {traceback.format_exc()}")

    @property
    def _did_something(self) -> bool:
        # A batch of which every order changed meanwhile has rejected nothing.
        return any(number for what, number in self.seen.items() if what not in ("busy", "left out", "batches"))

    def reject(self) -> None:
        """Some orders, after a moment in which others may take some of them."""
        request = RejectionRequest(choice=self._some(12), by=_BY, reason="many at once", notify=True)
        plan = prepare_rejection(self.store, request, clock=CLOCK, new_id=new_id)
        time.sleep(self.rng.uniform(0, 0.02))
        approved = plan.approve(by="mia", how="--yes")
        result = execute_rejection(self.store, approved, clock=CLOCK, message_domain="brand.example")
        self.seen["rejected"] += result.rejected
        self.seen["left out"] += len(result.left_out)
        self.seen["batches"] += result.batch_id is not None
        if result.rejected + len(result.left_out) != plan.targets.count:
            self.wrong.append(f"of {plan.targets.count} planned {result.rejected} were rejected: {result.left_out}")

    def change(self) -> None:
        kind = self.rng.choice(list(ChangeKind))
        change = Change(kind=kind, tag="late" if kind in (ChangeKind.TAGGED, ChangeKind.UNTAGGED) else "")
        change_orders(
            self.store, ChangeRequest(choice=self._some(6), change=change), actor="mia", clock=CLOCK, new_id=new_id
        )
        self.seen["changes"] += 1

    def bring(self) -> None:
        """The same orders again, some of them changed, as an import brings them."""
        numbers = self.rng.sample(range(ORDERS), 6)
        statuses = (Status.NEEDS_OC, Status.NEEDS_OC, Status.OC_CREATED, Status.OC_CONFIRMED)
        orders = [
            SaidOrder.of(make_order(IDS[number], buyer=BUYERS[number % 4], reference="PO"))._replace(
                status=self.rng.choice(statuses)
            )
            for number in numbers
        ]
        self.store.write(
            lambda connection: OrderImport(connection).store(orders, actor="mia", at=CLOCK.now(), detail="a file")
        )
        self.seen["imports"] += 1

    def mail(self) -> None:
        report = deliver(self.store, _sending(self.port), limit=15)
        self.seen["sent"] += report.sent
        if report.stopped or report.unknown:
            self.wrong.append(f"mail: {report}")
        time.sleep(0.01)

    def _some(self, most: int) -> Choice:
        ids = tuple(self.rng.sample(IDS, self.rng.randint(1, most)))
        return Choice(scope=IdScope(given=IdList(ids=ids), words="ids"))


_BY = Provenance(account="main", actor="mia", host="desk", program="orderctl", source="many at once")
_JOBS = (Worker.reject, Worker.reject, Worker.reject, Worker.change, Worker.change, Worker.bring, *(2 * (Worker.mail,)))


def _sending(port: int) -> Sending:
    return Sending(
        kind=MailKind(composer=Composer(), sender=lambda: SmtpMailer(_smtp(port))), clock=CLOCK, new_token=new_id
    )


def _smtp(port: int) -> SmtpSettings:
    return SmtpSettings(
        host=HOST,
        port=port,
        security="none",
        user=None,
        password=None,
        sender="orders@brand.example",
        reply_to=None,
        timeout_s=20,
    )


def _work(url: str, port: int, seconds: float, seed: str) -> None:
    """Fork a process a job, wait for them all, and print what they saw."""
    ends, pids = [], []
    for number, job in enumerate(_JOBS):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            with Store(make_engine(parse_address(url)), "main") as store:
                rng = random.Random(f"{seed} {number}")
                worker = Worker(store, port, time.monotonic() + seconds, rng, Counter(), [])
                worker.loop(job.__get__(worker))
            os.write(writing, json.dumps([worker.seen, worker.wrong]).encode())
            os._exit(0)
        os.close(writing)
        ends.append(reading)
        pids.append(pid)
    seen, wrong = Counter(), []
    for end in ends:
        with os.fdopen(end, encoding="utf-8") as answers:
            of_one, wrong_of_one = json.loads(answers.read())
        seen.update(of_one)
        wrong += wrong_of_one
    for pid in pids:
        os.waitpid(pid, 0)
    sys.stdout.write(json.dumps([seen, wrong]))


@dataclass(frozen=True)
class Together:
    """What came of it: what the workers saw, and all that does not fit."""

    seen: Counter
    wrong: list[str]
    unknown: int


def work_together(url: str, seconds: float, seed: str) -> Together:
    """Let the workers loose on a filled store, send what is left, and hold their accounts against the store."""
    with plain_server() as inbox:
        command = [sys.executable, "-m", "stress.many", url, str(inbox.port), str(seconds), seed]
        ran = subprocess.run(
            command,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": search_path()},
            capture_output=True,
            text=True,
            timeout=seconds + 120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found, wrong = json.loads(ran.stdout)
        seen = Counter(found)
        with Store(make_engine(parse_address(url)), "main") as store:
            deliver(store, _sending(inbox.port))
        wrong += violations(url) + mail_violations(url, [mail["Message-ID"] for mail in inbox.mails])
    picture = Picture.of(url)
    if len(picture.rejected) != seen["rejected"]:
        wrong.append(f"{seen['rejected']} reported as rejected, {len(picture.rejected)} in the store")
    if set(picture.states) - {"sent"}:
        wrong.append(f"mails in the end: {picture.states}")
    return Together(seen, wrong, picture.states["unknown"])


CONNECTIONS = 2
_WORKERS = ("writeback", "send", "--follow", "--connections", str(CONNECTIONS))
_IN_HAND = 60  # more than what one worker leases in both outboxes together
_LATER = {"later_s": 700}


def fill_outboxes(number: int) -> Callable[[Store], None]:
    """So many rejected orders of the shop, each with its write-back and its mail."""

    def filled(store: Store) -> None:
        ids = tuple(f"W{each:05}" for each in range(number))
        put_all(store, (make_order(each, buyer=BUYERS[index % 2]) for index, each in enumerate(ids)), source="shop")
        choice = Choice(scope=IdScope(given=IdList(ids=ids), words="ids"))
        request = RejectionRequest(choice=choice, by=_BY, notify=True, per_order=True, systems={"shop": "id"})
        plan = prepare_rejection(store, request, clock=CLOCK, new_id=new_id).approve(by="mia", how="--yes")
        execute_rejection(store, plan, clock=CLOCK, message_domain="brand.example")

    return filled


def lose_a_worker(url: str, folder: Path, server: ForkServer, number: int, rng: random.Random) -> Tally:
    """Three workers empty both outboxes; one is killed after a part of it that is drawn."""
    shop, tally = CountingShop(folder, "program"), Tally(points=1)
    shop.open(())
    with plain_server() as inbox:
        settings = environ(url, folder, inbox.port) | {"ORDERCTL_CONFIG": str(shop.config)}
        said = [str(folder / f"worker{each}") for each in range(3)]
        workers = [
            server.begin(*_WORKERS, environ=settings, stdin=os.devnull, out=os.devnull, err=name) for name in said
        ]
        while not all(Path(name).stat().st_size for name in said):  # until each has said that it follows the outbox
            time.sleep(0.02)
        _until_sent(url, rng.randint(number // 10, 2 * number - _IN_HAND))
        workers[0].kill()
        _until_sent(url, 2 * number - _IN_HAND)
        for worker in workers[1:]:
            worker.send_signal(signal.SIGTERM)
        codes = [worker.wait(60) for worker in workers]
        if codes != [-signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGTERM]:
            tally.wrong.append(f"the workers ended with {codes}: {[Path(name).read_text('utf-8') for name in said]}")
        for call in (TELL, SEND):
            server(*call, environ=settings, **_LATER)
        told = shop.told()
        unknown = [order for order, state in Picture.of(url).writebacks.items() if state == "unknown"]
        for order in unknown:
            server(*SETTLE, "--order", order, "--sent" if told[order] else "--not-sent", environ=settings)
        for call in (("writeback", "retry", "--state", "refused"), TELL, SEND):
            server(*call, environ=settings)
        taken = [mail["Message-ID"] for mail in inbox.mails]
    _compare(url, tally, shop.told(), taken, len(unknown))
    return tally


def _until_sent(url: str, number: int) -> None:
    """Until so many write-backs and mails are sent."""
    end = time.monotonic() + 300
    sent = " UNION ALL ".join(f"SELECT count(*) FROM {table} WHERE state = 'sent'" for table in ("writeback", "mail"))
    while sum(count for (count,) in rows(url, sent)) < number:
        assert time.monotonic() < end, f"less than {number} are sent: {Picture.of(url).states}"
        time.sleep(0.02)


def _compare(url: str, tally: Tally, told: Counter, taken: list[str], unknown: int) -> None:
    """Every order cancelled once, every buyer told once; at most one of each is unknown for each connection cut."""
    picture, mails = Picture.of(url), mail_violations(url, taken)
    writebacks = writeback_violations(url, told)
    tally.wrong += violations(url) + mails + writebacks
    tally.writebacks_doubled += sum("times" in each for each in writebacks)
    tally.mails_doubled += sum("times" in each for each in mails)
    tally.writebacks_lost += sum(order not in told or state != "sent" for order, state in picture.writebacks.items())
    tally.mails_lost += sum(number for state, number in picture.states.items() if state not in ("sent", "unknown"))
    tally.writebacks_unknown, tally.unknown = unknown, picture.states["unknown"]
    if tally.writebacks_lost or tally.mails_lost or max(unknown, tally.unknown) > CONNECTIONS:
        tally.wrong.append(f"in the end: {picture.states}, {Counter(picture.writebacks.values())}, {unknown} unknown")


class _Taking:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_DATA(self, server, session, envelope):  # noqa: ARG002, N802 - as aiosmtpd calls it
        self._inbox.messages.append(envelope.content)
        return "250 2.0.0 Ok"


@contextmanager
def plain_server() -> Iterator[Inbox]:
    """A real server without TLS that talks with many at once."""
    inbox = Inbox(port=free_port())
    controller = Controller(_Taking(inbox), hostname=HOST, port=inbox.port)
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()


if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
