"""Text from outside is hostile: each way in which it could take over, through the whole program."""

import csv
import io
import os
import pty
import subprocess
import sys
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter

from orderctl.orders.queries import get_order
from stress.crash import environ
from stress.fuzz import clean
from support.factories import ACME, make_order, put
from support.smtp_server import scripted_server
from support.stores import open_store

CONTROL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2066\u200b\r"
MARKUP = "[red]x[/red] [/oops] [link=http://evil.example]y[/link]"
EVIL = f"{MARKUP} {CONTROL}"
MOST_MEMORY_KB = 300_000


@pytest.fixture
def call(forks, tmp_path):
    with scripted_server() as inbox:

        def run(url, *args, **changes):
            return forks(*args, environ=environ(url, tmp_path, inbox.port) | changes)

        run.inbox = inbox
        yield run


@pytest.fixture
def evil(sqlite_url):
    buyer = replace(ACME, name=EVIL, contact=EVIL, country="FR")
    line = replace(make_order().lines[0], name=EVIL, sku=f"SKU {MARKUP}", color=EVIL, size=EVIL)
    with open_store(sqlite_url) as store:
        put(
            store,
            make_order(
                "E1", buyer=buyer, reference=EVIL, note=EVIL, season=EVIL, brand=EVIL, terms=EVIL,
                delivery_address=EVIL, billing_address=EVIL, lines=(line,), tags=frozenset({"late"}),
            ),
            make_order("E2", buyer=buyer, reference="\n\nTotal: 0 orders", season="a\nb"),
        )  # fmt: skip
    return sqlite_url


# Every command that shows what somebody else wrote, in an order in which each finds something.
SHOWS = [
    ("search", "--format", "table"),
    ("search", "--format", "table", "--columns", "id,buyer,ref,season"),
    ("search", "--format", "jsonl"),
    ("search", EVIL),
    ("search", "staus:x", EVIL),
    ("show", "E1"),
    ("show", EVIL),
    ("select", "--all", "--name", "evil"),
    ("select", "--name", "evil"),
    ("reject", "E1", "E2", "--dry-run", "--notify", "--message", EVIL),
    ("reject", "E1", "--save-plan", "--notify", "--message", EVIL, "--reason", EVIL),
    ("plan", "list"),
    ("reject", "E1", "--yes", "--notify", "--message", EVIL, "--reason", EVIL),
    ("show", "E1"),
    ("log",),
    ("log", "E1"),
    ("mail", "list"),
    ("tag", EVIL, "E2"),
    ("archive", "E2"),
    ("filter", "save", "evil", MARKUP),
    ("filter", "list"),
    ("log", "verify"),
    ("store", "check"),
]


def test_nothing_that_is_shown_controls_the_terminal(call, evil):
    """Escape sequences, C1, bidi and zero-width characters: shown as what they are, or refused, and never obeyed."""
    for args in SHOWS:
        ended = call(evil, *args, ORDERCTL_ACTOR=EVIL, ORDERCTL_LABEL=EVIL)
        # In a pipe some commands set their columns apart by tabs.
        assert clean(ended.out.replace("\t", "")), (args, ended.out)
        assert clean(ended.err), (args, ended.err)
    assert "\\x1b[2J" in call(evil, "show", "E1").out


def test_no_csv_that_is_written_straight_onto_a_terminal_controls_it(call, evil, tmp_path):
    assert call(evil, "reject", "E2", "--yes", "--reason", EVIL).code == 0
    for args in (
        ["search", "--format", "csv", "--columns", "id,buyer,ref,season"],
        ["export", "E1", "--format", "csv", "--raw"],
        ["stats", "--by", "buyer", "--format", "csv"],
        ["log", "export", "--format", "csv"],
    ):
        shown = on_a_terminal(args, environ(evil, tmp_path, 1))
        assert "\\x1b[2J" in shown, args
        assert clean(shown.replace("\r\n", "\n")), (args, shown)


def on_a_terminal(args, settings):
    """What a terminal receives, to the byte."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "orderctl", *args], env=settings, stdout=theirs)
    os.close(theirs)
    received = b""
    with suppress(OSError):  # how Linux says that nobody holds the other end any more
        while block := os.read(ours, 65_536):
            received += block
    os.close(ours)
    assert process.wait(timeout=30) == 0, received
    return received.decode("utf-8")


def test_markup_is_shown_and_not_obeyed(call, evil):
    shown = " ".join(call(evil, "show", "E1").out.split())
    assert MARKUP in shown
    table = call(evil, "search", "--format", "table", "--columns", "id,ref", COLUMNS="400").out
    assert "[red]x[/red] [/oops" in table


def test_a_name_cannot_add_a_row(call, evil):
    table = call(evil, "search", "--format", "table", "--columns", "id,ref,season").out
    assert not any(line.strip().startswith("Total") for line in table.splitlines())
    assert "\\n\\nTotal: 0 orders" in table


FORMULAS = ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("formula", FORMULAS, ids=ascii)
def test_no_spreadsheet_runs_what_a_buyer_wrote(call, sqlite_url, tmp_path, formula):
    with open_store(sqlite_url) as store:
        put(store, make_order("F1", reference=formula, note=formula, buyer=replace(ACME, name=formula)))
    written = call(sqlite_url, "search", "--format", "csv", "--columns", "id,buyer,ref").out
    _header, (_, name, reference) = csv.reader(io.StringIO(written, newline=""))
    assert (name[:1], reference[:1]) == ("'", "'")
    for ending in ("csv", "xlsx"):
        exported = call(sqlite_url, "export", "F1", "--output", str(tmp_path / f"o.{ending}"))
        assert exported.code == 0, exported
    with (tmp_path / "o.csv").open(encoding="utf-8-sig", newline="") as file:
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for row in csv.reader(file) for cell in row)
    book = openpyxl.load_workbook(tmp_path / "o.xlsx")
    assert {cell.data_type for sheet in book for row in sheet for cell in row} <= {"s", "n", "d", "b", "inlineStr"}


def test_a_carriage_return_begins_no_row_of_its_own(sqlite_url, forks, tmp_path):
    """Python leaves a bare one unquoted, and spreadsheets break the row there."""
    with open_store(sqlite_url) as store:
        put(store, make_order("C1", reference="PO\r=1+1", note="a\r=1+1", buyer=replace(ACME, name="Acme\r=1+1")))
    settings = environ(sqlite_url, tmp_path, 1)
    for call in (
        ["search", "--format", "csv"],
        ["export", "C1", "--format", "csv"],
        ["export", "C1", "--format", "csv", "--raw"],
    ):
        command = [sys.executable, "-m", "orderctl", *call]
        written = subprocess.run(command, env=settings, capture_output=True, check=True).stdout
        quoted = "".join(written.decode().split('"')[1::2])
        assert written.count(b"\r") == quoted.count("\r") > 0
        assert written.count(b"\n") == 2


@pytest.mark.parametrize("words", ["x\r\nBcc: all@acme.example", "x\nBcc: y", "=?UTF-8?Q?=0A?=Bcc: all@acme.example"])
def test_no_name_adds_a_header_to_a_mail(call, sqlite_url, words):
    buyer = replace(ACME, name=words, contact=words, language="en")
    with open_store(sqlite_url) as store:
        put(store, make_order("H1", buyer=buyer, brand=words, reference=words))
    ended = call(sqlite_url, "reject", "H1", "--yes", "--notify", "--message", words, "--reason", words)
    call.inbox.settle()
    assert ended.code in (0, 5), ended
    for mail in call.inbox.mails:
        assert {"bcc", "cc"}.isdisjoint(name.lower() for name in mail)
        assert mail["To"] == ACME.email


def test_a_message_is_never_a_template_an_attachment_or_markup(call, sqlite_url):
    words = "/etc/hostname {{ 7*7 }} {% for x in y %} <script>alert(1)</script>"
    with open_store(sqlite_url) as store:
        put(store, make_order("T1", buyer=replace(ACME, language="en", contact="{{ 7*7 }}")))
    assert call(sqlite_url, "reject", "T1", "--yes", "--notify", "--message", words).code == 0
    call.inbox.settle()
    (mail,) = call.inbox.mails
    plain, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert words in " ".join(plain.split())
    assert "49" not in plain.split("\n")[0]
    assert "<script>" not in html
    assert [part.get_filename() for part in mail.walk() if part.get_filename()] == []


@pytest.mark.parametrize(
    "template", ["{{ ''.__class__.__mro__ }}", "{{ lipsum.__globals__ }}", "{{ orders.append(1) }}", "{{ no.such }}"]
)
def test_a_brands_template_cannot_reach_into_the_program(call, sqlite_url, tmp_path, template):
    (tmp_path / "templates" / "en").mkdir(parents=True)
    (tmp_path / "templates" / "en" / "body.txt").write_text(template, encoding="utf-8")
    with open_store(sqlite_url) as store:
        put(store, make_order("T1", buyer=replace(ACME, language="en")))
    own = {"ORDERCTL_MAIL_TEMPLATES": str(tmp_path / "templates")}
    ended = call(sqlite_url, "reject", "T1", "--yes", "--notify", **own)
    assert ended.code == 2, ended
    assert "en/body.txt:1: the mail template is broken" in ended.err
    assert call(sqlite_url, "search", "status:rejected").out == ""


@pytest.mark.parametrize("order_id", ["../../evil", "/etc/passwd", "CON", ".hidden", "a/b\\c", "..", "x" * 200])
def test_no_order_id_leads_out_of_the_folder(call, sqlite_url, tmp_path, order_id):
    with open_store(sqlite_url) as store:
        put(store, make_order(order_id))
    folder = tmp_path / "out" / "pdfs"
    ended = call(sqlite_url, "export", "--all", "--format", "pdf", "--per-order", "--output", str(folder))
    assert ended.code == 0, ended
    written = [path for path in tmp_path.joinpath("out").rglob("*") if path.is_file()]
    assert [path.parent for path in written] == [folder]
    assert not written[0].name.startswith(".")
    assert written[0].stem.upper() != "CON"


# A child begins with the most memory that its parent held, and this suite holds much: a small parent stands between.
_MEASURED = """
import os, pathlib, subprocess, sys
process = subprocess.Popen([sys.executable, "-m", "orderctl", *sys.argv[2:]])
_, status, used = os.wait4(process.pid, 0)
pathlib.Path(sys.argv[1]).write_text(str(used.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measured(args, url, tmp_path, chunks=()):
    """Run the program, feed it as long as it reads; gives its exit code, error, memory in kB, and the bytes it took."""
    settings = environ(url, tmp_path, 1)
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", _MEASURED, str(tmp_path / "memory"), *args],
            env=settings,
            stdin=subprocess.PIPE,
            stdout=err,
            stderr=err,
        )
        taken = 0
        try:
            for chunk in chunks:
                process.stdin.write(chunk)
                taken += len(chunk)
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.wait(timeout=60)
        with suppress(BrokenPipeError):
            process.stdin.close()
    return process.returncode, (tmp_path / "err").read_text("utf-8"), int((tmp_path / "memory").read_text()), taken


def test_a_line_of_a_gigabyte_is_not_read_into_memory(sqlite_url, tmp_path):
    endless = (b"9" * 1_000_000 for _ in range(1_000))
    code, err, memory, taken = measured(["reject", "--ids", "-", "--yes"], sqlite_url, tmp_path, endless)
    assert (code, "standard input:1: the line is longer than" in err) == (2, True), err
    assert memory < MOST_MEMORY_KB
    assert taken < 20_000_000


ENTITIES = {
    "entities that multiply": '<!DOCTYPE x [<!ENTITY a "ha ha ha ha ha ">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 20}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>",
    "an entity that is a file": '<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/passwd">]>',
}


@pytest.mark.parametrize("doctype", ENTITIES.values(), ids=list(ENTITIES))
def test_no_entity_of_a_workbook_is_followed(sqlite_url, tmp_path, doctype):
    path = workbook(tmp_path / "orders.xlsx", doctype)
    code, err, memory, _ = measured(["import", str(path)], sqlite_url, tmp_path)
    assert (code in (0, 2), "Traceback" in err, "root:" in err) == (True, False, False), err
    assert memory < MOST_MEMORY_KB
    with open_store(sqlite_url) as store, store.snapshot() as connection:
        order = get_order(connection, "A1")
        assert order is None or len(order.note) < 100


def test_a_workbook_that_unfolds_without_end_is_refused(sqlite_url, tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 80_000_000)
    code, err, memory, _ = measured(["import", str(path)], sqlite_url, tmp_path)
    assert (code, "would unfold to more than this program reads at once" in err) == (2, True), err
    assert memory < MOST_MEMORY_KB


def workbook(path: Path, doctype: str) -> Path:
    """A workbook of one order whose note is the entity `i`."""
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["id", "status", "ordered", "currency", "total", "quantity", "note"])
    sheet.write_row(1, 0, ["A1", "needs-oc", "2026-01-15", "EUR", "120.50", "5", "NOTE"])
    book.close()
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    text = parts["xl/sharedStrings.xml"].decode()
    parts["xl/sharedStrings.xml"] = (doctype + text.replace("NOTE", "&i;")).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path
