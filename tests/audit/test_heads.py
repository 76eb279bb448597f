"""Each client remembers the newest batch that it saw of a store, and refuses a store that went back."""

import json
import stat
import time

import pytest

from orderctl.audit.heads import SeenHead, checked_head
from orderctl.audit.log import Head
from support.audit import cut_last_batch
from support.cli import Cli
from support.factories import make_order, put_all
from support.rejection import ids, reject
from support.stores import open_store, tamper


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, [make_order(f"H{number}") for number in range(1, 9)])
    return Cli(store_url, tmp_path / "home")


def heads(tmp_path):
    return sorted((tmp_path / "home/.local/state/orderctl/heads").glob("*"))


def rejected(cli, order_id):
    ran = cli("--quiet", "reject", order_id, "--yes", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    return ran.json["head"]


WENT_BACK = "went back: this computer saw batch number 2, and the newest is number 1"
WAY_OUT = "orderctl log verify --accept-head takes it as it is"


def test_a_store_that_lost_its_newest_batch_is_refused_until_an_operator_accepts_it(cli, store_url, tmp_path):
    assert [rejected(cli, order_id)["position"] for order_id in ("H1", "H2")] == [1, 2]
    plan = cli("reject", "H3", "--save-plan", "--format", "json").json["plan"]["id"]
    cut_last_batch(store_url)
    for call in (["reject", "H5", "--yes"], ["plan", "run", plan, "--yes"], ["plan", "run", "--due"],
                 ["reject", "--plan", plan, "--yes"], ["log", "checkpoint"]):  # fmt: skip
        ran = cli(*call)
        said = " ".join(ran.err.split())
        assert (ran.code, ran.out, WENT_BACK in said, WAY_OUT in said) == (1, "", True, True)
    assert cli("search", "status:rejected", "--count").out == "1\n"
    ran = cli("log", "verify")
    assert ran.lines[0] == "head: this computer saw batch number 2, and the newest is number 1"
    assert (ran.code, WAY_OUT in " ".join(ran.err.split())) == (1, True)
    assert cli("log", "verify", "--accept-head").code == 0
    assert cli("log", "verify").code == 0
    assert rejected(cli, "H5")["position"] == 2


def test_another_batch_in_the_place_of_the_one_that_was_seen_is_refused(cli, store_url):
    rejected(cli, "H1")
    cut_last_batch(store_url)
    with open_store(store_url) as store:
        reject(store, ids("H2"))
        reject(store, ids("H3"))
    ran = cli("reject", "H4", "--yes")
    said = " ".join(ran.err.split())
    assert (ran.code, "went back: batch number 1 is not the one that this computer saw" in said) == (1, True)
    ran = cli("log", "verify")
    assert (ran.code, ran.lines[0]) == (1, "head: batch number 1 is not the one that this computer saw")


def test_an_empty_store_in_the_place_of_the_one_that_was_seen_is_refused(cli, store_url):
    rejected(cli, "H1")
    cut_last_batch(store_url)
    ran = cli("reject", "H4", "--yes")
    assert (ran.code, "this computer saw batch number 1, and the newest is number 0" in " ".join(ran.err.split())) == (
        1,
        True,
    )
    assert cli("log", "verify", "--accept-head").code == 0
    assert rejected(cli, "H4")["position"] == 1


def test_what_others_reject_in_between_is_no_going_back(cli, store_url, tmp_path):
    another = Cli(store_url, tmp_path / "another")
    rejected(cli, "H1")
    rejected(another, "H2")
    assert rejected(cli, "H3")["position"] == 3
    rejected(another, "H4")
    assert cli("log", "verify").code == 0
    (kept,) = heads(tmp_path)
    assert json.loads(kept.read_text())["position"] == 4
    assert (stat.S_IMODE(kept.stat().st_mode), stat.S_IMODE(kept.parent.stat().st_mode)) == (0o600, 0o700)


def test_each_account_and_each_store_has_its_own(cli, store_url, tmp_path):
    rejected(cli, "H1")
    rejected(cli, "H2")
    with open_store(store_url, "kids") as store:
        put_all(store, [make_order("H1")])
    cli.environ["ORDERCTL_ACCOUNT"] = "kids"
    assert rejected(cli, "H1")["position"] == 1
    assert len(heads(tmp_path)) == 2
    del cli.environ["ORDERCTL_ACCOUNT"]
    tamper(store_url, "UPDATE store_identity SET id = 'other'")
    assert rejected(cli, "H3")["position"] == 3
    assert len(heads(tmp_path)) == 3


@pytest.mark.parametrize("left", ["not JSON", "{}", '{"position": "x", "digest": ""}', "[]"])
def test_a_head_that_cannot_be_read_is_a_warning(cli, tmp_path, left):
    rejected(cli, "H1")
    (kept,) = heads(tmp_path)
    kept.write_text(left)
    ran = cli("reject", "H2", "--yes")
    said = " ".join(ran.err.split())
    assert (ran.code, said.count("this computer will not notice")) == (0, 1)
    assert "is not as it was written; if this store goes back" in said
    assert json.loads(kept.read_text())["position"] == 2


def test_a_head_that_cannot_be_written_is_one_warning_and_no_failure(cli, tmp_path):
    state = tmp_path / "home/.local/state"
    state.parent.mkdir(parents=True)
    state.write_text("a file where the folder would be")
    ran = cli("reject", "H1", "--yes", "--format", "json")
    said = " ".join(ran.err.split())
    assert (ran.code, ran.json["rejected"], said.count("this computer will not notice")) == (0, 1, 1)


def test_the_report_of_a_batch_and_its_json_have_the_head(cli, tmp_path):
    head = rejected(cli, "H1")
    assert set(head) == {"position", "digest"}
    (batch,) = cli("log", "--format", "json").json
    assert {name: batch[name] for name in head} == head
    assert cli("log", "report", "-o", str(tmp_path / "report.html")).code == 0
    report = (tmp_path / "report.html").read_text()
    assert "(number 1)" in report
    assert head["digest"] in report


def test_to_compare_and_to_remember_takes_less_than_two_milliseconds(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        put_all(store, [make_order("H1")])
        reject(store, ids("H1"))
        taken = []
        for number in range(20):
            began = time.perf_counter()
            checked_head(store, tmp_path / "heads", print)
            SeenHead(tmp_path / "heads", "a log", print).note(Head(number, "d"))
            taken.append(time.perf_counter() - began)
    assert sorted(taken)[5] < 0.002
