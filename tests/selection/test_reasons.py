"""Why orders are rejected: coded reasons, and a reason and a message of single orders, from file to log and mail."""

import email
import io
import json
from email.policy import default

import pytest

from orderctl.audit.queries import get_batch
from orderctl.errors import UsageError
from orderctl.orders.queries import order_events
from orderctl.rejection.plan import RejectionPlan
from orderctl.selection.id_file import read_ids
from orderctl.selection.notes import OrderNote, OrderNotes, Reason, ReasonCodes, words_of
from support.cli import Cli
from support.factories import ACME, KUMO, make_order, put
from support.rejection import ids, plan_for, reject
from support.stores import open_store
from support.terminal import Terminal

CODES = ReasonCodes.collect(["dropped: Style dropped", "late"])
CONFIG = """
[profile.default.reasons]
dropped = "Style dropped"
late = "Too late"
"""


@pytest.fixture
def cli(store_url, tmp_path):
    """Three orders, coded reasons, mails into a folder."""
    with open_store(store_url) as store:
        put(store, make_order("A1"), make_order("A2"), make_order("K1", buyer=KUMO))
    home = tmp_path / "home"
    cli = Cli(store_url, home, ORDERCTL_CONFIG=str(home / "config.toml"))
    (home / "config.toml").write_text(CONFIG)
    cli.environ |= {
        "ORDERCTL_MAIL_TRANSPORT": "maildir",
        "ORDERCTL_MAIL_MAILDIR": str(tmp_path / "mails"),
        "ORDERCTL_MAIL_SENDER": "orders@brand.example",
    }
    return cli


def listed(tmp_path, content):
    path = tmp_path / "list.csv"
    path.write_text(content, encoding="utf-8")
    return str(path)


def mails(tmp_path):
    found = [email.message_from_bytes(path.read_bytes(), policy=default) for path in (tmp_path / "mails/new").iterdir()]
    return {str(each["To"]): each for each in found}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dropped", Reason("dropped: Style dropped", "dropped")),
        (" dropped : linen only ", Reason("dropped: linen only", "dropped")),
        ("late", Reason("late", "late")),
        ("", Reason()),
    ],
)
def test_a_reason_begins_with_its_code(text, reason):
    assert CODES.read(text) == reason


def test_without_codes_any_text_is_a_reason():
    assert ReasonCodes().read("dropped: linen") == Reason("dropped: linen")
    assert words_of("dropped: linen", "dropped") == "linen"
    assert words_of("dropped: linen", "") == "dropped: linen"


@pytest.mark.parametrize("texts", [[""], [": words"], ["a", "a: again"], ["x" * 61], ["a\x1b"]])
def test_codes_that_are_none(texts):
    with pytest.raises(ValueError, match="has no code|stands there twice"):
        ReasonCodes.collect(texts)


def test_a_file_says_more_of_single_orders():
    content = 'Order ID;Reason;Message;total\nA1;dropped;"Sorry, Ana.\nNext season."\nA2;;;\nA3;late: by a month;\n'
    found = read_ids(io.BytesIO(content.encode()), "list.csv", CODES)
    assert found.ids == ("A1", "A2", "A3")
    assert list(found.notes) == [
        OrderNote(id="A1", reason=Reason("dropped: Style dropped", "dropped"), message="Sorry, Ana.\nNext season."),
        OrderNote(id="A3", reason=Reason("late: by a month", "late")),
    ]
    assert (found.notes.reasons, found.notes.messages) == (2, 1)
    assert read_ids(io.BytesIO(content.encode()), "list.csv").notes == OrderNotes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,reason\nA1,late\nA2,lat\n", "list.csv:3: the reason begins with no code of the settings: 'lat'"),
        (f"id,reason\nA1,late: {'x' * 500}\n", "list.csv:2: the reason is longer than 500 characters"),
        (f"id,message\nA1,{'x' * 2_001}\n", "list.csv:2: the message is longer than 2,000 characters"),
        ("id,reason\nA1,late\nA1,dropped\n", "list.csv:3: the order A1 stands above with another reason or message"),
        ('id,message\nA1,"open\nA2,x\n', "list.csv:2: the line is not CSV: unexpected end of data"),
        ('id,message\nA1,"' + "x\n" * 5_000, "list.csv:2: the line is not CSV: unexpected end of data"),
    ],
)
def test_what_a_file_says_wrongly_is_named_with_its_line(content, said):
    with pytest.raises(UsageError) as raised:
        read_ids(io.BytesIO(content.encode()), "list.csv", CODES)
    assert str(raised.value) == said
    assert raised.value.hint


def test_a_bad_code_in_a_file_changes_nothing(cli, tmp_path):
    path = listed(tmp_path, "id,reason,message\nA1,dropped,\nA2,droped,\n")
    ran = cli("reject", "--ids", path, "--yes", "--reason", "late")
    assert ran.code == 2
    assert f"{path}:3: the reason begins with no code of the settings: 'droped'" in ran.err
    assert "the codes: dropped, late" in ran.err
    assert ran.out == ""
    assert cli("search", "status:rejected").lines == []
    assert cli("log").lines == []


def test_reason_and_message_of_single_orders_arrive_in_log_and_mail(cli, tmp_path):
    path = listed(
        tmp_path,
        'id,reason,message\nA1,dropped,"The linen is <gone>.\nSorry!"\nA2,,\nK1,late: by a month,またのご注文を\n',
    )
    ran = cli("reject", "--ids", path, "--yes", "--notify", "--reason", "late", "--format", "json")
    assert ran.code == 0, ran.err
    plan = ran.json["plan"]
    assert (plan["reason"], plan["reason_code"]) == ("late: Too late", "late")
    assert (plan["notes"]["reasons"], plan["notes"]["messages"]) == (2, 2)
    events = {event["order_id"]: event for event in cli("log", ran.json["batch"], "--format", "json").json["events"]}
    assert {order_id: (event["reason_code"], event["detail"]) for order_id, event in events.items()} == {
        "A1": ("dropped", "dropped: Style dropped"),
        "A2": ("late", "late: Too late"),
        "K1": ("late", "late: by a month"),
    }
    sent = mails(tmp_path)
    text = sent[ACME.email].get_body(("plain",)).get_content().splitlines()
    row = next(number for number, line in enumerate(text) if line.startswith("A1 "))
    assert text[row + 1 : row + 3] == ["  The linen is <gone>.", "  Sorry!"]
    assert text[row + 3].startswith("A2 ")
    html = sent[ACME.email].get_body(("html",)).get_content()
    assert "The linen is &lt;gone&gt;.<br>Sorry!" in html
    assert "  またのご注文を" in sent[KUMO.email].get_body(("plain",)).get_content().splitlines()
    assert cli("log", "verify").code == 0


def test_a_message_of_a_single_order_is_never_lost_silently(cli, tmp_path):
    path = listed(tmp_path, "id,message\nA1,Sorry\n")
    ran = cli("reject", "--ids", path, "--yes", "--no-notify", "--reason", "late")
    assert ran.code == 2
    assert "--no-notify sends none" in ran.err


def test_a_list_with_a_reason_each_needs_no_other(cli, tmp_path):
    path = listed(tmp_path, "id,reason\nA1,dropped\n")
    assert cli("reject", "--ids", path, "--yes").code == 0
    path = listed(tmp_path, "id,reason\nA2,dropped\nK1,\n")
    ran = cli("reject", "--ids", path, "--yes")
    assert (ran.code, "a reason is missing" in ran.err) == (2, True)
    assert cli("reject", "--ids", path, "--dry-run").code == 0


def test_a_plan_keeps_the_notes_of_its_targets_only_and_the_digest_covers_them(store):
    put(store, make_order("N1"), make_order("N2"))
    notes = OrderNotes.pack([OrderNote(id="N1", message="Sorry"), OrderNote(id="N9", message="gone")])
    plan = plan_for(store, ids("N1", "N2"), notes=notes, notify=True)
    assert list(plan.notes) == [OrderNote(id="N1", message="Sorry")]
    kept = plan.to_json()
    assert RejectionPlan.from_json(kept) == plan
    with pytest.raises(ValueError, match="edited"):
        RejectionPlan.from_json(kept.replace("Sorry", "Happy"))


def test_a_batch_keeps_its_code(store):
    put(store, make_order("C1"))
    done = reject(store, ids("C1"), reason_code="dropped")
    with store.snapshot() as connection:
        assert get_batch(connection, done.batch_id).reason_code == "dropped"
        assert [event.reason_code for event in order_events(connection, "C1")] == ["dropped"]


@pytest.mark.parametrize("config", ['reasons = ["dropped: Style dropped", "late"]', CONFIG.split("\n", 2)[2]])
def test_the_settings_list_codes_or_give_a_table(sqlite_url, tmp_path, config):
    head = "[profile.default]" if config.startswith("reasons") else "[profile.default.reasons]"
    (tmp_path / "config.toml").write_text(f"{head}\n{config}\n")
    ran = Cli(sqlite_url, tmp_path, ORDERCTL_CONFIG=str(tmp_path / "config.toml"))("reject", "X1", "--yes")
    assert (ran.code, "a reason is missing" in ran.err) == (2, True)
    assert "the codes: dropped, late" in ran.err


def test_a_person_is_asked_for_the_reason(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        put(store, make_order("A1"))
    cli = Cli(sqlite_url, tmp_path / "home", ORDERCTL_REASONS="dropped: Style dropped, late: Too late")
    with Terminal(cli, "reject", "A1", columns=80) as terminal:
        terminal.wait_for("late     Too late")
        terminal.type("\x1b[B\r")
        terminal.wait_for("Type yes:")
        assert "late: Too late" in terminal.text
        terminal.type("yes\r")
        assert terminal.end() == 0
    assert json.loads(cli("log", "A1", "--format", "json").out)["events"][0]["reason_code"] == "late"


def test_ids_are_taken_out_again_from_any_source(cli, tmp_path):
    path = listed(tmp_path, "id,reason\nA1,late\nA2,late\nK1,late\n")
    out = tmp_path / "keep.txt"
    out.write_text("K1\nZ9\n")
    for source in (["A1", "A2", "K1"], ["--ids", path], ["--filter", "season:26SS"], ["--name", "mine"]):
        cli("select", "--all", "--name", "mine")
        ran = cli("reject", *source, "--except", "A2", "--except-ids", str(out), "--dry-run", "--format", "json")
        assert ran.code == 0, ran.err
        assert ran.json["plan"]["targets"] == ["A1"], source
        assert ran.json["plan"]["excluded"] == {"count": 2, "ids": ["A2", "K1"], "elsewhere": 1}
    assert cli("reject", "A1", "Z9", "--except", "Z9", "--dry-run").code == 0
    ran = cli("reject", "--ids", "-", "--except-ids", "-", "--dry-run", stdin="A1\n")
    assert (ran.code, "cannot both read standard input" in ran.err) == (2, True)


def test_other_commands_do_not_care_what_a_list_says_beside_its_ids(cli, tmp_path):
    path = listed(tmp_path, "id,reason\nA1,anything\n")
    assert cli("select", "--ids", path).code == 0


@pytest.mark.parametrize(
    ("stored", "typed"),
    [("E\u0301te\u0301-1", "\u00c9t\u00e9-1"), ("\u00c9t\u00e9-1", "E\u0301te\u0301-1")],
    ids=["apart", "composed"],
)
def test_an_order_is_found_however_the_accents_of_its_id_are_typed(cli, store_url, stored, typed):
    with open_store(store_url) as store:
        put(store, make_order(stored))
    assert cli("search", f"id:{typed}").out == f"{stored}\n"
    assert stored not in cli("search", "not", f"id:{typed}").out.splitlines()
    both = f"id,reason\n{typed},late: too long a wait\n{stored},dropped\n"
    refused = cli("reject", "--ids", "-", "--yes", "--no-notify", stdin=both)
    assert (refused.code, "given twice" in refused.err) == (2, True), refused.err
    both = f"id,reason\n{typed},late: too long a wait\n{stored},\n"
    ran = cli("reject", "--ids", "-", "--yes", "--no-notify", "--format", "json", stdin=both)
    assert ran.code == 0, ran.err
    given = ran.json["plan"]["given"]
    assert (ran.json["rejected"], given["duplicates"], given["unknown_count"]) == (1, 1, 0), given
    assert "too long a wait" in cli("show", typed).out
    assert "too long a wait" in cli("log", typed).out
