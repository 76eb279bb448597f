"""The preview of a plan: in a real terminal of 80 and of 120 columns, as JSON, and what stops it."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orderctl.importing.queries import OrderImport
from orderctl.mail.outbox import Letter
from orderctl.orders.orders import SaidOrder, Status
from orderctl.rejection.sample_letters import SampleLetter, mark_extremes
from support.cli import Cli
from support.factories import ACME, KUMO, MUTE, make_order, put
from support.stores import open_store
from support.terminal import Terminal

PARIS = replace(ACME, id="paris", name="Maison Brise", email="brise@shop.example", language="en")


def fill(url):
    """Targets, one of them most of the value, one just edited; a buyer with a confirmed order, one without address."""
    edited = make_order("2009", total=10_000)
    with open_store(url) as store:
        put(
            store,
            make_order("2000", total=240_000, buyer=PARIS),
            *(make_order(f"200{number}", total=10_000) for number in range(1, 9)),
            edited,
            make_order("2010", buyer=KUMO, currency="JPY", total=425_200, season="26FW"),
            make_order("2011", buyer=MUTE, total=30_000, delivery_to=datetime(2026, 12, 24, tzinfo=UTC).date()),
            make_order("2012", buyer=KUMO, status=Status.OC_CONFIRMED, season="26FW", currency="EUR"),
            make_order("2013", status=Status.OC_APPROVED, total=60_000),
        )
        at = datetime.now(UTC)
        changed = [SaidOrder.of(replace(edited, note="edited"))]
        store.write(lambda connection: OrderImport(connection).store(changed, actor="test", at=at, detail="test"))


@pytest.fixture
def cli(store_url, tmp_path):
    fill(store_url)
    return mailing(Cli(store_url, tmp_path / "home", ORDERCTL_LABEL="Nordlys Europe"), tmp_path)


def mailing(cli, tmp_path):
    cli.environ |= {
        "ORDERCTL_MAIL_TRANSPORT": "maildir",
        "ORDERCTL_MAIL_MAILDIR": str(tmp_path / "mails"),
        "ORDERCTL_MAIL_SENDER": "orders@brand.example",
    }
    return cli


@pytest.mark.parametrize("columns", [80, 120])
def test_the_preview_says_what_to_think_about(sqlite_url, tmp_path, columns):
    fill(sqlite_url)
    cli = mailing(Cli(sqlite_url, tmp_path / "home"), tmp_path)
    notes = tmp_path / "list.csv"
    notes.write_text(
        "id,reason,message\n" + "".join(f"{number},,\n" for number in range(2001, 2014)) + "2000,late,Sorry\n"
    )
    with Terminal(
        cli, "reject", "--ids", str(notes), "--except", "2001", "--dry-run", "--notify", columns=columns, rows=140
    ) as terminal:
        assert terminal.end() == 0
        lines = terminal.lines
    start = next(number for number, line in enumerate(lines) if line.strip().startswith("Total"))
    figures = lines[start : lines.index("", start)]
    joined = [" ".join(line.split()) for line in figures]
    assert all(len(line) <= columns for line in lines)
    assert joined[:9] == [
        "Total 3,500.00 EUR 425,200 JPY",
        "Buyers 4",
        "Open orders 26SS EUR 10 of 12 83 % 83 % of the value",
        "26FW JPY 1 of 1 100 % 100 % of the value",
        "Largest order 2000, 2,400.00 EUR: 1 of 10 is 69 % of the value",
        "Ordered 2026-01-15",
        "Delivery 2026-09-01 to 2026-12-24",
        "Edited 1 order within the last hour",
        "Confirmed 1 buyer also has confirmed orders in the same season: 雲商店",
    ]
    rest = re.sub(r"[0-9]+ d( [0-9]+ h)?", "so long", " ".join(joined[9:]))
    assert rest == (
        "Seen as of less than a minute ago; 10 of 11 not seen for so long "
        "Skipped 1 order: OC approved by buyer (2013) Skipped 1 order: OC confirmed (2012) Taken out 1 order: 2001"
        " Reason none given Own words 1 order with a reason of its own, 1 order with a message of its own"
        " 2000: late; Sorry Mails 3 mails (en 1, fr 1, ja 1);"
        " nobody is told for 1 buyer without an address: No Address Ltd"
    )
    text = "\n".join(lines)
    assert "To Acme Paris (fr, 8 orders, the longest)" in text
    assert "This cannot be undone." in lines


def test_what_is_not_shown_is_counted_and_full_shows_it(cli, store_url):
    with open_store(store_url) as store:
        put(store, *(make_order(f"30{number:02}") for number in range(30)))
        put(store, *(make_order(f"31{number:02}", invoices=1) for number in range(9)))
    ran = cli("reject", "--all", "--dry-run")
    assert "… and 27 more; --full shows all" in ran.err
    assert "9 orders: has an invoice (3100, 3101, 3102, 3103, 3104 and 4 more)" in ran.err
    plan = cli("reject", "--all", "--save-plan", "--format", "json").json
    rows = dict.fromkeys(plan["plan"]["targets"], "needs-oc")
    rows |= {order_id: group["reason"] for group in plan["plan"]["skipped"] for order_id in group["ids"]}
    for shown in (
        cli("reject", "--all", "--dry-run", "--full").err,
        cli("plan", "show", plan["saved"]["short_id"], "--full").out,
        cli("plan", "run", plan["saved"]["short_id"], "--full", "--dry-run").err,
    ):
        assert "--full shows all" not in shown
        split = (line.split(maxsplit=1) for line in shown.splitlines() if line.strip())
        listed = [words for words in split if words[0] in rows]
        assert {order_id: rows[order_id] in rest for order_id, rest in listed} == dict.fromkeys(rows, True)
        assert len(listed) == len(rows)


def test_in_full_it_is_read_in_the_pager_and_the_report_stays_clean(sqlite_url, tmp_path):
    fill(sqlite_url)
    cli = Cli(sqlite_url, tmp_path / "home", PAGER="sed s/^/paged:/")
    report = tmp_path / "report.json"
    shell = f"$PYTHON -m orderctl reject --all --full --format json > {report}"
    with Terminal(cli, shell=shell, rows=20) as terminal:
        terminal.wait_for("Type 12:")
        assert "paged:This cannot be undone." in terminal.lines
        terminal.type("12\r")
        assert terminal.end() == 0
    assert json.loads(report.read_text())["rejected"] == 12


def test_the_same_as_json(cli):
    ran = cli("reject", "--all", "--dry-run", "--notify", "--format", "json")
    assert ran.code == 0, ran.err
    impact = ran.json["plan"]["impact"]
    assert impact["seasons"][0] == {
        "season": "26SS",
        "currency": "EUR",
        "orders": 11,
        "open_orders": 12,
        "percent_of_orders": 92,
        "total": "3600.00",
        "open_total": "4200.00",
        "percent_of_total": 86,
    }
    assert impact["largest"][0] == {
        "id": "2000",
        "currency": "EUR",
        "total": "2400.00",
        "among_orders": 11,
        "percent_of_total": 67,
        "stands_out": True,
    }
    assert (impact["season_count"], impact["changed_within_the_hour"]) == (2, 1)
    assert impact["ordered"] == {"first": "2026-01-15T12:00:00+00:00", "last": "2026-01-15T12:00:00+00:00"}
    assert impact["delivery"] == {"first": "2026-09-01", "last": "2026-12-24"}
    assert impact["buyers_without_address"] == {"count": 1, "names": ["No Address Ltd"]}
    assert impact["buyers_with_confirmed_orders"] == {"count": 1, "names": ["雲商店"]}
    letters = {letter["language"]: letter for letter in ran.json["letters"]}
    assert {tag: (each["written_in"], each["orders"]) for tag, each in letters.items()} == {
        "en": ("en", 1),
        "fr": ("fr", 9),
        "ja": ("ja", 1),
    }
    assert letters["fr"]["mark"] == "longest"
    assert letters["ja"]["letter"]["subject"] == "【nord】ご注文 2010 をお断りしました"


def test_a_sample_of_a_mail_an_order_speaks_of_one_order(cli):
    ran = cli("reject", "--all", "--dry-run", "--notify", "--mail-per-order", "--format", "json")
    assert [letter["orders"] for letter in ran.json["letters"]] == [1, 1, 1]


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_a_broken_template_of_any_language_stops_the_plan(cli, tmp_path, quiet):
    folder = tmp_path / "templates" / "ja"
    folder.mkdir(parents=True)
    (folder / "body.txt").write_text("{{ nobody }}\n")
    cli.environ["ORDERCTL_MAIL_TEMPLATES"] = str(tmp_path / "templates")
    ran = cli(*quiet, "reject", "--all", "--notify", "--yes")
    assert ran.code == 2
    assert f"{folder / 'body.txt'}:1: the mail template is broken" in ran.err
    assert cli("search", "status:rejected").lines == []


def sample(text):
    letter = Letter(subject="s", text=text, html="")
    return SampleLetter(buyer="b", language="", written_in="en", orders=1, letter=letter)


def test_the_longest_and_the_shortest_of_several_letters_are_marked():
    marks = [each.mark for each in mark_extremes([sample("abc"), sample("a"), sample("ab"), sample("abc")])]
    assert marks == ["longest", "shortest", "", ""]
    assert [each.mark for each in mark_extremes([sample("a"), sample("b")])] == ["", ""]
