"""Lists of order ids: every form in which people hand them over, and what is said about a wrong one."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.errors import UsageError
from orderctl.orders.orders import parse_order_id
from orderctl.search.columns import parse_columns
from orderctl.search.writers import WRITERS
from orderctl.selection.id_file import id_line, read_ids
from support.cli import Cli
from support.factories import make_order, put
from support.stores import open_store


def ids(content: bytes) -> tuple[str, ...]:
    return read_ids(io.BytesIO(content), "ids.txt").ids


@pytest.mark.parametrize(
    "content",
    [
        b"573415\nA-2\n",
        b"573415\r\nA-2",
        b"\xef\xbb\xbf573415\nA-2\n",
        "573415\r\nA-2\r\n".encode("utf-16"),
        "\ufeff573415\nA-2\n".encode("utf-16-be"),
        b"573415\x00A-2\x00",
        b"Order ID\n573415.0\n  A-2  \n",
        b"# from the planning list\n\n573415\n\n# more\nA-2\n",
        b"\"573415\"\n'A-2'\n",
        b"id,total\n573415,1\nA-2,2\n",
        b'buyer;order_id\n"a;b";573415\nc;A-2\n',
        b"id\tname\n573415\tx\nA-2\ty\n",
        b'{"schema": 1, "id": 573415, "total": 1.0}\n{"id": "A-2", "buyer": null}\n',
        b'[\n{"schema": 1, "id": 573415, "total": 1.0},\n{"id": "A-2", "buyer": null}\n]\n',
        b'[{"id":573415},{"id":"A-2"}]',
        b'\n[\n  {\n    "id": "573415",\n    "lines": [\n      1\n    ]\n  },\n\n  {\n    "id": "A-2"\n  }\n]\n',
    ],
)
def test_the_forms_of_a_list(content: bytes) -> None:
    assert ids(content) == ("573415", "A-2")


def test_each_id_once_in_the_order_given() -> None:
    found = read_ids(io.BytesIO(b"b\na\nb\nb\n"), "ids.txt")
    assert (found.ids, found.duplicates) == (("b", "a"), 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "ids.txt is empty, where order ids are expected"),
        (b"\xef\xbb\xbf", "ids.txt is empty, where order ids are expected"),
        (b"\xef\xbb\xbf\r\n# nothing\n", "ids.txt has 2 lines, but no order id"),
        (b"id,buyer,total\n", "ids.txt has 1 line, but no order id"),
        (b"\n", "ids.txt has 1 line, but no order id"),
    ],
)
def test_a_list_of_no_ids_is_wrong_unless_it_is_allowed(content: bytes, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        ids(content)
    assert str(raised.value) == said
    assert "--allow-empty" in raised.value.hint
    assert read_ids(io.BytesIO(content), "ids.txt", allow_empty=True).ids == ()


def test_a_sharp_begins_a_comment_only_before_a_space() -> None:
    assert ids(b"#1001\n# two more\n#\n#1002\n#\tand\n1003\n") == ("#1001", "#1002", "1003")
    assert ids(b"# above a header\nid,total\n#1001,1\n") == ("#1001",)


def test_a_quoted_first_line_does_not_make_the_rest_a_table() -> None:
    assert ids(b'"A,1"\nB,2\n') == ("A,1", "B,2")


def test_a_quoted_id_may_hold_a_comma() -> None:
    assert ids(b'"A,1"\n') == ("A,1",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\nb\x1b[2J\n", "ids.txt:2: the order id 'b\\\\x1b[2J' holds a control character"),
        (b"a\n\xff\xfe\n", "ids.txt:2: the text is not UTF-8"),
        (b"a\n" + b"x" * 5_000, "ids.txt:2: the line is longer than 4,096 characters"),
        (b"a\n" + b"x" * 300, "is longer than 200 characters"),
        (b"total;buyer\n1;2\n", "ids.txt:1: the line has several columns, but none of them is named id"),
        (b"total,id\n1,A\n2\n", "ids.txt:3: the line has no id: it is too short"),
        (b'id,x\n"A,1\n', "ids.txt:2: the line is not CSV"),
        (b"id,x\n ,1\n", "ids.txt:2: the order id is empty"),
        (b'{"id": "A"}\n{"id": "B"\n', "ids.txt:2: the line is not JSON"),
        (b'{"id": "A"}\nB\n', "ids.txt:2: the line is not JSON"),
        (b'{"total": "A"}\n', "ids.txt:1: the line has no id"),
        (b'{"id": "A"}\n{"id": null}\n', "ids.txt:2: the order id is empty"),
        (b'[\n{"id": "A"},\n{"id": "B"}\n', "ids.txt:3: the array is not JSON, or ends too early"),
        (b'[\n{"id": "A"},\n"B"\n]\n', "ids.txt:4: the array is not JSON, or ends too early"),
        (b'[\n{"id": "A"},\n{"ref": "B"}\n]\n', "ids.txt:3: the line has no id"),
        (b'[{"id": "A"}]\nB\n', "ids.txt:2: something stands behind the array"),
        (b"[]\n", "ids.txt has 1 line, but no order id"),
        ("573415\n".encode("utf-16-le"), "ids.txt looks like UTF-16, but has no byte order mark"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(content: bytes, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        ids(content)
    assert said in str(raised.value)
    assert raised.value.hint


def test_a_line_without_end_is_not_read_into_memory() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert size > 0
            self.given += size
            return b"x" * size

    stream = Endless()
    with pytest.raises(UsageError, match="longer than 4,096"):
        read_ids(stream, "-")
    assert stream.given < 1_000_000


def is_an_id(text: str) -> bool:
    try:
        return parse_order_id(text) == text
    except ValueError:
        return False


ODD_IDS = (
    "[",
    "[]",
    "[{",
    "[2026] 1",
    "#1001",
    "# 1",
    "#",
    "##",
    "id",
    "Order No",
    "_id",
    '"id"',
    "'id'",
    '"',
    "'",
    "''",
    "'a",
    '"a"',
    "a'b",
    'a"b',
    "A,1",
    "A;1",
    "A, B",
    "A B",
    "-5",
    "=1+1",
    "+1",
    "@x",
    "'=1",
    "''=1",
    "\uff1d1",
    "\uff10",
    "\uff11\uff12.0",
    "{",
    '{"id":1}',
    "{}",
    "573415",
    "0012",
    "1",
    "2",
    "注文,\uff11",
    "id,total",
    "NULL",
    "\\",
    "a\\'b",
    "é",
    "message",
    "#,",
)
any_id = st.one_of(st.sampled_from(ODD_IDS), st.text("#'\"{},;id 1=-\\é", min_size=1, max_size=6), st.text(max_size=9))
lists_of_ids = st.lists(any_id.filter(is_an_id), unique=True, min_size=1, max_size=12)


@given(lists_of_ids)
def test_what_is_written_one_a_line_comes_back(wanted: list[str]) -> None:
    lines = [id_line(order_id) for order_id in wanted]
    assert ids("\n".join(lines).encode()) == tuple(wanted)
    assert ids("\r\n".join(lines).encode("utf-16")) == tuple(wanted)
    assert ids("".join(f"{order_id}\0" for order_id in wanted).encode()) == tuple(wanted)


@given(lists_of_ids)
def test_what_is_written_as_a_table_or_as_json_comes_back(wanted: list[str]) -> None:
    for form, columns in (("csv", "id"), ("csv", "id,ref"), ("jsonl", "id"), ("json", "id")):
        out = io.StringIO()
        WRITERS[form]([{"id": wanted, "reference": wanted}], parse_columns(columns), out)
        assert ids(out.getvalue().encode()) == tuple(wanted)


def test_what_search_prints_is_read_as_the_same_ids(store_url: str, tmp_path: Path) -> None:
    wanted = set(filter(is_an_id, ODD_IDS))
    with open_store(store_url) as store:
        put(store, *map(make_order, wanted))
    cli = Cli(store_url, tmp_path / "home")
    for number, form in enumerate(
        ([], ["-0"], ["--format=csv"], ["--format=csv", "--columns=id"], ["--format=jsonl"], ["--format=json"])
    ):
        printed = cli("search", *form)
        ran = cli("select", "--ids", "-", "--name", f"n{number}", stdin=printed.out)
        assert (ran.code, ran.err) == (0, f"{len(wanted)} added; selection n{number}: {len(wanted)} orders\n")
        assert set(ids(cli("select", "--name", f"n{number}").out.encode())) == wanted
    assert cli("reject", "--ids", "-", "--yes", stdin=cli("search").out).code == 0
    assert cli("search", "--count", "status:rejected").out == f"{len(wanted)}\n"


@pytest.mark.parametrize("content", ["", "# nothing\n", "id,total\n"])
def test_an_empty_list_changes_nothing_and_says_so(store_url: str, tmp_path: Path, content: str) -> None:
    with open_store(store_url) as store:
        put(store, make_order("A1"))
    cli = Cli(store_url, tmp_path / "home")
    for call in (
        ("reject", "--yes", "--ids", "-"),
        ("reject", "--yes", "A1", "--except-ids", "-"),
        ("select", "--ids", "-"),
        ("archive", "--ids", "-"),
        ("tag", "late", "--ids", "-"),
        ("export", "--format", "csv", "--ids", "-"),
    ):
        ran = cli(*call, stdin=content)
        assert ran.code == 2, call
        assert "hint: " in ran.err
        assert "--allow-empty" in ran.err
        assert (
            cli(*call, "--allow-empty", "--dry-run" if call[0] == "reject" else "--allow-empty", stdin=content).code
            == 0
        )
    assert cli("search", "status:rejected").out == ""


@given(st.binary(max_size=300))
def test_any_bytes_give_ids_or_one_sentence(content: bytes) -> None:
    try:
        found, said = ids(content), ""
    except UsageError as error:
        found, said = (), str(error)
    assert "\n" not in said
    assert all(text and text.isprintable() for text in found)
