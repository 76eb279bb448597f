"""A store of an earlier revision is upgraded with its data intact, on both engines."""

import json
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from types import SimpleNamespace

import psycopg
import pytest

from orderctl.audit.log import digest_batch
from orderctl.database import schema
from orderctl.database.address import parse_address
from orderctl.database.line_digests import lines_digest, order_digest
from orderctl.database.store import CURRENT, REVISIONS
from stress.proxy import Cut, proxied
from support.audit import BATCH, EVENT, digest_of_before
from support.cli import Cli
from support.stores import tamper

AT = "2026-03-01T08:00:00.000000Z"
FIRST_DATA = {
    "buyer": {"account": "main", "id": "acme", "name": "Acme 'A'", "email": "a@b.example"},
    "orders": {"account": "main", "id": "U1", "buyer_id": "acme", "status": "needs-oc", "ordered_at": AT,
               "currency": "EUR", "total": 12_050, "quantity": 5, "note": "as before", "version": 7},
    "order_line": {"account": "main", "order_id": "U1", "number": 1, "sku": "AB-12", "quantity": 5, "unit_price": 24},
    "order_tag": {"account": "main", "order_id": "U1", "tag": "late"},
    "selection_item": {"account": "main", "actor": "mia", "name": "default", "order_id": "U1", "added_at": AT},
    "saved_filter": {"account": "main", "name": "late", "expression": "tag:late", "actor": "mia", "saved_at": AT},
    "batch": {"account": "main", "id": "b1", "position": 1, "at": AT, "actor": "mia", "mode": "bulk", "digest": "d1"},
    "order_event": {"account": "main", "order_id": "U0", "id": "b1", "batch_id": "b1", "kind": "rejected", "at": AT},
    "mail": {"account": "main", "id": "b1.1", "batch_id": "b1", "state": "sent", "next_attempt_at": AT,
             "created_at": AT, "updated_at": AT},
    "mail_order": {"account": "main", "mail_id": "b1.1", "order_id": "U0"},
}  # fmt: skip


_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'waiting_store' AND wait_event_type = 'Lock'"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """A database without a single table."""
    if request.param == "sqlite":
        yield str(tmp_path / "old.db")
        return
    server = request.getfixturevalue("postgres_server")
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE old_store")
        yield server.format(database="old_store")
        admin.execute("DROP DATABASE old_store WITH (FORCE)")


def make_store(url, revision):
    """The store as a program of that revision made it."""
    address = parse_address(url)
    if address.path is not None:
        schema._make_private_file(address.path)
    with schema._alone(address) as connection:
        schema._migrate(connection, revision)


def run_sql(url, *statements):
    """Run statements with their values; gives the rows of the last one."""
    postgres = "://" in url
    found = SimpleNamespace(rows=[])
    with closing(psycopg.connect(url) if postgres else sqlite3.connect(url)) as connection:
        for sql, values in statements:
            cursor = connection.execute(sql.replace("?", "%s") if postgres else sql, values)
            found.rows = cursor.fetchall() if cursor.description else []
        connection.commit()
    return found.rows


def inserted(table, row):
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' for _ in row)})", list(row.values())


def read_all(url, columns):
    """Every row of the tables, in the columns given; instants as text of one form."""
    return {
        table: [
            tuple(value.isoformat() if hasattr(value, "isoformat") else value for value in row)
            for row in run_sql(url, (f"SELECT {', '.join(names)} FROM {table} ORDER BY 1, 2", []))
        ]
        for table, names in columns.items()
    }


def test_the_first_revision_is_upgraded_with_its_data(empty_url, tmp_path):
    make_store(empty_url, REVISIONS[0])
    run_sql(empty_url, *(inserted(table, row) for table, row in FIRST_DATA.items()))
    columns = {table: list(row) for table, row in FIRST_DATA.items()}
    before = read_all(empty_url, columns)
    cli = Cli(empty_url, tmp_path / "home")
    ran = cli("search")
    assert (ran.code, "orderctl store upgrade" in ran.err) == (1, True)

    ran = cli("store", "upgrade")
    assert (ran.code, f"from {REVISIONS[0]} to {CURRENT}" in " ".join(ran.err.split())) == (0, True)
    assert read_all(empty_url, columns) == before
    assert cli("search", "tag:late").lines == ["U1"]
    kept = cli("reject", "U1", "--save-plan", "--format", "json").json["saved"]["id"]
    assert cli("plan", "run", kept, "--yes", "--format", "json").json["rejected"] == 1
    ran = cli("store", "upgrade")
    assert (ran.code, f"is of revision {CURRENT}" in " ".join(ran.err.split())) == (0, True)


def test_texts_are_folded_anew_without_accents_on_rejected_orders_too(empty_url, tmp_path):
    make_store(empty_url, "0005")
    order = FIRST_DATA["orders"] | {"id": "U1", "note": "Lumière", "folded": "u1\n\nlumière"}
    rejected = order | {"id": "U2", "status": "rejected", "rejected_at": AT, "batch_id": "b1"}
    kana = order | {"id": "U3", "note": "ガ", "folded": "u3\n\nガ"}
    buyer = FIRST_DATA["buyer"] | {"name": "Été", "name_folded": "été"}
    run_sql(empty_url, inserted("buyer", buyer), *(inserted("orders", row) for row in (order, rejected, kana)))
    cli = Cli(empty_url, tmp_path / "home")

    assert cli("store", "upgrade").code == 0
    assert sorted(cli("search", "LUMIERE").lines) == ["U1", "U2"]
    assert sorted(cli("search", "buyer:ete*").lines) == ["U1", "U2", "U3"]
    assert (cli("search", "ガ").lines, cli("search", "カ").lines) == (["U3"], [])
    assert "triggers there and on" in cli("store", "check").out
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.IntegrityConstraintViolation)):
        run_sql(empty_url, ("UPDATE orders SET note = 'x' WHERE id = ?", ["U2"]))


@pytest.mark.parametrize("code", ["", "dropped"])
def test_lines_have_digests_from_the_upgrade_on_and_earlier_batches_stay_as_they_are(empty_url, tmp_path, code):
    make_store(empty_url, "0010")
    at = datetime.fromisoformat(AT)
    batch = replace(BATCH, at=at)
    event = replace(EVENT, order_id="U2", at=at, reason_code=code)
    leaves = digest_batch(batch, [event]).leaves
    row = asdict(batch) | {"digest": digest_of_before(batch, [event]), "leaves": leaves, "account": "main", "at": AT}
    row |= {"mail_per_order": 0, "request_key": None}
    later = ("salt", "texts_digest", "actor_login", "events_digest", "mails_digest", "mail_leaves")
    row = {name: value for name, value in row.items() if name not in later}
    later = ("lines_digest", "actor_login")
    logged = {name: value for name, value in asdict(event).items() if name not in later} | {"account": "main"}
    rejected = FIRST_DATA["orders"] | {"id": "U2", "status": "rejected", "rejected_at": AT, "batch_id": batch.id}
    run_sql(
        empty_url,
        inserted("buyer", FIRST_DATA["buyer"]),
        inserted("orders", FIRST_DATA["orders"]),
        inserted("order_line", FIRST_DATA["order_line"]),
        inserted("orders", FIRST_DATA["orders"] | {"account": "other", "buyer_id": None}),
        inserted("order_event", logged | {"at": AT}),
        inserted("batch", row),
        inserted("orders", rejected),
    )
    cli = Cli(empty_url, tmp_path / "home")

    assert cli("store", "upgrade").code == 0
    digests = run_sql(empty_url, ("SELECT account, id, lines_digest FROM orders ORDER BY 1, 2", []))
    assert digests == [
        ("main", "U1", order_digest("U1", ("EUR", 12_050, 5), [(1, "AB-12", "", "", "", 5, 24)])),
        ("main", "U2", ""),
        ("other", "U1", order_digest("U1", ("EUR", 12_050, 5), [])),
    ]
    ran = cli("log", "verify")
    unknown = "no digest covers the lines of 1 order, which an earlier version rejected"
    assert (ran.code, ran.lines[:2]) == (0, ["as written: 1 batch and 1 event of them", unknown])
    assert cli("reject", "U1", "--yes").code == 0
    assert cli("log", "verify").code == 0
    tamper(empty_url, "UPDATE order_line SET quantity = 6")
    ran = cli("log", "verify", "--format", "json")
    assert [(each.get("order_id"), each.get("unknown_lines")) for each in ran.json] == [("U1", None), (None, 1)]


def test_lines_of_before_quantities_had_decimals_keep_their_digest(empty_url, tmp_path):
    make_store(empty_url, "0013")
    line = (1, "AB-12", "", "", "", 5, 24)
    order = FIRST_DATA["orders"] | {"lines_digest": lines_digest("U1", [line]), "total": 120}
    tables = ("buyer", "order_line")
    run_sql(empty_url, inserted("orders", order | {"buyer_id": None}), *(inserted(t, FIRST_DATA[t]) for t in tables))
    cli = Cli(empty_url, tmp_path / "home")

    assert cli("store", "upgrade").code == 0
    assert cli("show", "U1", "--format", "json").json["order"]["lines"][0]["quantity"] == 5
    file = tmp_path / "o.csv"
    file.write_text(
        "id,status,ordered,currency,total,sku,line_quantity,unit_price\n"
        "U1,needs-oc,2026-03-01T08:00:00Z,EUR,1.20,AB-12,5,0.24\n"
    )
    assert "1 unchanged" in cli("import", str(file)).out
    assert cli("reject", "U1", "--yes").code == 0
    assert cli("log", "verify").code == 0
    tamper(empty_url, "UPDATE order_line SET quantity_decimals = 2")
    assert cli("log", "verify").code != 0


def test_totals_have_digests_from_the_upgrade_on_and_earlier_batches_stay_as_they_are(empty_url, tmp_path):
    make_store(empty_url, "0018")
    at = datetime.fromisoformat(AT)
    line = (1, "AB-12", "", "", "", 5, 24)
    batch, digest = replace(BATCH, at=at, mails=1), lines_digest("U2", [])
    event = replace(EVENT, order_id="U2", at=at, lines_digest=digest)
    leaves = digest_batch(batch, [event]).leaves
    row = asdict(batch) | {"digest": digest_of_before(batch, [event]), "leaves": leaves, "account": "main", "at": AT}
    later = ("salt", "texts_digest", "actor_login", "events_digest", "mails_digest", "mail_leaves")
    row = {name: value for name, value in row.items() if name not in later}
    logged = {name: value for name, value in asdict(event).items() if name != "actor_login"} | {"account": "main"}
    rejected = {"id": "U2", "status": "rejected", "rejected_at": AT, "batch_id": batch.id, "lines_digest": digest}
    run_sql(
        empty_url,
        inserted("buyer", FIRST_DATA["buyer"]),
        inserted("orders", FIRST_DATA["orders"] | rejected),
        inserted("orders", FIRST_DATA["orders"] | {"lines_digest": lines_digest("U1", [line])}),
        inserted("order_line", FIRST_DATA["order_line"]),
        inserted("order_event", logged | {"at": AT}),
        inserted("mail", FIRST_DATA["mail"] | {"buyer_id": "acme", "recipient": "a@b.example"}),
        inserted("batch", row | {"mail_per_order": 0, "request_key": None}),
    )
    cli = Cli(empty_url, tmp_path / "home")

    assert cli("store", "upgrade").code == 0
    ran = cli("log", "verify")
    assert (ran.code, "no digest covers 1 mail, which an earlier version queued" in ran.lines) == (0, True)
    assert cli("reject", "U1", "--yes").code == 0
    tamper(empty_url, "UPDATE orders SET total = total + 1")
    ran = cli("log", "verify", "--format", "json")
    assert [each["order_id"] for each in ran.json[:-1]] == ["U1"]


_UNREACHABLE = "the mail server mx.example:25 cannot be reached: Connection refused"
_IMPORT = "import of 春 {1}.csv"
# What revision 0011 kept, and how a Japanese operator read it; the last two fit no template.
TOLD_BEFORE = {
    _UNREACHABLE: "メールサーバーmx.example:25に接続できません: 接続が拒まれました",
    f"given up after 12 attempts: {_UNREACHABLE}": (
        "12回試みた後に断念しました: メールサーバーmx.example:25に接続できません: 接続が拒まれました"
    ),
    "given up after 12 attempts: RCPT: 450 later": "12回試みた後に断念しました: RCPT: 450 later",
    "the mail server mx.example:25 refused the login of mia (535)": (
        "メールサーバーmx.example:25はmiaのログインを拒みました(535)"
    ),
    "written to /mails/new/1.x": "/mails/new/1.xに書き込みました",
    "cancelled by an operator": "担当者が取り消しました",
    "RCPT: 550 no such user": "RCPT: 550 no such user",
    "{odd}": "{odd}",
}
SENT = 4


def test_what_is_known_of_mails_and_imports_reads_as_before_in_each_language(empty_url, tmp_path):
    make_store(empty_url, "0011")
    mail = FIRST_DATA["mail"]
    rejected = FIRST_DATA["orders"] | {"status": "rejected", "rejected_at": AT}
    event = {"account": "main", "order_id": "U1", "at": AT, "to_status": "rejected", "kind": "imported-as-rejected"}
    run_sql(
        empty_url,
        inserted("buyer", FIRST_DATA["buyer"]),
        inserted("orders", rejected),
        inserted("batch", FIRST_DATA["batch"]),
        *(inserted("order_event", event | {"id": f"e{each}", "detail": each}) for each in (_IMPORT, "by hand")),
        inserted("order_event", event | {"id": "e", "kind": "tagged", "detail": _IMPORT}),
        *(
            inserted(
                "mail", mail | {"id": f"b1.{at}", "last_error": each, "state": "sent" if at == SENT else "refused"}
            )
            for at, each in enumerate(TOLD_BEFORE)
        ),
    )
    cli, japanese = Cli(empty_url, tmp_path / "home"), Cli(empty_url, tmp_path / "home", LANG="ja_JP.UTF-8")

    assert cli("store", "upgrade").code == 0
    for one in (cli, japanese):
        shown = one("mail", "list", "--format", "json").json
        assert [each["last_error"] for each in sorted(shown, key=lambda each: each["id"])] == list(TOLD_BEFORE)
        details = [each["detail"] for each in one("show", "U1", "--format", "json").json["events"]]
        assert sorted(details) == ["by hand", _IMPORT, _IMPORT]
        assert [each for each in TOLD_BEFORE if each not in one("mail", "list").out] == [list(TOLD_BEFORE)[SENT]]
    for at, (text, told) in enumerate(TOLD_BEFORE.items()):
        for one, words in ((cli, text), (japanese, told)):
            assert "".join(words.split()) in "".join(one("mail", "show", f"b1.{at}").out.split())
    ran = japanese("show", "U1")
    assert ("春 {1}.csvからの取り込み" in ran.out, "by hand" in ran.out, _IMPORT in ran.out) == (True, True, True)
    exported = [json.loads(line) for line in japanese("log", "export").out.splitlines()]
    assert sorted(each["detail"] for each in exported if each.get("kind") == event["kind"]) == ["by hand", _IMPORT]
    assert _IMPORT in japanese("log", "show", "U1").out
    stored = dict(run_sql(empty_url, ("SELECT id, last_error FROM mail", [])))
    assert json.loads(stored["b1.3"]) == {
        "code": "login-refused",
        "values": {"host": "mx.example", "port": "25", "user": "mia", "code": "535"},
    }
    assert "triggers there and on" in cli("store", "check").out
    for change in ("UPDATE mail SET last_error = ''", "UPDATE order_event SET detail = ''"):
        with pytest.raises((sqlite3.IntegrityError, psycopg.errors.IntegrityConstraintViolation)):
            run_sql(empty_url, (change, []))


def test_orders_of_an_older_store_have_no_time_until_a_source_speaks_of_them(empty_url, tmp_path):
    make_store(empty_url, "0011")
    order = FIRST_DATA["orders"]
    rejected = order | {"id": "U2", "status": "rejected", "rejected_at": AT, "batch_id": "b1"}
    run_sql(empty_url, inserted("buyer", FIRST_DATA["buyer"]), inserted("orders", order), inserted("orders", rejected))
    cli = Cli(empty_url, tmp_path / "home")

    assert cli("store", "upgrade").code == 0
    assert sorted(cli("search", "seen:none", "gone:none", "source:none").lines) == ["U1", "U2"]
    assert cli("show", "U1", "--format", "json").json["order"]["seen_at"] is None
    assert cli("reconcile").code == 0
    assert cli("reject", "U1", "--dry-run").code == 0
    assert cli("reject", "U1", "--dry-run", "--max-age", "366d").code == 3
    path = tmp_path / "orders.csv"
    path.write_text("id,status,ordered,currency,total\nU1,needs-oc,2026-01-01,EUR,1\nU2,needs-oc,2026-01-01,EUR,1\n")
    assert cli("import", str(path), "--complete", "--format", "json").json["against_us"] == {"open-there": ["U2"]}
    assert cli("reconcile").lines == ["U2"]
    assert cli("reject", "U1", "--yes", "--max-age", "1h", "--format", "json").json["rejected"] == 1
    assert "triggers there and on" in cli("store", "check").out


def test_an_order_whose_version_could_not_go_up_can_be_rejected_after_the_upgrade(empty_url, tmp_path):
    make_store(empty_url, REVISIONS[0])
    last = {**FIRST_DATA["orders"], "version": 2**31 - 1}
    run_sql(empty_url, inserted("buyer", FIRST_DATA["buyer"]), inserted("orders", last))
    cli = Cli(empty_url, tmp_path / "home")
    assert cli("store", "upgrade").code == 0
    assert cli("reject", "U1", "--yes", "--format", "json").json["rejected"] == 1


def at_once(cli, *call):
    """Four processes with one call at the same time: how each ended, and what it said."""
    running = [cli.start(*call) for _ in range(4)]
    return [(each.communicate(timeout=120), each.returncode) for each in running]


@contextmanager
def locked(url):
    """Another program has the orders, until the block ends."""
    postgres = "://" in url
    with closing(psycopg.connect(url) if postgres else sqlite3.connect(url, isolation_level=None)) as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE" if postgres else "BEGIN IMMEDIATE")
        yield
        other.rollback()


def test_of_upgrades_at_once_one_upgrades_and_the_others_find_it_done(empty_url, tmp_path):
    make_store(empty_url, REVISIONS[0])
    run_sql(empty_url, *(inserted(table, row) for table, row in FIRST_DATA.items()))
    cli = Cli(empty_url, tmp_path / "home")
    ended = at_once(cli, "store", "upgrade")
    assert [(code, out) for (out, _), code in ended] == [(0, "")] * 4, ended
    said = sorted(" ".join(err.splitlines()[-1:]) for (_, err), _ in ended)
    current = f"the store is of revision {CURRENT}"
    assert said == [current, current, current, f"upgraded the store from {REVISIONS[0]} to {CURRENT}"]
    assert cli("search").lines == ["U1"]
    assert "triggers there and on" in cli("store", "check", "--quick").out
    if "://" not in empty_url:
        (copy,) = tmp_path.glob("old.db.before-*")
        assert schema.revision_of(parse_address(str(copy))) == REVISIONS[0]


def test_upgrades_wait_for_the_one_that_waits_for_somebody_else(postgres_server, tmp_path):
    url = postgres_server.format(database="waiting_store")
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE waiting_store")
        make_store(url, REVISIONS[0])
        with locked(url):
            running = [Cli(url, tmp_path / "home").start("store", "upgrade") for _ in range(3)]
            while admin.execute(_WAITING).fetchone() != (3,):
                assert all(each.poll() is None for each in running)
                admin.execute("SELECT pg_sleep(0.05)")
        ended = [(each.communicate(timeout=120), each.returncode) for each in running]
        assert [code for _, code in ended] == [0, 0, 0], ended
        assert schema.revision_of(parse_address(url)) == CURRENT
        admin.execute("DROP DATABASE waiting_store WITH (FORCE)")


def test_of_stores_made_at_once_in_one_place_one_is_made(empty_url, tmp_path):
    cli = Cli(empty_url, tmp_path / "home")
    ended = at_once(cli, "store", "init")
    assert [code for _, code in ended] == [0] * 4, ended
    assert sum("made the store" in err for (_, err), _ in ended) == 1
    assert cli("search").code == 0


def test_a_store_that_another_program_has_locked_is_not_upgraded(empty_url, tmp_path, forks):
    make_store(empty_url, REVISIONS[0])
    cli = Cli(empty_url, tmp_path / "home")
    with locked(empty_url):
        ran = forks("store", "upgrade", environ=cli.environ, lock_s=0.3)
        assert (ran.code, ran.out) == (7, "")
        assert len(ran.err.splitlines()) == 2
        assert " locked by another program" in ran.err
        assert "\nhint: try again when the other run has ended" in ran.err
        assert schema.revision_of(parse_address(empty_url)) == REVISIONS[0]
    assert list(tmp_path.glob("old.db.before-*")) == []
    assert cli("store", "upgrade").code == 0


@pytest.mark.parametrize(("at", "code", "words"), [(b"mail_event", 7, "cannot be reached"), (b"COMMIT\0", 8, "commit")])
def test_an_upgrade_whose_connection_is_cut_can_be_run_again(postgres_server, tmp_path, at, code, words):
    url = postgres_server.format(database="cut_store")
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE cut_store")
        make_store(url, REVISIONS[0])
        with proxied(url, Cut(at=at, after=b"orderctl_version SET", how="answer")) as through:
            ran = Cli(through, tmp_path / "home")("store", "upgrade")
        assert (ran.code, words in ran.err, "Traceback" in ran.err) == (code, True, False), ran
        cli = Cli(url, tmp_path / "home")
        assert (cli("store", "upgrade").code, cli("search").code) == (0, 0)
        admin.execute("DROP DATABASE cut_store WITH (FORCE)")


def test_what_was_logged_before_there_were_acts_is_covered_by_the_first_one(empty_url, tmp_path):
    make_store(empty_url, "0017")
    order = FIRST_DATA["orders"]
    events = {"account": "main", "order_id": "U1", "actor": "mia", "at": AT}
    run_sql(
        empty_url,
        inserted("buyer", FIRST_DATA["buyer"]),
        inserted("orders", order),
        inserted("orders", order | {"account": "other", "buyer_id": None}),
        inserted("order_event", events | {"id": "e1", "kind": "tagged", "detail": "late"}),
        inserted("order_event", events | {"id": "e2", "kind": "archived"}),
    )
    cli = Cli(empty_url, tmp_path / "home")
    assert cli("store", "upgrade").code == 0
    assert cli("tag", "early", "U1").code == 0
    assert run_sql(empty_url, ("SELECT account, position, kind, number FROM act ORDER BY 1, 2", [])) == [
        ("main", 1, "earlier", 2),
        ("main", 2, "tagged", 1),
    ]
    ran = cli("log", "verify")
    said = "2 records are from before acts were recorded; one digest covers all of them"
    assert (ran.code, said in ran.lines) == (0, True)
    for statement, rows in (
        ("UPDATE order_event SET detail = 'later' WHERE id = 'e1'", 2),
        ("DELETE FROM order_event WHERE id = 'e2'", 1),
    ):
        tamper(empty_url, statement)
        ran = cli("log", "verify")
        named = f"act 1 (earlier): what was logged before it, 2 rows, is not as it was then: {rows} rows"
        assert (ran.code, ran.lines[0]) == (1, named)
