"""An address that takes events: CloudEvents 1.0 as JSON, signed as the Standard Webhooks specification says."""

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from http import HTTPStatus
from typing import Self
from urllib.parse import quote

from orderctl.delivery.outbox import DeliveryState, Item, Outcome
from orderctl.delivery.workers import Begin
from orderctl.errors import UsageError
from orderctl.language import _
from orderctl.systems.http import Answer, Http, NoAnswerError
from orderctl.systems.systems import (
    CONFLICT,
    NO_ANSWER,
    NOT_NOW,
    TAKEN,
    Cancellation,
    NotNowError,
    SystemSettings,
    cancellation_document,
)

_EVENT = "orderctl.order.rejected"
_SECRET, _SHORTEST, _LONGEST = "whsec_", 24, 64
_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}


class WebhookSystem:
    """Posts one event an order to the address of the settings, and to no other.

    The id of an event is the same at each attempt, so that the receiver can tell a repetition: what answers with 5xx is
    tried again. No status in time is unknown.
    """

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        self._name = settings.name
        self._secret, written = _signing_secret(settings)
        self._http = Http(settings, headers={}, secrets=[written], whole=True)

    def __enter__(self) -> Self:
        """Each event connects for itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing is held open."""

    @property
    def connected(self) -> bool:
        """Always true."""
        return True

    def connect(self) -> None:
        """Each event connects for itself."""

    def send(self, _item: Item, cancellation: Cancellation, begin: Begin) -> Outcome | None:
        """Post one event. Raises ServerUnavailableError if there was no connection, ServerSetupError for a login."""
        body = json.dumps(_event(self._name, cancellation)).encode()
        try:
            answer = self._http.post(body, self._headers(cancellation, body), begin)
            return self._outcome(answer) if answer else None
        except NotNowError as error:
            return self._ended(DeliveryState.RETRY, NOT_NOW, error.why, error.wait_s)
        except NoAnswerError as error:
            return self._ended(DeliveryState.UNKNOWN, NO_ANSWER, str(error))

    def _headers(self, cancellation: Cancellation, body: bytes) -> dict[str, str]:
        event, at = _event_id(cancellation), int(time.time())
        signed = hmac.digest(self._secret, b".".join((event.encode(), str(at).encode(), body)), hashlib.sha256)
        return {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": event,
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{b64encode(signed).decode()}",
        }

    def _outcome(self, answer: Answer) -> Outcome:
        """What the status means."""
        if answer.good:
            return Outcome(state=DeliveryState.SENT, detail=_(TAKEN, system=self._name, reply=str(answer.status)))
        why = self._http.words(answer)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _LATER:
            return self._ended(DeliveryState.RETRY, NOT_NOW, why, answer.wait_s)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            return self._ended(DeliveryState.REFUSED, CONFLICT, why)
        return self._ended(DeliveryState.UNKNOWN, NO_ANSWER, why)

    def _ended(self, state: DeliveryState, words: str, why: str, wait_s: float = 0.0) -> Outcome:
        return Outcome(state=state, detail=_(words, system=self._name, why=why), not_before_s=wait_s)


def _signing_secret(settings: SystemSettings) -> tuple[bytes, str]:
    """The bytes of the secret, and as it is written: `whsec_` and base64. Raises UsageError."""
    key = f"systems.{settings.name}"
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
    return secret, written


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
