"""`reject --rehearse`: all of a rejection in its own transaction, taken back; what it says is what the run says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.orders.orders import Buyer, Status
from support.cli import Cli, maildir_cli
from support.factories import ACME, KUMO, MUTE, make_order, put, put_all
from support.stores import open_store, raw

# Its address reads well and cannot be written into a message, so that its mail is refused.
ODD = Buyer(id="odd", name="Odd", email="Ünsendable@acme.example", language="en")
TABLES = ("orders", "order_event", "batch", "mail", "mail_order", "mail_event", "plan", "selection_item", "order_tag")


@pytest.fixture
def cli(store_url, tmp_path):
    return maildir_cli(store_url, tmp_path)


def everything(url):
    """Every row of every table in which a rejection writes."""
    with raw(url) as connection:
        found = {table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}").fetchall())) for table in TABLES}
    connection.close()
    return found


def alike(document):
    """A document without what differs between two runs: ids of plans, and times. Only a run has a batch."""
    plan = {name: value for name, value in document["plan"].items() if name not in ("id", "made_at")}
    return document | {"plan": plan, "batch": None, "head": None}


kinds = st.tuples(
    st.sampled_from(list(Status)),
    st.sampled_from([ACME, KUMO, MUTE, ODD, None]),
    st.sampled_from([-500, 0, 12_050]),
    st.sampled_from([0, 1]),
)
options = st.lists(
    st.sampled_from(["--mail-per-order", "--message=Sorry é", "--reason=dropped", "--strict", "--max-orders=2"]),
    unique=True,
    max_size=3,
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(kinds, min_size=1, max_size=6), options, st.booleans(), st.integers(0, 10**9))
def test_a_rehearsal_says_what_the_run_says(store_url, tmp_path, found, given_options, notify, seed):
    cli = maildir_cli(store_url, tmp_path)
    names = [f"R{seed}-{number}" for number in range(len(found))]
    with open_store(store_url) as store:
        put_all(
            store,
            [
                make_order(name, status=status, buyer=buyer, total=total, invoices=invoices)
                for name, (status, buyer, total, invoices) in zip(names, found, strict=True)
                if status is not Status.REJECTED
            ],
        )
    if not notify:
        given_options = [each for each in given_options if not each.startswith("--message")]
    call = ("reject", *names, "--ignore-unknown", *(["--notify"] if notify else []), *given_options, "--format", "json")
    before, mails = everything(store_url), list(Path(tmp_path / "mails").rglob("*"))
    tried = cli(*call, "--rehearse")
    assert (everything(store_url), list(Path(tmp_path / "mails").rglob("*"))) == (before, mails)
    done = cli(*call, "--yes")
    assert tried.code == done.code, tried.err
    assert bool(tried.out) == bool(done.out)
    if done.out:
        assert tried.json["batch"] is None
        assert alike(tried.json) == alike(done.json)


def test_the_screen_of_a_rehearsal_is_that_of_the_run_and_says_so(cli, store_url, tmp_path):
    with open_store(store_url) as store:
        put(store, make_order("S1"), make_order("S2", buyer=KUMO), make_order("S3", buyer=ODD))
    assert cli("select", "status:needs-oc", "--name", "late").code == 0
    call = ("reject", "--name", "late", "--notify", "--key", "NIGHT-1")
    before = everything(store_url)
    tried = cli(*call, "--rehearse")
    assert everything(store_url) == before
    assert not (tmp_path / "mails").exists()
    said = "That was a rehearsal: nothing was changed, and nobody was told."
    assert said in " ".join(tried.err.split())
    assert said in cli(*call, "--rehearse", "--quiet").err
    done = cli(*call, "--yes")
    assert (tried.code, done.code) == (5, 5)
    head = r"head of the log: number 1, [0-9a-f]{64}\n"
    assert tried.out == re.sub(head, "", re.sub("batch [a-z0-9]{26}", "batch …", done.out))
    assert tried.err.replace(f"{said}\n", "") == done.err
    assert cli("log", "--format", "json").json[0]["request_key"] == "NIGHT-1"


def test_a_used_key_is_rehearsed_as_its_first_result(cli, store_url):
    with open_store(store_url) as store:
        put(store, make_order("S1"), make_order("S2"))
    call = ("reject", "S1", "--key", "NIGHT-1", "--format", "json")
    done = cli(*call, "--yes")
    again = cli(*call, "--rehearse")
    assert (again.code, again.json) == (0, done.json)
    assert "That was a rehearsal" in again.err
    assert cli("reject", "S2", "--key", "NIGHT-1", "--rehearse").code == 3


def test_a_saved_plan_is_rehearsed_under_the_rules_of_its_run(cli, store_url):
    with open_store(store_url) as store:
        put(store, make_order("S1"), make_order("S2", buyer=KUMO))
    plan = cli("reject", "S1", "S2", "--notify", "--save-plan", "--format", "json").json["saved"]["id"]
    with open_store(store_url) as store:
        put(store, make_order("S1", status=Status.OC_CONFIRMED))
    call = ("reject", "--plan", plan, "--format", "json")
    cli.environ["ORDERCTL_REQUIRE_SECOND_OPERATOR"] = "true"
    before = everything(store_url)
    assert (cli(*call, "--rehearse").code, cli(*call, "--yes").code) == (3, 3)
    assert cli("reject", "S2", "--rehearse").code == 3
    del cli.environ["ORDERCTL_REQUIRE_SECOND_OPERATOR"]
    tried = cli(*call, "--rehearse")
    assert everything(store_url) == before
    done = cli(*call, "--yes")
    assert (tried.code, done.code) == (6, 6)
    assert tried.json | {"batch": plan, "head": done.json["head"]} == done.json


def test_a_letter_that_cannot_be_made_is_found(cli, store_url, tmp_path):
    templates = tmp_path / "templates/en"
    templates.mkdir(parents=True)
    broken = "{{ 1 // (orders | length - 2) }}"
    (templates / "body.txt").write_text(broken)
    cli.environ["ORDERCTL_MAIL_TEMPLATES"] = str(templates.parent)
    one = replace(KUMO, id="one", language="en")
    with open_store(store_url) as store:
        put(store, *(make_order(f"S{number}", buyer=replace(ACME, language="en")) for number in range(3)))
        put(store, make_order("S7", buyer=one), make_order("S8", buyer=one))
    call = ("reject", "--filter", "status:needs-oc", "--notify", "--format", "json")
    tried, done = cli(*call, "--rehearse"), cli(*call, "--yes")
    assert (tried.code, tried.json["mails"]["refused"], tried.json["mails"]["sent"]) == (5, 1, 1)
    assert alike(tried.json) == alike(done.json)


@pytest.mark.parametrize("option", [("--dry-run",), ("--save-plan",), ("--hold", "15m")])
def test_what_rejects_nothing_cannot_be_rehearsed(sqlite_url, tmp_path, option):
    ran = Cli(sqlite_url, tmp_path / "home")("reject", "S1", "--rehearse", *option)
    assert (ran.code, ran.out) == (2, "")
    assert f"--rehearse tries a rejection, and {option[0]} stops before one" in ran.err
