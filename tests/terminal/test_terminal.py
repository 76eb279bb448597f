"""What an operator sees and types in a real terminal (design.md, section 6, steps 3 and 4)."""

from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from zoneinfo import ZoneInfo

import pytest

from support.cli import Cli
from support.factories import KUMO, make_order, put_all
from support.stores import open_store
from support.terminal import Terminal

ORDERS = 24


@pytest.fixture
def cli(sqlite_url, tmp_path):
    cli = Cli(sqlite_url, tmp_path / "home", ORDERCTL_LABEL="Nordlys Europe", ORDERCTL_PRODUCTION="yes")
    with open_store(sqlite_url) as store:
        put_all(store, [make_order(f"{number}", buyer=KUMO, reference="PO-1") for number in range(1001, 1001 + ORDERS)])
    return cli


def mailing(cli, tmp_path):
    cli.environ |= {
        "ORDERCTL_MAIL_TRANSPORT": "maildir",
        "ORDERCTL_MAIL_MAILDIR": str(tmp_path / "mails"),
        "ORDERCTL_MAIL_SENDER": "orders@brand.example",
    }


def rejected(cli):
    return len(cli("search", "status:rejected").lines)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_preview_fits_the_terminal(cli, columns):
    with Terminal(cli, "reject", "--all", "--dry-run", columns=columns, rows=90) as terminal:
        assert terminal.end() == 0
        lines = terminal.lines
    assert lines[0] == "Reject 24 orders in Nordlys Europe  PRODUCTION  (account main), from filter [all" + (
        "" if columns == 80 else " orders]"
    )
    heads = [line for line in lines if line.strip().startswith("Order ")][:1]
    assert heads[0].split()[:3] == ["Order", "Buyer", "Status"]
    assert ("Country" in heads[0]) == (columns == 120)
    row = next(line for line in lines if "1024" in line)
    assert row.rstrip().endswith("120.50  EUR")
    assert "雲商店" in row.replace(" ", "")
    assert any(line.strip() == "… and 9 more; --full shows all" for line in lines)
    assert "This cannot be undone." in lines


def test_the_typed_number_rejects(cli):
    with Terminal(cli, "reject", "--all") as terminal:
        terminal.wait_for("Type 24:")
        terminal.type("24\r")
        terminal.wait_for("Rejected 24 orders")
        assert terminal.end() == 0
    assert rejected(cli) == ORDERS


@pytest.mark.parametrize("answer", ["23\r", "\r", "yes\r", "2\x04", "\x1b[200~24\n\x1b[201~\x04"], ids=repr)
def test_anything_else_rejects_nothing(cli, answer):
    with Terminal(cli, "reject", "--all") as terminal:
        terminal.wait_for("Type 24:")
        terminal.type(answer)
        terminal.wait_for("declined; nothing was changed")
        assert terminal.end() == 4
    assert rejected(cli) == 0


def test_ctrl_c_at_the_question_rejects_nothing(cli):
    with Terminal(cli, "reject", "--all") as terminal:
        terminal.wait_for("Type 24:")
        terminal.type("\x03")
        terminal.wait_for("interrupted; nothing was changed")
        assert terminal.end() == 130
    assert rejected(cli) == 0


def test_a_few_orders_want_the_word_yes_and_enter(cli):
    for keys, code in (("\r", 4), ("y\r", 4), ("\x04", 4), (" Ｙes\r", 0)):  # noqa: RUF001 - as a Japanese keyboard gives it
        with Terminal(cli, "reject", "1001", "1002") as terminal:
            terminal.wait_for("Type yes:")
            terminal.type(keys)
            assert terminal.end() == code
    assert rejected(cli) == 2


def test_the_question_says_on_a_small_screen_what_counts(cli, sqlite_url, tmp_path):
    mailing(cli, tmp_path)
    cli.environ["ORDERCTL_LABEL"] = "The store of Nordlys in the north of Europe and elsewhere"
    with open_store(sqlite_url) as store:
        currencies = ("CHF", "DKK", "GBP", "JPY", "SEK")
        put_all(store, [make_order(currency, buyer=KUMO, currency=currency) for currency in currencies])
    with Terminal(cli, "reject", "--all", "--notify", columns=80, rows=24) as terminal:
        terminal.wait_for("Type 29:")
        assert terminal.lines[-3:] == [
            "? Reject 29 orders, 120.50 CHF, 120.50 DKK, 2,892.00 EUR and 3 more",
            "  currencies, in PRODUCTION The store of Nordly…Europe and elsewhere, and send",
            "  1 mail? Type 29:",
        ]
        terminal.type("\x04")
        assert terminal.end() == 4


@pytest.mark.parametrize(
    ("args", "ahead", "question", "then"),
    [
        (["reject", "1001"], "yes\ryes", "Type yes:", "\r"),
        (["reject", "--all"], "24\r24", "Type 24:", "\r"),
        (["reject", "--all", "--hold", "1h"], "24\r24", "Type 24:", "\r"),
        (["plan", "run"], "yes\ryes", "Type yes:", "\r"),
        (["reject", "1001", "--notify"], "yes\ryes", "Type yes:", "\x04"),
        (["reject", "1001"], "y\ryes\ry", "Tell the buyers by mail?", "\x04"),
        (["reject", "1001", "--reason", ""], "\ryes\r", "Why are they rejected?", "\x04"),
        (["reject", "--all", "--pick"], "\r24\r24", "24 orders", "\x04"),
    ],
    ids=["few", "many", "held", "plan", "notified", "mails", "reason", "pick"],
)
def test_what_was_typed_before_a_question_is_no_answer_to_it(cli, tmp_path, args, ahead, question, then):
    if "Tell" in question or "--notify" in args:
        mailing(cli, tmp_path)
    if "plan" in args:
        args = [*args, cli("reject", "1001", "--save-plan", "--format", "json").json["saved"]["short_id"]]
    if "Why" in question:
        cli.environ["ORDERCTL_REASONS"] = "dropped: Style dropped, late: Too late"
    with Terminal(cli, *args) as terminal:
        terminal.type(ahead)
        terminal.wait_for(question)
        terminal.type(then)
        assert terminal.end() == 4
        assert "declined; nothing was changed" in terminal.text
    assert rejected(cli) == 0
    assert cli("plan", "list", "--state", "held").out == ""


def test_what_was_typed_with_one_answer_does_not_answer_the_next_question(cli, tmp_path):
    mailing(cli, tmp_path)
    with Terminal(cli, "reject", "1001") as terminal:
        terminal.wait_for("Tell the buyers by mail?")
        terminal.type("y\ryes\ryes")
        terminal.wait_for("Type yes:")
        terminal.type("\r")
        assert terminal.end() == 4
    assert rejected(cli) == 0


def test_a_long_paste_before_the_question_is_dropped_to_its_end(cli):
    with Terminal(cli, "reject", "1001") as terminal:
        terminal.type("yes\r" * 3_000)
        terminal.wait_for("Type yes:")
        terminal.type("\r")
        assert terminal.end() == 4
    assert rejected(cli) == 0


def test_with_ids_piped_in_the_question_is_still_asked_on_the_terminal(cli):
    shell = "printf '1001\\n1002\\n' | $PYTHON -m orderctl reject --ids -"
    with Terminal(cli, shell=shell) as terminal:
        terminal.wait_for("Type yes:")
        terminal.type("yes\r")
        terminal.wait_for("Rejected 2 orders")
        assert terminal.end() == 0
    assert rejected(cli) == 2


def test_another_filter_of_the_same_name_is_asked_about(cli):
    assert cli("filter", "save", "stale", "season:25SS").code == 0
    for keys, code, kept in (("n\r", 4, "season:25SS\n"), ("\r", 4, "season:25SS\n"), ("y\r", 0, "season:26SS\n")):
        with Terminal(cli, "filter", "save", "stale", "season:26SS") as terminal:
            terminal.wait_for("Replace it with: season:26SS?")
            assert "'stale' was saved by mia on 2" in terminal.text
            terminal.type(keys)
            assert terminal.end() == code
        assert cli("filter", "show", "stale").out == kept


def test_yes_in_a_pipe_answers_nothing(cli):
    with Terminal(cli, shell="yes | $PYTHON -m orderctl reject 1001") as terminal:
        terminal.wait_for("Type yes:")
        terminal.type("\r")
        assert terminal.end() == 4
    assert rejected(cli) == 0


def test_the_buyers_are_told_only_if_somebody_says_so(cli, tmp_path):
    mailing(cli, tmp_path)
    with Terminal(cli, "reject", "1001") as terminal:
        shown = terminal.wait_for("Tell the buyers by mail?")
        assert "1 mail, if you say so" in shown
        assert "To 雲商店" in shown.replace("雲 商 店", "雲商店")
        terminal.type("n\r")
        terminal.wait_for("and tell nobody? Type yes:")
        terminal.type("\r")
        assert terminal.end() == 4
    with Terminal(cli, "reject", "1001") as terminal:
        terminal.wait_for("Tell the buyers by mail?")
        terminal.type("y\r")
        terminal.wait_for("and send 1 mail? Type yes:")
        terminal.type("yes\r")
        terminal.wait_for("1 mail sent")
        assert terminal.end() == 0
    assert len(list((tmp_path / "mails" / "new").iterdir())) == 1


def test_the_message_is_written_after_the_preview_and_shown_before_the_question(cli, tmp_path):
    mailing(cli, tmp_path)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nread -r typed < /dev/tty\nprintf \'%s\\n\' "Sorry, $typed." > "$1"\n')
    editor.chmod(0o755)
    cli.environ["EDITOR"] = str(editor)
    with Terminal(cli, "reject", "1001", "--edit", rows=90) as terminal:
        terminal.type("typed ahead\r")
        assert "Sorry" not in terminal.wait_for("This cannot be undone.")
        terminal.type("dear buyer\r")
        shown = terminal.wait_for("and send 1 mail? Type yes:")
        assert "Sorry, dear buyer." in shown[shown.index("This cannot be undone.") :]
        terminal.type("yes\r")
        assert terminal.end() == 0
    (mail,) = (tmp_path / "mails" / "new").iterdir()
    assert (
        "Sorry, dear buyer." in message_from_bytes(mail.read_bytes(), policy=default).get_body(("plain",)).get_content()
    )


def test_a_message_to_nobody_is_refused_before_anything_is_shown(cli):
    ran = cli("reject", "1001", "--no-notify", "--edit", "--yes")
    assert (ran.code, "a message is to be sent, and --no-notify sends none" in ran.err) == (2, True)


def test_nobody_is_asked_about_mails_where_nothing_is_left_to_reject(cli, tmp_path):
    mailing(cli, tmp_path)
    assert cli("reject", "1001", "--yes").code == 0
    with Terminal(cli, "reject", "1001") as terminal:
        assert terminal.end() == 3
        assert "Tell the buyers by mail?" not in terminal.text
        assert "Nothing to reject" in terminal.text


def test_search_shows_a_table_and_says_how_many_there_are(cli):
    with Terminal(cli, "search", "--limit", "5", columns=80) as terminal:
        assert terminal.end() == 0
        assert "5 of 24 orders; --limit 0 shows all, --after 1020 the next" in terminal.text
        assert all(len(line) <= 80 for line in terminal.lines)


def test_what_is_empty_is_a_sentence_and_no_table(cli):
    for args, said in ((["search", "nothere"], "0 orders"), (["filter", "list"], "no saved filters; orderctl filter")):
        with Terminal(cli, *args) as terminal:
            assert terminal.end() == 0
            assert terminal.text.startswith(said)


def test_when_something_happened_is_shown_in_the_operators_zone_and_told_to_programs_in_utc(cli):
    batch = cli("reject", "1001", "--yes", "--format", "json").json["batch"]
    at = datetime.fromisoformat(cli("log", batch, "--format", "json").json["at"])
    cli.environ["ORDERCTL_TIME_ZONE"] = "Asia/Tokyo"
    there = f"{at.astimezone(ZoneInfo('Asia/Tokyo')):%Y-%m-%d %H:%M}"
    assert at.utcoffset() == timedelta(0)
    with Terminal(cli, "log") as terminal:
        assert terminal.end() == 0
        assert "When (Asia/Tokyo)" in terminal.text
        assert there in terminal.text
    assert cli("log").lines[0].split("\t")[1] == f"{at:%Y-%m-%d %H:%M}"
    assert f"{there}:" in cli("log", batch).out
    assert " JST" in cli("log", batch).out
    cli.environ["ORDERCTL_TIME_ZONE"] = "Mars/Base"
    wrong = cli("log")
    assert (wrong.code, wrong.err.splitlines()[0]) == (2, "orderctl: time_zone: 'Mars/Base' is not a known time zone")
