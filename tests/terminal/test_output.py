"""What is printed where: tables on a terminal, rows in a pipe, amounts as the country writes them (design.md, 8)."""

import json
from dataclasses import replace
from unittest.mock import ANY

import pytest
from babel import Locale
from babel.numbers import get_decimal_symbol, get_group_symbol

from orderctl.orders.orders import Status
from orderctl.terminal import amounts
from orderctl.terminal.amounts import separators
from support.cli import Cli
from support.factories import KUMO, make_order, put_all
from support.rejection import ids, reject
from support.stores import open_store
from support.terminal import Terminal


@pytest.fixture
def cli(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        orders = [make_order(f"{number}", total=123_456_789) for number in range(1001, 1101)]
        put_all(store, [*orders, make_order("2001", buyer=KUMO, note="x" * 300)])
    return Cli(sqlite_url, tmp_path / "home")


def test_in_a_pipe_lists_are_rows_with_tabs_and_nothing_is_cut_or_filled_up(cli):
    reason = "dropped " * 30
    report = cli("reject", "1001", "1002", "--yes", "--reason", reason, "--format", "json").json
    rows = [line.split("\t") for line in cli("log").lines]
    assert [(row[0], *row[2:]) for row in rows] == [(report["batch"], "mia", "2", "0", reason.strip())]
    shown = cli("show", "2001")
    assert "x" * 300 in shown.out
    assert all(line == line.rstrip() for line in (*shown.lines, *cli("log", report["batch"]).lines))
    assert cli("filter", "list").out == ""


@pytest.mark.parametrize(
    "args",
    [
        ["search", "--sort", "id"],
        ["log"],
        ["log", "verify"],
        ["mail", "list"],
        ["plan", "list"],
        ["filter", "list"],
        ["plan", "run", "--due"],
    ],
    ids=" ".join,
)
def test_json_is_one_document_and_jsonl_one_a_line(store_url, tmp_path, args):
    cli = Cli(store_url, tmp_path / "home", ORDERCTL_MAIL_SENDER="orders@brand.example")
    assert cli(*args, "--format", "json").json == ([] if args[-1] != "verify" else [ANY])
    with open_store(store_url) as store:
        put_all(store, [make_order(f"{number}") for number in range(1001, 1007)])
        reject(store, ids("1001"), notify=True)
        reject(store, ids("1002"), notify=True)
    for number in (1003, 1004):
        assert cli("reject", f"{number}", "--save-plan").code == 0
        assert cli("filter", "save", f"f{number}", f"id:{number}").code == 0
    as_array, by_line = cli(*args, "--format", "json"), cli(*args, "--format", "jsonl")
    assert (as_array.code, by_line.code) == (0, 0)
    documents = [json.loads(line) for line in by_line.lines]
    assert [each | {"time_left": ""} for each in as_array.json] == [each | {"time_left": ""} for each in documents]
    assert len(documents) == {"verify": 1, "--due": 0, "id": 6}.get(args[-1], 2)
    assert all(document["schema"] == 1 for document in documents)
    assert len(as_array.lines) == (len(documents) + 2 if documents else 1)


def told_amounts(document):
    """Every amount of a JSON document: its name, and the object that it stands in."""
    for item in document if isinstance(document, list) else [document]:
        if isinstance(item, dict):
            yield from ((name, item) for name in item if name in {"total", "open_total", "amount"})
            for value in item.values():
                yield from told_amounts(value)


@pytest.mark.parametrize("order_id", ["1001", "2001"])
def test_an_amount_is_written_in_one_way_in_all_json(store_url, tmp_path, order_id):
    with open_store(store_url) as store:
        yen = [replace(line, unit_price=1_500) for line in make_order().lines]
        put_all(store, [make_order("1001", total=103_000), make_order("2001", currency="JPY", total=7_500, lines=yen)])
    cli = Cli(store_url, tmp_path / "home")
    total, price = {"1001": ("1030.00", "24.10"), "2001": ("7500", "1500")}[order_id]
    shown = cli("show", order_id, "--format", "json").json["order"]
    (exported,) = map(json.loads, cli("export", order_id, "--format", "jsonl").lines)
    (found,) = cli("search", f"id:{order_id}", "--format", "json").json
    assert [each["total"] for each in (shown, exported, found)] == [total] * 3
    assert [each["lines"][0]["unit_price"] for each in (shown, exported)] == [price] * 2
    plan = cli("reject", order_id, "--save-plan", "--format", "json").json
    listed = cli("plan", "list", "--format", "json").json
    figures = cli("stats", f"id:{order_id}", "--by", "status", "--format", "json").json
    report = cli("reject", order_id, "--yes", "--format", "json").json
    for document, at_least in ((plan, 6), (listed, 1), (figures, 2), (report, 6)):
        amounts_told = list(told_amounts(document))
        assert len(amounts_told) >= at_least
        for name, beside in amounts_told:
            assert (beside[name], beside["currency"]) == (total, shown["currency"])
            assert beside.get("minor") == (int(total.replace(".", "")) if name == "amount" else None)


@pytest.mark.parametrize("forced", [{}, {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}], ids=["as it is", "forced"])
def test_in_a_pipe_nothing_is_drawn_and_nothing_is_as_wide_as_the_pipe(store_url, tmp_path, forced):
    with open_store(store_url) as store:
        put_all(
            store, [make_order("1001"), make_order("1002", buyer=KUMO), make_order("1003", status=Status.OC_APPROVED)]
        )
    maildir = {"ORDERCTL_MAIL_TRANSPORT": "maildir", "ORDERCTL_MAIL_MAILDIR": str(tmp_path / "mails")}
    cli = Cli(store_url, tmp_path / "home", **forced, **maildir, ORDERCTL_MAIL_SENDER="orders@brand.example")
    plan = cli("reject", "1001", "--save-plan", "--notify", "--format", "json").json["plan"]["id"]
    rejected = cli("reject", "1002", "--yes", "--notify", "--format", "json")
    batch = rejected.json["batch"]
    ran = [
        cli(*args)
        for args in (
            ["mail", "show", f"{batch}.1"],
            ["mail", "list"],
            ["plan", "show", plan, "--full"],
            ["show", "1002"],
            ["log", batch],
            ["search", "--format", "table"],
            ["stats", "--by", "status", "--format", "table"],
            ["reject", "1001", "1003", "--dry-run", "--notify", "--full"],
        )
    ]
    shown = [line for each in (rejected, *ran) for line in (*each.out.split("\n"), *each.err.split("\n"))]
    assert "Votre commande 1001 a été refusée par nord" in shown
    assert [line for line in shown if len(line.replace(str(tmp_path), "")) > 160] == []
    assert [line for line in shown if any("\u2500" <= sign <= "\u257f" or sign == "\x1b" for sign in line)] == []
    letter = ran[0].out.partition("\n\n")[2]
    assert letter.startswith("【nord】ご注文 1002 をお断りしました\n\n雲商店 様\n")


def test_a_table_that_is_asked_for_is_a_table_in_a_pipe_too_with_every_column(cli):
    ran = cli("search", "id:2001", "--format", "table")
    head, row = ran.lines
    assert head.split()[:3] == ["Order", "Buyer", "Status"]
    assert row.split()[0] == "2001"
    assert row.endswith("120.50  EUR")


@pytest.mark.parametrize("language", sorted(amounts._COMMON))
def test_the_separators_that_stand_in_the_program_are_those_of_babel(language):
    found = Locale.parse(language)
    assert separators(language) == (get_group_symbol(found), get_decimal_symbol(found))
    for country in sorted(amounts._AS_THEIR_LANGUAGE - {""}):
        name = f"{language}_{country}"
        if name in {"en_GB", "en_US", "de_DE", "fr_FR", "it_IT", "ja_JP", "da_DK", "es_ES", "nl_NL", "ko_KR", "zh_CN"}:
            there = Locale.parse(name)
            assert separators(name) == (get_group_symbol(there), get_decimal_symbol(there))


@pytest.mark.parametrize(
    ("environ", "locale"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8"}, "en_GB"),
        ({"LANG": "de_DE.UTF-8"}, "de_DE"),
        ({"LANG": "en_US.UTF-8", "LC_NUMERIC": "fr_FR.UTF-8"}, "fr_FR"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "de_CH.UTF-8"}, "de_CH"),
        ({"LANG": "nonsense"}, "en"),
    ],
    ids=repr,
)
def test_amounts_are_written_as_the_locale_says_and_never_for_machines(cli, environ, locale):
    group, decimal = get_group_symbol(Locale.parse(locale)), get_decimal_symbol(Locale.parse(locale))
    total = f"1{group}234{group}567{decimal}89"
    cli.environ |= environ
    assert total in cli("search", "id:1001", "--format", "table").out
    assert f"{total} EUR" in cli("reject", "1001", "--dry-run").err
    assert cli("search", "id:1001", "--format", "csv", "--columns", "total").lines == ["total", "1234567.89"]
    assert cli("show", "1001", "--format", "json").json["order"]["total"] == "1234567.89"


def test_a_long_list_on_a_terminal_comes_in_the_pager(cli):
    cli.environ["PAGER"] = "sh -c 'echo the pager; head -n 3'"
    with Terminal(cli, "search", "--limit", "0", rows=24) as terminal:
        terminal.wait_for("the pager")
        terminal.wait_for("101 orders")
        assert terminal.end() == 0
    with Terminal(cli, "search", "--limit", "5", rows=24) as terminal:
        assert terminal.end() == 0
        assert "the pager" not in terminal.text
    for args in (["--no-pager", "search", "--limit", "40"], ["reject", "--filter", "season:26SS", "--dry-run"]):
        with Terminal(cli, *args, rows=24) as terminal:
            assert terminal.end() == 0
            assert "the pager" not in terminal.text


@pytest.mark.parametrize("pager", ["/nowhere/less", "cat", ""])
def test_without_a_pager_the_list_is_printed(cli, pager):
    cli.environ["PAGER"] = pager
    with Terminal(cli, "search", "--limit", "40", rows=24) as terminal:
        assert terminal.end() == 0
        assert "40 of 101 orders" in terminal.text


@pytest.mark.parametrize(
    "value", ["", "0", "-5", "1", "wide", "\u00b2", "9" * 30, "9" * 5000], ids=lambda value: value[:9]
)
def test_a_size_that_shows_nothing_is_no_size(cli, value):
    cli.environ |= {"COLUMNS": value, "LINES": value}
    ran = cli("reject", "1001", "2001", "--dry-run")
    words = " ".join(ran.err.split())
    assert ran.code == 0
    assert "Reject 2 orders in " in words
    for shown in ("1,234,567.89 EUR", "2001", "This cannot be undone."):
        assert shown in words
    lines = cli("reject", "--help").lines
    assert "Plan, preview, confirm, reject, and tell the buyers." in " ".join(lines)
    assert max(map(len, lines)) >= 40


@pytest.mark.parametrize("size", ["COLUMNS=0", "stty cols 0 rows 0;", "COLUMNS=1 LINES=1", "stty cols 20 rows 6;"])
def test_what_a_question_is_about_is_shown_whatever_size_the_terminal_says_it_has(cli, size):
    with Terminal(cli, shell=f'{size} "$PYTHON" -m orderctl reject 1001 2001', columns=80) as terminal:
        terminal.wait_for("Type yes:")
        shown = terminal.text
        terminal.type("\x04")
        assert terminal.end() == 4
    for words in ("Reject 2 orders", "1,234,567.89", "2001"):
        assert words in shown.replace("\n", " ")


def test_a_page_of_help_is_shown_whatever_size_is_named(cli):
    with Terminal(cli, shell='COLUMNS=0 "$PYTHON" -m orderctl --no-pager help exit-codes', columns=80) as terminal:
        assert terminal.end() == 0
        assert "unknown" in terminal.text
