"""An address that takes events: CloudEvents 1.0 as JSON, signed as the Standard Webhooks specification says."""

import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote

import httpx

from orderctl import __version__
from orderctl.core.text import safe
from orderctl.core.tls import is_loopback, trusting
from orderctl.delivery.outbox import DeliveryState, Item, Outcome
from orderctl.delivery.workers import Begin
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError, os_reason
from orderctl.language import _
from orderctl.systems.systems import (
    CONFLICT,
    LOGIN_REFUSED,
    NO_ANSWER,
    NOT_NOW,
    TAKEN,
    UNREACHABLE,
    Cancellation,
    SystemSettings,
    cancellation_document,
)

_EVENT = "orderctl.order.rejected"
_SECRET, _SHORTEST, _LONGEST = "whsec_", 24, 64
_MOST_BYTES, _LONGEST_REASON = 4096, 300
_LOGIN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class WebhookSystem:
    """Posts one event an order to the address of the settings, and to no other.

    Each event has a connection of its own. The id of an event is the same at each attempt, so that the receiver can
    tell a repetition: what answers with 5xx is tried again. No whole answer in time is unknown.
    """

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        self._name = settings.name
        self._key = f"systems.{settings.name}"
        self._url = _address(settings, self._key)
        self._secret = _signing_secret(settings, self._key)
        self._timeout_s = settings.number("timeout")
        self._client = httpx.Client(
            verify=trusting(settings.text("ca_file"), f"{self._key}.ca_file"),
            timeout=self._timeout_s,
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def __enter__(self) -> Self:
        """Each event connects for itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing is held open."""
        self._client.close()

    @property
    def connected(self) -> bool:
        """Always true."""
        return True

    def connect(self) -> None:
        """Each event connects for itself."""

    def send(self, _item: Item, cancellation: Cancellation, begin: Begin) -> Outcome | None:
        """Post one event. Raises ServerUnavailableError if there was no connection, ServerSetupError for a login."""
        talk = _Talk(begin, self._timeout_s)
        body = json.dumps(_event(self._name, cancellation)).encode()
        try:
            with (
                talk,
                self._client.stream(
                    "POST", self._url, content=body, headers=self._headers(cancellation, body), extensions=talk.hooks
                ) as response,
            ):
                return self._outcome(response)
        except _NotBegunError:
            return None
        except (httpx.TransportError, OSError) as error:
            if not talk.begun:
                raise self._unavailable(error) from None
            late = _("no whole answer within {number} s", number=self._timeout_s)
            why = late if talk.late or isinstance(error, httpx.TimeoutException) else _words(error)
            return Outcome(state=DeliveryState.UNKNOWN, detail=_(NO_ANSWER, system=self._name, why=why))

    def _headers(self, cancellation: Cancellation, body: bytes) -> dict[str, str]:
        event, at = _event_id(cancellation), int(time.time())
        signed = hmac.digest(self._secret, b".".join((event.encode(), str(at).encode(), body)), hashlib.sha256)
        return {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "accept-encoding": "identity",
            "user-agent": f"orderctl/{__version__}",
            "webhook-id": event,
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{b64encode(signed).decode()}",
        }

    def _outcome(self, response: httpx.Response) -> Outcome:
        """What the status means. Raises ServerSetupError for one that every order would get."""
        status = response.status_code
        why = f"{status} {_first_line(response)}".rstrip()
        if response.is_success:
            return Outcome(state=DeliveryState.SENT, detail=_(TAKEN, system=self._name, reply=str(status)))
        if status in _LOGIN:
            raise ServerSetupError(
                _(LOGIN_REFUSED, system=self._name, why=why),
                hint=_("check {key}.secret_file, and the secret of the receiver", key=self._key),
            )
        if response.is_redirect:
            raise ServerSetupError(
                _(UNREACHABLE, system=self._name, why=_("it sends us to another address ({number})", number=status)),
                hint=_("write the new address as {key}.url, if it is right", key=self._key),
            )
        if response.is_server_error or status in _LATER:
            detail = _(NOT_NOW, system=self._name, why=why)
            return Outcome(state=DeliveryState.RETRY, detail=detail, not_before_s=_retry_after_s(response.headers))
        if response.is_client_error:
            return Outcome(state=DeliveryState.REFUSED, detail=_(CONFLICT, system=self._name, why=why))
        return Outcome(state=DeliveryState.UNKNOWN, detail=_(NO_ANSWER, system=self._name, why=why))

    def _unavailable(self, error: Exception) -> ServerUnavailableError:
        """Why there was no connection, in one sentence."""
        words = _(UNREACHABLE, system=self._name, why=_words(error))
        if _is_untrusted(error):
            hint = _("a private authority's certificate goes into {key}.ca_file", key=self._key)
            return ServerSetupError(words, hint=hint)
        return ServerUnavailableError(words, hint=_("check {key}.url", key=self._key))


class _NotBegunError(Exception):
    """The store did not let the event go."""


class _Talk:
    """One request: asks whether it may go when there is a connection, and cuts it off `seconds` after that.

    The timeout of httpx begins again with each byte that comes.
    """

    def __init__(self, begin: Begin, seconds: float) -> None:
        self._begin = begin
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self.begun = self.late = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._timer.cancel()

    @property
    def hooks(self) -> dict[str, Any]:
        """The extension of httpx that tells the steps of a request."""
        return {"trace": self._step}

    def _step(self, step: str, info: Mapping[str, Any]) -> None:
        if step in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._socket = info["return_value"].get_extra_info("socket")
        if step == "http11.send_request_headers.started":
            if not self._begin():
                raise _NotBegunError
            self.begun = True
            self._timer.start()

    def _cut(self) -> None:
        self.late = True
        if self._socket is not None:
            with suppress(OSError):
                # Not that of an SSL socket, which another thread reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _address(settings: SystemSettings, key: str) -> httpx.URL:
    """The address. Raises UsageError for one that is none, or that others could read along."""
    hint = _("such as https://erp.example/rejections")
    try:
        url = httpx.URL(settings.needed("url", hint))
    except httpx.InvalidURL:
        url = httpx.URL()
    if not url.host or url.scheme not in {"https", "http"}:
        raise UsageError(_("{key}.url is not an address of the web", key=key), hint=hint)
    if url.scheme == "http" and not is_loopback(url.host):
        raise UsageError(
            _("{key}.url would send orders to {host} for everyone in between to read", key=key, host=safe(url.host)),
            hint=_("use https; http is for this computer"),
        )
    return url


def _signing_secret(settings: SystemSettings, key: str) -> bytes:
    """The bytes of the secret, written as `whsec_` and base64. Raises UsageError."""
    hint = _("write whsec_ and 24 to 64 random bytes in base64 into the file of {key}.secret_file", key=key)
    written = settings.secret()
    if written is None:
        raise UsageError(_("{key} has no secret to sign with", key=key), hint=hint)
    try:
        secret = b64decode(written.removeprefix(_SECRET), validate=True)
    except (Base64Error, ValueError):
        secret = b""
    if not written.startswith(_SECRET) or not _SHORTEST <= len(secret) <= _LONGEST:
        raise UsageError(_("the secret of {key} is none of Standard Webhooks", key=key), hint=hint)
    return secret


def _event_id(cancellation: Cancellation) -> str:
    """The id of the write-back without full stops, which stand between the parts of what is signed."""
    return cancellation.id.replace(".", "-")


def _event(name: str, cancellation: Cancellation) -> dict[str, object]:
    """The event as CloudEvents 1.0 has it."""
    return {
        "specversion": "1.0",
        "id": _event_id(cancellation),
        "source": f"urn:orderctl:{quote(name)}",
        "type": _EVENT,
        "subject": cancellation.key,
        "time": cancellation.rejected_at.isoformat(),
        "datacontenttype": "application/json",
        "data": cancellation_document(cancellation),
    }


def _first_line(response: httpx.Response) -> str:
    """The first line of an answer; what does not come whole makes no difference."""
    said = b""
    with suppress(httpx.TransportError, OSError):
        for part in response.iter_raw():
            said += part
            if len(said) >= _MOST_BYTES:
                break
    lines = said[:_MOST_BYTES].decode("utf-8", "replace").strip().splitlines()
    return safe(lines[0])[:_LONGEST_REASON] if lines else ""


def _retry_after_s(headers: httpx.Headers) -> float:
    """Seconds that the receiver asks to wait, given as a number or a date; 0 if it does not say."""
    said = headers.get("retry-after", "")
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _words(error: BaseException) -> str:
    """What went wrong with a connection: the reason of the system below, where there is one."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return safe(cause.verify_message)
        if isinstance(cause, OSError) and cause.strerror:
            return os_reason(cause)
    return safe(str(error) or type(error).__name__)[:_LONGEST_REASON]


def _is_untrusted(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it came from: httpx tells each in its own words."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
