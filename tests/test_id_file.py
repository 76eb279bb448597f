"""Lists of order ids: every form in which people hand them over, and what is said about a wrong one."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.domain.errors import UsageError
from orderctl.files.id_file import read_ids


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
    ],
)
def test_the_forms_of_a_list(content: bytes) -> None:
    assert ids(content) == ("573415", "A-2")


def test_each_id_once_in_the_order_given() -> None:
    found = read_ids(io.BytesIO(b"b\na\nb\nb\n"), "ids.txt")
    assert (found.ids, found.duplicates) == (("b", "a"), 2)


def test_an_empty_list() -> None:
    assert ids(b"") == ()
    assert ids(b"\xef\xbb\xbf\r\n# nothing\n") == ()


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


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=5, max_size=20), unique=True, max_size=20))
def test_what_is_written_one_a_line_comes_back(wanted: list[str]) -> None:
    header_like = {"order", "orders", "orderid", "orderno", "orderids", "ordernumber", "invoiceno"}
    wanted = [text for text in wanted if text.casefold() not in header_like]
    assert ids("\n".join(wanted).encode()) == tuple(wanted)
    assert ids("\r\n".join(wanted).encode("utf-16")) == tuple(wanted)


@given(st.binary(max_size=300))
def test_any_bytes_give_ids_or_one_sentence(content: bytes) -> None:
    try:
        found, said = ids(content), ""
    except UsageError as error:
        found, said = (), str(error)
    assert "\n" not in said
    assert all(text and text.isprintable() for text in found)
