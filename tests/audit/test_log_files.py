"""The log as files: an auditor's export from which the digests can be computed again, and the report of a batch."""

import csv
import json
import stat

import pytest
from pypdf import PdfReader

from orderctl.rejection.plan import RequestKey
from support.audit import digests_again
from support.cli import Cli
from support.factories import KUMO, MUTE, make_order, put_all
from support.rejection import ids, reject
from support.stores import open_store

EVIL = '<script>alert("x")</script>\u202e=1+1'


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


@pytest.fixture
def batches(store_url):
    with open_store(store_url) as store:
        put_all(store, [
            make_order("F1", reference=EVIL),
            make_order("F2", buyer=KUMO, country="JP", currency="JPY", total=90_000),
            make_order("F3", buyer=MUTE, country="GB", season="27FW", total=50_000),
            make_order("F4"),
        ])  # fmt: skip
        return [
            reject(store, ids("F1", "F2", "F3"), notify=True).batch_id,
            reject(store, ids("F4"), RequestKey.of("=NIGHT", ids("F4"))).batch_id,
        ]


def test_an_auditor_computes_every_digest_from_the_export(cli, batches, tmp_path):
    file = tmp_path / "log.jsonl"
    told = cli("log", "export", "-o", str(file))
    assert (told.code, told.out, told.err) == (0, "", f"2 batches, 8 rows, written to {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text().splitlines()
    again = digests_again(lines)
    assert len(again) == 2
    assert all(kept == found for kept, found in again.values())
    piped = cli("log", "export")
    assert (piped.lines, piped.err) == (lines, "2 batches, 8 rows, written to standard output\n")
    ran = cli("log", "export", "-o", str(file))
    assert (ran.code, "is there already" in ran.err) == (2, True)
    lines[1] = lines[1].replace("style dropped", "another")
    assert any(kept != found for kept, found in digests_again(lines).values())


def test_the_export_as_a_table_holds_the_same_records(cli, batches):
    rows = list(csv.DictReader(cli("log", "export", "--format", "csv").lines))
    assert [(row["record"], row["order_id"], row["batch_id"]) for row in rows] == [
        ("batch", "", ""),
        *(("event", order_id, batches[0]) for order_id in ("F1", "F2", "F3")),
        *[("mail", "", batches[0])] * 2,
        ("batch", "", ""),
        ("event", "F4", batches[1]),
    ]
    assert all(len(row["leaf"] if row["record"] == "event" else row["digest"]) in {8, 64} for row in rows)


def test_a_report_is_pages_with_everything_on_them(cli, batches, tmp_path):
    file = tmp_path / "report.pdf"
    assert cli("tag", "late", "F4").code == 0
    assert cli("log", "report", batches[0], "-o", str(file)).code == 0
    text = "\n".join(page.extract_text() for page in PdfReader(file).pages)
    digest, newest = (json.loads(cli("log", each, "--format", "json").out)["digest"] for each in batches[:2])
    act = json.loads(cli("log", "verify", "--format", "json").out)[-1]["act_head"]
    for words in (
        batches[0],
        digest,
        newest,
        "(number 2)",
        act["digest"],
        f"(number {act['position']})",
        "style dropped",
        "Approved by mia",
        "雲商店",
        "90,000 JPY",
        "620.50 EUR",
        "EUR by season",
    ):
        assert words in text, words
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_report_is_one_page_that_needs_nothing_and_runs_nothing(cli, batches, tmp_path):
    file = tmp_path / "report.html"
    assert cli("log", "report", batches[0], "-o", str(file)).code == 0
    page = file.read_text()
    assert "雲商店" in page
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;\\u202e=1+1" in page
    for forbidden in ("<script", "http:", "https:", "src=", "href=", "url(", "\u202e"):
        assert forbidden not in page, forbidden
    assert "<svg" in page
    newest = json.loads(cli("log", batches[1], "--format", "json").out)["digest"]
    assert f"<code>{newest} (number 2)</code>" in page


def test_a_report_is_of_the_newest_batch_unless_said(cli, batches, tmp_path):
    file = tmp_path / "report.html"
    assert f"the report of batch {batches[1]}" in cli("log", "report", "-o", str(file)).err
    for args, words in (
        ([batches[0], "-o", str(file)], "is there already"),
        (["nobody", "-o", str(tmp_path / "x.pdf")], "there is no batch 'nobody'"),
        (["-o", str(tmp_path / "x.doc")], "a report is a .pdf or an .html"),
    ):
        ran = cli("log", "report", *args)
        assert (ran.code, words in ran.err) == (2, True)
