"""Checkpoints: how long the log was and what was in it, as the signed notes of transparency logs.

The forms are those of C2SP: signed-note and tlog-checkpoint, tlog-proof for the proof of one batch, and the request of
tlog-witness for the proof that a later log continues an earlier one. The trees are Merkle trees over SHA-256, as RFC
6962 has them in section 2.1.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from orderctl.core.secrets import private_text
from orderctl.core.text import safe
from orderctl.core.tls import is_loopback, trusting
from orderctl.errors import OrderctlError, ServerUnavailableError, UsageError, os_reason
from orderctl.language import N_, _

if TYPE_CHECKING:
    import httpx
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def entry_hash(entry: bytes) -> bytes:
    """The hash of one entry, a leaf of the tree."""
    return sha256(b"\0" + entry).digest()


class GrowingTree:
    """The root of a tree to which hashes of entries are added, in memory of the logarithm of its size."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._complete: list[bytes] = []  # the roots of the complete subtrees, the largest first
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: bytes) -> None:
        """Add the hash of the next entry."""
        node, size = leaf, self.size
        while size & 1:
            node, size = _node(self._complete.pop(), node), size >> 1
        self._complete.append(node)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The hash of the whole tree."""
        if not self._complete:
            return sha256(b"").digest()
        *larger, node = self._complete
        for complete in reversed(larger):
            node = _node(complete, node)
        return node


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The nodes that lead from the leaf at `index` (from 0) to the root, the lowest first."""
    if len(leaves) == 1:
        return []
    left, right = _halves(leaves)
    if index < len(left):
        return [*inclusion_proof(left, index), GrowingTree(right).root]
    return [*inclusion_proof(right, index - len(left)), GrowingTree(left).root]


def consistency_proof(leaves: Sequence[bytes], size: int, *, known: bool = True) -> list[bytes]:
    """The nodes that show that the tree of the first `size` leaves, 1 or more, is the beginning of this one.

    `known`: whoever reads the proof has the root of these first leaves.
    """
    if size == len(leaves):
        return [] if known else [GrowingTree(leaves).root]
    left, right = _halves(leaves)
    if size <= len(left):
        return [*consistency_proof(left, size, known=known), GrowingTree(right).root]
    return [*consistency_proof(right, size - len(left), known=False), GrowingTree(left).root]


def _halves(leaves: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """The leaves of the left subtree, the largest complete one that is not the whole, and of the right one."""
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return leaves[:middle], leaves[middle:]


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


KEY_SETTING = "checkpoint.key_file"
_PRIVATE = "PRIVATE+KEY+"
_SIGNED = "— "
_ED25519 = b"\1"
_HASH_LENGTH = 4
_ROOT_LENGTH = sha256().digest_size
_ACTS = "acts "
_LONGEST = 100_000
_ORIGIN = b"orderctl/"
_MAKE_ONE = N_("make one: orderctl log checkpoint -o FILE")


def origin_of(store_id: str, account: str) -> str:
    """The name of the log of one account of a store; quoted, so that it can be the name of a key."""
    return f"orderctl/{store_id}/{quote(account, safe='')}"


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a chain was, and the Merkle root over the digests in it."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log of `size` batches with the Merkle root over their digests. `text` is what the lines in `signed` sign.

    `acts` is what it says of the acts of operators; None in a checkpoint of an earlier version.
    """

    text: str
    origin: str
    size: int
    root: bytes
    acts: Extent | None = None
    signed: tuple[str, ...] = ()

    @classmethod
    def of(cls, origin: str, batches: GrowingTree, acts: GrowingTree, at: datetime) -> Self:
        """The checkpoint of a log as it is now, unsigned. What the form does not know stands in lines at its end."""
        text = (
            f"{origin}\n{batches.size}\n{_base64(batches.root)}\ntime {at:%Y-%m-%dT%H:%M:%SZ}\n"
            f"{_ACTS}{acts.size} {_base64(acts.root)}\n"
        )
        extent = Extent(acts.size, acts.root)
        return cls(text=text, origin=origin, size=batches.size, root=batches.root, acts=extent)

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"{line}\n" for line in self.signed)]) if self.signed else self.text

    def sign(self, key: "SigningKey") -> Self:
        """The checkpoint with a signature by the key."""
        signature = _base64(key.hash + key.signer.sign(self.text.encode()))
        return replace(self, signed=(*self.signed, f"{_SIGNED}{key.name} {signature}"))

    def check_signature(self, verifier: str) -> str:
        """The name of the key that signed. Raises UsageError for no key, OrderctlError without its signature."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        name, key_hash, public = _read_key(verifier.strip()) or ("", b"", b"")
        if not name or key_hash != _key_hash(name, public):
            raise UsageError(
                _("--key does not hold a public key"),  # it may hold the private one: nothing of it is shown
                hint=_("orderctl log checkpoint --new-key printed it"),
            )
        for line in self.signed:
            signer, __, written = line.removeprefix(_SIGNED).rpartition(" ")
            signature = _bytes(written)
            if signer == name and signature[:_HASH_LENGTH] == key_hash:
                try:
                    Ed25519PublicKey.from_public_bytes(public).verify(signature[_HASH_LENGTH:], self.text.encode())
                except InvalidSignature:
                    break
                return name
        raise OrderctlError(
            _("the checkpoint has no valid signature of the key {name}", name=name),
            hint=_("somebody wrote or changed it who has not the key: take another copy"),
        )


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its name, and the hash that stands before its signatures."""

    name: str
    hash: bytes
    signer: "Ed25519PrivateKey" = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The key in a private file. Raises UsageError."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - 16 ms

        prefix, __, key = private_text(path, KEY_SETTING).rpartition(_PRIVATE)
        name, key_hash, secret = _read_key(key) or ("", b"", b"")
        signer = Ed25519PrivateKey.from_private_bytes(secret) if name else None
        if prefix or not signer or key_hash != _key_hash(name, signer.public_key().public_bytes_raw()):
            raise UsageError(
                _("{key}: {path} holds no key", key=KEY_SETTING, path=path),
                hint=_("make one: orderctl log checkpoint --new-key FILE"),
            )
        return cls(name, key_hash, signer)


def make_key(name: str) -> tuple[str, str]:
    """A new Ed25519 key of this name: the text for its private file, and the public key, as Go's notes write them."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    hashed = _key_hash(name, public).hex()
    secret = f"{_PRIVATE}{name}+{hashed}+{_base64(_ED25519 + key.private_bytes_raw())}\n"
    return secret, f"{name}+{hashed}+{_base64(_ED25519 + public)}"


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file, which may be a mail too. Raises UsageError."""
    try:
        with path.open("rb") as stream:
            written = _note_in(stream.read(_LONGEST)).decode().replace("\r\n", "\n")  # a mail may have changed them
    except OSError as error:
        raise UsageError(
            _("{file} cannot be read: {why}", file=path, why=os_reason(error)), hint=_("check the path")
        ) from error
    except UnicodeDecodeError:
        written = ""
    text, blank, signatures = written.partition("\n\n")
    text = f"{text}\n" if blank else text
    signed = tuple(signatures.splitlines())
    lines = text.splitlines()
    batches = _extent(*lines[1:3])
    told = [line.removeprefix(_ACTS) for line in lines[3:] if line.startswith(_ACTS)]
    acts = [_extent(*each.split(" ")) for each in told]
    if batches is None or None in acts or len(acts) > 1 or not all(line.startswith(_SIGNED) for line in signed):
        raise UsageError(_("{file} is not a checkpoint", file=path), hint=_(_MAKE_ONE))
    return Checkpoint(
        text=text, origin=lines[0], size=batches.size, root=batches.root, acts=acts[0] if acts else None, signed=signed
    )


def _note_in(written: bytes) -> bytes:
    """What a file holds; of a whole message, as mail programs save it, its plain text."""
    if written.startswith(_ORIGIN):
        return written
    from email import message_from_bytes  # noqa: PLC0415 - 20 ms, and most checkpoints are no messages

    for part in message_from_bytes(written).walk():
        text = part.get_payload(decode=True) if part.get_content_type() == "text/plain" else None
        if isinstance(text, bytes) and text.startswith(_ORIGIN):
            return text
    return written


def _extent(*written: str) -> Extent | None:
    """A number and a root as a checkpoint writes them; None if they are none."""
    if len(written) != 2:  # noqa: PLR2004
        return None
    size, root = written[0], _bytes(written[1])
    return Extent(int(size), root) if size.isascii() and size.isdecimal() and len(root) == _ROOT_LENGTH else None


def inclusion_text(checkpoint: Checkpoint, leaves: Sequence[bytes], index: int) -> str:
    """The proof that the leaf at `index` (from 0) is in the log of this checkpoint, as a tlog-proof."""
    path = _lines(inclusion_proof(leaves, index))
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{path}\n{checkpoint}"


def consistency_text(checkpoint: Checkpoint, before: Checkpoint, leaves: Sequence[bytes]) -> str:
    """The proof that the log of this checkpoint continues an earlier one, as the request to a tlog-witness.

    Raises OrderctlError if it does not.
    """
    size = before.size
    if before.origin != checkpoint.origin or size > len(leaves) or GrowingTree(leaves[:size]).root != before.root:
        raise OrderctlError(
            _("the log does not continue this checkpoint"), hint=_("orderctl log verify --since FILE tells why")
        )
    path = _lines(consistency_proof(leaves, size)) if size else ""
    return f"old {size}\n{path}\n{checkpoint}"


SERVER_SETTING, CA_SETTING = "checkpoint.timestamp_server", "checkpoint.timestamp_ca_file"
_WITHIN_S = 30.0
_LONGEST_TOKEN = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamps:
    """Timestamps by RFC 3161 of the server at `url`, which must descend from the certificates in `ca_file`."""

    ca_file: Path
    url: str = ""

    def take(self, note: bytes) -> bytes:
        """The server's answer for a note, as its bytes came: it was checked.

        Raises UsageError for what cannot be asked, ServerUnavailableError, OrderctlError for a wrong answer.
        """
        library, address = _rfc3161(), _address(self.url)
        asked = library.TimestampRequestBuilder().data(note).hash_algorithm(library.HashAlgorithm.SHA256).build()
        answer = _answer(address, asked.as_bytes())
        self.check(answer, note, nonce=asked.nonce)
        return answer

    def check(self, answer: bytes, note: bytes, *, nonce: int | None = None) -> datetime:
        """When the note was there, by the server's answer. Raises UsageError, OrderctlError if it does not say that."""
        from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415

        library = _rfc3161()
        try:
            roots = load_pem_x509_certificates(self.ca_file.read_bytes())
        except (OSError, ValueError) as error:
            why = os_reason(error) if isinstance(error, OSError) else _("there is no certificate in it")
            raise UsageError(
                _("{key}: {path} cannot be used: {why}", key=CA_SETTING, path=self.ca_file, why=why),
                hint=_("name a file with certificates in PEM form"),
            ) from None
        try:
            read = library.decode_timestamp_response(answer)
            library.VerifierBuilder(roots=roots, nonce=nonce).build().verify_message(read, note)
            at: datetime = read.tst_info.gen_time
        except (library.VerificationError, ValueError) as error:
            raise OrderctlError(
                _("the timestamp is not one of this checkpoint: {why}", why=safe(str(error))),
                hint=_("another checkpoint, another authority, or somebody changed it: {key}", key=CA_SETTING),
            ) from None
        return at


def _rfc3161() -> Any:  # noqa: ANN401 - a module
    try:
        import rfc3161_client  # noqa: PLC0415 - an extra that few install
    except ImportError:
        raise UsageError(
            _("timestamps need a library that is not installed"), hint=_("pip install 'orderctl[timestamps]'")
        ) from None
    return rfc3161_client


def _address(url: str) -> "httpx.URL":
    """The address of a server. Raises UsageError unless nobody in between can change what it says."""
    import httpx  # noqa: PLC0415 - 110 ms

    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if not address.host or not (address.scheme == "https" or (address.scheme == "http" and is_loopback(address.host))):
        raise UsageError(_("{key} is not an address of the web", key=SERVER_SETTING), hint=_("write https://HOST"))
    return address


def _answer(address: "httpx.URL", asked: bytes) -> bytes:
    """What the server answers within a limit of time and size. Raises ServerUnavailableError."""
    import httpx  # noqa: PLC0415

    said, end = bytearray(), monotonic() + _WITHIN_S
    headers = {"Content-Type": "application/timestamp-query", "Accept-Encoding": "identity"}
    try:
        with (
            httpx.Client(verify=trusting(None, SERVER_SETTING), trust_env=False, timeout=_WITHIN_S) as client,
            client.stream("POST", address, content=asked, headers=headers) as answer,
        ):
            for piece in answer.iter_raw():
                said += piece
                if len(said) > _LONGEST_TOKEN or monotonic() > end:
                    break
            why = "" if answer.status_code == HTTPStatus.OK else f"HTTP {answer.status_code}"
    except httpx.HTTPError as error:
        why = safe(str(error)) or type(error).__name__
    if why or len(said) > _LONGEST_TOKEN or monotonic() > end:
        raise ServerUnavailableError(
            _("{server} gave no timestamp: {why}", server=address.host, why=why or _("its answer has no end")),
            hint=_("the checkpoint is written; ask again later, or check {key}", key=SERVER_SETTING),
        )
    return bytes(said)


def _lines(nodes: Iterable[bytes]) -> str:
    return "".join(f"{_base64(node)}\n" for node in nodes)


def _read_key(text: str) -> tuple[str, bytes, bytes] | None:
    """The name, the hash and the 32 bytes of a key as Go's notes write it; None if it is none."""
    name, __, rest = text.partition("+")
    hashed, __, written = rest.partition("+")
    key = _bytes(written)
    try:
        key_hash = bytes.fromhex(hashed)
    except ValueError:
        return None
    return (name, key_hash, key[1:]) if name and key[:1] == _ED25519 and len(key) == 33 else None  # noqa: PLR2004


def _key_hash(name: str, public: bytes) -> bytes:
    return sha256(f"{name}\n".encode() + _ED25519 + public).digest()[:_HASH_LENGTH]


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


def _bytes(text: str) -> bytes:
    """What a text in base64 says; empty if it is none."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
