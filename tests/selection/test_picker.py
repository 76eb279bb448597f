"""The picker as an operator meets it: keys in, a screen out (docs/reference/picker.md)."""

import pytest

from orderctl.orders.orders import Buyer, Status
from support.cli import Cli
from support.factories import ACME, KUMO, make_order, put_all
from support.stores import open_store
from support.terminal import Terminal

ORDERS = 2_000
ROAD = Buyer(id="road", name="Abbey Road Shop", email="shop@road.example", country="GB", language="en")


@pytest.fixture
def cli(sqlite_url, tmp_path):
    cli = Cli(sqlite_url, tmp_path / "home", ORDERCTL_LABEL="Nordlys")
    buyers = (ACME, KUMO, ROAD, *(Buyer(id=f"b{number}", name=f"Shop {number}") for number in range(47)))
    with open_store(sqlite_url) as store:
        put_all(
            store,
            (
                make_order(
                    f"{10_000 + number}",
                    buyer=buyers[number % 50],
                    status=Status.OC_CONFIRMED if number == 2 else Status.NEEDS_OC,
                )
                for number in range(ORDERS)
            ),
        )
    return cli


def selected(cli, name="default"):
    return sorted(cli("select", "--name", name).lines)


def test_forty_of_two_thousand_are_narrowed_ticked_and_rejected(cli):
    with Terminal(cli, "reject", "--all", "--pick", columns=80, rows=24) as terminal:
        terminal.wait_for("2,000 orders")
        terminal.type("/buyer:road")
        terminal.wait_for("40 of 2,000 shown")
        terminal.type("\ra")
        terminal.wait_for("40 ticked   4,820.00 EUR   1 cannot be rejected")
        assert max(map(len, terminal.lines)) <= 80
        terminal.type("\r")
        terminal.wait_for("Type 39:")
        assert "1 order: OC confirmed" in terminal.text
        terminal.type("39\r")
        terminal.wait_for("Rejected 39 orders")
        assert terminal.end() == 0
    assert len(cli("search", "status:rejected").lines) == 39
    assert cli("search", "status:rejected", "not buyer:road").lines == []


def test_ranges_and_ticks_are_saved_and_ticked_the_next_time(cli):
    with Terminal(cli, "select", "--pick", "buyer:kumo or 雲", "--name", "friday", rows=24) as terminal:
        terminal.wait_for("40 orders")
        terminal.type(" " + "jj" + "v" + "jj" + " ")
        terminal.wait_for("4 ticked")
        terminal.type("s")
        terminal.wait_for("4 added; selection friday: 4 orders")
        assert terminal.end() == 0
    assert selected(cli, "friday") == ["11701", "11751", "11801", "11951"]
    with Terminal(cli, "select", "--pick", "buyer:雲", "--name", "friday", rows=24) as terminal:
        terminal.wait_for("4 ticked")
        terminal.type("t")
        terminal.wait_for("4 of 40 shown, only the ticked")
        terminal.type("n\x1b[B\r")
        terminal.wait_for("4 removed; selection friday: 0 orders")
        assert terminal.end() == 0
    assert selected(cli, "friday") == []


@pytest.mark.parametrize(
    ("keys", "words", "code"),
    [
        ("\x1b", "left without saving; nothing was changed", 4),
        ("\x04", "declined; nothing was changed", 4),
        ("\x03", "interrupted; nothing was changed", 130),
    ],
    ids=["Esc", "Ctrl-D", "Ctrl-C"],
)
def test_leaving_changes_nothing_nor_does_what_was_typed_before_the_list(cli, keys, words, code):
    with Terminal(cli, "select", "--pick", "buyer:road") as terminal:
        terminal.type("a\ra")
        terminal.wait_for("leave, change nothing")
        assert any(line.startswith("0 ticked") for line in terminal.lines)
        terminal.type("a")
        terminal.wait_for("40 ticked")
        terminal.type(keys)
        terminal.wait_for(words)
        assert terminal.end() == code
    assert selected(cli) == []


def test_a_filter_that_is_half_typed_says_what_is_missing_and_keeps_the_list(cli):
    with Terminal(cli, "select", "--pick", "buyer:road", columns=120) as terminal:
        terminal.wait_for("40 orders")
        terminal.type("/status:")
        terminal.wait_for("status: with no value; for example status:needs-oc,oc-created")
        terminal.type("oc-confirmed")
        terminal.wait_for("1 of 40 shown")
        assert "OC confirmed" in terminal.text
        terminal.type("\x1b")
        terminal.wait_for("40 orders")


def test_the_detail_says_whether_the_order_can_be_rejected_and_goes_from_order_to_order(cli):
    with Terminal(cli, "select", "--pick", "id:10002,10052") as terminal:
        terminal.wait_for("2 orders")
        terminal.type("?")
        terminal.wait_for("Order 10052")
        terminal.wait_for("In bulk     can be rejected")
        terminal.type("j")
        terminal.wait_for("Order 10002")
        terminal.wait_for("In bulk     cannot be rejected: OC confirmed")
        terminal.type("?")
        terminal.wait_for("2 orders")


def test_the_picker_follows_the_size_of_the_terminal(cli):
    with Terminal(cli, "select", "--pick", columns=80, rows=24) as terminal:
        terminal.wait_for("2,000 orders")
        assert "Ordered" not in terminal.text
        terminal.resize(columns=120, rows=30)
        terminal.wait_for("Ordered")
        terminal.resize(columns=80, rows=12)
        terminal.wait_for("0 ticked")


def test_names_from_outside_are_shown_and_never_obeyed(cli, sqlite_url):
    with open_store(sqlite_url) as store:
        put_all(store, [make_order("evil", buyer=Buyer(id="e", name="\x1b[2Jboo"))])
    with Terminal(cli, "select", "--pick", "id:evil,10000") as terminal:
        terminal.wait_for(r"\x1b[2Jboo")
        assert "10000" in terminal.text


def test_ids_from_a_pipe_are_ticked_on_the_terminal(cli):
    shell = "$PYTHON -m orderctl search buyer:road | $PYTHON -m orderctl select --ids - --pick"
    with Terminal(cli, shell=shell) as terminal:
        terminal.wait_for("40 orders")
        terminal.type(" \r")
        terminal.wait_for("1 added; selection default: 1 order")
        assert terminal.end() == 0


def test_without_a_terminal_nothing_can_be_picked(cli):
    for args in (["select", "--pick"], ["reject", "--all", "--pick", "--yes"]):
        ran = cli(*args)
        assert (ran.code, ran.out) == (2, "")
        assert "there is no terminal to tick orders on, and nothing was changed" in ran.err
