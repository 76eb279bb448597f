"""The main job from the first command to the last, as processes, on both engines, with a real mail server."""

import csv
import json
import subprocess
import sys

import pytest

from support.cli import maildir_cli
from support.real_file import LOOK_ALIKE, MAP, OF_REAL, REAL, make_look_alike, real_or_not
from support.smtp_server import PASSWORD, USER, body, ca_file, real_server

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.fixture(params=real_or_not())
def retail(request, tmp_path):
    """A file and what is known of it."""
    if request.param == "real":
        return REAL, OF_REAL
    return make_look_alike(tmp_path / "retail.xlsx"), LOOK_ALIKE


@pytest.fixture
def cli(store_url, tmp_path):
    return maildir_cli(store_url, tmp_path, ORDERCTL_MAIL_SENDER="Nord <orders@brand.example>")


def test_a_file_is_refused_whole_then_taken_without_its_bad_rows_and_rejected_by_a_pipe(cli, retail, tmp_path):
    file, known = retail
    errors = tmp_path / "errors.csv"
    refused = cli("import", str(file), "--map", str(MAP), "--errors", str(errors))
    assert refused.code == 2
    assert "1 bad order; nothing was imported" in refused.err
    assert cli("search", "--count").out == "0\n"
    taken = cli(
        "import", str(file), "--map", str(MAP), "--skip-bad", "--errors", str(errors), "--force", "--format", "json"
    )
    assert taken.code == 0
    counts = {key: taken.json[key] for key in ("rows", "orders", "bad_orders", "created", "stored")}
    assert counts == {
        "rows": known.rows,
        "orders": known.orders,
        "bad_orders": 1,
        "created": known.orders,
        "stored": True,
    }
    again = cli(
        "import", str(file), "--map", str(MAP), "--skip-bad", "--errors", str(errors), "--force", "--format", "json"
    )
    every_invoice_is_an_order_or_in_the_error_report(cli, known, again.json, errors)
    the_pipe_rejects_what_the_search_found_and_a_second_run_nothing(cli, known, tmp_path / "mails")


def every_invoice_is_an_order_or_in_the_error_report(cli, known, again, errors):
    counts = [again[name] for name in ("created", "updated", "unchanged", "rejected_left_alone")]
    assert counts == [0, 0, known.orders - known.cancelled, known.cancelled]
    with errors.open(newline="") as report:
        problems = list(csv.DictReader(report))
    assert (again["bad_orders"], len(problems)) == (1, known.bad_rows)
    assert {problem["value"] for problem in problems if problem["column"] == "InvoiceNo"} == {"550193"}
    prices = [(int(problem["row"]), problem["value"]) for problem in problems if problem["column"] == "UnitPrice"]
    assert prices == known.bad_prices
    stored = [json.loads(line) for line in cli("search", "--limit", "0", "--format", "jsonl").lines]
    assert len(stored) == known.orders
    rejected = [order["id"] for order in stored if order["status"] == "rejected"]
    assert len(rejected) == known.cancelled
    assert all(order_id.startswith("C") for order_id in rejected)
    assert sum(not order["buyer"] for order in stored) == known.without_buyer
    assert {order["currency"] for order in stored} == {"GBP"}
    assert cli("search", "status:rejected", "--count").out == f"{known.cancelled}\n"
    assert cli("search", "buyer:none", "--count").out == f"{known.without_buyer}\n"


def the_pipe_rejects_what_the_search_found_and_a_second_run_nothing(cli, known, mails):
    found = sorted(cli("search", f"country:{known.country}", "status:needs-oc", "--format", "ids").lines)
    before = int(cli("search", "status:rejected", "--count").out)
    assert len(found) == known.open_there
    options = ("--yes", "--notify", "--message", "Sorry: the season is closed.", "--format", "json")
    first = pipe(cli, f"country:{known.country} status:needs-oc --format ids", *options)
    assert (first.returncode, first.report["rejected"]) == (0, len(found))
    assert sorted(first.report["plan"]["targets"]) == found
    # Nobody in this file has an address: each is counted as one who is not told.
    assert first.report["mails"]["queued"] == 0
    assert first.report["plan"]["mail"]["buyers_without_address"] > 0
    assert int(cli("search", "status:rejected", "--count").out) == before + len(found)
    second = pipe(cli, f"country:{known.country} --format ids", *options)
    assert (second.returncode, second.report["outcome"], second.report["rejected"]) == (3, "nothing-to-do", 0)
    assert not mails.exists()
    assert len(cli("log", "--format", "json").json) == 1


def test_an_order_that_arrived_cancelled_is_final_and_says_how(cli, tmp_path):
    cli("import", str(make_look_alike(tmp_path / "retail.xlsx")), "--map", str(MAP), "--skip-bad")
    order_id = cli("search", "status:rejected", "--limit", "1", "--sort", "id").lines[0]
    shown = cli("show", order_id, "--format", "json").json
    assert (shown["order"]["status"], shown["order"]["batch_id"]) == ("rejected", None)
    assert [(event["kind"], event["batch_id"]) for event in shown["events"]] == [("imported-as-rejected", None)]
    again = cli("reject", order_id, "--yes", "--format", "json")
    assert (again.code, again.json["outcome"]) == (3, "nothing-to-do")


def pipe(cli, search, *options):
    """`orderctl search … | orderctl reject --ids - …` in a shell."""
    orderctl = f"{sys.executable} -m orderctl"
    quoted = " ".join(f"'{each}'" for each in options)
    ran = subprocess.run(
        ["/bin/sh", "-c", f"{orderctl} search {search} | {orderctl} reject --ids - {quoted}"],
        env=cli.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    ran.report = json.loads(ran.stdout)
    return ran


ORDERS = """\
id,status,ordered,currency,total,buyer_id,buyer_name,buyer_email,buyer_language,season
1001,needs-oc,2026-01-10,EUR,1200.50,b1,Acme Paris,achats@acme.example,fr,26SS
1002,needs-oc,2026-01-11,EUR,99.00,b1,Acme Paris,achats@acme.example,fr,26SS
1003,oc-created,2026-01-12,JPY,90000,b2,雲商店,order@kumo.example,ja,26SS
1004,needs-oc,2026-01-13,GBP,12.00,b3,Mute Ltd,,en,26SS
1005,oc-confirmed,2026-01-14,EUR,77.00,b1,Acme Paris,achats@acme.example,fr,26SS
"""


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_buyers_are_told_over_a_checked_and_logged_in_connection(cli, tmp_path, security):
    (tmp_path / "orders.csv").write_text(ORDERS, encoding="utf-8")
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    secret.chmod(0o600)
    assert cli("import", str(tmp_path / "orders.csv")).code == 0
    with real_server(security) as inbox:
        cli.environ |= {
            "ORDERCTL_MAIL_TRANSPORT": "smtp",
            "ORDERCTL_MAIL_HOST": "127.0.0.1",
            "ORDERCTL_MAIL_PORT": str(inbox.port),
            "ORDERCTL_MAIL_SECURITY": security,
            "ORDERCTL_MAIL_USER": USER,
            "ORDERCTL_MAIL_PASSWORD_FILE": str(secret),
            "ORDERCTL_MAIL_CA_FILE": ca_file(tmp_path),
            "ORDERCTL_MAIL_REPLY_TO": "service@brand.example",
        }
        ran = cli("reject", "--filter", "season:26SS", "--yes", "--notify", "--message", "Sorry.", "--format", "json")
    assert (ran.code, ran.json["rejected"], ran.json["mails"]["sent"]) == (0, 4, 2)
    mails = {mail["To"]: mail for mail in inbox.mails}
    assert set(mails) == {"achats@acme.example", "order@kumo.example"}
    french, japanese = mails["achats@acme.example"], mails["order@kumo.example"]
    assert french["From"] == "Nord <orders@brand.example>"
    assert french["Reply-To"] == "service@brand.example"
    assert french["Message-ID"].startswith(f"<orderctl.{ran.json['batch']}.")
    assert french["Date"] is not None
    text = body(french)
    assert all(word in text for word in ("1001", "1002", "299,50", "Sorry."))
    assert "1005" not in text
    assert "<table" in body(french, "html")
    assert (japanese["Content-Language"], "1003" in body(japanese)) == ("ja", True)
    assert {mail["state"] for mail in cli("mail", "list", "--format", "json").json} == {"sent"}
