"""An authority of timestamps by RFC 3161: OpenSSL signs the answers, with keys that are made here."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.http_server import Answer, Request

_CONFIG = """
[tsa]
default_tsa = ours
[ours]
serial = {folder}/serial
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
"""


@cache
def _key(name: str) -> rsa.RSAPrivateKey:
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _certificate(name: str, issuer: str) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(_key(name).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
    )
    if name != issuer:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return made.sign(_key(issuer), hashes.SHA256())


def authority(folder: Path, name: str = "Time") -> tuple[Path, Callable[[Request], Answer]]:
    """The file with the certificate of a new authority, and how its server answers."""
    folder.mkdir()
    root = f"{name} Root"
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(_certificate(root, root).public_bytes(Encoding.PEM))
    (folder / "signer.pem").write_bytes(_certificate(name, root).public_bytes(Encoding.PEM))
    secret = _key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "signer.key").write_bytes(secret)
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))

    def answer(request: Request) -> Answer:
        assert request.headers["content-type"] == "application/timestamp-query"
        (folder / "query.tsq").write_bytes(request.body)
        ours = ["-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "answer.tsr"]
        subprocess.run(["openssl", "ts", "-reply", *ours], cwd=folder, check=True, capture_output=True)
        return Answer(
            body=(folder / "answer.tsr").read_bytes(), headers={"Content-Type": "application/timestamp-reply"}
        )

    return ca_file, answer
