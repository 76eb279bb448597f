"""Timestamps of checkpoints, by a real authority of RFC 3161 on the loopback."""

import subprocess
from datetime import UTC, datetime

import pytest

from support.cli import Cli
from support.factories import make_order, put_all
from support.http_server import Answer, http_server
from support.rejection import ids, reject
from support.smtp_server import ca_file as trusted
from support.stores import open_store
from support.timestamps import authority


@pytest.fixture
def cli(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        put_all(store, [make_order("C1"), make_order("C2")])
        reject(store, ids("C1"))
    return Cli(sqlite_url, tmp_path / "home")


@pytest.fixture
def server(cli, tmp_path):
    """An authority, which the settings name."""
    ca_file, answer = authority(tmp_path / "tsa")
    with http_server(answer) as running:
        cli.environ["ORDERCTL_CHECKPOINT_TIMESTAMP_SERVER"] = running.url
        cli.environ["ORDERCTL_CHECKPOINT_TIMESTAMP_CA_FILE"] = str(ca_file)
        yield running


@pytest.fixture
def file(tmp_path):
    return tmp_path / "checkpoint.txt"


def stamped(file):
    return file.with_name("checkpoint.txt.tsr")


def test_a_checkpoint_is_stamped_and_proves_when_it_was_there(cli, server, file, tmp_path):
    ran = cli("log", "checkpoint", "-o", str(file))
    assert (ran.code, ran.err.splitlines()[-1]) == (0, f"wrote its timestamp to {stamped(file)}")
    ran = cli("log", "verify", "--since", str(file))
    assert (ran.code, f"its timestamp says that it was there on {datetime.now(UTC):%Y-%m-%d}" in ran.out) == (0, True)
    # Anybody can check it, without the program.
    of = ["-data", str(file), "-in", str(stamped(file)), "-CAfile", str(tmp_path / "tsa" / "ca.pem")]
    found = subprocess.run(["openssl", "ts", "-verify", *of], capture_output=True, text=True, check=False)
    assert "Verification: OK" in found.stdout + found.stderr


def test_a_timestamp_of_another_checkpoint_or_authority_is_refused(cli, server, file, tmp_path):
    assert cli("log", "checkpoint", "-o", str(file)).code == 0
    other, _ = authority(tmp_path / "other", "Other")
    cli.environ["ORDERCTL_CHECKPOINT_TIMESTAMP_CA_FILE"] = str(other)
    ran = cli("log", "verify", "--since", str(file))
    assert (ran.code, "the timestamp is not one of this checkpoint: " in ran.err) == (1, True)
    cli.environ["ORDERCTL_CHECKPOINT_TIMESTAMP_CA_FILE"] = str(tmp_path / "tsa" / "ca.pem")
    file.write_text(file.read_text().replace("time 2", "time 1"))
    ran = cli("log", "verify", "--since", str(file))
    assert (ran.code, "the timestamp is not one of this checkpoint: " in ran.err) == (1, True)
    for broken in (b"", b"\x30\x03\x02\x01\x02", stamped(file).read_bytes()[:-9]):
        stamped(file).write_bytes(broken)
        assert cli("log", "verify", "--since", str(file)).code == 1


def test_without_the_certificates_of_the_authority_it_is_not_checked_and_that_is_said(cli, server, file):
    assert cli("log", "checkpoint", "-o", str(file)).code == 0
    del cli.environ["ORDERCTL_CHECKPOINT_TIMESTAMP_CA_FILE"]
    ran = cli("log", "verify", "--since", str(file))
    assert (ran.code, "checkpoint.txt.tsr is not checked: " in " ".join(ran.err.split())) == (0, True)
    assert "timestamp" not in ran.out
    assert cli("log", "checkpoint", "-o", str(file), "--force").code == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(status=503, body=b"later"), "HTTP 503"),
        (Answer(cut=0), "disconnected"),
        (Answer(body=b"x" * 1000, endless=True), "its answer has no end"),
    ],
)
def test_a_server_that_gives_none_leaves_the_checkpoint_and_ends_with_1(cli, server, file, answer, why):
    server.answer(answer)
    ran = cli("log", "checkpoint", "-o", str(file))
    assert (ran.code, "127.0.0.1 gave no timestamp: " in ran.err, why in ran.err) == (1, True, True), ran
    assert cli("log", "verify", "--since", str(file)).code == 0
    assert not stamped(file).exists()


def test_an_answer_that_is_none_is_not_kept(cli, server, file, tmp_path):
    _, other = authority(tmp_path / "other", "Other")
    for script in (lambda _request: Answer(body=b"no timestamp"), other):
        server.script = script
        ran = cli("log", "checkpoint", "-o", str(file), "--force")
        assert (ran.code, "the timestamp is not one of this checkpoint" in ran.err) == (1, True)
    assert not stamped(file).exists()


def test_nobody_in_between_is_asked(cli, file, tmp_path):
    ca_file, answer = authority(tmp_path / "tsa")
    cli.environ["ORDERCTL_CHECKPOINT_TIMESTAMP_CA_FILE"] = str(ca_file)
    with http_server(answer, tls=True) as running:
        cli.environ["ORDERCTL_CHECKPOINT_TIMESTAMP_SERVER"] = running.url
        ran = cli("log", "checkpoint", "-o", str(file))
        assert (ran.code, "certificate verify failed" in ran.err) == (1, True)
        cli.environ["SSL_CERT_FILE"] = trusted(tmp_path)
        assert cli("log", "checkpoint", "-o", str(file), "--force").code == 0
    for url in ("http://tsa.example", "ftp://tsa.example", "tsa"):
        cli.environ["ORDERCTL_CHECKPOINT_TIMESTAMP_SERVER"] = url
        ran = cli("log", "checkpoint", "-o", str(file), "--force")
        assert (ran.code, "checkpoint.timestamp_server is not an address" in ran.err) == (2, True)


def test_on_standard_output_there_is_none(cli, server):
    ran = cli("log", "checkpoint")
    assert (ran.code, ran.out.startswith("orderctl/"), "no timestamp: " in ran.err) == (0, True, True)
    assert server.requests == []
