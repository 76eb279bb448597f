"""Every id that a batch was asked about has its verdict and its origin: on screens, as JSON and CSV, in the store."""

import csv
import io
import json

import pytest

from orderctl.orders.orders import Status
from support.cli import Cli
from support.factories import make_order, put
from support.stores import open_store, raw, tamper

REASONS = {
    "invoiced": {"invoices": 1},
    "delivered": {"delivery_notes": 1},
    "backlog": {"backlog_skus": 2},
    "oc-approved": {"status": Status.OC_APPROVED},
    "oc-confirmed": {"status": Status.OC_CONFIRMED},
    "returned-to-cart": {"status": Status.RETURNED_TO_CART},
}
SKIPPED = {f"S{number:02}": code for number, code in zip(range(40), [*REASONS] * 7, strict=False)}
REJECTED = [f"R{number:03}" for number in range(100)]
CHANGED = {"C1": "invoiced", "C2": "edited", "C3": "already-rejected"}
TAKEN_OUT = [f"T{number:02}" for number in range(25)]
UNKNOWN = [f"U{number:02}" for number in range(30)]
VERDICTS = {
    **dict.fromkeys(REJECTED, ("rejected", "")),
    **{order_id: ("skipped", code) for order_id, code in SKIPPED.items()},
    **{order_id: ("changed", code) for order_id, code in CHANGED.items()},
    **dict.fromkeys(TAKEN_OUT, ("taken-out", "")),
}
COUNTS = {"rejected": 100, "skipped": 40, "changed": 3, "taken-out": 25}


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put(store, *map(make_order, [*REJECTED, *CHANGED, *TAKEN_OUT]))
        put(store, *(make_order(order_id, **REASONS[code]) for order_id, code in SKIPPED.items()))
    return Cli(store_url, tmp_path / "home")


def run_changed(cli, store_url, *choice):
    """Save a plan of the choice, change three of its targets, and run it; returns the id of the batch."""
    ran = cli("reject", *choice, "--save-plan", "--format", "json")
    assert ran.code == 0, ran.err
    plan = ran.json["saved"]["id"]
    with open_store(store_url) as store:
        put(store, make_order("C1", invoices=1), make_order("C2", total=1))
    assert cli("reject", "C3", "--yes").code == 0
    ran = cli("plan", "run", plan, "--yes", "--format", "json")
    assert (ran.code, ran.json["rejected"], len(ran.json["left_out"])) == (6, 100, 3), ran.err
    return ran.json["batch"]


def stored(url, sql):
    connection = raw(url)
    found = sorted(connection.execute(sql).fetchall())
    connection.close()
    return found


def said(cli, batch):
    """The verdicts of a batch as (verdict, code, source, line) by id: the same as JSON, as CSV, and on the screen."""
    document = cli("log", "show", batch, "--format", "json").json
    told = {each["order_id"]: each for each in document["verdicts"]}
    assert len(told) == len(document["verdicts"])
    counts = {}
    for group in document["verdict_counts"]:
        counts[group["verdict"]] = counts.get(group["verdict"], 0) + group["count"]
    rows = {row["order_id"]: row for row in csv.DictReader(io.StringIO(cli("log", batch, "--format", "csv").out))}
    assert rows == {
        order_id: {name: "" if value is None else str(value) for name, value in each.items()}
        for order_id, each in told.items()
    }
    lines = [line.split("\t") for line in cli("log", batch, "--full").lines]
    assert {line[0] for line in lines} == {*told}
    for order_id, __, why, source in lines:
        assert (why, source.startswith(told[order_id]["source"])) == (told[order_id]["reason"], True)
    found = {order_id: (each["verdict"], each["code"], each["source"], each["line"]) for order_id, each in told.items()}
    return found, counts


def test_every_id_of_a_file_has_its_verdict_and_line(cli, store_url, tmp_path):
    given, out = tmp_path / "late.csv", tmp_path / "out.txt"
    asked = sorted([*VERDICTS, *UNKNOWN], key=lambda order_id: order_id[::-1])
    given.write_text("\n".join(["id,note", *(f"{order_id},x" for order_id in asked)]) + "\n")
    out.write_text("\n".join(TAKEN_OUT[5:]) + "\nelsewhere\n")
    excepted = [option for order_id in TAKEN_OUT[:5] for option in ("--except", order_id)]
    choice = ("--ids", str(given), *excepted, "--except-ids", str(out), "--ignore-unknown")
    plan = cli("reject", *choice, "--dry-run", "--format", "json").json["plan"]
    assert (sorted(plan["given"]["unknown"]), sorted(plan["excluded"]["ids"])) == (UNKNOWN, TAKEN_OUT)
    assert plan["origins"] == [
        {
            "source": f"ids from {given}",
            "count": len(asked),
            "lines": {order_id: line for line, order_id in enumerate(asked, 2)},
        }
    ]
    full = cli("reject", *choice, "--dry-run", "--full").err
    assert all(order_id in full for order_id in asked)

    batch = run_changed(cli, store_url, *choice)
    wanted = {**VERDICTS, **dict.fromkeys(UNKNOWN, ("unknown", ""))}
    found, counts = said(cli, batch)
    assert found == {order_id: (*wanted[order_id], f"ids from {given}", line) for line, order_id in enumerate(asked, 2)}
    assert counts == {**COUNTS, "unknown": 30}
    assert stored(store_url, f"SELECT order_id, verdict, code FROM batch_verdict WHERE batch_id = '{batch}'") == sorted(
        (order_id, *verdict) for order_id, verdict in wanted.items() if verdict[0] != "rejected"
    )
    assert stored(store_url, f"SELECT id FROM orders WHERE batch_id = '{batch}'") == [(each,) for each in REJECTED]
    shown = " ".join(cli("log", batch).out.split())
    for words in (
        "Unknown 30: U00, U01, U02, U03, U04 and 25 more",
        "Taken out 25: T00, T01, T02, T03, T04 and 20 more",
        "Skipped 7: has an invoice (S00, S06, S12, S18, S24 and 2 more)",
        "Changed 1: was changed meanwhile (C2)",
        "Changed 1: already rejected (C3)",
    ):
        assert words in shown
    assert cli("log", "verify").code == 0
    assert cli("store", "check").code == 0


def test_one_batch_from_three_joined_sources_has_the_verdict_and_the_source_of_each_id(cli, store_url, tmp_path):
    listed, picked_out = tmp_path / "late.txt", tmp_path / "out.txt"
    by_list = [*REJECTED[:50], *SKIPPED, *UNKNOWN, *TAKEN_OUT[:5], "C1"]
    by_selection = [*REJECTED[40:80], *TAKEN_OUT, "C2"]
    by_filter = [*REJECTED[70:], *TAKEN_OUT[20:], "C3"]
    listed.write_text("# late\n" + "\n".join(by_list) + "\n")
    picked_out.write_text("\n".join(TAKEN_OUT[3:20]) + "\n")
    assert cli("tag", "late", *by_filter, "--yes").code == 0
    assert cli("tag", "vip", *TAKEN_OUT[20:]).code == 0
    assert cli("select", "--name", "friday", "--ids", "-", stdin="\n".join(by_selection)).code == 0
    hand = [option for order_id in TAKEN_OUT[:3] for option in ("--except", order_id)]
    sets = ("--plus", "friday", "--plus", "tag:late", "--minus", f"@{picked_out}", "--minus", "tag:vip")
    choice = ("--ids", str(listed), *sets, *hand, "--ignore-unknown")

    of_list = {each: (f"ids from {listed}", line) for line, each in enumerate(by_list, 2)}
    of_selection = {each: ("selection friday: ids from standard input", n) for n, each in enumerate(by_selection, 1)}
    of_filter = dict.fromkeys(by_filter, ("filter [tag:late]", None))
    sources = of_filter | of_selection | of_list
    numbers = (len(of_list), len(of_selection.keys() - of_list), len(of_filter.keys() - of_selection - of_list.keys()))
    ran = cli("reject", *choice, "--dry-run", "--format", "json")
    told = {each["source"]: each["count"] for each in ran.json["plan"]["origins"]}
    assert tuple(told.values()) == numbers, told
    preview = " ".join(cli("reject", *choice, "--dry-run").err.split())
    for number, source in zip(numbers, told, strict=True):
        assert f"{number} ids: {source}" in preview
    words = f"from ids from {listed}, plus selection friday, plus filter [tag:late], minus filter [tag:vip], except 20"
    assert words in preview

    batch = run_changed(cli, store_url, *choice)
    wanted = {**VERDICTS, **dict.fromkeys(UNKNOWN, ("unknown", ""))}
    found, counts = said(cli, batch)
    assert found == {order_id: (*verdict, *sources[order_id]) for order_id, verdict in wanted.items()}
    assert counts == {**COUNTS, "unknown": 30}
    rows = stored(store_url, f"SELECT order_id, verdict, code FROM batch_verdict WHERE batch_id = '{batch}'")
    assert rows == sorted((each, *verdict) for each, verdict in wanted.items() if verdict[0] != "rejected")
    assert stored(store_url, f"SELECT id FROM orders WHERE batch_id = '{batch}'") == [(each,) for each in REJECTED]
    origins = stored(store_url, f"SELECT source, lines FROM batch_origin WHERE batch_id = '{batch}'")
    kept = {
        order_id: (source, line or None)
        for source, lines in origins
        for order_id, line in json.loads(lines or "{}").items()
    }
    assert kept == {order_id: source for order_id, source in sources.items() if source != ("filter [tag:late]", None)}
    assert [source for source, lines in origins if not lines] == ["filter [tag:late]"]
    left = cli("select", "--name", "friday").lines
    assert set(left) == {*TAKEN_OUT, "C2"}, "rejected orders leave the selection that they came from"
    assert cli("log", "verify").code == 0
    assert cli("store", "check").code == 0


def test_every_id_of_a_selection_has_the_source_that_it_came_from(cli, store_url, tmp_path):
    given = tmp_path / "late.txt"
    by_file, by_filter = [*REJECTED[:50], *SKIPPED, "C1"], [*REJECTED[50:80], *TAKEN_OUT, "C2"]
    by_pipe = [*REJECTED[80:], "C3"]
    given.write_text("# late\n" + "\n".join(by_file) + "\n")
    words = f"id:{','.join(by_filter)}"
    assert cli("select", "--name", "late", "--ids", str(given)).code == 0
    assert cli("select", "--name", "late", words).code == 0
    assert cli("select", "--name", "late", "--ids", "-", stdin="\0".join([*by_pipe, ""])).code == 0
    choice = ("--name", "late", *(option for order_id in TAKEN_OUT for option in ("--except", order_id)))
    found, counts = said(cli, run_changed(cli, store_url, *choice))
    sources = {
        **{each: (f"selection late: ids from {given}", line) for line, each in enumerate(by_file, 2)},
        **dict.fromkeys(by_filter, (f"selection late: filter [{words}]", None)),
        **{each: ("selection late: ids from standard input", line) for line, each in enumerate(by_pipe, 1)},
    }
    assert found == {order_id: (*verdict, *sources[order_id]) for order_id, verdict in VERDICTS.items()}
    assert counts == COUNTS


def test_a_script_asks_by_id(cli, tmp_path):
    batch = cli("reject", "R000", "R001", "S00", "U00", "--ignore-unknown", "--yes", "--format", "json").json["batch"]
    asked = ("log", "show", batch, "U00", "R001", "R002", "S00")
    found = {each["order_id"]: each for each in cli(*asked, "--format", "json").json}
    assert {order_id: each["verdict"] for order_id, each in found.items()} == {
        "R001": "rejected", "R002": "not-asked", "S00": "skipped", "U00": "unknown"
    }  # fmt: skip
    assert (found["S00"]["reason"], found["R001"]["source"]) == ("has an invoice", "an argument")
    assert found["R002"]["source"] == ""
    assert len(cli(*asked, "--format", "jsonl").lines) == 4
    assert cli(*asked, "--format", "csv").lines[1] == "R001,rejected,,,an argument,"
    assert cli(*asked).lines[0] == "R001\trejected\t\tan argument"
    # The ids of a batch go back into a command.
    listed = tmp_path / "batch.csv"
    listed.write_text(cli("log", batch, "--format", "csv").out)
    assert cli("reject", "--ids", str(listed), "--dry-run", "--ignore-unknown").code == 3
    for wrong in (("log", "--format", "csv"), ("log", "R000", "R001"), ("log", "R000", "--full")):
        ran = cli(*wrong)
        assert (ran.code, "are for one batch" in ran.err) == (2, True), (wrong, ran.err)


def test_a_filter_leaves_rows_of_what_it_did_not_reject_alone(cli, store_url):
    ran = cli("reject", "--filter", "id:R000,R001,S00", "--yes", "--format", "json")
    found, counts = said(cli, ran.json["batch"])
    source = ("filter [id:R000,R001,S00]", None)
    assert found == {"R000": ("rejected", "", *source), "R001": ("rejected", "", *source),
                     "S00": ("skipped", "invoiced", *source)}  # fmt: skip
    assert counts == {"rejected": 2, "skipped": 1}
    assert stored(store_url, "SELECT count(*) FROM batch_verdict") == [(1,)]


def test_a_batch_of_an_earlier_version_tells_what_it_knows(cli, store_url):
    batch = cli("reject", "R000", "S00", "--yes", "--format", "json").json["batch"]
    tamper(store_url, "DELETE FROM batch_verdict", "DELETE FROM batch_origin")
    found, counts = said(cli, batch)
    assert (found, counts) == ({"R000": ("rejected", "", "ids R000, S00", None)}, {"rejected": 1})
    assert "Skipped 1" in " ".join(cli("log", batch).out.split())


def test_a_verdict_of_no_batch_is_found(cli, store_url):
    assert cli("reject", "R000", "S00", "--yes").code == 0
    tamper(store_url, "UPDATE batch_verdict SET batch_id = 'x'", "UPDATE batch_origin SET batch_id = 'x'")
    ran = cli("store", "check")
    assert (ran.code, "1 verdicts, 1 origins of ids" in " ".join(ran.out.split())) == (1, True), ran.out


def test_what_is_told_on_a_screen_is_told_in_the_language_of_the_operator(cli):
    batch = cli("reject", "R000", "S00", "--yes", "--format", "json").json["batch"]
    cli.environ["LC_ALL"] = "ja_JP.UTF-8"
    assert "請求書" in cli("log", batch).out
    assert "has an invoice" in cli("log", batch, "S00").out  # in a pipe: English, for programs
