"""What a Japanese operator sees in a terminal: columns that stand one below the other, and answers in Japanese."""

import json
import sqlite3

import pytest

from orderctl.core.text import cell_width
from orderctl.orders.orders import Status
from support.cli import Cli
from support.factories import ACME, KUMO, make_order, put_all
from support.stores import open_store
from support.terminal import Terminal


@pytest.fixture
def cli(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        orders = (make_order(str(1001 + n), buyer=(ACME, KUMO)[n % 2], status=Status.NEEDS_OC) for n in range(12))
        put_all(store, [*orders, make_order("2001", buyer=KUMO, status=Status.OC_CONFIRMED)])
    return Cli(sqlite_url, tmp_path / "home", LANG="ja_JP.UTF-8", ORDERCTL_LABEL="Nordlys")


def cell_of(line, words):
    return cell_width(line[: line.index(words)])


@pytest.mark.parametrize("columns", [80, 120])
class TestColumns:
    def test_of_a_search_stand_below_their_titles(self, cli, columns):
        with Terminal(cli, "search", columns=columns) as terminal:
            assert terminal.end() == 0
            lines = terminal.lines
        head = next(line for line in lines if line.startswith("注文"))
        rows = [line for line in lines if line.startswith(("10", "2001"))]
        assert len(rows) == 13
        assert {cell_of(row, "oc-confirmed" if "confirmed" in row else "needs-oc") for row in rows} == {
            cell_of(head, "ステータス")
        }
        assert max(map(cell_width, lines)) <= columns

    def test_of_the_picker_stand_below_their_titles(self, cli, columns):
        with Terminal(cli, "select", "--pick", columns=columns, rows=24) as terminal:
            terminal.wait_for("変更せずに終了")  # the last line of the screen
            lines = terminal.lines
            assert terminal.text.startswith("Nordlysの注文をチェック")
            terminal.type("q")
            assert terminal.end() == 4
            assert "保存せずに終了しました。何も変更していません" in terminal.text
        head = next(line for line in lines if "バイヤー" in line)
        rows = [line for line in lines if "[ ]" in line]
        assert len(rows) == 13
        assert {cell_of(row, "oc-confirmed" if "confirmed" in row else "needs-oc") for row in rows} == {
            cell_of(head, "ステータス")
        }
        assert {cell_of(row, "OC確定") for row in rows if "OC確定" in row} == {cell_of(head, "拒否できない理由")}


def test_a_filter_that_is_half_typed_says_in_japanese_what_is_wrong(cli):
    with Terminal(cli, "select", "--pick", columns=120, rows=24) as terminal:
        terminal.wait_for("13件の注文")
        terminal.type("/staus:x")
        terminal.wait_for("'staus'という項目はありません")
        terminal.type("\x1bq")
        assert terminal.end() == 4


def test_a_no_is_echoed_in_japanese(cli, tmp_path):
    cli.environ |= {
        "ORDERCTL_MAIL_TRANSPORT": "maildir",
        "ORDERCTL_MAIL_MAILDIR": str(tmp_path / "mails"),
        "ORDERCTL_MAIL_SENDER": "orders@brand.example",
    }
    with Terminal(cli, "reject", "1001") as terminal:
        terminal.wait_for("バイヤーにメールで通知しますか?")
        terminal.type("n\r")
        terminal.wait_for("バイヤーにメールで通知しますか? いいえ")
        terminal.wait_for("バイヤーには知らせません。よろしいですか? yesと入力:")
        terminal.type("はい\r")
        assert terminal.end() == 4


def test_many_are_confirmed_by_the_number_as_ever(cli):
    with Terminal(cli, "reject", "--filter", "status:needs-oc", "--no-notify") as terminal:
        terminal.wait_for("12と入力:")
        terminal.type("１２\r")  # noqa: RUF001 - as a Japanese keyboard gives it
        terminal.wait_for("12件の注文を拒否しました")
        assert terminal.end() == 0


def test_steps_keep_their_english_names_in_the_log_of_runs(cli, tmp_path):
    assert cli("--log-file", str(tmp_path / "run.jsonl"), "reject", "1001", "--yes").code == 0
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert {"planning", "rejecting", "rejected", "end"} <= {json.loads(line)["step"] for line in lines}


@pytest.mark.parametrize(
    ("call", "what", "hint"),
    [
        (("serach",), "コマンド'serach'はありません。'search'のことですか?", "orderctl --help"),
        (("reject", "--dryrun"), "オプション--dryrunはありません(候補: --dry-run)", "orderctl reject --help"),
        (("search", "--limit", "x"), "'--limit'の値が正しくありません: 整数を指定してください", "orderctl search"),
        (("search", "--limit", "-1"), "'--limit'の値が正しくありません: 0以上を指定してください", "orderctl search"),
        (("mail", "send", "--connections", "99"), "16以下を指定してください", "orderctl mail send --help"),
        (
            ("search", "--format", "x"),
            "'x'は'table', 'ids', 'csv', 'json', 'jsonl'の",
            "orderctl search",
        ),
        (("search", "--limit"), "オプション'--limit'には値が必要です", "orderctl --help"),
        (("reject", "--yes=3"), "オプション'--yes'は値を取りません", "orderctl --help"),
        (("show",), "引数'ID'が指定されていません", "orderctl show --help"),
        (("mail", "settle", "x"), "オプション'--sent'が指定されていません", "orderctl mail settle --help"),
        (("completion",), "引数'SHELL'が指定されていません。次のいずれかを指定してください: bash, zsh, fish", "--help"),
        (("show", "a", "b"), "余分な引数があります(b)", "orderctl show --help"),
        (("--quiet",), "コマンドが指定されていません", "orderctl --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_call_is_explained_in_japanese(cli, call, what, hint):
    ran = cli(*call)
    first, second = ran.err.splitlines()
    assert (ran.code, first.startswith("orderctl: "), second.startswith("ヒント: ")) == (2, True, True)
    assert what in first
    assert hint in second


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nobody", "@がありません"),
        ("@shop.example", "@の前に何もありません"),
        ("a b@shop.com", "@の前に使えない文字があります: SPACE"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_in_japanese(cli, address, why):
    cli.environ["ORDERCTL_MAIL_SENDER"] = "brand@nord.example"
    ran = cli("mail", "send", "--sample", address)
    assert ran.code == 2
    assert f"{address!r}は1つのメールアドレスではありません: {why}\n" in ran.err


def test_verbose_tells_the_steps_in_japanese(cli):
    ran = cli("--verbose", "reject", "1001", "2001", "--yes")
    told = [line.partition(":") for line in ran.err.splitlines()[-2:]]
    assert [step for step, _, _ in told] == ["拒否済み", "終了"]
    assert told[0][2].endswith(", 拒否1件, 対象外1件, 除外0件, メール0通")
    assert told[1][2].startswith(" コマンドreject, 終了コード0, SQL文")


def test_what_is_enumerated_for_people_is_english_for_programs(cli, sqlite_url):
    with sqlite3.connect(sqlite_url) as connection:
        connection.execute("DROP TRIGGER orders_final_update")
        connection.execute("DROP TRIGGER batch_append_only_update")
    connection.close()
    told = cli("store", "check", "--quick").out
    assert "orders_final_updateが" in told
    assert "orders_final_update is missing" not in told
    checks = {
        each["name"]: each["detail"] for each in cli("store", "check", "--quick", "--format", "json").json["checks"]
    }
    assert "orders_final_update is missing" in checks["guards"]
    assert checks["guards"].isascii()
