"""Mail: composing, sending and recording beside bare `smtplib` over one kept connection.

The server is a process of its own on this computer. `--delay-ms 20` makes it as if 20 ms away: what arrives together
is answered together, after that time. Run: `python -m bench --row mail`, or `python -m bench.mail`; a row of JSON for
each measurement.
"""

import argparse
import json
import shutil
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path

import psycopg

from bench.measuring import ROOT, Cost, Result
from bench.stores import Stores
from orderctl.core.ids import new_id
from orderctl.database.address import parse_address
from orderctl.database.clock import SystemClock
from orderctl.database.schema import init_store
from orderctl.database.store import Store, make_engine
from orderctl.delivery.service import Sending, deliver
from orderctl.importing.queries import OrderImport
from orderctl.mail.letters import Composer
from orderctl.mail.service import MailKind
from orderctl.mail.smtp import SmtpMailer, SmtpSettings
from orderctl.orders.orders import Buyer, Order, OrderLine, SaidOrder, Status
from orderctl.rejection.plan import Provenance
from orderctl.rejection.service import RejectionRequest, execute_rejection, prepare_rejection
from orderctl.selection.selection import Choice, IdList, IdScope

# Our time over the floor's: 0.8 of its rate here, three times its rate far away with four connections.
GOALS = {"local server": 1 / 0.8, "4 connections": 1 / 3}
MOST_ROUNDS = 3  # each takes a minute
HOST = "127.0.0.1"
SENDER = "orders@brand.example"
_REPLIES = {b"EHLO": b"250-sink\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


def sink(delay_s: float) -> None:
    """A server that takes every mail and keeps none; prints its port and serves until its input ends."""
    with socket.create_server((HOST, 0), backlog=64) as listening:
        print(listening.getsockname()[1], flush=True)
        threading.Thread(target=_accept, args=(listening, delay_s), daemon=True).start()
        sys.stdin.read()


def _accept(listening: socket.socket, delay_s: float) -> None:
    while True:
        connection, _ = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection, delay_s), daemon=True).start()


def _serve(connection: socket.socket, delay_s: float) -> None:
    connection.sendall(b"220 sink\r\n")
    unread, in_content = b"", False
    while received := connection.recv(1 << 16):
        unread += received
        replies = []
        while True:
            end = b"\r\n.\r\n" if in_content else b"\r\n"
            if in_content and unread == b".\r\n":
                unread = b"\r\n" + unread
            text, found, rest = unread.partition(end)
            if not found:
                # Keep what may be the beginning of the end.
                unread = unread[-4:] if in_content else unread
                break
            unread = rest
            verb = text[:4].upper()
            replies.append(b"250 taken\r\n" if in_content else _REPLIES.get(verb, b"250 ok\r\n"))
            in_content = not in_content and verb == b"DATA"
        if replies:
            time.sleep(delay_s)
            connection.sendall(b"".join(replies))


@contextmanager
def running_sink(delay_ms: float) -> Iterator[int]:
    """The server as a process; gives its port."""
    command = [sys.executable, "-m", "bench.mail", "sink", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            yield int(server.stdout.readline())
        finally:
            server.stdin.close()


def floor(port: int, mails: int) -> float:
    """Seconds that bare `smtplib` takes for so many finished messages over one connection."""
    message = (Path(__file__).parent / "mail.eml").read_bytes()
    started = time.perf_counter()
    with smtplib.SMTP(HOST, port) as server:
        for number in range(mails):
            server.sendmail(SENDER, [f"shop{number}@buyer.example"], message)
    return time.perf_counter() - started


def ours(store_url: str, port: int, connections: int, mails: int) -> float:
    """Seconds that a delivery of so many queued mails takes, composing and recording included."""

    settings = SmtpSettings(
        host=HOST, port=port, security="none", user=None, password=None, sender=SENDER, reply_to=None
    )
    with Store(make_engine(parse_address(store_url)), "main") as store:
        started = time.perf_counter()
        sending = Sending(
            kind=MailKind(composer=Composer(), sender=lambda: SmtpMailer(settings)),
            clock=SystemClock(),
            new_token=new_id,
            connections=connections,
        )
        report = deliver(store, sending, limit=mails)
        took = time.perf_counter() - started
    if report.sent != mails:
        raise SystemExit(f"sent {report.sent} of {mails}: {report}")
    return took


def fill(store_url: str, mails: int) -> None:
    """A new store with so many orders rejected, each with a mail that waits."""

    address, clock = parse_address(store_url), SystemClock()
    init_store(address)
    lines = (OrderLine(number=1, sku="LN-10-ECR-M", name="Linen shirt", quantity=6, unit_price=3_800),)
    orders = [
        Order(
            id=f"R{number:06}",
            buyer=Buyer(id=f"b{number}", name=f"Shop {number}", email=f"shop{number}@buyer.example", language="en"),
            brand="nord",
            status=Status.NEEDS_OC,
            reference=f"PO-{number}",
            season="26SS",
            ordered_at=clock.now(),
            currency="EUR",
            total=22_800,
            quantity=6,
            lines=lines,
        )
        for number in range(mails)
    ]
    said = [SaidOrder.of(order) for order in orders]
    with Store(make_engine(address), "main") as store:
        store.write(
            lambda connection: OrderImport(connection).store(said, actor="bench", at=clock.now(), detail="bench")
        )
        choice = Choice(scope=IdScope(given=IdList(ids=tuple(order.id for order in orders)), words="bench"))
        by = Provenance(account="main", actor="bench", host="bench", program="orderctl", source="bench")
        request = RejectionRequest(choice=choice, by=by, reason="style dropped", notify=True, per_order=True)
        plan = prepare_rejection(store, request, clock=clock, new_id=new_id)
        execute_rejection(store, plan.approve(by="bench", how="bench"), clock=clock, message_domain="brand.example")


def rows(stores: Stores, rounds: int) -> Iterator[Result]:
    """Delivering on both engines: our time over that of one kept connection. No process of its own: wall time only."""
    mails = min(1_500, stores.size // 20)
    for row in run(mails=mails, rounds=min(MOST_ROUNDS, rounds)):
        ours, bare = (Cost(row[name], 0, 0) for name in ("ours_s", "floor_s"))
        goal = next((goal for name, goal in GOALS.items() if name in row["name"]), None)
        yield Result(row["name"], ours, bare, goal, units=row["mails"])


def run(*, mails: int = 1_500, rounds: int = 3, engines: tuple[str, ...] = ("sqlite", "postgresql")) -> Iterator[dict]:
    """Each measurement, the floor and ours in turn, medians; prints a JSON row for each."""
    far = max(64, mails // 5)
    plan = [("mail, local server, 1 connection", 0, 1, mails)]
    plan += [(f"mail, server 20 ms away, {n} connection{'s'[: n > 1]}", 20, n, far) for n in (1, 4, 16)]
    for engine in engines:
        with filled_stores(engine, mails) as copy:
            for name, delay_ms, connections, number in plan:
                floor_s, ours_s = _in_turn(copy, delay_ms, connections, number, rounds)
                row = {
                    "name": f"{name}, {engine}",
                    "mails": number,
                    "floor_s": round(floor_s, 3),
                    "ours_s": round(ours_s, 3),
                    "ratio": round(floor_s / ours_s, 2),
                    "floor_per_s": round(number / floor_s, 1),
                    "ours_per_s": round(number / ours_s, 1),
                }
                print(json.dumps(row), flush=True)
                yield row


def _in_turn(
    copy: Callable[[], AbstractContextManager[str]], delay_ms: float, connections: int, number: int, rounds: int
) -> tuple[float, float]:
    floors, mine = [], []
    with running_sink(delay_ms) as port:
        for _ in range(rounds):
            # Far away every mail of the floor costs the same: fewer say as much.
            fewer = number if not delay_ms else min(number, 50)
            floors.append(_timed("floor", port, fewer) * number / fewer)
            with copy() as url:
                mine.append(_timed("ours", url, port, connections, number))
    return statistics.median(floors), statistics.median(mine)


def _timed(*arguments: object) -> float:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.mail", *map(str, arguments)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        cwd=ROOT,
    )
    return float(ran.stdout)


@contextmanager
def filled_stores(engine: str, mails: int) -> Iterator:
    """Gives a function that gives a fresh copy of one filled store."""
    with tempfile.TemporaryDirectory(prefix="orderctl-bench-") as folder:
        if engine == "sqlite":
            template = Path(folder) / "template.db"
            fill(str(template), mails)

            @contextmanager
            def copied() -> Iterator[str]:
                path = Path(folder) / "copy.db"
                shutil.copy(template, path)
                yield str(path)
                for each in Path(folder).glob("copy.db*"):
                    each.unlink()

            yield copied
            return
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        with (
            import_module("support.postgres_server").running_server() as url,
            psycopg.connect(url.format(database="postgres"), autocommit=True) as admin,
        ):
            admin.execute("CREATE DATABASE filled")
            fill(url.format(database="filled"), mails)

            @contextmanager
            def cloned() -> Iterator[str]:
                admin.execute("CREATE DATABASE clone TEMPLATE filled STRATEGY file_copy")
                yield url.format(database="clone")
                admin.execute("DROP DATABASE clone WITH (FORCE)")

            yield cloned


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["run"])
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--mails", type=int, default=1_500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", action="append")
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    match given.what:
        case ["sink"]:
            sink(given.delay_ms / 1000)
        case ["floor", port, number]:
            print(floor(int(port), int(number)))
        case ["ours", url, port, connections, number]:
            print(ours(url, int(port), int(connections), int(number)))
        case _:
            engines = tuple(given.engine or ("sqlite", "postgresql"))
            for _row in run(mails=given.mails, rounds=given.rounds, engines=engines):
                pass
