"""Accounts on PostgreSQL: a login sees and changes those that it is a member of, with the program and past it."""

import json
from contextlib import contextmanager
from email import message_from_bytes
from itertools import count

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.database import schema
from orderctl.database.address import parse_address
from orderctl.database.store import REVISIONS
from orderctl.settings import OPTIONS
from support.cli import Cli, maildir_cli
from support.factories import make_order, put_all
from support.project import ROOT
from support.rejection import ids, reject
from support.stores import open_store, tamper

SCRIPT = ROOT / "docs" / "postgresql-roles.sql"
ROLES = {"members_owner": "LOGIN", "members_mia": "LOGIN IN ROLE orderctl_operator",
         "members_eve": "LOGIN IN ROLE orderctl_operator", "members_worker": "LOGIN IN ROLE orderctl_mailer",
         "members_audit": "LOGIN IN ROLE orderctl_auditor"}  # fmt: skip
_numbers = count(1)


def as_login(url, login):
    return url.replace("postgres@", f"members_{login}@")


@contextmanager
def a_database(server, template="template1"):
    """A database whose owner is no superuser."""
    name = f"members_{next(_numbers)}"
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER members_owner TEMPLATE {template} STRATEGY file_copy")
        yield name
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def server(postgres_server):
    """A server with the logins."""
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as admin:
        known = {row[0] for row in admin.execute("SELECT rolname FROM pg_roles").fetchall()}
        for group in ("operator", "mailer", "auditor"):
            if f"orderctl_{group}" not in known:
                admin.execute(f"CREATE ROLE orderctl_{group} NOLOGIN")
        for role, kind in ROLES.items():
            admin.execute(f"CREATE ROLE {role} {kind}")
    return postgres_server


@pytest.fixture
def database(server):
    """An empty database."""
    with a_database(server) as name:
        url = server.format(database=name)
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("ALTER SCHEMA public OWNER TO members_owner")
        yield url


def runs(url, folder):
    """Run the program as one of the logins, on an account."""

    def call(login, *args, account="main", **environ):
        environ = {"ORDERCTL_ACCOUNT": account, **environ}
        return maildir_cli(as_login(url, login), folder / login, **environ)(*args)

    return call


@pytest.fixture(scope="session")
def two_brands(server, tmp_path_factory):
    """Two brands, `main` of mia and `rival` of eve, each with an open order and one that is rejected, with its mail."""
    with a_database(server) as name:
        url = server.format(database=name)
        run = runs(url, tmp_path_factory.mktemp("two_brands"))
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("ALTER SCHEMA public OWNER TO members_owner")
            assert run("owner", "store", "init").code == 0
            admin.execute(SCRIPT.read_text())
        for login, account in (("mia", "main"), ("eve", "rival"), ("worker", "main"), ("audit", "main")):
            assert run("owner", "member", "add", f"members_{login}", account=account).code == 0
        for account in ("main", "rival"):
            # The triggers run as the owner, and see what the login of the session may see: a superuser is a member too.
            assert run("owner", "member", "add", "postgres", account=account).code == 0
            with open_store(url, account) as store:
                put_all(store, [make_order(f"{account}-1"), make_order(f"{account}-2")])
                reject(store, ids(f"{account}-1"), notify=True)
        yield name


@pytest.fixture
def url(server, two_brands):
    with a_database(server, two_brands) as name:
        yield server.format(database=name)


@pytest.fixture
def run(request, tmp_path):
    return runs(request.getfixturevalue("database" if "database" in request.fixturenames else "url"), tmp_path)


@pytest.fixture
def mia(url):
    with psycopg.connect(as_login(url, "mia"), autocommit=True) as connection:
        yield connection


def tables(connection):
    found = connection.execute(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'account' ORDER BY 1"
    )
    return [name for (name,) in found]


def test_no_table_shows_a_login_another_account(url, mia):
    with psycopg.connect(url) as admin:
        protected = admin.execute(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND (relforcerowsecurity OR relname = 'member')"
        ).fetchall()
        assert sorted(name for (name,) in protected) == tables(admin)
        filled = {table for table in tables(admin) if admin.execute(f"SELECT FROM {table}").rowcount}
    assert filled >= {"buyer", "orders", "batch", "order_event", "mail", "mail_order", "member"}
    for table in tables(mia):
        assert mia.execute(f"SELECT DISTINCT account FROM {table}").fetchall() in ([], [("main",)]), table
    assert mia.execute("SELECT DISTINCT login FROM member").fetchall() == [("members_mia",)]


ANOTHER_ACCOUNT = [
    "INSERT INTO buyer (account, id) VALUES ('rival', 'x')",
    (
        "INSERT INTO orders (account, id, status, ordered_at, currency, total, quantity)"
        " VALUES ('rival', 'x', 'needs-oc', now(), 'EUR', 1, 1)"
    ),
    (
        "INSERT INTO orders (account, id, status, ordered_at, currency, total, quantity)"
        " VALUES ('rival', 'rival-2', 'needs-oc', now(), 'EUR', 1, 1)"
        " ON CONFLICT (account, id) DO UPDATE SET note = 'x'"
    ),
    "INSERT INTO order_line (account, order_id, number, quantity, unit_price) VALUES ('rival', 'rival-2', 99, 1, 1)",
    "INSERT INTO order_tag (account, order_id, tag) VALUES ('rival', 'rival-2', 'x')",
    "INSERT INTO order_event (account, order_id, id, kind, at) VALUES ('rival', 'rival-2', 'x', 'x', now())",
    "INSERT INTO saved_filter (account, name, saved_at) VALUES ('rival', 'x', now())",
    "INSERT INTO batch (account, id, position, at, mode) VALUES ('rival', 'x', 1, now(), 'bulk')",
    "INSERT INTO batch_verdict (account, batch_id, order_id, verdict) VALUES ('rival', 'x', 'x', 'unknown')",
    "INSERT INTO batch_begun (account, id) VALUES ('rival', 'x')",
    (
        "INSERT INTO mail (account, id, state, next_attempt_at, created_at, updated_at)"
        " VALUES ('rival', 'x', 'waiting', now(), now(), now())"
    ),
    "INSERT INTO mail_order (account, mail_id, order_id) VALUES ('rival', 'x', 'rival-2')",
    (
        "INSERT INTO plan (account, id, made_at, author_login, expires_at, state)"
        " VALUES ('rival', 'x', now(), session_user, now(), 'saved')"
    ),
    "COPY orders FROM STDIN",
]


@pytest.mark.parametrize("statement", ANOTHER_ACCOUNT)
def test_psql_writes_nothing_into_another_account(mia, statement):
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)):
        mia.execute(statement)


def test_psql_changes_nothing_of_another_account(url, mia):
    for statement in ("UPDATE orders SET note = 'x'", "UPDATE buyer SET email = 'x'", "DELETE FROM order_line"):
        mia.execute(f"{statement} WHERE account <> 'main'")
        mia.execute(f"{statement} WHERE account = 'rival'")
    with psycopg.connect(url) as admin:
        assert admin.execute("SELECT note FROM orders WHERE account = 'rival' AND note = 'x'").fetchall() == []
        assert admin.execute("SELECT FROM order_line WHERE account = 'rival'").rowcount > 0


def test_no_view_and_no_function_of_the_owner_shows_another_account(url, mia):
    with psycopg.connect(as_login(url, "owner"), autocommit=True) as owner:
        owner.execute("CREATE VIEW every_order AS SELECT * FROM orders")
        owner.execute(
            "CREATE FUNCTION every_account() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER"
            " AS 'SELECT DISTINCT account FROM orders'"
        )
        owner.execute("GRANT SELECT ON every_order TO orderctl_operator")
        assert owner.execute("SELECT DISTINCT account FROM orders").fetchall() == [("main",)]
    assert mia.execute("SELECT DISTINCT account FROM every_order").fetchall() == [("main",)]
    assert mia.execute("SELECT every_account()").fetchall() == [("main",)]
    # A function of one's own, cheap and chatty, sees no row before the policy does.
    notices = []
    mia.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "CREATE FUNCTION tell(text) RETURNS bool COST 0.0001 LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
        )
    mia.execute("SELECT id FROM orders WHERE tell(id)")
    assert sorted(notices) == ["main-1", "main-2"]


COMMANDS = [
    ("search",),
    ("show", "rival-2"),
    ("reject", "rival-2", "--yes"),
    ("reject", "--filter", "id:rival-2", "--dry-run"),
    ("import", "{orders}"),
    ("tag", "late", "rival-2"),
    ("export", "--all", "-o", "{made}.csv"),
    ("stats",),
    ("mail", "list"),
    ("mail", "send"),
    ("plan", "list"),
    ("log",),
    ("log", "verify"),
    ("log", "checkpoint"),
    ("policy", "show"),
    ("filter", "list"),
]


def test_no_setting_shows_another_account(url, run, tmp_path):
    """Neither the variable nor a profile nor the file: every command ends with 7 and says what to do."""
    files = {"orders": tmp_path / "orders.csv", "made": tmp_path / "made"}
    files["orders"].write_text("id,status,ordered,currency,total\nN1,needs-oc,2026-01-02,EUR,1\n")
    store = as_login(url, "mia")
    config = tmp_path / "config.toml"
    config.write_text(f'default_profile = "rival"\n[profile.rival]\nstore = "{store}"\naccount = "rival"\n')
    named = maildir_cli(store, tmp_path / "named", ORDERCTL_CONFIG=str(config))
    for command in COMMANDS:
        args = [each.format(**files) for each in command]
        ends = [run("mia", *args, account="rival"), named(*args), named("--profile", "rival", *args)]
        for ended in ends:
            assert (ended.code, ended.out) == (7, ""), (args, ended)
            assert "the login 'members_mia' is no member of the account 'rival'" in ended.err, args
            assert "its owner adds it: orderctl member add members_mia" in ended.err
    checked = run("mia", "store", "check", account="rival")
    assert (checked.code, "is no member of the account" in checked.out) == (1, True)
    with psycopg.connect(url) as admin:
        assert admin.execute("SELECT count(*) FROM orders WHERE account = 'rival'").fetchone() == (2,)


RECIPIENTS = [
    "UPDATE mail SET recipient = 'thief@x.example'",
    "UPDATE mail SET buyer_id = 'x'",
    (
        "INSERT INTO mail (account, id, batch_id, buyer_id, recipient, state, next_attempt_at, created_at, updated_at)"
        " SELECT account, id || 'x', {batch}, buyer_id, {recipient}, 'waiting', now(), now(), now() FROM mail"
    ),
]


@pytest.mark.parametrize(
    "statement",
    [
        RECIPIENTS[0],
        RECIPIENTS[1],
        RECIPIENTS[2].format(batch="'new'", recipient="'thief@x.example'"),
        RECIPIENTS[2].format(batch="batch_id", recipient="recipient"),
        RECIPIENTS[2].format(batch="'new'", recipient="''"),
    ],
    ids=["of a queued mail", "its buyer", "of a mail of one's own", "twice", "none"],
)
def test_psql_gives_no_mail_another_recipient(mia, statement):
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.IntegrityError)):
        mia.execute(statement)


def test_no_setting_gives_a_mail_another_recipient(url, run, tmp_path):
    """Whatever each variable says, a mail to a buyer is queued for the address of the buyer, and leaves to it.

    What an auditor gets, whoever that is, is a checkpoint of the log and nothing else.
    """
    texts = [option.variable for option in OPTIONS.values() if option.kind is str]
    with open_store(url) as store:
        put_all(store, [make_order(f"each-{number}") for number in range(len(texts))])
    # What takes a path would write there.
    thief = {name: f"{tmp_path}/" if "FILE" in name or "MAILDIR" in name else "" for name in texts}
    ends = [
        run(
            "mia",
            *("reject", f"each-{number}", "--yes", "--notify"),
            **{"ORDERCTL_ACTOR": "mia", name: f"{thief[name]}thief@x.example"},
        )
        for number, name in enumerate(texts)
    ]
    assert sum(ended.code == 0 for ended in ends) > 5, [(ended.code, ended.err) for ended in ends]
    with psycopg.connect(url) as admin:
        of_buyers = "SELECT DISTINCT recipient FROM mail WHERE account = 'main' AND buyer_id <> ''"
        queued = admin.execute(of_buyers).fetchall()
        assert queued == admin.execute("SELECT email FROM buyer WHERE account = 'main'").fetchall()
    for file in (tmp_path / "mia" / "mails" / "new").iterdir():
        mail = message_from_bytes(file.read_bytes())
        if mail["Subject"].startswith("orderctl checkpoint "):
            assert mail.get_payload(decode=True).startswith(b"orderctl/")
            continue
        assert (mail["To"], mail["Cc"], mail["Bcc"]) == (queued[0][0], None, None)


def test_the_roles_work_on_their_account(run, url):
    assert run("mia", "reject", "main-2", "--yes", "--notify").code == 0
    assert run("worker", "mail", "send").code == 0
    assert run("audit", "log", "verify").code == 0
    assert run("mia", "store", "check").code == 0
    assert sorted(run("owner", "search").lines) == ["main-1", "main-2"]


def test_the_owner_alone_keeps_the_members(url, run, mia):
    for args in (("add", "members_mia"), ("remove", "members_eve"), ("list",), ("history",)):
        ran = run("mia", "member", *args, account="rival")
        assert (ran.code, "its owner alone keeps the members" in ran.err) == (7, True), args
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        mia.execute("INSERT INTO member VALUES ('rival', 'members_mia', 1, 'add', now(), '', '')")
    with psycopg.connect(as_login(url, "owner"), autocommit=True) as owner:
        for statement in ("UPDATE member SET login = 'x'", "DELETE FROM member", "TRUNCATE member"):
            with pytest.raises(psycopg.errors.IntegrityError, match="append-only"):
                owner.execute(statement)


def test_who_was_a_member_is_kept(url, run):
    assert run("owner", "member", "add", "members_eve").code == 0
    assert sorted(run("eve", "search").lines) == ["main-1", "main-2"]
    assert "already" in run("owner", "member", "add", "members_eve").err
    assert run("owner", "member", "remove", "members_eve").code == 0
    assert run("eve", "search").code == 7
    assert run("owner", "member", "remove", "members_eve").code == 2
    acts = run("owner", "member", "history", "--format", "json").json
    told = [(each["login"], each["action"], each["actor"], each["actor_login"]) for each in acts]
    assert told[:2] == [
        ("members_eve", "remove", "mia", "members_owner"),
        ("members_eve", "add", "mia", "members_owner"),
    ]
    listed = [line.split("\t")[0] for line in run("owner", "member", "list").lines]
    assert listed == ["members_audit", "members_mia", "members_owner", "members_worker", "postgres"]
    unknown = run("owner", "member", "add", "members_nobody")
    assert (unknown.code, "the server knows no login" in unknown.err) == (2, True)


def test_an_act_tells_of_each_member_but_the_first(url, run, tmp_path):
    assert run("owner", "log", "verify").code == 0
    assert run("owner", "member", "add", "members_eve").code == 0
    kept = tmp_path / "kept"
    assert run("owner", "log", "checkpoint", "-o", str(kept)).code == 0
    acts = [json.loads(line) for line in run("owner", "log", "export").lines if '"record": "act"' in line]
    told = [(act["kind"], act["subject"]) for act in acts if act["kind"].startswith("member-")]
    logins = ("mia", "worker", "audit", "postgres", "eve")
    wanted = [("members_" + login).replace("members_postgres", "postgres") for login in logins]
    assert told == [("member-add", f"{login}/1") for login in wanted]
    for who in ("owner", "audit"):  # an auditor sees the acts, and of the members themselves alone
        assert run(who, "log", "verify", "--since", str(kept)).code == 0


INSERTED = (
    "INSERT INTO member SELECT account, login, 2, 'remove', now(), actor, actor_login FROM member"
    " WHERE login = 'members_eve' AND account = 'main'"
)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE member SET actor = 'bob' WHERE login = 'members_eve'", "is not as act 5 says"),
        ("DELETE FROM member WHERE login = 'members_eve'", "is gone: act 5 tells of it"),
        (INSERTED, "no act tells of it"),
    ],
)
def test_a_member_that_somebody_added_changed_or_removed_is_named(url, run, change, says):
    assert run("owner", "member", "add", "members_eve").code == 0
    tamper(url, change if "account" in change else f"{change} AND account = 'main'")
    found = [line for line in run("owner", "log", "verify").lines if line.startswith("membership ")]
    assert found == [f"membership members_eve/{2 if 'INSERT' in change else 1}: {says}"]


def test_an_owner_who_left_comes_back_first(url, run):
    assert run("owner", "member", "remove", "members_owner").code == 0
    ran = run("owner", "member", "add", "members_eve")
    assert (ran.code, "is no member any more, and no act could tell of this" in ran.err) == (2, True)
    assert "members_eve" not in run("owner", "member", "list").out
    assert run("owner", "member", "add", "members_owner").code == 0
    assert run("owner", "member", "add", "members_eve").code == 0
    assert run("owner", "log", "verify").code == 0


def test_the_owner_of_no_account_reads_nothing_by_mistake(url, run):
    ran = run("owner", "search", account="rival")
    assert (ran.code, "is no member of the account 'rival'" in ran.err) == (7, True)
    assert run("owner", "member", "list", account="rival").code == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["main", "rival"]), st.sampled_from(["add", "remove"])), max_size=6))
def test_a_login_sees_the_accounts_whose_last_act_added_it(url, acts):
    with psycopg.connect(url, autocommit=True) as admin, psycopg.connect(as_login(url, "eve")) as eve:
        expected = {"rival"}
        admin.execute("ALTER TABLE member DISABLE TRIGGER USER")
        admin.execute("DELETE FROM member WHERE login = 'members_eve' AND (number > 1 OR account <> 'rival')")
        for number, (account, action) in enumerate(acts, 2):
            admin.execute(
                "INSERT INTO member (account, login, number, action, at) VALUES (%s, 'members_eve', %s, %s, now())",
                [account, number, action],
            )
            expected = expected | {account} if action == "add" else expected - {account}
        seen = {account for (account,) in eve.execute("SELECT account FROM orders").fetchall()}
        assert seen == expected


def test_after_an_upgrade_the_owner_works_and_the_others_are_told(database, run):
    address = parse_address(as_login(database, "owner"))
    with schema._alone(address) as connection:
        schema._migrate(connection, "0017")
    with psycopg.connect(as_login(database, "owner"), autocommit=True) as owner:
        for account in ("main", "rival"):
            owner.execute("INSERT INTO buyer (account, id) VALUES (%s, 'acme')", [account])
    ran = run("owner", "store", "upgrade")
    assert (ran.code, "orderctl member add" in ran.err) == (0, True)
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(SCRIPT.read_text())
    for account in ("main", "rival"):
        assert run("owner", "search", account=account).code == 0
        ran = run("mia", "search", account=account)
        assert (ran.code, "orderctl member add members_mia" in ran.err) == (7, True)
    assert run("owner", "member", "add", "members_mia").code == 0
    assert run("mia", "search").code == 0
    assert run("mia", "search", account="rival").code == 7


def test_a_later_migration_changes_the_rows_of_every_account(url, monkeypatch):
    """Its owner is a member of `main` alone."""
    seen = []

    def later():
        with psycopg.connect(as_login(url, "owner")):
            seen.extend(connection.exec_driver_sql("SELECT DISTINCT account FROM orders ORDER BY 1").scalars())

    monkeypatch.setattr(schema, "REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setitem(schema.MIGRATIONS, "9999", later)
    with schema._alone(parse_address(as_login(url, "owner"))) as connection:
        schema._migrate(connection, "9999")
        assert list(connection.exec_driver_sql("SELECT DISTINCT account FROM orders").scalars()) == ["main"]
    assert seen == ["main", "rival"]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ALTER TABLE orders NO FORCE ROW LEVEL SECURITY", "row level security of orders is switched off"),
        ("ALTER TABLE mail DISABLE ROW LEVEL SECURITY", "row level security of mail is switched off"),
        ("DROP POLICY of_members ON batch", "row level security of batch is switched off"),
        ("CREATE POLICY more ON buyer USING (true)", "of_members on buyer was altered"),
        ("ALTER POLICY of_members ON mail USING (true)", "of_members on mail was altered"),
    ],
)
def test_a_check_of_the_store_finds_what_its_owner_switched_off(url, run, statement, says):
    with psycopg.connect(as_login(url, "owner"), autocommit=True) as owner:
        owner.execute(statement)
    ran = run("mia", "store", "check", "--quick")
    assert (ran.code, says in ran.out) == (1, True), ran.out


def test_a_file_has_no_logins(sqlite_url, tmp_path):
    ran = Cli(sqlite_url, tmp_path / "home")("member", "list")
    assert (ran.code, "a SQLite store has no logins" in ran.err) == (2, True)
