"""A caller's own key: a call that is made again gives the first run's result, on both engines, also two at once."""

import threading
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.audit.queries import list_batches, mails_by_batch
from orderctl.audit.service import verify_log
from orderctl.errors import UnexpectedPlanError, UsageError
from orderctl.orders.orders import Status
from orderctl.rejection.plan import KeyUsedError, RequestKey
from orderctl.rejection.service import first_run
from support.audit import found_in
from support.cli import Cli, maildir_cli
from support.factories import KUMO, make_order, put
from support.rejection import execute, ids, matching, plan_for, reject, statuses
from support.stores import REFUSALS, open_store, raw, tamper

NIGHT = RequestKey.of("NIGHT-2026-11-28", ids("K1", "K2"))


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put(store, make_order("K1"), make_order("K2", buyer=KUMO), make_order("K3", status=Status.OC_CONFIRMED))
        put(store, make_order("K4"))
    return maildir_cli(store_url, tmp_path)


CALL = ("reject", "K1", "K2", "K3", "--notify", "--yes", "--format", "json", "--key", "NIGHT-2026-11-28")


def open_orders(cli):
    return sorted(cli("search", "status:needs-oc").lines)


def test_a_call_made_again_gives_the_first_result_and_does_nothing(cli, tmp_path):
    first = cli(*CALL)
    assert (first.code, first.json["rejected"], first.json["mails"]["sent"]) == (0, 2, 2)
    mails = len(list((tmp_path / "mails/new").iterdir()))
    again = cli(*CALL)
    assert (again.code, again.out) == (0, first.out)
    assert f"the key was used by batch {first.json['batch']}" in again.err
    assert cli("reject", "K3", "K2", "K1", *CALL[4:]).json == first.json
    assert (len(list((tmp_path / "mails/new").iterdir())), open_orders(cli)) == (mails, ["K4"])
    dry = cli(*CALL, "--dry-run")
    assert (dry.code, "without --dry-run, nothing is rejected" in " ".join(dry.err.split())) == (3, True)
    shown = cli("log", first.json["batch"])
    assert [line.split() for line in shown.lines if line.startswith("Key")] == [["Key", "NIGHT-2026-11-28"]]
    assert cli("log", first.json["batch"], "--format", "json").json["request_key"] == "NIGHT-2026-11-28"
    assert cli("log", "verify").code == 0


@pytest.mark.parametrize(
    "other",
    [("reject", "K1", "K2", "K4"), ("reject", "K1", "K2"), ("reject", "--filter", "season:26SS")],
)
def test_the_key_with_other_orders_is_refused(cli, other):
    batch = cli(*CALL).json["batch"]
    ran = cli(*other, *CALL[4:])
    assert (ran.code, ran.out) == (3, "")
    assert f"the key NIGHT-2026-11-28 is that of batch {batch}, for other orders or options" in ran.err
    assert open_orders(cli) == ["K4"]


@pytest.mark.parametrize("option", ["--reason=late", "--message=Sorry", "--mail-per-order", "--except=K1"])
def test_the_key_with_other_options_is_refused(sqlite_url, tmp_path, option):
    with open_store(sqlite_url) as store:
        put(store, make_order("K1"), make_order("K2"))
    cli = Cli(sqlite_url, tmp_path / "home")
    call = ("reject", "K1", "K2", "--yes", "--key", "A")
    assert cli(*call).code == 0
    assert (cli(*call, "--max-orders", "5", "--quiet").code, cli(*call, option).code) == (0, 3)


def test_a_run_that_changed_nothing_leaves_the_key_to_the_next_one(cli):
    assert cli(*CALL, "--max-orders", "1").code == 3
    assert cli(*CALL).json["rejected"] == 2


def test_mails_that_the_first_run_left_are_sent_by_the_next(cli):
    usable = cli.environ["ORDERCTL_MAIL_MAILDIR"]
    cli.environ["ORDERCTL_MAIL_MAILDIR"] = "/dev/null/mails"
    first = cli(*CALL)
    assert (first.code, first.json["mails"]["sent"]) == (5, 0)
    assert cli(*CALL).code == 5
    cli.environ["ORDERCTL_MAIL_MAILDIR"] = usable
    again = cli(*CALL)
    assert (again.code, again.json["batch"], again.json["mails"]["sent"]) == (0, first.json["batch"], 2)
    del cli.environ["ORDERCTL_MAIL_TRANSPORT"]
    assert cli(*CALL).out == again.out


def test_a_saved_filter_and_a_selection_are_asked_for_again_by_their_names(cli):
    assert cli("filter", "save", "dropped", "id:K1").code == 0
    nightly = ("reject", "--saved", "dropped", "--yes", "--key", "A")
    assert (cli(*nightly).code, cli(*nightly).code) == (0, 0)
    assert cli("filter", "save", "dropped", "id:K1,K4", "--force").code == 0
    assert cli(*nightly).code == 3

    assert cli("select", "id:K2,K3").code == 0
    selected = ("reject", "--yes", "--key", "B", "--format", "json")
    first = cli(*selected)
    assert (first.json["rejected"], cli(*selected).out == first.out) == (1, True)
    assert cli("select", "--clear").code == 0
    assert cli(*selected).out == first.out
    assert cli("select", "id:K4").code == 0
    assert cli(*selected).code == 3
    assert open_orders(cli) == ["K4"]


@pytest.mark.parametrize("option", ["--pick", "--edit", "--save-plan", "--hold=15m", "--plan=abcdef"])
def test_a_key_is_for_calls_that_can_be_made_again_as_they_are(sqlite_url, tmp_path, option):
    ran = Cli(sqlite_url, tmp_path / "home")("reject", "--yes", "--key", "A", option)
    assert (ran.code, "--key" in ran.err, option.partition("=")[0] in ran.err) == (2, True, True)


@pytest.mark.parametrize("key", ["", "a b", "Ä", "a\n", "\x1b[0m", "x" * 201])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(UsageError, match="is no key"):
        RequestKey.of(key, ids("K1"))


def test_what_a_key_is_held_against_never_changes_whatever_later_versions_add():
    options = {"individual": False, "reason": "", "notify": None, "message": "", "mail_per_order": False}
    assert (
        RequestKey.of("A", ids("K2", "K1"), **options).digest
        == "cef6802d7435b6e3fed403d3f4e6e6b04a18a57d79d4b39beb71003bfa30e039"
    )
    assert (
        RequestKey.of("A", matching("season:26SS"), **options).digest
        == "460958fb612e5d6ab5af10dfb2e7db1725dfa7ca1ac4bcbca5ed5e9502934b32"
    )


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200))
def test_any_sign_of_ascii_may_be_in_a_key(key):
    assert RequestKey.of(key, ids("K1")).key == key


@pytest.mark.parametrize("others", [("T0", "T1", "T2"), ("T3", "T4")])
def test_of_two_at_once_under_one_key_one_rejects(store_url, others):
    with open_store(store_url) as store:
        put(store, *(make_order(f"T{number}") for number in range(5)))
        plans = [plan_for(store, ids("T0", "T1", "T2"), notify=True), plan_for(store, ids(*others), notify=True)]
    ended, barrier = [], threading.Barrier(2)

    def run(plan):
        with open_store(store_url) as own:
            barrier.wait()
            try:
                ended.append(execute(own, plan, NIGHT).batch_id)
            except KeyUsedError:
                ended.append(first_run(own, NIGHT, ids("K1")).batch_id)

    threads = [threading.Thread(target=run, args=[plan]) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == 2
    (batch_id,) = set(ended)
    with open_store(store_url) as store, store.snapshot() as connection:
        (batch,) = list_batches(connection, None)
        assert (batch.id, mails_by_batch(connection)) == (batch_id, {batch_id: 1})
    with open_store(store_url) as store:
        assert list(statuses(store).values()).count(Status.REJECTED) == batch.rejected


def test_two_processes_at_once_under_one_key_tell_of_one_batch(cli):
    running = [cli.start(*CALL) for _ in range(2)]
    told = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len(cli("log").lines) == 1
    assert cli(*CALL).json["batch"] in told[0]
    assert cli(*CALL).json["batch"] in told[1]


def test_the_database_itself_keeps_a_key_from_a_second_batch(store, store_url):
    put(store, make_order("K1"))
    execute(store, plan_for(store, ids("K1")), NIGHT)
    with closing(raw(store_url)) as connection:
        before = connection.execute("SELECT * FROM batch").fetchall()
        with pytest.raises(REFUSALS, match="append-only|ix_batch_account_request_key"):
            connection.execute(
                f"INSERT {'' if '://' in store_url else 'OR REPLACE'} INTO batch"
                " (account, id, position, at, mode, request_key)"
                " SELECT account, 'again', position + 1, at, mode, request_key FROM batch"
            )
        assert connection.execute("SELECT * FROM batch").fetchall() == before


def test_a_second_plan_under_a_key_does_not_run(store):
    put(store, make_order("K1"), make_order("K2"))
    first = execute(store, plan_for(store, ids("K1")), NIGHT)
    with pytest.raises(KeyUsedError):
        execute(store, plan_for(store, ids("K2")), NIGHT)
    assert reject(store, ids("K2")).rejected == 1
    again = first_run(store, NIGHT, ids("K1"))
    assert (again.batch_id, again.rejected, again.plan) == (first.batch_id, 1, first.plan)
    with pytest.raises(UnexpectedPlanError, match="for other orders"):
        first_run(store, replace(NIGHT, digest="another"), ids("K1"))


def test_a_key_belongs_to_what_the_log_proves(store, store_url):
    put(store, make_order("K1"), make_order("K2"))
    batch = execute(store, plan_for(store, ids("K1")), NIGHT).batch_id
    reject(store, ids("K2"))
    assert verify_log(store, report=print, progress=lambda *_: None).tampered == 0
    tamper(store_url, "UPDATE batch SET request_key = 'MORNING' WHERE request_key IS NOT NULL")
    assert found_in(store_url) == [f"batch {batch}: was edited: its digest does not match"]
