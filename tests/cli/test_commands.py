"""The commands as processes, on both engines: streams, formats, exit codes (design.md, sections 5, 6 and 8)."""

import json

import pytest
import typer

from orderctl.cli.app import COMMANDS, app
from orderctl.filters.saved import SavedFilter, save_filter
from orderctl.orders.orders import Status
from support.cli import Cli, maildir_cli
from support.factories import KUMO, MUTE, NOW, make_order, put, put_all
from support.stores import open_store

ROOT = typer.main.get_command(app)


@pytest.fixture
def cli(store_url, tmp_path):
    return maildir_cli(store_url, tmp_path)


@pytest.fixture
def filled(cli, store_url):
    with open_store(store_url) as store:
        put_all(store, [
            make_order("1001", tags=frozenset({"late"})),
            make_order("1002", buyer=KUMO, country="JP", currency="JPY", total=90_000),
            make_order("1003", buyer=MUTE, country="GB"),
            make_order("1004", buyer=None, status=Status.OC_CREATED),
            make_order("1005", status=Status.OC_APPROVED),
            make_order("1006", status=Status.OC_DECLINED),
            make_order("1007", status=Status.OC_CONFIRMED),
            make_order("1008", status=Status.RETURNED_TO_CART),
            make_order("1009", status=Status.REJECTED, rejected_at=NOW),
            make_order("1010", invoices=1),
        ])  # fmt: skip
    return cli


def statuses(cli):
    rows = [json.loads(line) for line in cli("search", "--format", "jsonl", "--sort", "id").lines]
    return {row["id"]: row["status"] for row in rows}


def rejected(cli):
    return sorted(order_id for order_id, status in statuses(cli).items() if status == "rejected")


def test_search_prints_ids_in_a_pipe_and_nothing_else(filled):
    ran = filled("search", "status:needs-oc", "--sort", "id")
    assert (ran.code, ran.out, ran.err) == (0, "1001\n1002\n1003\n1010\n", "")


def test_search_writes_csv_and_json_lines_for_programs(filled):
    ran = filled("search", "id:1002", "--format", "csv", "--columns", "id,buyer,total,currency")
    assert ran.out == "id,buyer,total,currency\n1002,雲商店,90000,JPY\n"
    ran = filled("search", "id:1001", "--format", "jsonl", "--columns", "id,total,delivery")
    assert ran.json == {"schema": 1, "id": "1001", "total": "120.50", "delivery": "2026-09-01"}


def test_search_counts_limits_and_ends_ids_with_nul(filled):
    assert filled("search", "--count").out == "10\n"
    assert filled("search", "--sort", "id", "--limit", "2", "-0").out == "1001\x001002\x00"
    assert filled("search", "--sort", "-total", "--limit", "1").out == "1002\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["search", "staus:x"], "there is no field 'staus'"),
        (["search", "--sort", "colour"], "cannot sort by 'colour'"),
        (["search", "--columns", "id,colour", "--format", "csv"], "there is no column 'colour'"),
        (["search", "--saved", "nope"], "there is no saved filter 'nope'"),
        (["show", "nobody"], "there is no order 'nobody'"),
        (["show", "a\x1bb"], "holds a control character"),
        (["log", "nobody"], "there is no order and no batch 'nobody'"),
        (["reject", "--filter", "", "--yes"], "an empty filter would take every order"),
        (["reject", "--yes"], "the selection 'default' is empty"),
        (["reject", "1001", "--filter", "late", "--yes"], "ids and --filter are two sources"),
        (["reject", "1001", "--expect", "a few", "--yes"], "is not a number or a range"),
        (["reject", "1001", "--yes", "--message", "x", "--edit"], "three ways of one message"),
        (["reject", "1001", "--yes", "--message", "x", "--no-notify"], "--no-notify sends none"),
        (["reject", "--ids", "/nowhere", "--yes"], "/nowhere cannot be read"),
        (["filter", "save", "x"], "the filter is empty"),
        (["filter", "delete", "x"], "there is no saved filter 'x'"),
        (["mail", "show", "x"], "there is no mail 'x'"),
        (["mail", "retry", "x"], "there is no mail 'x'"),
    ],
    ids=lambda value: " ".join(value).encode("unicode_escape").decode() if isinstance(value, list) else "",
)
def test_a_wrong_call_says_what_is_wrong_and_ends_with_2(filled, args, message):
    ran = filled(*args)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("orderctl: ")
    assert message in ran.err


def _numbers():
    """The options that take a number, of all commands."""
    for name in COMMANDS:
        command = ROOT.load(name)
        below = {(name, each): leaf for each, leaf in getattr(command, "commands", {}).items()}
        for path, leaf in (below or {(name,): command}).items():
            yield from ((*path, param.opts[0]) for param in leaf.params if param.type_descriptor.annotation is int)


# Those whose numbers stand in a text.
OF_TEXT = [("reject", "1001", "--expect"), ("reject", "1001", "--hold"), ("mail", "send", "--rate")]


@pytest.mark.parametrize("call", [*_numbers(), *OF_TEXT], ids=" ".join)
def test_a_number_that_nobody_can_mean_is_a_wrong_call(sqlite_url, tmp_path, call):
    mail = {"TRANSPORT": "maildir", "MAILDIR": str(tmp_path / "mails"), "SENDER": "orders@brand.example"}
    cli = Cli(sqlite_url, tmp_path / "home", **{f"ORDERCTL_MAIL_{name}": value for name, value in mail.items()})
    for number in ("99999999999999999999", "-1", "9" * 5000, "1e3", "0x10"):
        ran = cli(*call, number)
        assert (ran.code, ran.out, number in ran.err or "nvalid" in ran.err) == (2, "", True), ran
        assert ran.err.startswith("orderctl: "), ran
        assert call[-1] in ran.err.partition("\n")[0]


def test_the_numbers_of_the_command_line_are_found_by_the_test_above():
    assert {("search", "--limit"), ("mail", "send", "--connections"), ("stats", "--top")} <= set(_numbers())


def test_a_mixed_selection_is_rejected_as_the_table_says(filled):
    ids = [*(str(number) for number in range(1001, 1011)), "1001"]
    ran = filled("reject", *ids, "nobody", "--yes", "--ignore-unknown", "--reason", "style dropped", "--format", "json")
    assert ran.code == 0
    report = ran.json
    assert (report["schema"], report["outcome"], report["rejected"]) == (1, "rejected", 4)
    assert report["plan"]["targets"] == ["1001", "1002", "1003", "1004"]
    assert {group["code"]: group["ids"] for group in report["plan"]["skipped"]} == {
        "oc-approved": ["1005"],
        "oc-declined": ["1006"],
        "oc-confirmed": ["1007"],
        "returned-to-cart": ["1008"],
        "already-rejected": ["1009"],
        "invoiced": ["1010"],
    }
    assert report["plan"]["given"] == {"ids": 11, "duplicates": 1, "unknown": ["nobody"], "unknown_count": 1}
    assert report["totals"] == [
        {"currency": "EUR", "minor": 36_150, "amount": "361.50"},
        {"currency": "JPY", "minor": 90_000, "amount": "90000"},
    ]
    assert rejected(filled) == ["1001", "1002", "1003", "1004", "1009"]


def test_the_pipe_rejects_exactly_what_the_search_found_once(filled, tmp_path):
    found = filled("search", "status:needs-oc", "country:JP,FR", "--format", "ids")
    options = ("--ids", "-", "--yes", "--notify", "--message", "Sorry.", "--format", "json")
    first = filled("reject", *options, stdin=found.out)
    assert (first.code, first.json["rejected"], first.json["mails"]["sent"]) == (0, 2, 2)
    second = filled("reject", *options, stdin=found.out)
    assert (second.code, second.json["outcome"], second.json["mails"]) == (3, "nothing-to-do", {"queued": 0})
    assert len(list((tmp_path / "mails" / "new").iterdir())) == 2
    assert rejected(filled) == ["1001", "1002", "1009"]


def test_a_dry_run_shows_the_plan_and_changes_nothing(filled):
    ran = filled("reject", "--filter", "status:needs-oc", "--dry-run")
    assert ran.err.count("This cannot be undone.") == 1
    assert (ran.code, ran.out) == (0, "")
    for words in ("Reject 3 orders", "361.50", "1 order: has an invoice", "This cannot be undone", "A dry run"):
        assert words in ran.err or words == "361.50"
    assert rejected(filled) == ["1009"]
    ran = filled("reject", "--filter", "status:needs-oc", "--dry-run", "--format", "json", "--notify")
    assert (ran.json["outcome"], ran.json["batch"], ran.json["plan"]["mail"]["mails"]) == ("dry-run", None, 2)


def test_without_a_terminal_and_without_yes_nothing_happens(filled):
    ran = filled("reject", "1001", stdin="y\ny\ny\n")
    assert ran.code == 2
    assert "no terminal to confirm on" in ran.err
    assert rejected(filled) == ["1009"]


@pytest.mark.parametrize(
    "options",
    [["--strict"], ["--expect", "3"], ["--expect", "5.."], ["--expect", "..3"], ["--max-orders", "3"]],
    ids=" ".join,
)
def test_a_plan_that_is_not_as_expected_ends_with_3(filled, options):
    ran = filled("reject", "--filter", "status:needs-oc,oc-created", "--yes", *options)
    assert ran.code == 3
    assert rejected(filled) == ["1009"]


def test_expectations_that_hold_let_it_run(filled):
    ran = filled("reject", "--filter", "status:needs-oc,oc-created", "--yes", "--expect", "4..4", "--max-orders", "4")
    assert ran.code == 0
    assert len(rejected(filled)) == 5


def test_an_unknown_id_stops_before_anything_changes(filled):
    ran = filled("reject", "1001", "nobody", "--yes")
    assert ran.code == 2
    assert "1 id unknown in this store: nobody" in ran.err
    assert rejected(filled) == ["1009"]


def test_except_takes_orders_out_again(filled):
    ran = filled("reject", "--filter", "status:needs-oc", "--except", "1001", "--except", "1003", "--yes")
    assert ran.code == 0
    assert rejected(filled) == ["1002", "1009"]


def test_everything_must_be_spelled_out(filled):
    assert filled("select", "--all").code == 0
    assert filled("reject", "--all", "--dry-run").code == 0
    assert filled("reject", "--filter", "", "--dry-run").code == 2


def test_a_selection_is_collected_shown_and_rejected(filled):
    assert "4 added; selection default: 4 orders" in filled("select", "status:needs-oc").err
    assert "1 removed; selection default: 3 orders" in filled("select", "id:1001", "--remove").err
    ran = filled("select", "--ids", "-", stdin="1004\n1004\nnobody\n")
    assert (ran.code, "1 id unknown in this store: nobody" in ran.err) == (2, True)
    assert sorted(filled("select").lines) == ["1002", "1003", "1004", "1010"]
    ran = filled("reject", "--yes")
    assert (ran.code, "3 orders taken out of the selection default" in ran.err) == (0, True)
    assert rejected(filled) == ["1002", "1003", "1004", "1009"]
    assert filled("select").lines == ["1010"]
    assert "1 removed" in filled("select", "--clear").err
    assert filled("select", "tag:late", "--name", "friday").code == 0
    assert filled("select", "--name", "friday").lines == ["1001"]
    assert filled("select").lines == []


def test_columns_and_sorts_are_known_by_what_screens_call_them(filled):
    usual = filled("search", "--format", "csv", "--columns", "id,ref,quantity", "--sort", "ref")
    for columns, sort in (
        ("Order,Reference,Pieces", "Reference"),
        ("order_id,reference,\u6570\u91cf", "\u767a\u6ce8\u756a\u53f7"),
    ):
        ran = filled("search", "--format", "csv", "--columns", columns, "--sort", sort)
        assert (ran.code, ran.out) == (0, usual.out)


def test_a_saved_filter_is_kept_as_written(filled):
    assert filled("filter", "save", "dropped", "tag:late", "status:needs-oc").code == 0
    assert filled("filter", "show", "dropped").out == "tag:late status:needs-oc\n"
    assert filled("filter", "list").out == "dropped\ttag:late status:needs-oc\n"
    assert filled("search", "--saved", "dropped").out == "1001\n"
    assert filled("search", "--saved", "dropped", "country:JP").out == ""
    assert filled("reject", "--saved", "dropped", "--yes").code == 0
    assert rejected(filled) == ["1001", "1009"]
    assert filled("filter", "delete", "dropped").code == 0
    assert filled("filter", "list").out == ""


def test_a_saved_filter_is_replaced_only_where_that_is_meant(store_url, tmp_path):
    cli, other = (Cli(store_url, tmp_path / name, ORDERCTL_ACTOR=name) for name in ("mia", "kei"))
    assert cli("filter", "save", "stale", "tag:late").code == 0
    for again in (cli, other):
        assert again("filter", "save", "stale", "tag:late").code == 0
        ran = again("filter", "save", "stale", "season:26SS")
        assert ran.code == 2
        assert "'stale' was saved by mia on 2" in ran.err
        assert ran.err.endswith("as: tag:late\nhint: take another name, or replace it with --force\n")
    assert cli("filter", "show", "stale").out == "tag:late\n"
    assert other("filter", "save", "stale", "season:26SS", "--force").code == 0
    assert other("filter", "save", "new", "season:26SS", "--force").code == 0
    assert cli("filter", "list").out == "new\tseason:26SS\nstale\tseason:26SS\n"


def test_a_saved_filter_replaces_only_what_was_looked_at(store):
    def save(expression, over):
        saved = SavedFilter(name="stale", expression=expression, actor="mia", saved_at=NOW)
        return store.write(lambda connection: save_filter(connection, saved, over=over))

    assert not save("tag:a", "tag:gone")
    assert save("tag:a", None)
    assert not save("tag:b", None)
    assert not save("tag:b", "tag:c")
    assert save("tag:b", "tag:a")


def told(lines):
    """What `show` says of rejecting an order, with single spaces."""
    return [" ".join(line.split()) for line in lines if line.startswith(("In bulk", "On its own", "Instead"))]


def test_show_tells_whether_an_order_can_be_rejected_and_what_happened(filled):
    assert told(filled("show", "1001").lines) == ["In bulk can be rejected", "On its own can be rejected"]
    assert told(filled("show", "1007").lines)[:2] == [
        "In bulk cannot be rejected: OC confirmed",
        "On its own can be rejected",
    ]
    assert told(filled("show", "1010").lines)[:2] == [
        "In bulk cannot be rejected: has an invoice",
        "On its own cannot be rejected: has an invoice",
    ]
    batch = filled("reject", "1001", "--yes", "--reason", "dropped", "--format", "json").json["batch"]
    report = filled("show", "1001", "--format", "json").json
    assert report["order"]["status"] == "rejected"
    assert [(event["kind"], event["detail"], event["batch_id"]) for event in report["events"]] == [
        ("rejected", "dropped", batch)
    ]
    assert report["refused"]["bulk"]["code"] == "already-rejected"


def test_the_log_shows_the_newest_batches_and_no_more_than_asked(filled):
    batches = [filled("reject", order_id, "--yes", "--format", "json").json["batch"] for order_id in ("1001", "1002")]
    for limit, shown in (("1", batches[1:]), ("0", batches[::-1])):
        assert [batch["id"] for batch in filled("log", "--limit", limit, "--format", "json").json] == shown


def test_the_log_keeps_batches_and_their_orders(filled):
    assert "nothing was rejected yet" in filled("log").err
    batch = filled("reject", "1001", "1002", "--yes", "--reason", "dropped", "--format", "json").json["batch"]
    (kept,) = filled("log", "--format", "json").json
    assert (kept["id"], kept["rejected"], kept["reason"], kept["actor"]) == (batch, 2, "dropped", "mia")
    events = filled("log", batch, "--format", "json").json["events"]
    assert [event["order_id"] for event in events] == ["1001", "1002"]
    assert batch in filled("log").out
    assert "1001, 1002" in filled("log", batch).out
    assert "dropped" in filled("log", "1001").out
    assert "nothing is logged" in filled("log", "1003").err


def test_mails_are_listed_shown_and_settled(filled, tmp_path):
    ran = filled(
        "reject", "1001", "1002", "1003", "1004", "--yes", "--notify", "--message", "So sorry", "--format", "json"
    )
    assert ran.json["mails"]["sent"] == 2
    assert "nobody is told" in ran.err
    mails = filled("mail", "list", "--format", "json").json
    assert {mail["recipient"]: (mail["state"], mail["order_ids"]) for mail in mails} == {
        "achats@acme.example": ("sent", ["1001"]),
        "order@kumo.example": ("sent", ["1002"]),
    }
    shown = filled("mail", "show", mails[0]["id"]).out
    assert "So sorry" in shown
    assert "2 sent" in filled("mail", "list").err
    assert filled("mail", "list", "--state", "waiting").out == ""
    assert filled("mail", "cancel", mails[0]["id"]).code == 2
    raw = filled("mail", "show", mails[0]["id"], "--raw").out
    (written,) = (path for path in (tmp_path / "mails" / "new").iterdir() if mails[0]["message_id"] in path.read_text())
    assert raw.replace("\r\n", "\n") == written.read_text()
    assert filled("mail", "list", "--format", "ids").lines == [mail["id"] for mail in mails]
    assert filled("mail", "send").code == 0


def test_mail_that_is_not_set_up_is_refused_before_the_plan(filled):
    del filled.environ["ORDERCTL_MAIL_SENDER"]
    ran = filled("reject", "1001", "--yes", "--notify")
    assert (ran.code, "mail.sender is not set" in ran.err) == (2, True)
    assert rejected(filled) == ["1009"]


def test_a_password_on_the_command_line_is_refused_and_never_repeated(cli):
    ran = cli("--store", "postgresql://mia:s3cret@db.example/x", "search")
    assert ran.code == 2
    assert "s3cret" not in ran.err


def test_text_from_outside_controls_nothing(cli, store_url):
    evil = "\x1b[2J\x1b]0;owned\x07[red]boo[/red] \u202eback"
    with open_store(store_url) as store:
        put(store, make_order("E1", note=evil, reference=evil))
    for args in (["show", "E1"], ["reject", "E1", "--dry-run"], ["reject", "E1", "--yes", "--reason", evil], ["log"]):
        ran = cli(*args)
        assert "\x1b" not in ran.out + ran.err
        assert "\u202e" not in ran.out + ran.err
    assert "[red]boo[/red]" in cli("show", "E1").out
    assert "\x1b" not in cli("search", "E1", "--format", "jsonl").out


def test_quiet_says_nothing_but_the_result(filled):
    ran = filled("--quiet", "reject", "1001", "--yes", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["rejected"] == 1


def test_a_closed_pipe_ends_quietly(cli, store_url):
    with open_store(store_url) as store:
        put_all(store, [make_order(f"Q{number:05}" + "x" * 150) for number in range(1500)])
    process = cli.start("search")
    process.stdout.readline()
    process.stdout.close()
    process.stdin.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), err) == (0, "")


def test_the_store_is_made_and_checked(tmp_path):
    cli = Cli(str(tmp_path / "new" / "store.db"), tmp_path / "home")
    ran = cli("search")
    assert (ran.code, "there is no store at" in ran.err, "orderctl store init" in ran.err) == (7, True, True)
    assert cli("store", "init").code == 0
    assert "log: 0 batches and 0 events as written" in cli("store", "check").out
    assert "there already" in cli("store", "init").err
    assert "is of revision" in cli("store", "upgrade").err


def test_config_says_where_each_value_came_from(cli, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[profile.eu]\nlabel = "EU"\nmail.password = "s3cret"\nmail.port = 2525\n')
    file.chmod(0o600)
    cli.environ["ORDERCTL_CONFIG"] = str(file)
    ran = cli("--profile", "eu", "config", "show")
    rows = dict(line.split("\t", 1) for line in ran.lines)
    assert rows["label"] == f"EU\t{file}"
    assert rows["mail.port"] == f"2525\t{file}"
    assert rows["mail.password"] == f"(hidden)\t{file}"
    assert rows["actor"] == "mia\tORDERCTL_ACTOR"
    assert rows["notify"] == "no\tdefault"
    assert "s3cret" not in ran.out + ran.err
    assert "no profile 'us'" in cli("--profile", "us", "config", "show").err
    file.write_text("[profile.eu]\nlable = 1\n")
    ran = cli("--profile", "eu", "config", "show")
    assert (ran.code, "did you mean label?" in ran.err) == (2, True)
    file.write_text("[profile.eu\n")
    assert "line 1" in cli("config", "show").err
