"""A folder gets a file for each batch, whole and on the disk, with a row for each order, once."""

import csv
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.errors import ServerUnavailableError, UsageError
from orderctl.files.csv import unescape_formula
from support.cli import Cli
from support.systems import cancellation, system_of, told


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "exchange"
    made.mkdir()
    return made


def system(folder, **settings):
    return system_of(folder.parent, kind="file", folder=str(folder), **settings)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_batch_has_a_file_with_a_row_for_each_order(folder):
    first, second = cancellation("A", reference="PO-1"), cancellation("B", number=2, reason="=1+1\nsecond")
    other = cancellation("C", id="c.1", batch_id="c")
    said = told(system(folder), first, second, other)
    assert said == [("sent", "erp took it: b.csv"), ("sent", "erp took it: b.csv"), ("sent", "erp took it: c.csv")]
    assert names(folder) == ["b.csv", "c.csv"]
    assert rows_of(folder / "b.csv") == [
        {
            "id": "b.1", "key": "A", "order": "A", "reference": "PO-1", "reason": "dropped", "reason_code": "",
            "currency": "EUR", "total": "10.00", "rejected_at": "2026-01-02T03:04:05+00:00", "batch": "b",
        },
        {
            "id": "b.2", "key": "B", "order": "B", "reference": "", "reason": "'=1+1 second", "reason_code": "",
            "currency": "EUR", "total": "10.00", "rejected_at": "2026-01-02T03:04:05+00:00", "batch": "b",
        },
    ]  # fmt: skip
    assert (folder / "b.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("written", ["csv", "jsonl", "shopify", "woocommerce", "odoo", "matrixify"])
def test_a_row_that_is_there_is_not_written_again(folder, written):
    given = [cancellation(str(number), number=number) for number in (1, 2, 11)]
    told(system(folder, format=written), *given)
    [path] = folder.iterdir()
    before = path.read_bytes()
    assert [state for state, _ in told(system(folder, format=written), *given)] == ["sent"] * 3
    assert path.read_bytes() == before


def test_the_formats_are_as_their_readers_want_them(folder):
    given = cancellation("450789469"), cancellation("#1001", number=2)
    for written in ("shopify", "odoo", "matrixify", "jsonl"):
        (folder / written).mkdir()
        told(system(folder / written, format=written), *given)
    shopify = [json.loads(line) for line in (folder / "shopify" / "b.jsonl").read_text().splitlines()]
    assert shopify[0] == {
        "orderId": "gid://shopify/Order/450789469", "reason": "OTHER", "restock": False, "notifyCustomer": False,
        "refundMethod": {"originalPaymentMethodsRefund": False}, "staffNote": "b.1: dropped",
    }  # fmt: skip
    assert (folder / "odoo" / "b.txt").read_text() == "450789469\n#1001\n"
    assert [(row["ID"], row["Name"], row["Command"], row["Cancel: Refund"]) for row in
            rows_of(folder / "matrixify" / "Orders-b.csv")] == [
        ("450789469", "", "UPDATE", "FALSE"), ("", "#1001", "UPDATE", "FALSE"),
    ]  # fmt: skip
    assert [json.loads(line)["id"] for line in (folder / "jsonl" / "b.jsonl").read_text().splitlines()] == [
        "b.1",
        "b.2",
    ]


def test_woocommerce_gets_a_hundred_orders_a_file_and_numbers_alone(folder):
    given = [cancellation(str(number), number=number) for number in range(1, 102)]
    assert told(system(folder, format="woocommerce"), *given)[-1] == ("sent", "erp took it: b-2.json")
    told(system(folder, format="woocommerce"), *given)
    documents = [json.loads((folder / name).read_text()) for name in ("b.json", "b-2.json")]
    assert [[each["id"] for each in document["update"]] for document in documents] == [[*range(1, 101)], [101]]
    assert documents[1]["update"][0] == {
        "id": 101, "status": "cancelled",
        "meta_data": [{"key": "_orderctl_id", "value": "b.101"}, {"key": "_orderctl_reason", "value": "dropped"}],
    }  # fmt: skip
    assert names(folder) == ["b-2.json", "b.json"]


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(
    written=st.sampled_from(["csv", "jsonl", "shopify", "odoo", "matrixify"]),
    keys=st.lists(texts, max_size=5, unique_by=lambda key: " ".join(key.split())),
)
def test_any_text_is_one_row_and_stays_one(tmp_path_factory, written, keys):
    folder = tmp_path_factory.mktemp("any") / "exchange"
    folder.mkdir()
    told_of = [cancellation(key, number=number, reason=key) for number, key in enumerate(keys)]
    for _ in range(2):
        assert {state for state, _ in told(system(folder, format=written), *told_of)} <= {"sent"}
    lines = [line for path in folder.iterdir() for line in path.read_text().split("\n")[:-1]]
    assert len(lines) == len(keys) + (written in {"csv", "matrixify"} and bool(keys))
    if written == "csv" and keys:
        [path] = folder.iterdir()
        assert [unescape_formula(row["reason"]) for row in rows_of(path)] == [" ".join(key.split()) for key in keys]


def test_several_connections_share_the_file(folder):
    def write(part, one):
        told(one, *(cancellation(f"{part}-{number}", number=part * 100 + number) for number in range(15)))

    writing = [threading.Thread(target=write, args=(part, system(folder))) for part in range(4)]
    for each in writing:
        each.start()
    for each in writing:
        each.join()
    assert len({row["id"] for row in rows_of(folder / "b.csv")}) == len(rows_of(folder / "b.csv")) == 60


KILLED = """
import sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from support.systems import cancellation, system_of
folder = Path(sys.argv[1])
with system_of(folder.parent, kind="file", folder=str(folder), format="woocommerce") as system:
    for number in range(1, 100):
        system.send(None, cancellation(str(number), number=number), lambda: True)
        print(number, flush=True)
"""


def test_a_writer_that_is_killed_leaves_whole_files_and_loses_no_row(folder):
    tests = str(Path(__file__).parents[1])
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), tests], stdout=subprocess.PIPE, text=True)
        writer.stdout.readline()
        time.sleep(0.02)
        writer.send_signal(signal.SIGKILL)
        said = writer.stdout.read().splitlines()
        writer.wait()
        writer.stdout.close()
        ids = [each["id"] for each in json.loads((folder / "b.json").read_text())["update"]]
        assert ids == sorted(set(ids))
        assert set(map(int, said)) <= set(ids)
    told(system(folder, format="woocommerce"), *(cancellation(str(each), number=each) for each in range(1, 100)))
    assert [each["id"] for each in json.loads((folder / "b.json").read_text())["update"]] == [*range(1, 100)]


def test_a_disk_that_is_full_is_for_later_and_the_file_stays_as_it_was(folder):
    told(system(folder), cancellation("A"))
    before = (folder / "b.csv").read_bytes()
    limited = (
        "import resource, signal, sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path; from support.systems import cancellation, system_of, told\n"
        "folder = Path(sys.argv[1]); system = system_of(folder.parent, kind='file', folder=str(folder))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before)}, {len(before)}))\n"
        "print(told(system, cancellation('B', number=2)))\n"
    )
    call = [sys.executable, "-c", limited, str(folder), str(Path(__file__).parents[1])]
    ran = subprocess.run(call, capture_output=True, text=True, check=True)
    assert "'retry', 'erp puts it off: " in ran.stdout
    assert (folder / "b.csv").read_bytes() == before
    assert names(folder) == ["b.csv"]


def test_what_is_not_a_file_any_more_is_not_overwritten(folder):
    (folder / "b.csv").write_bytes(b"\xff\xfe")
    assert told(system(folder), cancellation("A"))[0][0] == "retry"
    assert (folder / "b.csv").read_bytes() == b"\xff\xfe"


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(ServerUnavailableError, match="erp cannot be reached: .*No such file or directory"):
        told(system(tmp_path / "not-mounted"), cancellation())
    assert not (tmp_path / "not-mounted").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"folder": ""}, "folder is not set"), ({"folder": "x", "format": "jsonx"}, "no format 'jsonx'")],
)
def test_settings_that_cannot_be_used_are_named(tmp_path, settings, said):
    with pytest.raises(UsageError, match=said):
        system_of(tmp_path, kind="file", **settings)


def test_a_rejection_is_written_and_an_order_without_a_number_is_refused(sqlite_url, tmp_path, folder):
    config = tmp_path / "config.toml"
    config.write_text(
        f"[profile.default.systems.erp]\nkind = 'file'\nfolder = '{folder}'\n"
        "format = 'woocommerce'\nkey = 'reference'\n"
    )
    cli = Cli(sqlite_url, tmp_path / "home", ORDERCTL_CONFIG=str(config))
    file = tmp_path / "orders.csv"
    header = "id,reference,status,ordered,currency,total,buyer_id,buyer_name,buyer_email"
    file.write_text(
        f"{header}\nA,17,needs-oc,2026-01-01,EUR,10,x,N,x@b.example\nB,PO,needs-oc,2026-01-01,EUR,10,x,N,x@b.example\n"
    )
    assert cli("import", str(file), "--source", "erp").code == 0
    ran = cli("reject", "A", "B", "--yes")
    assert (ran.code, "1 order cancelled there, 1 in conflict" in ran.out) == (5, True)
    [path] = folder.iterdir()
    assert [each["id"] for each in json.loads(path.read_text())["update"]] == [17]
    assert "PO is no id of WooCommerce" in cli("writeback", "list", "--state", "refused").out
