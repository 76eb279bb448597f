"""The hot statements as the engines run them: each finds its rows by an index and sorts no more than it shows.

The plans are those of the statements that really ran: traced on SQLite, by auto_explain on PostgreSQL.
"""

import re
from contextlib import contextmanager
from datetime import date

import psycopg
import pytest
from bench.stores import inserts

from orderctl.database.clock import SystemClock
from orderctl.filters.parser import parse_filter
from orderctl.importing.queries import OrderImport
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import SaidOrder
from orderctl.rejection.plan import Provenance
from orderctl.rejection.sample_letters import sample_letters_of
from orderctl.rejection.service import RejectionRequest, execute_rejection, prepare_rejection
from orderctl.search.queries import Page, list_orders
from orderctl.selection.selection import Choice, FilterScope, IdList, IdScope
from stress.stores import sqlite_template
from support.factories import NOW, FixedClock, make_order
from support.project import ROOT
from support.stores import open_store, raw

SIZE = 20_000
# None of the days that other tests look at: these are rejected.
IDS = tuple(f"PO-{number:07d}" for number in range(SIZE // 2, SIZE, SIZE // 40))
# Whoever is no superuser runs other plans: those with the policies of row level security in them.
OPERATOR = (
    (ROOT / "docs" / "postgresql-roles.sql").read_text(),
    "DROP ROLE IF EXISTS test_planned",
    "CREATE ROLE test_planned LOGIN IN ROLE orderctl_operator",
    "INSERT INTO member (account, login, number, action, at) VALUES ('main', 'test_planned', 1, 'add', now())",
)
SETTINGS = (
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_nested_statements = on",
    "client_min_messages = log",
    "SESSION AUTHORIZATION test_planned",
)
BY = Provenance(account="main", actor="mia", host="h", program="p", source="s")
# A search by the account alone, or by none: every order is read.
EVERY_ORDER = re.compile(
    r"SCAN (orders|o|other)\b|SEARCH (orders|o|other) USING (COVERING )?INDEX \w+ \(account=\?\)$"
    r"|Seq Scan on orders"
)


@pytest.fixture(scope="module")
def full(request, tmp_path_factory):
    """A store of many orders on each engine, by the name of the engine."""
    path = tmp_path_factory.mktemp("full") / "full.db"
    path.write_bytes(sqlite_template().read_bytes())
    path.chmod(0o600)
    server = request.getfixturevalue("postgres_server")
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE full_store TEMPLATE template_store STRATEGY file_copy")
    urls = {"sqlite": str(path), "postgresql": server.format(database="full_store")}
    with open_store(urls["sqlite"]) as store:
        store.write(lambda connection: [connection.raw.execute(each) for each in inserts(SIZE, sqlite=True)])
    with psycopg.connect(urls["postgresql"], autocommit=True) as raw:
        for each in [*inserts(SIZE, sqlite=False), "VACUUM ANALYZE", *OPERATOR]:
            raw.execute(each)
    yield urls
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("DROP DATABASE full_store WITH (FORCE)")


@contextmanager
def planned(url):
    """A store, and the plans of what runs on it: pairs of the statement and its plan's lines."""
    plans: list[tuple[str, list[str]]] = []
    with open_store(url) as store:
        raw = store._engine.connect()
        if "://" in url:
            raw.execute("LOAD 'auto_explain'")
            for setting in SETTINGS:
                raw.execute(f"SET {setting}")
            raw.add_notice_handler(lambda notice: plans.append(_explained(notice.message_primary)))
            yield store, plans
            return
        texts: list[str] = []
        raw.set_trace_callback(texts.append)
        yield store, plans
        raw.set_trace_callback(None)
        for text in dict.fromkeys(texts):
            if text.startswith(("SELECT", "INSERT", "UPDATE", "WITH", "DELETE")):
                plans.append((text, [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {text}")]))


def _explained(message):
    text, _, plan = message.partition("Query Text: ")[2].partition("\n")
    return text, plan.splitlines()


def lines(plans):
    """The lines of all plans."""
    return [line.strip() for _, plan in plans for line in plan]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, full):
    return full[request.param]


def wanted(text):
    return parse_filter(text, today=date(2026, 3, 14), country_code=lambda _name: None)


def prepare(store, scope):
    request = RejectionRequest(choice=Choice(scope=scope), by=BY)
    return prepare_rejection(store, request, clock=FixedClock(), new_id=lambda: "plan-1")


@pytest.mark.parametrize("text", ["", "status:needs-oc", "ordered:2023-01-05..2023-01-08"])
def test_first_page_reads_an_index_in_its_order(url, text):
    with planned(url) as (store, plans), store.snapshot() as connection:
        assert len(list(list_orders(connection, wanted(text), Page(limit=50)))) == 50
    (page,) = [plan for statement, plan in plans if "buyer.name" in statement]
    reads = [
        line.strip() for line in page if re.search(r"(ix_orders|pk_orders|autoindex_orders|on orders|orders )", line)
    ]
    assert len(reads) == 1, page
    assert re.search(
        r"INDEX ix_orders_account_(status_)?ordered_at_id|Index Scan.*ix_orders_account_(status_)?ordered_at_id",
        reads[0],
    )


def test_a_page_that_follows_goes_to_its_place_in_the_index(url):
    with planned(url) as (store, plans), store.snapshot() as connection:
        assert len(list(list_orders(connection, wanted("status:needs-oc"), Page(limit=50, after=IDS[0])))) == 50
    (page,) = [plan for statement, plan in plans if "buyer.name" in statement]
    sought = [line for line in page if re.search(r"ordered_at(, id\)|<\?|.*ROW\()|\(ordered_at,id\)<", line)]
    assert sought, page
    assert not [line for line in page if re.search(r"SCAN orders|Seq Scan on orders", line)]


def test_rejecting_a_list_looks_each_id_up_and_never_reads_every_order(url):
    scope = IdScope(given=IdList(ids=IDS), words="ids")
    with planned(url) as (store, plans):
        plan = prepare(store, scope)
        assert plan.targets.count == len(IDS)
        assert execute_rejection(store, plan.approve(by="mia", how="--yes"), clock=SystemClock(), message_domain="x")
    assert plans
    assert [line for line in lines(plans) if EVERY_ORDER.search(line)] == []
    # No event is compared with every order of its batch.
    assert [line for line in lines(plans) if re.search(r"Join Filter.*order_id", line)] == []


@pytest.mark.parametrize("per_order", [True, False])
def test_queueing_mails_reads_the_orders_of_the_batch_and_no_others(url, per_order):
    first = SIZE // 2 + (2 if per_order else 3)
    ids = tuple(f"PO-{number:07d}" for number in range(first, SIZE, SIZE // 40))
    choice = Choice(scope=IdScope(given=IdList(ids=ids), words="ids"))
    request = RejectionRequest(choice=choice, by=BY, notify=True, per_order=per_order)
    with planned(url) as (store, plans):
        plan = prepare_rejection(store, request, clock=FixedClock(), new_id=lambda: f"mailed-{per_order}")
        approved = plan.approve(by="mia", how="--yes")
        assert execute_rejection(store, approved, clock=SystemClock(), message_domain="x").mails == plan.mail.mails > 0
    assert [statement for statement, _ in plans if "mail_order" in statement]
    assert [line for line in lines(plans) if EVERY_ORDER.search(line)] == []


def test_queueing_writebacks_reads_the_orders_of_the_batch_and_no_others(url):
    ids = tuple(f"PO-{number:07d}" for number in range(SIZE // 2 + 4, SIZE, SIZE // 40))
    choice = Choice(scope=IdScope(given=IdList(ids=ids), words="ids"))
    request = RejectionRequest(choice=choice, by=BY, systems={"shopify": "id"})
    with planned(url) as (store, plans):
        plan = prepare_rejection(store, request, clock=FixedClock(), new_id=lambda: "told")
        approved = plan.approve(by="mia", how="--yes")
        assert execute_rejection(store, approved, clock=SystemClock(), message_domain="x").writebacks == len(ids)
        with store.snapshot() as connection:
            queued = connection.execute(
                "SELECT id, order_id FROM writeback WHERE account = :account AND batch_id = 'told' ORDER BY id"
            ).fetchall()
    assert [line for line in lines(plans) if EVERY_ORDER.search(line)] == []
    # The plan counts the orders of each system as it reads them: the sources are not read for that once more.
    assert len([statement for statement, _ in plans if "order_source" in statement]) == 2
    # In the order of their texts too, so that each goes to the end of its indexes.
    assert [order_id for _, order_id in queued] == sorted(ids)


def test_an_import_into_a_new_store_compares_no_order_with_all_others(postgres_server):
    """Without statistics PostgreSQL expects one order, and joins by reading all rows again for each."""
    orders = [SaidOrder.of(make_order(f"PO-{number:07d}", lines=())) for number in range(3_000)]
    by = {"actor": "t", "at": NOW, "detail": "t"}
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE new_store TEMPLATE template_store STRATEGY file_copy")
        try:
            url = postgres_server.format(database="new_store")
            with psycopg.connect(url, autocommit=True) as raw:
                for each in OPERATOR:
                    raw.execute(each)
            with planned(url) as (store, plans):
                parts = [orders[:1_000], orders[1_000:2_000], [*orders[:500], *orders[2_000:]]]
                store.write(lambda connection: [OrderImport(connection).store(part, **by) for part in parts])
        finally:
            admin.execute("DROP DATABASE new_store WITH (FORCE)")
    known = [line.strip() for text, plan in plans if "FOR UPDATE" in text for line in plan]
    assert known != []
    assert [line for line in known if line.startswith("Join Filter") or "ANY_subquery" in line] == []


def test_importing_changed_orders_looks_each_one_up(url):
    numbers = range(SIZE // 4 + 1, SIZE // 2, SIZE // 400)
    changed = [SaidOrder.of(make_order(f"PO-{number:07d}")) for number in numbers]
    with planned(url) as (store, plans):
        counts = store.write(lambda connection: OrderImport(connection).store(changed, actor="t", at=NOW, detail="t"))
    assert counts.updated == len(changed)
    assert [statement for statement, _ in plans if "UPDATE orders" in statement]
    assert [line for line in lines(plans) if EVERY_ORDER.search(line)] == []


def test_planning_a_span_of_days_reads_those_days_only(url):
    scope = FilterScope(filter=wanted("ordered:2023-01-03..2023-01-03"), words="filter")
    with planned(url) as (store, plans):
        assert prepare(store, scope).targets.count == 1_000
    assert [line for line in lines(plans) if EVERY_ORDER.search(line)] == []
    # Not joined: by wrong statistics each buyer would be compared with all others.
    assert [line for line in lines(plans) if re.search(r"(?i:index|using) ix_orders_confirmed", line)]
    assert [line for line in lines(plans) if re.search(r"(?i:index|using) ix_orders_open", line)]


def test_the_sample_of_a_plan_s_letters_looks_each_target_up(url):
    others = tuple(f"PO-{number:07d}" for number in range(SIZE // 2 + 1, SIZE, SIZE // 40))
    scope = IdScope(given=IdList(ids=others), words="ids")
    with planned(url) as (store, plans):
        plan = prepare(store, scope)
        with store.snapshot() as connection:
            assert {facts.language for facts in sample_letters_of(connection, plan)} == {"en", "fr", "ja"}
    assert [line for line in lines(plans) if EVERY_ORDER.search(line)] == []


# Of the three accounts the statistics know the first one only, as after an import of the others.
ACCOUNTS = ("main", "eu", "asia")
FEW = 4_000


@pytest.fixture
def newcomer(store_url):
    """A store of three accounts, of which the server's statistics know the first one only."""
    with raw(store_url) as connection:
        for account in ACCOUNTS:
            for statement in inserts(FEW, sqlite="://" not in store_url):
                connection.execute(statement.replace("'main'", f"'{account}'"))
            if account == "main":
                connection.execute("ANALYZE")
                if "://" in store_url:
                    for table in ("buyer", "orders", "order_line", "order_source"):
                        connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    return store_url


@contextmanager
def worked(url, account):
    """A store, and a list of how much each of its statements reads: rows on PostgreSQL, steps on SQLite."""
    work: list[int] = []
    with open_store(url, account) as store:
        raw_connection = store._engine.connect()
        if "://" in url:
            raw_connection.execute("LOAD 'auto_explain'")
            settings = ("log_min_duration = 0", "log_analyze = on", "log_timing = off", "log_nested_statements = on")
            for setting in (*(f"auto_explain.{each}" for each in settings), "client_min_messages = log"):
                raw_connection.execute(f"SET {setting}")
            raw_connection.add_notice_handler(lambda notice: work.append(_rows(notice.message_primary)))
        else:
            raw_connection.set_progress_handler(lambda: work.append(100), 100)
        yield store, work


def _rows(plan):
    """How many rows the nodes of a plan gave or dropped, over all of their loops."""
    number, loops = 0.0, 1
    for line in plan.splitlines():
        if found := re.search(r"actual rows=([\d.]+) loops=(\d+)", line):
            loops = int(found[2])
            number += float(found[1]) * loops
        elif found := re.search(r"Rows Removed by [\w ]+: (\d+)", line):
            number += int(found[1]) * loops
    return int(number)


@pytest.mark.parametrize("mode", list(Mode))
def test_what_is_read_for_a_rejection_grows_with_its_orders_in_an_account_that_statistics_do_not_know(newcomer, mode):
    work = {}
    # In one session: what it keeps of the first batch must not be what the second one needs.
    with worked(newcomer, "eu") as (store, steps):
        for at, count in enumerate((300, 600)):
            given = tuple(f"PO-{number:07d}" for number in range(at * 1_000, at * 1_000 + count))
            request = RejectionRequest(
                choice=Choice(scope=IdScope(given=IdList(ids=given), words="ids")),
                by=BY,
                mode=mode,
                notify=True,
                systems={"shopify": "id"},
            )
            steps.clear()
            plan = prepare_rejection(store, request, clock=FixedClock(), new_id=lambda: f"of-{count}")  # noqa: B023
            approved = plan.approve(by="mia", how="--yes")
            done = execute_rejection(store, approved, clock=FixedClock(), message_domain="x")
            assert done.rejected == done.writebacks == count
            work[count] = sum(steps)
    assert work[600] < 2.5 * work[300], work
    if "://" in newcomer:
        assert work[600] < 40 * FEW, work
