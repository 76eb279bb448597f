"""What is printed where: tables on a terminal, rows in a pipe, amounts as the country writes them (design.md, 8)."""

import pytest
from babel import Locale
from babel.numbers import get_decimal_symbol, get_group_symbol

from cli import Cli
from conftest import open_store
from factories import KUMO, make_order, put_all
from orderctl.terminal import amounts
from orderctl.terminal.amounts import separators
from terminal import Terminal


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


def test_a_table_that_is_asked_for_is_a_table_in_a_pipe_too_with_every_column(cli):
    ran = cli("search", "id:2001", "--format", "table")
    head, _line, row = ran.lines
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
    assert cli("show", "1001", "--format", "json").json["order"]["amount"] == "1234567.89"


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
