"""What a run leaves behind for cron, and what it says to who asks (docs/reference/log-file.md)."""

import json
import re

import pytest

from orderctl.orders.orders import Status
from support.cli import Cli
from support.factories import make_order, put_all
from support.stores import open_store
from support.terminal import Terminal


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, [make_order(f"{number}") for number in range(1001, 1006)])
        put_all(store, [make_order("1009", status=Status.OC_CONFIRMED)])
    return Cli(store_url, tmp_path / "home")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_nightly_run_leaves_a_line_for_each_step(cli, tmp_path):
    log = tmp_path / "nightly.jsonl"
    assert cli("filter", "save", "dropped", "season:26SS").code == 0
    cli.environ["ORDERCTL_LOG_FILE"] = str(log)
    ran = cli("--quiet", "reject", "--saved", "dropped", "--yes", "--max-orders", "10", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    told = lines(log)
    assert [line["step"] for line in told] == ["planning", "planned", "rejecting", "rejected", "end"]
    assert {line["run"] for line in told} == {told[0]["run"]}
    batch = {key: told[3][key] for key in ("batch", "rejected", "skipped", "left_out", "mails")}
    assert batch == {"batch": ran.json["batch"], "rejected": 5, "skipped": 1, "left_out": 0, "mails": 0}
    assert (told[4]["command"], told[4]["exit_code"], told[4]["statements"] > 3) == ("reject", 0, True)
    assert log.stat().st_mode & 0o777 == 0o600
    again = cli("--quiet", "reject", "--saved", "dropped", "--yes", "--strict")
    assert (again.code, len(lines(log))) == (3, 8)
    assert (lines(log)[-1]["exit_code"], lines(log)[-1]["run"] != told[0]["run"]) == (3, True)


def test_neither_log_nor_words_hold_arguments_or_names(cli, tmp_path):
    log = tmp_path / "run.jsonl"
    ran = cli("-v", "--log-file", str(log), "reject", "1001", "--yes", "--reason", "s3cret", "--format", "json")
    spoken = [
        line
        for line in ran.err.splitlines()
        if line.startswith(("planning", "planned", "rejecting", "rejected", "end"))
    ]
    assert len(spoken) == 5
    assert "s3cret" not in log.read_text() + "".join(spoken)
    assert spoken[3] == f"rejected: batch {ran.json['batch']}, 1 rejected, 0 skipped, 0 left out, 0 mails"


@pytest.mark.parametrize("file", ["/nowhere/run.jsonl", "/dev/full"])
@pytest.mark.parametrize("args", [["search", "id:1001"], ["reject", "1001", "--yes"], ["select", "id:1001"]])
def test_a_log_that_cannot_be_written_is_a_warning_and_no_end(cli, args, file):
    ran = cli("--log-file", file, "--quiet", *args)
    assert (ran.code, ran.lines) == (0, cli(*args).lines if args[0] == "search" else ran.lines)
    assert re.fullmatch(rf"warning: the log file {file} cannot be written: [A-Za-z ]+\n", ran.err)
    assert cli("search", "status:rejected").lines == ["1001"] * (args[0] == "reject")


def test_quiet_and_verbose_are_opposites(cli):
    ran = cli("-q", "-v", "search")
    assert (ran.code, "--quiet and --verbose are opposites" in ran.err) == (2, True)


def test_nothing_is_drawn_where_nobody_looks_and_a_bar_where_somebody_waits(cli, tmp_path):
    file = tmp_path / "orders.jsonl"
    row = {"id": "x", "status": "needs-oc", "ordered": "2026-01-15", "currency": "EUR", "total": "1.00", "quantity": 1}
    row |= {"invoices": 0, "delivery_notes": 0, "backlog_skus": 0}
    file.write_text("".join(json.dumps({**row, "id": f"N{number}"}) + "\n" for number in range(80_000)))
    with Terminal(cli, "import", str(file), "--check", columns=100) as terminal:
        terminal.wait_for("Reading")
        assert terminal.end() == 0
    assert cli("import", str(file), "--check").err == ""
