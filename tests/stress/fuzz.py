"""Readers of hostile input, each as one function of generated data: it must end, in a value or in one sentence.

The ordinary suite tries a few inputs of each, always the same; `make stress` goes on for as long as it is told.
"""

import io
import json
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path

import openpyxl
from hypothesis import strategies as st

from orderctl.cli.run import read_message
from orderctl.core.money import Money
from orderctl.errors import OrderctlError
from orderctl.filters.parser import parse_filter
from orderctl.importing.column_map import read_map
from orderctl.importing.source import open_source
from orderctl.mail.letters import Composer
from orderctl.mail.outbox import LetterContext
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import OrderSummary, Status
from orderctl.rejection.plan import MailPlan, Provenance, RejectionPlan, Skipped, Targets
from orderctl.selection.id_file import read_ids
from orderctl.selection.selection import InputSummary
from orderctl.settings import OPTIONS, read_settings
from support.factories import ACME, NOW, make_order

LONGEST_SENTENCE = 2_000
_HARMLESS_LINES = "\n"


@dataclass(frozen=True)
class Target:
    """One reader: how its input is made, what reads it, and the errors that are its word for a wrong one."""

    data: st.SearchStrategy
    read: Callable[[object, Path], object]
    refusals: tuple[type[Exception], ...] = (OrderctlError,)


def attempt(target: Target, data: object) -> bool:
    """Read one input; whether it was accepted. Fails unless what is refused is refused in a sentence."""
    with tempfile.TemporaryDirectory(prefix="orderctl-fuzz-") as folder:
        try:
            target.read(data, Path(folder))
        except target.refusals as error:
            said = f"{error} {getattr(error, 'hint', '')}"
            _check(said)
            return False
    return True


def _check(said: str) -> None:
    assert said.strip()
    assert len(said) < LONGEST_SENTENCE, said[:300]
    assert clean(said), said


def clean(text: str) -> bool:
    """Whether a terminal may be given the text: no control, bidi or other unseen character but the line break."""
    unseen = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return not any(unicodedata.category(char) in unseen for char in text if char not in _HARMLESS_LINES)


hostile_text = st.one_of(
    st.text(max_size=40),
    st.sampled_from([
        "\x1b[2J\x1b]0;owned\x07", "\u202egnp.exe", "[red]x[/red]", "[/oops]", "=1+1", "@SUM(A1)", "-2+3", "{{ 7*7 }}",
        "{% for x in y %}", "a\r\nBcc: x@x.example", "=?UTF-8?Q?=0A?=Bcc: x", "../../etc/passwd", "CON", "\0", "\ud800",
        "9" * 400, "1e999", "NaN", "-0", "2026-02-30", "\u00a0", "\u200b", "\ufeff",
    ]),
)  # fmt: skip

FILTER_WORDS = """status: buyer: id: ref: ordered: total: quantity: currency: tag: sku: archived: or not ( ) "
* .. , - : today needs-oc 26SS 2026-01-01 -30d none any 1000 EUR"""
filter_words = st.sampled_from(FILTER_WORDS.split())


def _read_filter(data, _folder):
    return parse_filter(data, today=date(2026, 3, 14))


def _read_ids(data, _folder):
    return read_ids(io.BytesIO(data), "ids.txt")


def _read_orders(ending: str) -> Callable[[bytes, Path], object]:
    def read(data, folder):
        path = folder / f"orders{ending}"
        path.write_bytes(data)
        with open_source(path, read_at=NOW, scratch=folder) as source:
            return list(source.orders()), list(source.problems())

    return read


cells = hostile_text | st.sampled_from(["A1", "needs-oc", "2026-01-15", "EUR", "120.50", "5", "acme@acme.example", ""])


@st.composite
def csv_files(draw) -> bytes:
    header = "id,status,ordered,currency,total,quantity,buyer_id,buyer_name,buyer_email,note,tags,country"
    rows = draw(st.lists(st.lists(cells, min_size=10, max_size=13), max_size=4))
    quoted = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    return "\n".join([header, *quoted]).encode("utf-8", "surrogatepass")


@st.composite
def json_lines(draw) -> bytes:
    names = ("id", "status", "ordered", "currency", "total", "quantity", "buyer", "lines", "note", "tags")
    value = st.recursive(cells | st.integers() | st.floats() | st.none() | st.booleans(),
                         lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner),
                         max_leaves=6)  # fmt: skip
    rows = draw(st.lists(st.dictionaries(st.sampled_from(names), value), max_size=4))
    return "\n".join(json.dumps(row) for row in rows).encode("utf-8", "surrogatepass")


@cache
def _workbook() -> Mapping[str, bytes]:
    book = openpyxl.Workbook()
    for row in (("id", "status", "ordered", "currency", "total", "quantity"),
                ("A1", "needs-oc", "2026-01-15", "EUR", "120.50", "5")):  # fmt: skip
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    with zipfile.ZipFile(out) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@st.composite
def workbooks(draw) -> bytes:
    """A workbook with one of its parts spoiled, or a few of its bytes."""
    parts = dict(_workbook())
    name = draw(st.sampled_from(sorted(parts)))
    part = parts[name]
    start = draw(st.integers(0, len(part)))
    end = draw(st.integers(start, min(len(part), start + 40)))
    parts[name] = part[:start] + draw(st.binary(max_size=20) | hostile_bytes) + part[end:]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in parts.items():
            archive.writestr(each, content)
    spoiled = bytearray(out.getvalue())
    for place, byte in draw(st.lists(st.tuples(st.integers(0, len(spoiled) - 1), st.integers(0, 255)), max_size=2)):
        spoiled[place] = byte
    return bytes(spoiled)


hostile_bytes = st.sampled_from([
    b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>', b"&b;", b"&#x1b;", b"<v>", b"</v>", b'r="XFD1048576"',
    b't="s"', b"<v>99999999</v>", b"<v>1e999</v>", b'count="4294967295"', b"\xff\xfe", b"]]>",
])  # fmt: skip


def _read_map(data, folder):
    path = folder / "map.toml"
    path.write_text(data, encoding="utf-8", errors="surrogatepass")
    return read_map(path)


toml_values = st.one_of(
    st.sampled_from(['"x"', "1", "true", "[]", "{}", '["%Y"]', "1979-05-27", '"%Q%%"', '"Mars/Olympus"', '"\\u001b[2J"',
                     '"\\u202e"', "[" * 2000, "nan", '""', '"oc-created"', '"../../x"', '"a\\nb"']),
    hostile_text.map(json.dumps),
)  # fmt: skip


def _toml(tables: tuple[str, ...], keys: tuple[str, ...]) -> st.SearchStrategy:
    line = st.tuples(st.sampled_from(keys) | hostile_text.map(json.dumps), toml_values).map(" = ".join)
    head = st.sampled_from(tables).map(lambda name: f"[{name}]")
    return st.lists(line | head | st.text(max_size=10), max_size=8).map("\n".join)


map_texts = _toml(
    ("columns", "defaults", "status", "x"),
    (
        "rows",
        "date_formats",
        "decimal_comma",
        "timezone",
        "tag_separator",
        "sheet",
        "id",
        "total",
        "currency",
        "status",
    ),
)
config_texts = _toml(
    ("profile.eu", "profile.default", "profile", "profile.eu.mail", "x"), (*OPTIONS, "default_profile", "profile", "x")
)


def _read_config(data, folder):
    path = folder / "config.toml"
    path.write_text(data, encoding="utf-8", errors="surrogatepass")
    return read_settings(path, {}, {"profile": "eu"} if "profile.eu" in data else {})


@cache
def _plan() -> dict:
    plan = RejectionPlan(
        id="p1",
        made_at=NOW,
        by=Provenance(account="main", actor="mia", host="desk", program="orderctl", source="ids"),
        mode=Mode.BULK,
        reason="dropped",
        given=InputSummary(ids=2, unknown=("X",), unknown_count=1),
        targets=Targets('{"A1":1}', 1),
        skipped=(Skipped("invoiced", 1, '["A2"]'),),
        totals=(Money("EUR", 12_050),),
        before_credits=(Money("EUR", 13_050),),
        buyers=1,
        head=(_summary(),),
        mail=MailPlan(notify=True, mails=1, languages=(("fr", 1),)),
    )
    return json.loads(plan.to_json())["plan"]


def _summary() -> OrderSummary:
    return OrderSummary(
        id="A1",
        buyer_name=ACME.name,
        status=Status.NEEDS_OC,
        reference="PO",
        season="26SS",
        ordered_at=datetime(2026, 1, 15, tzinfo=UTC),
        delivery_from=date(2026, 9, 1),
        country="FR",
        currency="EUR",
        total=12_050,
        quantity=5,
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | hostile_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def plan_texts(draw) -> str:
    """A plan that was edited at one place, by somebody who can make the digest fit."""
    plan = json.loads(json.dumps(_plan()))
    place, key = plan, draw(st.sampled_from(sorted(plan)))
    while isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
        place = place[key]
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    if isinstance(place, dict) and draw(st.booleans()):
        del place[key]
    else:
        place[key] = draw(json_values)
    body = json.dumps(plan, sort_keys=True, separators=(",", ":"))
    return json.dumps({"schema": 1, "digest": sha256(body.encode()).hexdigest(), "plan": plan})


def _read_message(data, folder):
    path = folder / "message.txt"
    path.write_bytes(data)
    return read_message(None, [str(path)], edit=False)


template_pieces = st.sampled_from([
    "{{ name }}", "{{ orders }}", "{% for o in orders %}", "{% endfor %}", "{{ o.id }}", "{{ ''.__class__ }}",
    "{{ x.y }}", "{{ orders|table(id='Order') }}", "{% include 'x' %}", "{{ 1/0 }}", "{{ lipsum.__globals__ }}",
    "{{ message.__init__.__globals__ }}", "{% if %}", "{{ cycler }}", "{% set a = orders[9] %}", "\x1b",
])  # fmt: skip


def _compose(data, folder):
    (folder / "en").mkdir()
    (folder / "en" / "body.txt").write_text(data, encoding="utf-8", errors="surrogatepass")
    order = make_order("A1")
    summary = replace(_summary(), id=order.id)
    facts = LetterContext(
        buyer=replace(ACME, language="en"), orders=(summary,), totals=(Money("EUR", 1),), message="{{ 7*7 }}",
        reason="dropped", brand="nord", language="en",
    )  # fmt: skip
    letter = Composer(folder, "en").compose(facts)
    assert "globals" not in letter.text or "globals" in data


TARGETS = {
    "filters": Target(
        st.lists(filter_words | hostile_text, max_size=8).map(" ".join) | st.text(max_size=60), _read_filter
    ),
    "id files": Target(
        st.binary(max_size=200)
        | st.lists(hostile_text, max_size=5).map(lambda t: "\n".join(t).encode("utf-8", "replace")),
        _read_ids,
    ),
    "CSV": Target(csv_files() | st.binary(max_size=200), _read_orders(".csv")),
    "JSON lines": Target(json_lines() | st.binary(max_size=200), _read_orders(".jsonl")),
    "workbooks": Target(workbooks(), _read_orders(".xlsx")),
    "column maps": Target(map_texts, _read_map),
    "settings": Target(config_texts, _read_config),
    "plans": Target(plan_texts() | st.text(max_size=40), lambda data, _: RejectionPlan.from_json(data), (ValueError,)),
    "messages": Target(
        st.binary(max_size=300) | hostile_text.map(lambda t: t.encode("utf-8", "replace")), _read_message
    ),
    "templates": Target(
        st.lists(template_pieces | hostile_text, max_size=6).map("".join),
        _compose,
    ),
}
