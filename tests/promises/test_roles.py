"""The least-privilege roles of docs/postgresql-roles.sql on a real server: what each may do, and what none can."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from orderctl.orders.orders import Status
from support.bounces import report
from support.by_hand import write_batch
from support.cli import Cli, maildir_cli
from support.factories import make_order, put_all
from support.project import ROOT
from support.rejection import ids, reject
from support.smtp_server import read
from support.stores import open_store
from support.systems import CountingShop

SCRIPT = ROOT / "docs" / "postgresql-roles.sql"
ROLES = ("operator", "mailer", "auditor")
REFUSED = psycopg.errors.InsufficientPrivilege


def as_role(url, role):
    return url.replace("postgres@", f"test_{role}@")


@pytest.fixture
def url(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        for _ in range(2):
            owner.execute(SCRIPT.read_text())
        for role in ROLES:
            if not owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [f"test_{role}"]).fetchone():
                owner.execute(f"CREATE ROLE test_{role} LOGIN IN ROLE orderctl_{role}")
        if not owner.execute("SELECT 1 FROM pg_roles WHERE rolname = 'test_second'").fetchone():
            owner.execute("CREATE ROLE test_second LOGIN IN ROLE orderctl_operator")
        for role in (*ROLES, "second"):
            owner.execute(
                "INSERT INTO member (account, login, number, action, at) VALUES ('main', %s, 1, 'add', now())",
                [f"test_{role}"],
            )
    with open_store(postgres_url) as store:
        put_all(store, [make_order("R1"), make_order("R2"), make_order("R3", status=Status.OC_CONFIRMED)])
        reject(store, ids("R1"), notify=True)
    return postgres_url


@pytest.fixture
def run(url, tmp_path):
    """Run the program as one of the roles."""

    def call(role, *args, stdin=""):
        return maildir_cli(as_role(url, role), tmp_path)(*args, stdin=stdin)

    return call


def test_an_operator_can_do_the_whole_job(run, url, tmp_path):
    orders = tmp_path / "orders.jsonl"
    orders.write_text(
        '{"id": "N1", "buyer_id": "acme", "buyer_name": "Acme",'
        ' "status": "needs-oc", "ordered": "2026-01-02", "currency": "EUR",'
        ' "total": "10.00", "quantity": 1}\n'
    )
    for args in (
        ["import", str(orders)],
        ["select", "status:needs-oc"],
        ["filter", "save", "mine", "status:needs-oc"],
        ["reject", "--reason", "dropped", "--notify", "--yes"],
        ["tag", "late", "R1"],
        ["untag", "late", "R1"],
        ["archive", "R1"],
        ["mail", "send"],
        ["mail", "list"],
        ["log", "verify"],
        ["store", "check"],
        ["filter", "delete", "mine"],
        ["select", "--clear"],
    ):
        ran = run("operator", *args)
        assert ran.code == 0, (args, ran.err)
    assert sorted(run("auditor", "search", "status:rejected", "(archived:yes or archived:no)").lines) == [
        "N1", "R1", "R2"
    ]  # fmt: skip


def test_a_mail_worker_sends_and_nothing_else(run, tmp_path):
    ran = run("mailer", "mail", "send")
    assert (ran.code, len(list((tmp_path / "mails" / "new").iterdir()))) == (0, 1)
    ran = run("mailer", "reject", "R2", "--yes")
    assert (ran.code, "may not do this" in ran.err) == (7, True)
    assert run("auditor", "search", "status:rejected").lines == ["R1"]


def test_an_operator_queues_the_checkpoint_for_an_auditor_and_a_mail_worker_sends_it(url, tmp_path):
    operator = Cli(as_role(url, "operator"), tmp_path / "home", ORDERCTL_CHECKPOINT_AUDITOR="audit@brand.example")
    ran = operator("reject", "R2", "--yes", "--notify")
    assert (ran.code, "mail is not set up" in ran.err) == (2, True)
    assert operator("reject", "R2", "--yes").code == 0
    assert maildir_cli(as_role(url, "mailer"), tmp_path)("mail", "send").code == 0
    sent = [read(path.read_bytes()) for path in (tmp_path / "mails" / "new").iterdir()]
    assert "audit@brand.example" in [message["To"] for message in sent]
    assert operator("log", "verify").code == 0


def test_an_auditor_reads_everything(run, tmp_path):
    for args in (
        ["search"],
        ["show", "R1"],
        ["log"],
        ["log", "R1"],
        ["log", "verify"],
        ["mail", "list"],
        ["reject", "R2", "--dry-run"],
        ["export", "R1", "-o", str(tmp_path / "x.csv")],
        ["store", "check"],
        ["filter", "list"],
    ):
        ran = run("auditor", *args)
        assert ran.code == 0, (args, ran.err)
    for args in (["reject", "R2", "--yes"], ["tag", "late", "R2"], ["mail", "send"], ["select", "id:R2"]):
        ran = run("auditor", *args)
        assert (ran.code, "may not do this" in ran.err) == (7, True), (args, ran.err)


TABLES = ("buyer", "orders", "order_line", "order_tag", "order_source", "selection_item", "saved_filter", "batch",
          "order_event", "mail", "mail_order", "mail_event", "batch_verdict", "batch_origin", "policy", "batch_begun",
          "member", "act", "erasure", "heartbeat", "writeback", "writeback_event", "orderctl_version")  # fmt: skip
EVERYONE = [
    *(f"TRUNCATE {table} CASCADE" for table in TABLES),
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in TABLES),
    *(f"DROP TABLE {table} CASCADE" for table in TABLES),
    "UPDATE order_event SET actor = 'x'",
    "DELETE FROM order_event",
    "INSERT INTO policy (account, position, at, rules) VALUES ('main', 1, now(), '{}')",
    "UPDATE policy SET rules = '{}'",
    "DELETE FROM policy",
    "INSERT INTO erasure (account, position, at, buyer_id) VALUES ('main', 1, now(), 'acme')",
    "UPDATE erasure SET buyer_id = 'x'",
    "DELETE FROM erasure",
    "DELETE FROM batch_begun",
    "UPDATE act SET actor = 'x'",
    "DELETE FROM act",
    "UPDATE batch SET reason = 'x'",
    "UPDATE batch SET mails_digest = ''",
    "UPDATE mail SET salt = ''",
    "UPDATE mail SET digest = 'x'",
    "UPDATE mail_event SET salt = ''",
    "DELETE FROM batch",
    "DELETE FROM orders",
    "DELETE FROM mail",
    "DELETE FROM mail_order",
    "DELETE FROM order_source",
    "UPDATE batch_verdict SET code = 'x'",
    "DELETE FROM batch_origin",
    "UPDATE orders SET id = 'R9' WHERE id = 'R2'",
    "UPDATE orders SET account = 'other'",
    "UPDATE buyer SET id = 'x'",
    "UPDATE order_line SET quantity = 9",
    "UPDATE order_tag SET tag = 'x'",
    "UPDATE selection_item SET actor = 'x'",
    "UPDATE saved_filter SET name = 'x'",
    "UPDATE order_source SET order_id = 'x'",
    "INSERT INTO member (account, login, number, action, at) VALUES ('other', session_user, 1, 'add', now())",
    "UPDATE member SET account = 'other'",
    "DELETE FROM member",
    "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
    "DROP POLICY of_members ON orders",
    "CREATE POLICY mine ON orders USING (true)",
    "UPDATE mail_order SET order_id = 'R2'",
    "UPDATE orderctl_version SET version_num = '0'",
    "DROP TRIGGER orders_final_update ON orders",
    "DROP FUNCTION orderctl_refuse CASCADE",
    "CREATE OR REPLACE FUNCTION orderctl_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "CREATE TABLE mine (id int)",
    "CREATE TEMP TABLE orders (id int)",
    "CREATE SCHEMA mine",
    "SET session_replication_role = replica",
    "SET ROLE postgres",
    "GRANT orderctl_operator TO test_auditor",
    "ALTER ROLE test_auditor SUPERUSER",
    "COPY orders TO PROGRAM 'true'",
]
WRITES = [
    "UPDATE orders SET status = 'rejected', rejected_at = ordered_at WHERE id = 'R2'",
    "UPDATE orders SET version = version",
    "INSERT INTO order_event (account, order_id, id, at) VALUES ('main', 'R2', 'x', now())",
    "INSERT INTO batch (account, id, position, at, mode) VALUES ('main', 'x', 9, now(), 'bulk')",
    "INSERT INTO act (account, position, at, kind, login) VALUES ('main', 1, now(), 'x', session_user)",
    "INSERT INTO mail SELECT * FROM mail",
    "INSERT INTO batch_verdict (account, batch_id, order_id, verdict) VALUES ('main', 'x', 'x', 'unknown')",
    "INSERT INTO order_tag (account, order_id, tag) VALUES ('main', 'R2', 'x')",
    "DELETE FROM order_line",
    "UPDATE order_source SET source = 'x'",
    "INSERT INTO selection_item (account, actor, name, order_id, added_at) VALUES ('main', 'x', 'x', 'R2', now())",
]
MAILER = [*WRITES, "UPDATE mail SET recipient = 'thief@x.example'", "UPDATE mail SET batch_id = 'x'"]
AUDITOR = [
    *WRITES,
    "UPDATE mail SET state = 'sent'",
    "UPDATE mail SET recipient = 'thief@x.example'",
    "SELECT * FROM orders FOR UPDATE",
]
ATTEMPTS = [
    (role, statement)
    for role, more in (("operator", []), ("mailer", MAILER), ("auditor", AUDITOR))
    for statement in [*EVERYONE, *more]
]


def refused(connection, statement):
    try:
        connection.execute(statement)
    except REFUSED:
        return True
    return False


def test_nobody_breaks_out(url):
    for role, statement in ATTEMPTS:
        with psycopg.connect(as_role(url, role), autocommit=True) as connection:
            assert refused(connection, statement), f"{role} could: {statement}"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders SET status = 'needs-oc', rejected_at = NULL, batch_id = NULL WHERE id = 'R1'",
        "UPDATE orders SET season = 'x' WHERE id = 'R1'",
        "DELETE FROM order_line WHERE order_id = 'R1'",
        "INSERT INTO orders SELECT * FROM orders ON CONFLICT (account, id) DO UPDATE SET note = 'x'",
    ],
)
def test_an_operator_cannot_take_a_rejection_back(url, statement):
    with psycopg.connect(as_role(url, "operator"), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.IntegrityError, match="a rejected order is final"):
            connection.execute(statement)
        connection.execute("UPDATE orders SET note = 'x' WHERE id = 'R2'")


def test_an_operator_queues_no_words_of_their_own(url):
    mine = (
        "INSERT INTO mail (account, id, buyer_id, recipient, state, next_attempt_at, created_at, updated_at, text)"
        " SELECT 'main', 'x.1', id, email, 'waiting', now(), now(), now(), 'ours' FROM buyer LIMIT 1"
    )
    with psycopg.connect(as_role(url, "operator"), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.IntegrityError, match="queued with its batch, and to the address"):
            connection.execute(mine)
        connection.execute(mine.replace("'ours'", "NULL"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE mail SET state = 'waiting'",
        "UPDATE mail SET text = 'another'",
        "UPDATE mail SET last_error = ''",
    ],
)
@pytest.mark.parametrize("role", ["mailer", "operator"])
def test_nobody_lets_a_sent_mail_be_sent_again(run, url, role, statement):
    assert run("mailer", "mail", "send").code == 0
    with psycopg.connect(as_role(url, role), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.IntegrityError, match="a sent one is final"):
            connection.execute(statement)
        assert connection.execute("SELECT state FROM mail").fetchall() == [("sent",)]


def test_a_mail_gets_another_address_only_by_an_operator_and_its_log(run, url):
    with psycopg.connect(as_role(url, "operator"), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.IntegrityError, match="only as logged in mail_event"):
            connection.execute("UPDATE mail SET recipient = 'thief@x.example'")
        [(mail_id,)] = connection.execute("SELECT id FROM mail").fetchall()
    assert run("operator", "mail", "retry", mail_id, "--to", "new@buyer.example").code == 0
    event = run("auditor", "mail", "show", mail_id, "--format", "json").json["events"][-1]
    assert (event["to_recipient"], event["actor"]) == ("new@buyer.example", "mia")


def test_only_an_operator_says_that_a_mail_came_back(run, url, tmp_path):
    assert run("mailer", "mail", "send").code == 0
    for name in ("new", "cur"):
        (tmp_path / "reports" / name).mkdir(parents=True)
    with psycopg.connect(as_role(url, "auditor"), autocommit=True) as connection:
        [(message_id, to)] = connection.execute("SELECT message_id, recipient FROM mail").fetchall()
    (tmp_path / "reports" / "new" / "1").write_bytes(report("postfix", message_id, to))
    refused = run("mailer", "mail", "bounces", str(tmp_path / "reports"))
    assert (refused.code, "may not do this" in refused.err) == (7, True)
    assert run("operator", "mail", "bounces", str(tmp_path / "reports")).code == 5
    assert run("auditor", "mail", "list", "--state", "bounced", "--format", "ids").code == 0


def test_a_mail_worker_cannot_do_what_an_operator_does(run, url):
    with psycopg.connect(as_role(url, "mailer"), autocommit=True) as worker:
        for state in ("claimed", "sending", "unknown"):
            worker.execute(f"UPDATE mail SET state = '{state}'")
        # It may not read the log that the guard looks into, either.
        with pytest.raises(REFUSED):
            worker.execute("UPDATE mail SET state = 'waiting'")
    assert run("operator", "mail", "retry", "--state", "unknown", "--yes").code == 0


@pytest.fixture
def unknown(url, tmp_path):
    """A shop that can be asked, and write-backs of unknown fate: it cancelled X and knows Y as open."""
    shop = CountingShop(tmp_path, "guarded")
    shop.open(["X", "Y"])
    header = "id,status,ordered,currency,total\n"
    (tmp_path / "orders.csv").write_text(header + "".join(f"{each},needs-oc,2026-01-01,EUR,1\n" for each in "XY"))
    cli = maildir_cli(as_role(url, "operator"), tmp_path, ORDERCTL_CONFIG=str(shop.config))
    assert cli("import", str(tmp_path / "orders.csv"), "--source", "shop").code == 0
    with open_store(url) as store:
        assert reject(store, ids("X", "Y"), systems={"shop": "id"}).writebacks == 2
    with psycopg.connect(as_role(url, "mailer"), autocommit=True) as worker:
        for state in ("claimed", "sending", "unknown"):
            worker.execute(f"UPDATE writeback SET state = '{state}'")
    shop.cancel("X")
    return shop


def test_a_mail_worker_asks_a_system_what_became_of_a_write_back(url, unknown, tmp_path):
    worker = maildir_cli(as_role(url, "mailer"), tmp_path, ORDERCTL_CONFIG=str(unknown.config))
    assert worker("writeback", "send").code == 0
    assert unknown.told() == {"X": 1, "Y": 1}
    auditor = maildir_cli(as_role(url, "auditor"), tmp_path)
    listed = auditor("writeback", "list", "--format", "json").json
    assert {each["order_id"]: each["state"] for each in listed} == {"X": "sent", "Y": "sent"}
    (event,) = auditor("writeback", "show", listed[0]["id"], "--format", "json").json["events"]
    assert event["action"] in {"asked: cancelled", "asked: open"}
    assert auditor("log", "verify").code == 0
    assert auditor("store", "check").code == 0


LOGGED = (
    "INSERT INTO writeback_event (account, writeback_id, id, action, from_state, to_state, reason, actor, at)"
    " SELECT account, id, 'e', '{}', '{}', '{}', '{}', 'mia', now() FROM writeback LIMIT 1"
)
ACT = (
    "INSERT INTO act (account, position, at, actor, login, kind, subject, detail, number, content, previous, digest)"
    " SELECT 'main', coalesce(max(position), 0) + 1, now(), 'mia', session_user, '{}', 'e', '{}', 1, '',"
    " coalesce((SELECT max(digest) FROM act), ''), 'x' FROM act WHERE account = 'main'"
)


@pytest.mark.parametrize(
    "statement",
    [
        LOGGED.format("settle as sent", "unknown", "sent", ""),
        LOGGED.format("asked: cancelled", "unknown", "waiting", ""),
        LOGGED.format("asked: cancelled", "unknown", "cancelled", ""),
        LOGGED.format("asked: open", "refused", "waiting", ""),
        LOGGED.format("asked: open", "unknown", "waiting", "words"),
        ACT.format("tag", ""),
        ACT.format("writeback-settle as sent", ""),
        ACT.format("writeback-asked: open", "words"),
        "UPDATE writeback SET state = 'waiting'",
        "UPDATE writeback SET state = 'cancelled'",
        "UPDATE writeback_event SET actor = 'x'",
        "UPDATE act SET actor = 'x'",
        "SELECT detail FROM act",
        "DELETE FROM act",
        "UPDATE writeback SET order_id = 'R1'",
    ],
)
def test_a_mail_worker_logs_nothing_but_what_a_system_said(url, unknown, statement):
    guarded = statement.startswith("UPDATE writeback SET state")
    with (
        psycopg.connect(as_role(url, "mailer"), autocommit=True) as worker,
        pytest.raises(psycopg.errors.IntegrityError if guarded else REFUSED),
    ):
        worker.execute(statement)


@pytest.mark.parametrize(
    "batch", ["NULL", "'x'", "(SELECT max(id) FROM batch)"], ids=["no batch", "none that is there", "of another order"]
)
def test_an_operator_rejects_by_a_batch_alone(url, batch):
    reject_it = f"UPDATE orders SET status = 'rejected', rejected_at = ordered_at, batch_id = {batch} WHERE id = 'R2'"
    with (
        psycopg.connect(as_role(url, "operator"), autocommit=True) as connection,
        pytest.raises(psycopg.errors.IntegrityError, match="an order becomes rejected by a batch alone"),
    ):
        connection.execute(reject_it)


def test_an_operator_imports_and_rejects_at_the_source(run, tmp_path):
    orders = tmp_path / "orders.csv"
    row = "rejected,2026-01-02,EUR,1"
    orders.write_text(f"id,status,ordered,currency,total\nR2,{row}\nR3,{row}\nN1,{row}\n")
    assert run("operator", "import", str(orders), "--format", "json").json["rejected_at_source"] == ["R2", "R3"]
    assert run("operator", "import", str(orders), "--reject-at-source", "--yes").code == 0
    assert sorted(run("auditor", "search", "status:rejected").lines) == ["N1", "R1", "R2"]
    assert run("auditor", "log", "verify").code == 0


def test_a_table_that_stands_before_ours_fools_no_guard(url):
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE TEMP TABLE orders (LIKE public.orders)")
        with pytest.raises(psycopg.errors.IntegrityError, match="a rejected order is final"):
            owner.execute("DELETE FROM order_line WHERE order_id = 'R1'")


def test_nobody_else_reads_anything(url):
    with psycopg.connect(url, autocommit=True) as owner:
        if not owner.execute("SELECT 1 FROM pg_roles WHERE rolname = 'test_stranger'").fetchone():
            owner.execute("CREATE ROLE test_stranger LOGIN")
    for table in TABLES:
        with psycopg.connect(as_role(url, "stranger"), autocommit=True) as connection, pytest.raises(REFUSED):
            connection.execute(f"SELECT * FROM {table}")


def test_an_operator_approves_and_runs_a_saved_plan_and_cannot_make_it_another(run, url, second):
    saved = run("operator", "reject", "R2", "--save-plan", "--format", "json").json["saved"]["id"]
    with psycopg.connect(as_role(url, "operator"), autocommit=True) as operator:
        for sql in (
            "UPDATE plan SET plan = '{}'",
            "UPDATE plan SET author = 'ana', digest = ''",
            "UPDATE plan SET second_operator = 0",
            "UPDATE plan SET state = 'approved', approver = 'bob', approver_login = session_user",
            "UPDATE plan SET expires_at = now() + interval '1 year'",
            "UPDATE plan SET state = 'executed', closed_at = now()",
            "DELETE FROM plan",
            "UPDATE plan_order SET was_total = 0",
            "DELETE FROM plan_order",
        ):
            with pytest.raises(REFUSED):
                operator.execute(sql)
    for role in ("mailer", "auditor"):
        assert run(role, "plan", "approve", saved).code == 7
    assert run("auditor", "plan", "show", saved, "--format", "json").json["author"] == "mia (db: test_operator)"
    assert second("plan", "approve", saved).code == 0
    assert run("operator", "plan", "run", saved, "--yes", "--format", "json").json["rejected"] == 1


def reject_by_hand(connection, *orders, **wrong):
    with connection.transaction():
        write_batch(connection, orders, **wrong)


@pytest.fixture
def operator(url):
    with psycopg.connect(as_role(url, "operator"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def owned(url, tmp_path):
    """The program as the owner of the store runs it."""
    return Cli(url, tmp_path / "owner")


@pytest.fixture
def second(url, tmp_path):
    """The program as another operator runs it, with another login."""
    return Cli(as_role(url, "second"), tmp_path / "second", ORDERCTL_ACTOR="bob")


def test_an_act_names_the_login_that_wrote_it(run, operator):
    assert run("operator", "tag", "late", "R2").code == 0
    acts = operator.execute("SELECT position, actor, login, kind FROM act").fetchall()
    assert [(position, login, kind) for position, _, login, kind in acts] == [(1, "test_operator", "tagged")]
    with pytest.raises(psycopg.errors.IntegrityError, match="an act names the login that wrote it, and not another"):
        operator.execute(
            "INSERT INTO act (account, position, at, kind, login, previous)"
            " SELECT account, 2, now(), 'x', 'postgres', digest FROM act"
        )


def test_an_operator_sets_no_looser_policy(run, owned, operator):
    assert owned("policy", "set", "--max-orders", "1").code == 0
    ran = run("operator", "policy", "set", "--max-orders", "100")
    assert (ran.code, "may not do this" in ran.err) == (7, True)
    assert run("operator", "policy", "show").lines == ["max_orders\t1"]
    with pytest.raises(REFUSED):
        operator.execute("INSERT INTO policy SELECT account, 2, at, actor, '', '{}', '', '' FROM policy")


def test_an_operator_writes_no_batch_over_the_limit(url, owned, operator):
    with open_store(url) as store:
        put_all(store, [make_order("R4")])
    assert owned("policy", "set", "--max-orders", "1").code == 0
    with pytest.raises(psycopg.errors.IntegrityError, match="the policy of the store allows fewer orders a batch"):
        reject_by_hand(operator, "R2", "R4")
    reject_by_hand(operator, "R4")


def test_an_operator_approves_no_plan_of_their_own(run, owned, operator):
    assert owned("policy", "set", "--second-operator-above-orders", "0").code == 0
    saved = run("operator", "reject", "R2", "--save-plan", "--format", "json").json["saved"]["id"]
    ran = run("operator", "plan", "approve", saved)
    assert (ran.code, "one operator cannot be both" in ran.err) == (3, True)
    with pytest.raises(REFUSED):
        operator.execute("UPDATE plan SET state = 'approved', approver = 'bob', approver_login = 'bob'")
    for batch in ("hand", saved):
        with pytest.raises(psycopg.errors.IntegrityError, match="wants the approval of another operator"):
            reject_by_hand(operator, "R2", batch=batch)


def test_an_operator_marks_no_confirmed_order(operator):
    with pytest.raises(psycopg.errors.IntegrityError, match="by the rules of the mode of its batch"):
        reject_by_hand(operator, "R3")


def test_the_approval_of_another_login_suffices(run, owned, second):
    assert owned("policy", "set", "--second-operator-above-orders", "0").code == 0
    saved = run("operator", "reject", "R2", "--save-plan", "--format", "json").json["saved"]["id"]
    assert second("plan", "approve", saved).code == 0
    assert run("operator", "plan", "run", saved, "--yes", "--format", "json").json["rejected"] == 1


def test_an_approval_is_worth_nothing_for_other_orders(run, url, owned, second, operator):
    with open_store(url) as store:
        put_all(store, [make_order("R4")])
    assert owned("policy", "set", "--second-operator-above-orders", "0").code == 0
    saved = run("operator", "reject", "R2", "--save-plan", "--format", "json").json["saved"]["id"]
    assert second("plan", "approve", saved).code == 0
    with pytest.raises(psycopg.errors.IntegrityError, match="wants the approval of another operator"):
        reject_by_hand(operator, "R2", "R4", batch=saved)
    reject_by_hand(operator, "R2", **of_plan(saved))


def of_plan(saved):
    """What the batch of a plan says that `second` approved and an operator ran."""
    approver = "bob (db: test_second) (plan approve; run by mia (db: test_operator), by hand)"
    return {"batch": saved, "approver": approver}


HOUR = timedelta(hours=1)
HAND_MADE = {
    "another login": ({"actor_login": "ceo"}, "a batch names the login that made it"),
    "no login": ({"actor_login": ""}, "a batch names the login that made it"),
    "another approver": ({"approver": "bob (db: bob) (plan approve)"}, "a batch names who approved it"),
    "an approver without a login": ({"approver": "mia (--yes)"}, "a batch names who approved it"),
    "another time": ({"at": datetime.now(UTC) - HOUR}, "of the time at which it is written"),
    "a time to come": ({"at": datetime.now(UTC) + HOUR}, "of the time at which it is written"),
    "more orders": ({"rejected": 3, "planned": 3}, "a batch counts its own orders"),
    "fewer orders": ({"rejected": 1}, "a batch counts its own orders"),
    "fewer planned than rejected": ({"planned": 1}, "a batch counts its own orders"),
    "mails that nobody queued": ({"mails": 1}, "a batch counts its own orders"),
    "no batch before it": ({"previous": ""}, "a batch names the digest of the batch before it"),
    "another batch before it": ({"previous": "0" * 64}, "a batch names the digest of the batch before it"),
    "events of another actor": ({"event": {"actor": "ceo"}}, "the events of a batch are of its orders, its actor"),
    "events of another kind": ({"event": {"kind": "tagged"}}, "the events of a batch are of its orders, its actor"),
    "events of another time": ({"event": {"at": datetime.now(UTC) - HOUR}}, "of the time at which it is written"),
    "events with other lines": ({"event": {"lines_digest": "x"}}, "the events of a batch are of its orders"),
    "an event of another batch": ({"event": {"batch_id": "other"}}, "an order becomes rejected by a batch alone"),
    "another digest": ({"digest": {"digest": "0" * 64}}, "the digest of a batch is that of its fields"),
    "no digest": ({"digest": {"digest": ""}}, "the digest of a batch is that of its fields"),
    "the digest of an earlier version": ({"digest": {"events_digest": ""}}, "the digest of a batch is that of"),
    "a reason after its digest": ({"digest": {"reason": "another"}}, "the digest of a batch is that of its fields"),
}


@pytest.mark.parametrize(("wrong", "said"), HAND_MADE.values(), ids=HAND_MADE)
def test_an_operator_makes_no_batch_by_hand_that_is_not_whole(run, url, operator, wrong, said):
    with open_store(url) as store:
        put_all(store, [make_order("R4")])
    with pytest.raises(psycopg.errors.IntegrityError, match=said):
        reject_by_hand(operator, "R2", "R4", **wrong)
    assert run("auditor", "search", "status:rejected").lines == ["R1"]
    assert run("auditor", "log", "verify").code == 0


def test_a_batch_without_its_orders_is_refused(operator):
    with pytest.raises(psycopg.errors.IntegrityError, match="a batch counts its own orders"):
        reject_by_hand(operator, "R9", rejected=1, planned=1)


def test_a_whole_batch_by_hand_names_the_login_whatever_the_actor_calls_itself(run, operator):
    reject_by_hand(operator, "R2", actor="ceo", reason='Größe "M" \\ \n\t\x7f 🧵 縫')
    assert run("auditor", "log", "verify").code == 0
    ran = run("auditor", "log", "hand")
    assert "ceo (db: test_operator)" in ran.out


def test_nothing_is_added_to_a_batch_that_is_there(operator):
    (batch,) = operator.execute("SELECT id FROM batch").fetchone()
    for columns, values in (("batch_id", f"'{batch}'"), ("detail", "''")):
        with pytest.raises(psycopg.errors.IntegrityError, match="append-only"):
            operator.execute(
                f"INSERT INTO order_event (account, order_id, id, kind, at, {columns})"
                f" VALUES ('main', 'R2', '{batch}', 'rejected', now(), {values})"
            )


def test_a_batch_has_no_events_of_orders_that_it_does_not_reject(operator):
    with pytest.raises(psycopg.errors.IntegrityError, match="an order becomes rejected by a batch alone"):
        reject_by_hand(operator, "R2", event={"order_id": "R3"})
    operator.execute("BEGIN")
    operator.execute(
        "INSERT INTO order_event (account, order_id, id, batch_id, at) VALUES ('main', 'R3', 'x', 'hand', now())"
    )
    with pytest.raises(psycopg.errors.IntegrityError, match="a batch counts its own orders"):
        write_batch(operator, ["R2"])
    operator.execute("ROLLBACK")


def test_the_database_writes_down_who_did_what_and_when(run, operator):
    assert run("operator", "tag", "late", "R2").code == 0
    found = operator.execute("SELECT actor_login FROM order_event WHERE kind = 'tagged'").fetchall()
    assert found == [("test_operator",)]
    assert "(db: test_operator)" in run("operator", "show", "R2").out
    columns = (
        "INSERT INTO order_event (account, order_id, id, kind, actor, {}) VALUES ('main', 'R2', 'x', 'tagged', 'x', {})"
    )
    with pytest.raises(REFUSED):
        operator.execute(columns.format("at, actor_login", "now(), 'ceo'"))
    with pytest.raises(psycopg.errors.IntegrityError, match="of the time at which it is written"):
        operator.execute(columns.format("at", "now() - interval '1 hour'"))
    with pytest.raises(REFUSED):
        operator.execute(
            "INSERT INTO mail_event (account, mail_id, id, action, from_state, to_state, actor, at, actor_login)"
            " VALUES ('main', 'x', 'x', 'retry', 'sent', 'waiting', 'x', now(), 'ceo')"
        )
    with pytest.raises(psycopg.errors.IntegrityError, match="of the time at which it is written"):
        operator.execute(
            "INSERT INTO mail_event (account, mail_id, id, action, from_state, to_state, actor, at)"
            " VALUES ('main', 'x', 'x', 'retry', 'sent', 'waiting', 'x', now() - interval '1 hour')"
        )


PLAN = "SELECT id, digest, state, expires_at, made_at FROM plan"
BEGUN = (
    "INSERT INTO plan (account, id, made_at, author, author_login, expires_at, state, {columns})"
    " VALUES ('main', 'x', {made}, 'mia', session_user, now() + interval '1 day', {state}, {values})"
)


def step(connection, function, *values):
    marks = ", ".join(["%s"] * (len(values) + 1))
    return connection.execute(f"SELECT orderctl_{function}_plan({marks})", ["main", *values]).fetchone()[0]


@pytest.fixture
def saved(run, url):
    """A saved plan of `mia`."""
    assert run("operator", "reject", "R2", "--save-plan").code == 0
    with psycopg.connect(url) as owner:
        return owner.execute(PLAN).fetchone()


@pytest.mark.parametrize("approver", ["bob", "mia"])
def test_an_operator_approves_no_own_plan_through_the_function_of_the_owner(operator, saved, approver):
    plan_id, digest, _, expires, _ = saved
    with pytest.raises(psycopg.errors.IntegrityError, match="an approval is that of another operator"):
        step(operator, "approve", plan_id, digest, approver, datetime.now(UTC), "", None, expires, "x")


WRONG_STEPS = {
    "an approval at another time": lambda s: (
        "approve",
        s[0],
        s[1],
        "bob",
        datetime.now(UTC) - HOUR,
        "",
        None,
        s[3],
        "x",
    ),
    "a longer life": lambda s: ("approve", s[0], s[1], "bob", datetime.now(UTC), "", None, s[3] + HOUR, "x"),
    "an execution without a batch": lambda s: ("close", s[0], s[1], "executed", datetime.now(UTC), "bob", "x"),
    "a way back": lambda s: ("close", s[0], s[1], "saved", datetime.now(UTC), "bob", "x"),
    "a cancellation at another time": lambda s: ("close", s[0], s[1], "cancelled", datetime.now(UTC) - HOUR, "b", "x"),
}


@pytest.mark.parametrize("wrong", WRONG_STEPS.values(), ids=WRONG_STEPS)
def test_the_functions_of_the_owner_take_a_plan_no_other_way(url, saved, wrong):
    with (
        psycopg.connect(as_role(url, "second"), autocommit=True) as other,
        pytest.raises(psycopg.errors.IntegrityError, match="a plan does not go this way from state to state"),
    ):
        step(other, *wrong(saved))


def test_a_cancelled_plan_stays_cancelled(run, url, saved):
    assert run("operator", "plan", "cancel", saved[0]).code == 0
    with psycopg.connect(as_role(url, "second"), autocommit=True) as other:
        plan_id, digest, _, expires, _ = other.execute(PLAN).fetchone()
        with pytest.raises(psycopg.errors.IntegrityError, match="a plan does not go this way"):
            step(other, "approve", plan_id, digest, "bob", datetime.now(UTC), "", None, expires, "x")


@pytest.mark.parametrize("role", ["mailer", "auditor", "stranger"])
def test_nobody_else_calls_the_functions_of_the_owner(url, saved, role):
    test_nobody_else_reads_anything(url)  # makes the stranger
    with psycopg.connect(as_role(url, role), autocommit=True) as connection:
        for call in (("lock", saved[0]), ("close", saved[0], saved[1], "cancelled", datetime.now(UTC), "x", "x")):
            with pytest.raises(REFUSED):
                step(connection, *call)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"state": "'approved'", "columns": "approver, approver_login", "values": "'bob', session_user"},
            "go this way",
        ),
        ({"state": "'held'", "columns": "approver, approver_login", "values": "'bob', 'bob'"}, "names the login"),
        ({"state": "'saved'", "columns": "closed_at", "values": "now()"}, "go this way"),
        ({"made": "now() - interval '1 hour'"}, "of the time at which it is written"),
    ],
    ids=["approved at once", "held by another", "closed at once", "made at another time"],
)
def test_a_plan_by_hand_begins_as_the_program_begins_it(operator, given, said):
    values = {"state": "'saved'", "columns": "how", "values": "''", "made": "now()", **given}
    with pytest.raises(psycopg.errors.IntegrityError, match=said):
        operator.execute(BEGUN.format(**values))


def test_the_batch_of_a_saved_plan_by_hand_names_who_made_approved_and_ran_it(run, second, operator, saved):
    assert second("plan", "approve", saved[0]).code == 0
    for wrong in (
        {"approver": "carl (db: carl) (plan approve; run by mia (db: test_operator), --yes)"},
        {"approver": "bob (db: test_second) (plan approve; run by ceo (db: ceo), --yes)"},
    ):
        with pytest.raises(psycopg.errors.IntegrityError, match="a batch names who approved it"):
            reject_by_hand(operator, "R2", **of_plan(saved[0]) | wrong)
    with pytest.raises(psycopg.errors.IntegrityError, match="a batch names the login that made it"):
        reject_by_hand(operator, "R2", **of_plan(saved[0]), actor="ceo")
    reject_by_hand(operator, "R2", **of_plan(saved[0]))
    assert run("auditor", "log", "verify").code == 0


# Every way in which a caller can ask for looser limits: none of them reaches the store.
LOOSER = {
    "ORDERCTL_MAX_ORDERS": "100000",
    "ORDERCTL_REQUIRE_SECOND_OPERATOR": "false",
    "ORDERCTL_SECOND_OPERATOR_ABOVE_ORDERS": "100000",
    "ORDERCTL_ACTOR": "bob",
}
LIMITS = "require_second_operator = false\nsecond_operator_above_orders = 100000\nmax_orders = 100000\n"
SETTINGS = f"[profile.loose]\naccount = 'main'\n{LIMITS}"


@pytest.mark.parametrize("way", ["variables", "settings", "profile", "flags"])
def test_no_setting_of_the_caller_loosens_what_the_store_holds(url, owned, tmp_path, way):
    for rule in (["--max-orders", "1"], ["--second-operator-above-orders", "0"]):
        assert owned("policy", "set", *rule).code == 0
    cli = Cli(as_role(url, "operator"), tmp_path / way, **(LOOSER if way == "variables" else {}))
    path = Path(cli("config", "path").out.strip())
    path.parent.mkdir(parents=True, exist_ok=True)
    if way in ("settings", "profile"):
        path.write_text(SETTINGS if way == "profile" else f'default_profile = "loose"\n{SETTINGS}')
    options = ["--profile", "loose"] if way == "profile" else []
    flags = ["--max-orders", "100000"] if way == "flags" else []
    assert cli(*options, "reject", "R2", "--yes", *flags).code == 3
    assert cli(*options, "reject", "R3", "--yes", *flags).code == 3
    saved = cli(*options, "reject", "R2", "--save-plan", "--format", "json").json["saved"]["id"]
    assert cli(*options, "plan", "approve", saved).code == 3
    assert cli(*options, "plan", "run", saved, "--yes").code == 3
    assert cli(*options, "search", "status:rejected").lines == ["R1"]
