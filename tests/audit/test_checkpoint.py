"""A log that cannot lose its end: what a checkpoint finds, and the proofs, against a naive reading of RFC 6962."""

import base64
import hashlib
import re
import stat
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from orderctl.audit.checkpoint import GrowingTree, consistency_proof, entry_hash, inclusion_proof
from orderctl.audit.log import digest_batch
from orderctl.audit.service import record_of
from orderctl.database.acts import read_acts
from support.audit import cut_last_batch
from support.cli import Cli
from support.factories import make_order, put_all
from support.project import ROOT
from support.rejection import ids, reject
from support.stores import open_store, tamper

NOT_KNOWN = (
    "not known: whether the newest batches or acts were cut off, or all was written anew (--since CHECKPOINT tells)"
)
CUT = (
    "checkpoint: its newest batch is number 3, and that of the store 2: the last ones were cut off,"
    " or an old backup was put back"
)


def naive_root(entries):
    """RFC 6962, 2.1, word by word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    middle = next(2**power for power in range(64) if 2 ** (power + 1) >= len(entries))
    return hashlib.sha256(b"\1" + naive_root(entries[:middle]) + naive_root(entries[middle:])).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of_inclusion(leaf, index, size, path):
    """RFC 9162, 2.1.3.2: how whoever has only the proof checks it."""
    at, last, found = index, size - 1, leaf
    for each in path:
        assert last
        if at & 1 or at == last:
            found = node(each, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, each)
        at, last = at >> 1, last >> 1
    assert last == 0
    return found


def roots_of_consistency(first, second, root, path):
    """RFC 9162, 2.1.4.2: the two roots that a proof leads to."""
    nodes = [root, *path] if first & (first - 1) == 0 else [*path]
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = nodes[0]
    for each in nodes[1:]:
        assert last
        if at & 1 or at == last:
            old, new = node(each, old), node(each, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node(new, each)
        at, last = at >> 1, last >> 1
    assert last == 0
    return old, new


ENTRIES = st.lists(st.binary(max_size=3), max_size=40)


@given(ENTRIES)
def test_the_root_of_a_growing_tree_is_that_of_the_rfc_at_each_size(entries):
    tree = GrowingTree()
    roots = [tree.root]
    for entry in entries:
        tree.add(entry_hash(entry))
        roots.append(tree.root)
    assert roots == [naive_root(entries[:size]) for size in range(len(entries) + 1)]


@given(st.data(), ENTRIES.filter(bool))
def test_a_proof_leads_to_the_root_and_another_entry_does_not(data, entries):
    leaves = [entry_hash(entry) for entry in entries]
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = inclusion_proof(leaves, index)
    assert root_of_inclusion(leaves[index], index, len(leaves), path) == naive_root(entries)
    assert root_of_inclusion(entry_hash(b"other"), index, len(leaves), path) != naive_root(entries)
    size = data.draw(st.integers(1, len(leaves)))
    path = consistency_proof(leaves, size)
    if size == len(leaves):
        assert path == []
    else:
        roots = naive_root(entries[:size]), naive_root(entries)
        assert roots_of_consistency(size, len(leaves), roots[0], path) == roots


def test_the_roots_are_those_of_other_programs():
    # The vectors of certificate-transparency-go: their eight entries.
    entries = [bytes.fromhex(text) for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )]  # fmt: skip
    roots = [GrowingTree(map(entry_hash, entries[:size])).root.hex() for size in (0, 1, 8)]
    assert roots == [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


@pytest.fixture
def elsewhere(store_url, tmp_path):
    """Another computer, which has seen nothing of the store."""
    return Cli(store_url, tmp_path / "elsewhere")


@pytest.fixture
def batches(store_url):
    """Three batches of one order each."""
    with open_store(store_url) as store:
        put_all(store, [make_order(f"C{number}") for number in range(1, 6)])
        return [reject(store, ids(f"C{number}")).batch_id for number in range(1, 4)]


def reject_another(store_url):
    with open_store(store_url) as store:
        return reject(store, ids("C4")).batch_id


def digests(store_url):
    with open_store(store_url) as store, store.snapshot() as connection:
        return [logged.batch.digest for logged in record_of(connection) if logged.batch]


def test_a_checkpoint_is_a_signed_note(cli, batches, store_url, tmp_path):
    made = cli("log", "checkpoint", "--new-key", str(tmp_path / "key"))
    name, hashed, public = made.out.strip().split("+", 2)
    assert (made.code, stat.S_IMODE((tmp_path / "key").stat().st_mode)) == (0, 0o600)
    secret = (tmp_path / "key").read_text().strip().split("+", 4)[4]
    assert secret not in made.out + made.err
    cli.environ["ORDERCTL_CHECKPOINT_KEY_FILE"] = str(tmp_path / "key")
    ran = cli("log", "checkpoint")
    assert (ran.code, ran.err) == (0, "")
    text, _, signature = ran.out.partition("\n\n")
    origin, size, root, at, acts = text.split("\n")
    assert re.fullmatch("orderctl/[0-9a-f]{32}/main", origin)
    assert (origin, size) == (name, "3")
    assert base64.b64decode(root) == naive_root([digest.encode() for digest in digests(store_url)])
    assert re.fullmatch(r"time 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", at)
    with open_store(store_url) as store, store.snapshot() as connection:
        made = [act.digest.encode() for act in read_acts(connection)]
    assert acts == f"acts {len(made)} {base64.b64encode(naive_root(made)).decode()}"
    dash, signer, written = signature.removesuffix("\n").split(" ")
    key = base64.b64decode(public)
    assert (dash, signer, key[0], len(key)) == ("—", name, 1, 33)
    key_hash = hashlib.sha256(f"{name}\n".encode() + key).digest()[:4]
    assert base64.b64decode(written)[:4] == key_hash == bytes.fromhex(hashed)
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(base64.b64decode(written)[4:], f"{text}\n".encode())


def test_without_a_key_it_is_unsigned_and_says_so(cli, batches, tmp_path):
    path = tmp_path / "kept"
    ran = cli("log", "checkpoint", "-o", str(path))
    assert (ran.code, ran.out) == (0, "")
    assert "not signed: the setting checkpoint.key_file names no key" in ran.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "— " not in path.read_text()
    again = cli("log", "checkpoint", "-o", str(path))
    assert (again.code, "is there already" in again.err) == (2, True)
    ran = cli("log", "verify", "--since", str(path))
    told = "the log continues the checkpoint of number 3; its signature was not checked"
    assert (ran.code, told in ran.lines, NOT_KNOWN in ran.lines) == (0, True, False)


def keep(cli, tmp_path):
    """A signed checkpoint of now, and the options that hold the log against it."""
    key = cli("log", "checkpoint", "--new-key", str(tmp_path / "key")).out.strip()
    cli.environ["ORDERCTL_CHECKPOINT_KEY_FILE"] = str(tmp_path / "key")
    assert cli("log", "checkpoint", "-o", str(tmp_path / "kept")).code == 0
    return ["log", "verify", "--since", str(tmp_path / "kept"), "--key", key]


def test_a_log_that_goes_on_continues_its_checkpoint(cli, batches, store_url, tmp_path):
    since = keep(cli, tmp_path)
    reject_another(store_url)
    ran = cli(*since)
    assert (ran.code, ran.err) == (0, "")
    assert "the log continues the checkpoint of number 3, whose signature is valid" in ran.lines
    assert cli(*since, "--format", "json").json[-1]["continues"] is True
    mailed = (tmp_path / "kept").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "kept").write_bytes(mailed)
    assert cli(*since).code == 0


def found(cli, elsewhere, since, expected):
    """The checkpoint finds it; a computer without it says what it cannot know."""
    ran = elsewhere(*since)
    assert (ran.code, ran.lines[0]) == (1, expected)
    assert "the log is not as it was written: 1 record" in ran.err
    last = elsewhere(*since, "--format", "json").json[-1]
    assert (last["continues"], last["outcome"]) == (False, "tampered")
    blind = elsewhere("log", "verify")
    assert (blind.code, NOT_KNOWN in blind.lines) == (0, True)


def test_a_cut_end_is_found(cli, elsewhere, batches, store_url, tmp_path):
    since = keep(cli, tmp_path)
    cut_last_batch(store_url)
    found(cli, elsewhere, since, CUT)


def back_up(url, path):
    if "://" not in url:
        assert Cli(url, path.parent / "home")("store", "backup", str(path)).code == 0
        return
    with psycopg.connect(url, dbname="postgres", autocommit=True) as admin:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        # A pooler keeps its session after the program has left.
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name])
        admin.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name} STRATEGY file_copy")


def put_back(url, path):
    if "://" not in url:
        for ending in ("", "-wal", "-shm"):
            Path(f"{url}{ending}").unlink(missing_ok=True)
        path.rename(url)
        return
    with psycopg.connect(url, dbname="postgres", autocommit=True) as admin:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.execute(f"ALTER DATABASE {name}_copy RENAME TO {name}")


def test_yesterdays_backup_is_found(cli, elsewhere, batches, store_url, tmp_path):
    back_up(store_url, tmp_path / "yesterday.db")
    reject_another(store_url)
    since = keep(cli, tmp_path)
    put_back(store_url, tmp_path / "yesterday.db")
    found(cli, elsewhere, since, CUT.replace("3", "4").replace("2", "3"))


def test_a_backup_that_has_all_batches_and_not_the_newest_acts_is_found(cli, elsewhere, batches, store_url, tmp_path):
    assert cli("tag", "late", "C4").code == 0
    back_up(store_url, tmp_path / "yesterday.db")
    for args in (("tag", "later", "C4"), ("archive", "C1"), ("untag", "late", "C4")):
        assert cli(*args).code == 0
    since = keep(cli, tmp_path)
    put_back(store_url, tmp_path / "yesterday.db")
    cut = (
        "its newest act is number 4, and that of the store 1: the last ones were cut off, or an old backup was put back"
    )
    found(cli, elsewhere, since, f"checkpoint: {cut}")
    # The same store in which life went on since: as many acts again, and others.
    for args in (("archive", "C2"), ("archive", "C3"), ("tag", "other", "C5")):
        assert elsewhere(*args).code == 0
    other = "checkpoint: covers other acts than the store has up to number 4: the chain was computed anew"
    found(cli, elsewhere, since, other)


def compute_anew(url):
    """Change the first batch, and write all digests anew with the program's own code."""
    statements, previous = [], ""
    with open_store(url) as store, store.snapshot() as connection:
        for logged in record_of(connection):
            if logged.batch:
                reason = "another" if logged.batch.position == 1 else logged.batch.reason
                batch = replace(logged.batch, previous=previous, reason=reason)
                made = digest_batch(batch, logged.events)
                previous = made.digest
                statements.append(
                    f"UPDATE batch SET reason = '{reason}', previous = '{batch.previous}', digest = '{made.digest}',"
                    f" leaves = '{made.leaves}' WHERE id = '{batch.id}'"
                )
    tamper(url, *statements)


def test_a_chain_that_was_computed_anew_is_found(cli, elsewhere, batches, store_url, tmp_path):
    since = keep(cli, tmp_path)
    compute_anew(store_url)
    reject_another(store_url)
    said = "checkpoint: covers other batches than the store has up to number 3: the chain was computed anew"
    found(cli, elsewhere, since, said)


def test_another_store_in_its_place_is_found(cli, elsewhere, batches, store_url, tmp_path):
    since = keep(cli, tmp_path)
    tamper(store_url, "UPDATE store_identity SET id = 'other'")
    ran = elsewhere(*since)
    assert ran.code == 1
    assert re.fullmatch(
        "checkpoint: is of the log orderctl/[0-9a-f]{32}/main, and this is orderctl/other/main", ran.lines[0]
    )


@pytest.mark.parametrize("change", ["size", "signature", "no signature", "another key"])
def test_a_checkpoint_that_somebody_else_wrote_is_refused(cli, batches, tmp_path, change):
    since = keep(cli, tmp_path)
    path, written = tmp_path / "kept", (tmp_path / "kept").read_text()
    body, _, signature = written.partition("\n\n")
    if change == "size":
        path.write_text(written.replace("\n3\n", "\n2\n"))
    elif change == "signature":
        name, _, signed = signature.strip().rpartition(" ")
        forged = base64.b64encode(base64.b64decode(signed)[:4] + bytes(64)).decode()
        path.write_text(f"{body}\n\n{name} {forged}\n")
    elif change == "no signature":
        path.write_text(f"{body}\n")
    else:
        since[-1] = cli("log", "checkpoint", "--new-key", str(tmp_path / "key2")).out.strip()
    ran = cli(*since)
    assert (ran.code, ran.out) == (1, "")
    assert "the checkpoint has no valid signature of the key orderctl/" in ran.err


@pytest.mark.parametrize("text", ["", "x", "a\n1\nx\n", "a\n-1\n" + "A" * 43 + "=\n", "\n\n\n", "\xff"])
def test_what_is_no_checkpoint_is_refused(cli, tmp_path, text):
    (tmp_path / "kept").write_bytes(text.encode("latin-1"))
    ran = cli("log", "verify", "--since", str(tmp_path / "kept"))
    assert (ran.code, "kept is not a checkpoint" in " ".join(ran.err.split())) == (2, True)


def test_a_key_that_is_none_is_refused_and_never_shown(cli, batches, tmp_path):
    since = keep(cli, tmp_path)
    private = (tmp_path / "key").read_text().strip()
    for wrong in ("x", since[-1][:-8], since[-1].replace("+", "+0", 1), private):
        ran = cli(*since[:-1], wrong)
        assert (ran.code, "--key does not hold a public key" in ran.err, private[-20:] in ran.err) == (2, True, False)
    ran = cli("log", "verify", "--key", since[-1])
    assert (ran.code, "--key is for a checkpoint, and there is none" in ran.err) == (2, True)
    key, secret = tmp_path / "key", "0123456789secret"
    for written in (secret, since[-1], f"PRIVATE+KEY+{since[-1]}"):  # a public key would sign with what all know
        key.write_text(written)
        ran = cli("log", "checkpoint")
        assert (ran.code, "holds no key" in " ".join(ran.err.split()), secret in ran.err) == (2, True, False)
    key.chmod(0o644)
    ran = cli("log", "checkpoint")
    assert (ran.code, "checkpoint.key_file: others may read" in " ".join(ran.err.split())) == (2, True)


def proven(lines):
    return [base64.b64decode(line) for line in lines]


def test_a_proof_of_a_batch_is_checked_without_the_store(cli, batches, store_url, tmp_path):
    ran = cli("log", "checkpoint", "--prove", batches[1])
    proof, checkpoint = ran.out.split("\n\n")
    head, index, *path = proof.split("\n")
    assert (ran.code, head, index) == (0, "c2sp.org/tlog-proof@v1", "index 1")
    _, size, root, *_ = checkpoint.strip().split("\n")
    leaf = entry_hash(digests(store_url)[1].encode())
    assert root_of_inclusion(leaf, 1, int(size), proven(path)) == base64.b64decode(root)
    page = (ROOT / "docs/reference/log.md").read_text()
    (script,) = [each for each in re.findall("```python\n(.*?)```", page, re.DOTALL) if "tlog-proof" in each]
    for batch, digest in zip(batches, digests(store_url), strict=True):
        (tmp_path / "batch.tlog-proof").write_text(cli("log", "checkpoint", "--prove", batch).out)
        for asked, says in ((digest, "in the log\n"), ("0" * 64, "WRONG\n")):
            with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said:
                patch.chdir(tmp_path)
                patch.setattr("sys.argv", ["", asked])
                exec(script, {})  # noqa: S102 - as the page says it
            assert said.getvalue() == says


def test_a_witness_gets_the_proof_that_the_log_goes_on(cli, elsewhere, batches, store_url, tmp_path):
    keep(cli, tmp_path)
    before = base64.b64decode((tmp_path / "kept").read_text().split("\n")[2])
    reject_another(store_url)
    ran = cli("log", "checkpoint", "--since", str(tmp_path / "kept"))
    proof, checkpoint, signature = ran.out.split("\n\n")
    old, *path = proof.split("\n")
    _, size, root, *_ = checkpoint.split("\n")
    assert (ran.code, old, size, signature[:2]) == (0, "old 3", "4", "— ")
    assert roots_of_consistency(3, 4, before, proven(path)) == (before, base64.b64decode(root))
    compute_anew(store_url)
    ran = elsewhere("log", "checkpoint", "--since", str(tmp_path / "kept"))
    assert (ran.code, ran.out, "the log does not continue this checkpoint" in ran.err) == (1, "", True)


def test_an_empty_log_has_a_checkpoint_that_each_log_continues(cli, store_url, tmp_path):
    kept = str(tmp_path / "kept")
    assert cli("log", "checkpoint", "-o", kept).code == 0
    assert cli("log", "verify", "--since", kept).code == 0
    with open_store(store_url) as store:
        put_all(store, [make_order("C1")])
        reject(store, ids("C1"))
    assert cli("log", "verify", "--since", kept).code == 0
    assert cli("log", "checkpoint", "--since", kept).out.startswith("old 0\n\norderctl/")


def test_one_thing_at_a_time(cli, tmp_path):
    ran = cli("log", "checkpoint", "--new-key", str(tmp_path / "key"), "--prove", "x")
    assert (ran.code, (tmp_path / "key").exists()) == (2, False)
