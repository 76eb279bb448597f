"""Names in many scripts as the subject, the sender and the recipient of a message: each must read back as it was meant.

`PYTHONPATH=tests python -m stress.names 200000` tries so many, each time the same.
"""

import random
import re
import sys
import unicodedata
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import quote
from quopri import decodestring

from orderctl.core.addresses import ascii_address
from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import UnsendableError
from orderctl.mail.message import build_message
from orderctl.mail.outbox import Letter, Mail

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
FAMILY = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{MAN}\N{ZERO WIDTH JOINER}\N{GIRL}"


def _letters(*ranges: tuple[int, int]) -> tuple[str, ...]:
    """The letters and marks between the points given."""
    points = [chr(point) for first, last in ranges for point in range(first, last + 1)]
    return tuple(letter for letter in points if unicodedata.category(letter)[0] in "LM")


SCRIPTS = {
    "Latin": _letters((0x41, 0x5A), (0x61, 0x7A)),
    "Latin with accents": _letters((0x61, 0x7A), (0xC0, 0x17F), (0x61, 0x7A)),
    "Latin, decomposed": ("e\u0301", "a\u0308", "n\u0303", "c\u0327", *"bdfst"),
    "Cyrillic": _letters((0x410, 0x44F)),
    "Greek": _letters((0x391, 0x3C9)),
    "Hebrew": _letters((0x5D0, 0x5EA)),
    "Arabic": _letters((0x621, 0x64A)),
    "Devanagari": _letters((0x904, 0x94D)),
    "Thai": _letters((0xE01, 0xE4D)),
    "Hangul": _letters((0xAC00, 0xD7A3)),
    "Han": _letters((0x4E00, 0x9FFF), (0x20000, 0x200FF)),
    "Kana": _letters((0x3041, 0x3096), (0x30A1, 0x30FA)),
    "Georgian": _letters((0x10D0, 0x10F0)),
    "Armenian": _letters((0x531, 0x556), (0x561, 0x586)),
    "Emoji": (FAMILY, "\N{HEAVY BLACK HEART}\ufe0f", "\U0001f1eb\U0001f1f7", "\N{THUMBS UP SIGN}\U0001f3fd"),
}
_BETWEEN = (" ",) * 12 + (
    "  ",
    " & ",
    " - ",
    "-",
    ", ",
    ". ",
    "'",
    ' "',
    ") (",
    " =?utf-8?q?",
    "?= ",
    "_",
    "\u00a0",
    "/",
)
_WORD = re.compile(r"=\?utf-8\?([bq])\?([!->@-~]*)\?=")
_SEPARATE = frozenset('"(),.:;<>@[\\]=?')


@dataclass(frozen=True)
class Sample:
    """What one message is made of; `sender` is the name before our address."""

    subject: str
    sender: str
    recipient: str


def make_sample(random: random.Random) -> Sample:
    """Names of one to seven words, mostly of one script."""
    name = make_name(random)
    return Sample(
        subject=random.choice(["Your 2 orders were rejected by {}", "【{}】ご注文をお断りしました", "{}"]).format(name),
        # In the settings, an encoded word stands for what it holds.
        sender=name.replace("=?", "?"),
        recipient=_address(random),
    )


def make_name(random: random.Random) -> str:
    scripts = [random.choice(list(SCRIPTS)) for _ in range(random.choice((1, 1, 2, 3)))]
    words = [_word(random, random.choice(scripts), 12) for _ in range(random.randint(1, 7))]
    return "".join(word + random.choice(_BETWEEN) for word in words[:-1]) + words[-1]


def _word(random: random.Random, script: str, most: int) -> str:
    return "".join(random.choices(SCRIPTS[script], k=random.randint(1, most)))


def _address(random: random.Random) -> str:
    """An address whose domain is in one of the scripts, where that can be; a plain one else."""
    domain = unicodedata.normalize("NFC", _word(random, random.choice(list(SCRIPTS)), 12).lower())
    address = f"orders.{random.randint(1, 9999)}@{domain}.example"
    try:
        ascii_address(address)
    except UnsendableError:
        return "orders@acme.example"
    return address


def check(sample: Sample) -> None:
    """Write the message and read it as a mail program would."""
    mail = Mail(
        id="b.1", batch_id="b", buyer_id="acme", recipient=sample.recipient, language="en",
        message_id="<b.1@b.example>", state=DeliveryState.SENDING, attempts=1, next_attempt_at=NOW, created_at=NOW,
        updated_at=NOW, last_error="", orders=1,
    )  # fmt: skip
    letter = Letter(subject=sample.subject, text="Hello\n", html="<p>Hello</p>\n")
    quoted = f'"{quote(sample.sender)}" <orders@brand.example>'
    bare = f"{sample.sender} <orders@brand.example>"
    plain = not _SEPARATE & set(sample.sender) and "  " not in sample.sender
    message = build_message(mail, letter, sender=bare if plain else quoted, reply_to=None)
    assert message.isascii()
    head = message.partition(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 78 or len(sample.recipient) > 60
    written = dict(BytesHeaderParser().parsebytes(head).items())
    read = {name: decoded(value) for name, value in written.items()}
    assert (read["Subject"], read["To"]) == (sample.subject, ascii_address(sample.recipient))
    assert SMTP.header_factory("Subject", written["Subject"].replace("\r\n", "")) == sample.subject
    assert read["From"] in (
        f"{sample.sender} <orders@brand.example>",
        f'"{quote(sample.sender)}" <orders@brand.example>',
    )


def decoded(value: str) -> str:
    """A header as RFC 2047 says that it is read. The library's reader of names adds spaces (Python 3.11)."""
    joined = re.sub(r"\?=\s+=\?", "?==?", value.replace("\r\n", ""))
    return _WORD.sub(_decoded_word, joined)


def _decoded_word(found: re.Match[str]) -> str:
    octets = found[2].encode("ascii")
    return (b64decode(octets) if found[1] == "b" else decodestring(octets, header=True)).decode("utf-8")


def main(number: int) -> None:
    """Try so many, and say what came of them."""
    source, wrong, shown, foreign = random.Random(1), 0, 10, 0
    for _ in range(number):
        sample = make_sample(source)
        foreign += not sample.recipient.isascii()
        try:
            check(sample)
        except Exception as error:  # noqa: BLE001 - counted
            wrong += 1
            if wrong <= shown:
                sys.stdout.write(f"{sample!a}: {error!r}\n")
    version = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(
        f"Python {version}: {number:,} messages in {len(SCRIPTS)} scripts, {foreign:,} to a domain beyond ASCII;"
        f" {wrong:,} did not read back\n"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(int(sys.argv[1]))
