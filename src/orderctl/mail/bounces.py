"""Reads reports of mails that came back: RFC 3464, and what servers send instead (design.md, section 7).

A report is about a mail of ours only if it holds that mail's Message-ID where a server puts it. An address alone says
nothing: it may be that of another mail.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.message import Message
from email.utils import parseaddr

from flufl.bounce import all_failures

from orderctl.core.text import safe
from orderctl.mail.outbox import OWN_ID, BounceNotice, Failure, Verdict

_OURS = re.compile(r"<(orderctl\.[A-Za-z0-9-]+\.[0-9]+@[A-Za-z0-9.-]+)>")
# It logs each detector that a broken message stops, with a traceback.
logging.getLogger("flufl.bounce").addHandler(logging.NullHandler())
logging.getLogger("flufl.bounce").propagate = False
_ID_LINE = re.compile(rf"^(Message-ID|{OWN_ID}):\s*(<[^<>\s]+>)", re.IGNORECASE | re.MULTILINE)
_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})
_STATUS = frozenset({"message/delivery-status", "message/global-delivery-status"})
# The names under which servers report. A person who forwards a report, or answers it, is none.
_DAEMONS = re.compile(r"^(mailer[-_.]?daemon|postmaster|mail[-_.]?(delivery|system))", re.IGNORECASE)
_SMTP_REPLY = re.compile(r"\b[45][0-9]{2}[ :-][^\r\n]*|\b[45]\.[0-9]{1,3}\.[0-9]{1,3}\b[^\r\n]*")
_LONGEST_WORDS, _LONGEST_TEXT = 500, 200_000


def read_notice(message: Message) -> BounceNotice:
    """What a message says. Anything that is no report, however broken it is, has the verdict `NONE`."""
    verdict, failures = _verdict(message)
    if verdict is Verdict.NONE:
        return BounceNotice(id=_id(message), verdict=verdict)
    return BounceNotice(id=_id(message), verdict=verdict, message_ids=_about(message), failures=failures)


def _id(message: Message) -> str:
    """Its own Message-ID. qmail gives its reports none: then a digest of the headers, which say when it came."""
    own = _header(message, "Message-ID")
    if own.isascii() and own.isprintable() and 0 < len(own) <= _LONGEST_WORDS:
        return own
    headers = "\n".join(f"{name}: {value}" for name, value in message.items())
    return f"sha256:{hashlib.sha256(headers.encode('utf-8', 'backslashreplace')).hexdigest()}"


def _verdict(message: Message) -> tuple[Verdict, tuple[Failure, ...]]:
    """By the fields of RFC 3464 where there are any, else by what is known of servers that send others."""
    blocks = [block for part in _parts(message) if part.get_content_type() in _STATUS for block in _blocks(part)]
    actions = [(_field(block, "Action").lower(), block) for block in blocks]
    if any(action for action, _block in actions):
        failed = tuple(_failure(block) for action, block in actions if action == "failed")
        if failed:
            return Verdict.FAILED, failed
        delayed = any(action == "delayed" for action, _block in actions)
        return (Verdict.DELAYED if delayed else Verdict.NONE), ()
    if not _is_from_a_server(message):
        return Verdict.NONE, ()
    try:
        for_now, for_good = all_failures(message)
    except Exception:  # noqa: BLE001 - anybody may write into the mailbox, and the detectors are another's code
        return Verdict.NONE, ()
    if for_good:
        addresses = frozenset(address.decode("utf-8", "replace").lower() for address in for_good)
        return Verdict.FAILED, (Failure(addresses=addresses, words=_words_of_text(message)),)
    unclear = Verdict.UNCLEAR if _DAEMONS.match(_sender(message)) else Verdict.NONE
    return (Verdict.DELAYED if for_now else unclear), ()


def _is_from_a_server(message: Message) -> bool:
    """Whether a mail server wrote it, and not a person or a machine that answers for one."""
    if _header(message, "X-Failed-Recipients"):
        return True
    return _header(message, "Return-Path") == "<>" or bool(_DAEMONS.match(_sender(message)))


def _sender(message: Message) -> str:
    return parseaddr(_header(message, "From"))[1]


def _about(message: Message) -> tuple[str, ...]:
    """The Message-IDs of ours that it is about, from the surest place that has any.

    What was returned has a Message-ID of its own. If that is not ours, the report is not about us, though a buyer's
    answer that came back refers to our mail.
    """
    returned = [
        found for part in _parts(message) if part.get_content_type() in _RETURNED if (found := _returned_id(part))
    ]
    if returned:
        return _ours(returned)
    in_text = _ids_in("\n".join(_texts(message)))
    if in_text:
        return _ours(in_text) if _ours(in_text[:1]) else ()
    return _ours([_header(message, "In-Reply-To")]) or _ours([_header(message, "References")])


def _ids_in(text: str) -> list[str]:
    """The Message-IDs of the blocks of headers in a text, in their order; ours alone where a block has both."""
    blocks = ({name.lower(): found for name, found in _ID_LINE.findall(block)} for block in re.split(r"\n\s*\n", text))
    return [ids.get(OWN_ID.lower()) or ids["message-id"] for ids in blocks if ids]


def _ours(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"<{found}>" for text in texts for found in _OURS.findall(text)))


def _returned_id(part: Message) -> str:
    """The Message-ID of what was returned, whole or its headers alone."""
    payload = part.get_payload()
    if isinstance(payload, list):
        whole = payload[0] if payload else None
        return (_header(whole, OWN_ID) or _header(whole, "Message-ID")) if isinstance(whole, Message) else ""
    found = _ids_in(_text(part))
    return found[0] if found else ""


def _parts(message: Message) -> Iterator[Message]:
    """The parts of a report, but not those of what was returned."""
    yield message
    payload = message.get_payload()
    if message.is_multipart() and message.get_content_maintype() == "multipart" and isinstance(payload, list):
        for part in payload:
            if isinstance(part, Message):
                yield from _parts(part)


def _blocks(status: Message) -> Iterator[Message]:
    """The groups of fields of a delivery status: those of the message, then those of each recipient."""
    payload = status.get_payload()
    if isinstance(payload, list):
        yield from (block for block in payload if isinstance(block, Message))
    else:
        # Some servers encode this part, which the standard library then leaves as it is.
        yield from (message_from_bytes(f"{block}\n\n".encode()) for block in re.split(r"\r?\n\r?\n", _text(status)))


def _failure(block: Message) -> Failure:
    addresses = (_field(block, "Original-Recipient"), _field(block, "Final-Recipient"))
    said, status = _field(block, "Diagnostic-Code"), _field(block, "Status")
    return Failure(
        addresses=frozenset(address.strip("<> ").lower() for address in addresses if address),
        words=_words(said or status),
    )


def _field(block: Message, name: str) -> str:
    """The value of a field without its type: `rfc822;`, `smtp;`."""
    value = _header(block, name)
    kind, semicolon, rest = value.partition(";")
    return (rest if semicolon and kind.strip().replace("-", "").isalnum() else value).strip()


def _words_of_text(message: Message) -> str:
    """The reply of the server as the text quotes it, from its code on, up to the next empty line."""
    text = "\n".join(_texts(message))
    found = _SMTP_REPLY.search(text)
    if found is None:
        return ""
    return _words(re.split(r"\n\s*\n|\n\s*-{3}", text[found.start() :])[0])


def _texts(message: Message) -> Iterator[str]:
    yield from (_text(part) for part in _parts(message) if part.get_content_type() == "text/plain")


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    found = payload if isinstance(payload, bytes) else str(part.get_payload()).encode("utf-8", "replace")
    return found[:_LONGEST_TEXT].decode("utf-8", "replace").replace("\r\n", "\n")


def _words(text: str) -> str:
    return safe(" ".join(text.split()))[:_LONGEST_WORDS]


def _header(message: Message, name: str) -> str:
    return " ".join(str(message.get(name, "")).split())
