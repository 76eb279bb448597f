"""Operators read their own language, whole sentences of it, and buyers theirs; other programs read English."""

import ast
import gettext
import json
import re
import sqlite3
import string
from io import BytesIO
from typing import get_args

import pytest
import typer
from babel.messages.pofile import read_po
from pypdf import PdfReader

from orderctl.cli.app import COMMANDS, app
from orderctl.cli.manual import pages
from orderctl.cli.options import OrderFormat
from orderctl.delivery.outbox import GIVEN_UP, DeliveryState
from orderctl.exporting.service import ExportFormat
from orderctl.filters.filters import FILTER_FIELDS
from orderctl.language import CATALOGUES, _, english, ngettext, retell, speech_for
from orderctl.language.stored import kept, told
from orderctl.mail.outbox import DETAILS, UNREACHABLE
from orderctl.orders.eligibility import RULES
from orderctl.orders.orders import Status
from orderctl.plans.plans import PlanState
from orderctl.settings import OPTIONS
from support.cli import Cli
from support.generator import docs_module
from support.terminal import Terminal

MESSAGES = docs_module("messages")
LANGUAGES = MESSAGES.languages()


def committed(code):
    return (CATALOGUES / code / "LC_MESSAGES" / "orderctl.po").read_bytes()


def catalogue(code):
    return [message for message in read_po(BytesIO(committed(code)), locale=code) if message.id]


def placeholders(template):
    return sorted(
        {
            (name, conversion, form)
            for __, name, form, conversion in string.Formatter().parse(template)
            if name is not None
        }
    )


class TestCatalogues:
    def test_japanese_is_there(self):
        assert LANGUAGES == ["ja"]

    @pytest.mark.parametrize("code", LANGUAGES)
    def test_the_committed_catalogue_is_what_the_code_says_today(self, code):
        assert MESSAGES.as_po(MESSAGES.updated(code)) == committed(code), "run: make messages"

    @pytest.mark.parametrize("code", LANGUAGES)
    def test_the_compiled_catalogue_is_made_from_it(self, code):
        made = gettext.GNUTranslations(BytesIO(MESSAGES.as_mo(MESSAGES.updated(code))))
        with (CATALOGUES / code / "LC_MESSAGES" / "orderctl.mo").open("rb") as file:
            there = gettext.GNUTranslations(file)
        assert {**there._catalog, "": ""} == {**made._catalog, "": ""}, "run: make messages"

    @pytest.mark.parametrize("code", LANGUAGES)
    def test_every_template_is_translated_and_none_is_a_guess(self, code):
        assert [message.id for message in MESSAGES.missing(catalogue(code))] == []
        assert [message.id for message in catalogue(code) if message.fuzzy] == []

    @pytest.mark.parametrize("code", LANGUAGES)
    def test_a_translation_holds_what_its_template_holds(self, code):
        wrong = []
        for message in catalogue(code):
            plural = isinstance(message.id, tuple)
            wanted = placeholders(message.id[1] if plural else message.id)
            texts = message.string if plural else (message.string,)
            wrong += [(message.id, text) for text in texts if _fills_in(message) and placeholders(text) != wanted]
        assert wrong == []

    @pytest.mark.parametrize("code", LANGUAGES)
    def test_its_head_names_no_stand_in(self, code):
        head = committed(code).decode().partition('\nmsgid "')[2].partition("\n\n")[0]
        assert not re.search("FIRST AUTHOR|FULL NAME|EMAIL@ADDRESS|YEAR-MO-DA|LANGUAGE <", head)


def test_nothing_is_said_while_the_program_is_imported():
    """A constant is marked with `later`: the language is known when it is shown."""
    early = []
    for path in CATALOGUES.parent.rglob("*.py"):
        waiting = [ast.parse(path.read_text("utf-8"))]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_", "ngettext"}:
                early.append(f"{path.name}:{node.lineno}")
            inside = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
            waiting += [node.args] if isinstance(node, inside) else ast.iter_child_nodes(node)
    assert early == []


def _fills_in(message):
    """Texts of `--help` are shown as they are, with whatever braces they have."""
    return any(place.endswith(".py") for place, __ in message.locations)


class TestChoice:
    @pytest.mark.parametrize(
        ("environ", "chosen"),
        [
            ({}, "en"),
            ({"LANG": "ja_JP.UTF-8"}, "ja"),
            ({"LC_ALL": "ja_JP.UTF-8", "LANG": "en_GB.UTF-8"}, "ja"),
            ({"LC_ALL": "C", "LANG": "ja_JP.UTF-8"}, "en"),
            ({"LC_MESSAGES": "ja_JP", "LANG": "de_DE"}, "ja"),
            ({"LANGUAGE": "en", "LC_ALL": "ja_JP.UTF-8"}, "en"),
            ({"LANGUAGE": "ja", "LC_ALL": "en_US.UTF-8"}, "ja"),
            ({"LANGUAGE": "xx:ja", "LANG": "en_US.UTF-8"}, "ja"),
            ({"LANGUAGE": "", "LANG": "ja_JP.UTF-8"}, "ja"),
            ({"LANG": "de_DE.UTF-8"}, "en"),
            ({"LANG": "../../etc"}, "en"),
        ],
    )
    def test_the_locale_decides_and_what_it_does_not_know_is_english(self, monkeypatch, environ, chosen):
        for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert _("give another name") == {"en": "give another name", "ja": "別の名前を指定してください"}[chosen]

    @pytest.mark.parametrize(
        ("tag", "word"), [("ja", "品名"), ("ja-JP", "品名"), ("en", "Article"), ("de", "Article"), ("", "Article")]
    )
    def test_a_buyers_language_is_the_buyers_whatever_the_operators(self, monkeypatch, tag, word):
        for operators in ("ja_JP.UTF-8", "en_US.UTF-8"):
            monkeypatch.setenv("LANGUAGE", operators)
            assert speech_for(tag).gettext("Article") == word


class TestSaid:
    @pytest.fixture(autouse=True)
    def japanese(self, monkeypatch):
        monkeypatch.setenv("LANGUAGE", "ja")

    def test_what_was_said_knows_itself_in_english_and_so_do_the_sentences_in_it(self):
        inner = _("plan {id}", id="abc")
        outer = _("{plan} expired {ago} ago", plan=inner, ago=_("less than a minute"))
        assert (outer, english(outer)) == (
            "計画abcは1分未満前に期限が切れました",
            "plan abc expired less than a minute ago",
        )

    def test_an_error_in_a_sentence_is_english_there_too(self):
        said = _("the reason {problem}", problem=ValueError(_("is empty")))
        assert (said, english(said)) == ("理由: 空です", "the reason is empty")

    def test_nothing_is_nothing(self):
        assert _("") == ""

    def test_numbers_of_things(self):
        said = ngettext("{number:,} mail", "{number:,} mails", 1200)
        assert (said, english(said)) == ("1,200通", "1,200 mails")

    def test_what_is_stored_in_english_is_told_again(self):
        templates = ("picked by hand from {words}", "selection {name}")
        assert retell("picked by hand from selection spring", templates) == "選択リストspringから手動で選択"
        assert retell("550 no such user", templates) == "550 no such user"

    def test_a_code_with_values_is_told_in_the_language_of_who_reads_it(self, monkeypatch):
        why = _("Connection refused")
        message = _(GIVEN_UP, attempts=12, words=_(UNREACHABLE, host="mx.example", port=25, why=why))
        form = kept(message, DETAILS)
        assert json.loads(form) == {
            "code": "given-up",
            "values": {
                "attempts": 12,
                "words": {
                    "code": "unreachable",
                    "values": {"host": "mx.example", "port": 25, "why": "Connection refused"},
                },
            },
        }
        there = "12回試みた後に断念しました: メールサーバーmx.example:25に接続できません: 接続が拒まれました"
        here = "given up after 12 attempts: the mail server mx.example:25 cannot be reached: Connection refused"
        assert (told(form, DETAILS), message, english(told(form, DETAILS))) == (there, there, here)
        monkeypatch.setenv("LANGUAGE", "en")
        again = told(form, DETAILS)
        assert (again, kept(again, DETAILS)) == (here, form)

    @pytest.mark.parametrize(
        "text", ["", "550 no such user", '{"code": "from-later", "values": {}}', '{"code": 1}', '{"code": ', "{code}"]
    )
    def test_text_that_is_no_code_of_ours_stays_as_it_is(self, text):
        assert (told(text, DETAILS), kept(text, DETAILS)) == (text, text)

    @pytest.mark.parametrize("template", DETAILS.values())
    @pytest.mark.parametrize("operators", ["en", "ja"])
    def test_what_is_known_of_a_mail_comes_back_as_it_was_said(self, monkeypatch, template, operators):
        monkeypatch.setenv("LANGUAGE", operators)
        said = _(template, **{name: f"<{name} %s>" for name in re.findall(r"\{(\w+)", template)})
        again = told(kept(said, DETAILS), DETAILS)
        assert (again, english(again)) == (said, english(said))


ROOT = typer.main.get_command(app)

# What stays as it is: names of the command line, of fields and statuses, and what the tests' own orders hold.
_NAMES = {
    *COMMANDS,
    *(word for each in pages(typer.Context(ROOT, info_name="orderctl")) for word in each.path.split()),
    *FILTER_FIELDS,
    *OPTIONS,
    *(each.value for each in (*Status, *DeliveryState, *PlanState, *ExportFormat)),
    *get_args(OrderFormat),
    *(rule.code for rule in RULES),
}
_ALLOWED = re.compile(
    "|".join(
        [
            r"`[^`]*`",
            r"'[^']*'",
            r'"[^"]*"',
            r"https?://\S+",
            r"\[[^\]\n]*\]",  # [OPTIONS], [COUNT], and a filter as it was written
            r"--?[a-z][\w-]*(?:[ =](?:[A-Z][A-Z|.]*|[a-z][\w|-]*))?",  # an option with its value
            r"^\s*\$? ?orderctl .*$",  # an example
            r"\b(?:orderctl|pg_dump|chmod|crontab|jq|xargs|fzf|less)\b",
            r"[\w.~-]*[/\\][\w./~-]*",  # a path
            r"\b[\w-]+\.(?:py|md|toml|csv|xlsx|jsonl|db|sql|pdf|html|txt)\b",
            r"\b[A-Z][A-Z0-9_]+\b",  # a currency, a variable, an abbreviation
            r"\b(?:" + "|".join(sorted(map(re.escape, _NAMES), key=len, reverse=True)) + r")\b:?\S*",
            r"\b(?:Acme|Paris|spring|nobody|mia|localhost)\b",
            r"\b(?:SQLite|PostgreSQL|Excel|CSV|JSON|Maildir|bash|zsh|fish|Gmail|cron)\b",
        ]
    )
)
_ENGLISH = re.compile(r"\b[A-Za-z][a-z]+[,.;:]? [A-Za-z]?[a-z]+\b")


def english_in(text):
    """Runs of English words that are no names."""
    return [found.group() for line in text.splitlines() for found in _ENGLISH.finditer(_ALLOWED.sub("・", line))]


@pytest.fixture
def cli(sqlite_url, tmp_path):
    return Cli(sqlite_url, tmp_path / "home", LANG="ja_JP.UTF-8")


def fill(cli, tmp_path):
    rows = [
        "id,status,ordered,currency,total,buyer_id,buyer_name,buyer_email,buyer_language,season",
        "1001,needs-oc,2026-01-02,EUR,10.00,b1,Acme,acme@shop.example,en,26SS",
        "1002,oc-approved,2026-01-02,EUR,20.00,b1,Acme,acme@shop.example,en,26SS",
        "1003,oc-created,2026-01-02,JPY,3000,b2,青山商店,aoyama@shop.example,ja,26SS",
    ]
    (tmp_path / "orders.csv").write_text("\n".join(rows) + "\n", "utf-8")
    assert cli("store", "init").code == 0
    return cli("import", str(tmp_path / "orders.csv"))


class TestNoMixture:
    def test_english_would_be_noticed(self, sqlite_url, tmp_path):
        plain = Cli(sqlite_url, tmp_path / "home")
        assert "no field" in english_in(plain("search", "statu:x").err)
        assert english_in("ヒント: orderctl mail list shows them") == ["shows them"]

    def test_a_day_of_an_operator(self, cli, tmp_path):
        mailed = {"ORDERCTL_MAIL_TRANSPORT": "maildir", "ORDERCTL_MAIL_MAILDIR": str(tmp_path / "out")}
        cli.environ |= mailed | {"ORDERCTL_MAIL_SENDER": "brand@nord.example"}
        assert english_in(fill(cli, tmp_path).err) == []
        calls = [
            (0, "search"),
            (0, "show", "1002"),
            (0, "select", "season:26SS", "--name", "spring"),
            (0, "reject", "--dry-run", "--filter", "season:26SS"),
            (0, "reject", "--save-plan", "--filter", "season:26SS"),
            (0, "plan", "list"),
            (0, "reject", "1003", "--yes", "--reason", "x", "--notify"),
            (0, "mail", "list"),
            (0, "log"),
            (0, "stats"),
            (0, "store", "check"),
            (0, "log", "verify"),
            (0, "tag", "late", "1003"),
            (0, "archive", "1003"),
            (0, "config", "show"),
            (0, "config", "check"),
        ]
        for code, *call in calls:
            ran = cli(*call)
            assert (call, ran.code) == (call, code), ran.err
            listed = call[:1] in (["search"], ["mail"], ["log"], ["stats"], ["plan"]) and "verify" not in call
            assert (call, english_in(ran.err + ("" if listed else ran.out))) == (call, [])

    @pytest.mark.parametrize(
        "call",
        [
            ("--help",),
            ("help", "statuses"),
            ("help", "filters"),
            ("help", "exit-codes"),
            ("help", "mail-states"),
            *((name, "--help") for name in COMMANDS),
        ],
        ids=" ".join,
    )
    def test_help(self, cli, call):
        ran = cli(*call)
        assert ran.code == 0
        assert re.search("[ぁ-ん]", ran.out)
        assert english_in(ran.out) == []

    @pytest.mark.parametrize(
        ("code", "call"),
        [
            (2, ("mail", "show", "nosuch")),
            (2, ("search", "statu:x")),
            (2, ("search", "total:1..x")),
            (2, ("reject", "9999", "--yes")),
            (2, ("reject", "1001")),
            (2, ("nosuch",)),
            (2, ("search", "--nosuch")),
            (2, ("import", "nosuch.csv")),
            (3, ("reject", "1001", "--yes", "--expect", "7")),
            (3, ("reject", "1001", "1002", "--yes", "--strict")),
            (3, ("reject", "1001", "1003", "--yes", "--max-orders", "1")),
            (5, ("reject", "1003", "--yes", "--notify")),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
    )
    def test_an_error_of_each_exit_code(self, cli, tmp_path, code, call):
        fill(cli, tmp_path)
        closed = {"TRANSPORT": "smtp", "HOST": "localhost", "PORT": "1", "SECURITY": "none", "SENDER": "a@nord.example"}
        cli.environ |= {f"ORDERCTL_MAIL_{name}": value for name, value in closed.items()}
        ran = cli(*call)
        assert (ran.code, english_in(ran.err)) == (code, []), ran.err
        assert re.search("[ぁ-ん]", ran.err)

    def test_what_a_terminal_shows(self, cli, tmp_path):
        cli.environ |= {"ORDERCTL_MAIL_TRANSPORT": "maildir", "ORDERCTL_MAIL_MAILDIR": str(tmp_path / "out")}
        cli.environ |= {"ORDERCTL_MAIL_SENDER": "brand@nord.example", "PAGER": "cat"}
        fill(cli, tmp_path)
        assert cli("reject", "1002", "--individual", "--save-plan").code == 0
        assert cli("reject", "1001", "1003", "--yes", "--notify", "--message", "残念です").code == 0
        for call in (("search",), ("plan", "list"), ("mail", "list"), ("log",), ("log", "1001"), ("stats",)):
            with Terminal(cli, *call, columns=140) as terminal:
                assert (call, terminal.end()) == (call, 0)
                assert (call, english_in(terminal.text)) == (call, [])
                assert re.search("[ぁ-んァ-ン一-龥]", terminal.text)

    def test_the_report_of_a_batch(self, cli, tmp_path):
        fill(cli, tmp_path)
        assert cli("reject", "1001", "1003", "--yes").code == 0
        assert cli("log", "report", "-o", str(tmp_path / "report.html")).code == 0
        shown = re.sub("<[^>]+>", "\n", (tmp_path / "report.html").read_text("utf-8").partition("<body>")[2])
        assert "拒否報告書" in shown
        assert english_in(shown) == []

    def test_papers_are_in_the_buyers_language(self, cli, tmp_path):
        fill(cli, tmp_path)
        papers = ("--format", "oc-pdf", "--per-order", "-o", str(tmp_path / "papers"))
        assert cli("export", "1001", "1003", *papers).code == 0
        english_one, japanese_one = (
            PdfReader(tmp_path / "papers" / f"{number}.pdf").pages[0].extract_text() for number in (1001, 1003)
        )
        assert "Order confirmation (draft) 1001" in english_one
        assert not re.search("[ぁ-んァ-ン一-龥]", english_one)
        assert "注文請書 1003" in japanese_one
        assert english_in(japanese_one) == []

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.csv", 'id,status,ordered,currency,total\n1,"needs-oc,2026-01-02,EUR,1\n'),
            ("a.jsonl", '{"id": 1,,}\n'),
            ("a.csv", "id,status,ordered,currency,total,buyer_id,buyer_email\n1,x,y,z,q,b,me\n"),
        ],
    )
    def test_a_file_with_faults(self, cli, tmp_path, name, text):
        fill(cli, tmp_path)
        (tmp_path / name).write_text(text, "utf-8")
        ran = cli("import", str(tmp_path / name))
        assert (ran.code, english_in(ran.err)) == (2, [])

    def test_a_declined_confirmation(self, cli, tmp_path):
        fill(cli, tmp_path)
        with Terminal(cli, "reject", "1001") as terminal:
            asked = terminal.wait_for("yesと入力:")
            terminal.type("n\r")
            assert terminal.end() == 4
            assert english_in(asked + terminal.text) == []

    def test_fewer_than_previewed(self, cli, tmp_path):
        fill(cli, tmp_path)
        assert cli("reject", "1001", "1003", "--save-plan").code == 0
        (saved,) = cli("plan", "list", "--format", "json").json
        changed = (tmp_path / "orders.csv").read_text("utf-8").replace("3000", "4000")
        (tmp_path / "orders.csv").write_text(changed, "utf-8")
        assert cli("import", str(tmp_path / "orders.csv")).code == 0
        ran = cli("reject", "--plan", saved["short_id"], "--yes")
        assert (ran.code, english_in(ran.out + ran.err)) == (6, [])

    def test_a_file_that_is_no_store(self, tmp_path):
        with sqlite3.connect(tmp_path / "other.db") as other:
            other.execute("CREATE TABLE t (x)")
        other.close()
        ran = Cli(str(tmp_path / "other.db"), tmp_path / "home", LANG="ja_JP.UTF-8")("search")
        assert (ran.code, english_in(ran.err)) == (1, [])
        assert re.search("[ぁ-ん]", ran.err)

    def test_a_store_that_cannot_be_had(self, tmp_path):
        for url in (str(tmp_path / "nosuch.db"), "postgresql://localhost:1/x"):
            ran = Cli(url, tmp_path / "home", LANG="ja_JP.UTF-8")("search")
            assert ran.code == 7
            assert "データストア" in ran.err


class TestOtherProgramsReadEnglish:
    def test_json_is_the_same_in_every_language(self, cli, sqlite_url, tmp_path):
        fill(cli, tmp_path)
        plain = Cli(sqlite_url, tmp_path / "home")
        calls = [
            ("show", "1002", "--format", "json"),
            ("store", "check", "--format", "json"),
            ("stats", "--format", "json"),
            ("search", "--format", "csv"),
            ("log", "verify", "--format", "json"),
        ]
        for call in calls:
            assert cli(*call).out == plain(*call).out
        assert cli("reject", "1001", "--save-plan").code == 0
        assert cli("plan", "list", "--format", "json").json[0]["time_left"].startswith("expires in ")

    def test_the_log_of_a_run_is_in_english(self, cli, tmp_path):
        fill(cli, tmp_path)
        cli.environ["ORDERCTL_LOG_FILE"] = str(tmp_path / "run.jsonl")
        assert cli("reject", "1001", "--yes").code == 0
        assert cli("search", "statu:x").code == 2
        lines = (tmp_path / "run.jsonl").read_text("ascii")
        assert not re.search(r"\\u3", lines)

    def test_the_log_is_kept_in_english(self, cli, sqlite_url, tmp_path):
        fill(cli, tmp_path)
        assert cli("select", "status:needs-oc,oc-created").code == 0
        assert cli("reject", "--except", "1003", "--yes", "--reason", "x").code == 0
        (batch,) = Cli(sqlite_url, tmp_path / "home")("log", "--format", "json").json
        assert batch["source"] == "selection default, except 1 id"
