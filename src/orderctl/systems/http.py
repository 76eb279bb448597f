"""HTTP to a system: the address of the settings and no other, with a limit of time and size for each answer.

Certificates are checked. Redirects are not followed, and no proxy of the environment is used. Secrets travel in headers
or bodies, never in an address, and are taken out of what a system says before that is shown or kept.
"""

import json
import ssl
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import httpcore
import httpx

from orderctl import __version__
from orderctl.core.text import safe
from orderctl.core.tls import is_loopback, trusting
from orderctl.delivery.workers import Begin
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError, os_reason
from orderctl.language import _
from orderctl.systems.systems import LOGIN_REFUSED, NOT_NOW, UNREACHABLE, NotNowError, SystemSettings

_LONGEST_ANSWER, _LONGEST_WORDS, _FIRST_WORDS = 8 << 20, 300, 4096
_GOOD, _MOVED, _WRONG, _BROKEN = 200, 300, 400, 500
_TOO_MANY, _BUSY = 429, 503
_LOGIN = frozenset({401, 403})
_AUTHORIZATION = "Authorization"
_DIGITS = 9  # of a time to wait that is not out of all reason


class NoAnswerError(Exception):
    """A request that changes something was sent, and no whole answer came: the system may have done it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer; `retry_after` is empty if the system does not say when to come again."""

    status: int
    body: bytes
    retry_after: str = ""

    @property
    def good(self) -> bool:
        """Whether the system did as asked."""
        return _GOOD <= self.status < _MOVED

    @property
    def wait_s(self) -> float:
        """Seconds that the system asks to wait, as a number or a date; 0 if it does not say."""
        if self.retry_after.isascii() and self.retry_after.isdigit():
            return float(self.retry_after[:_DIGITS])
        try:
            until = parsedate_to_datetime(self.retry_after)
        except ValueError:
            return 0.0
        return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())

    def document(self) -> Any:  # noqa: ANN401 - it says what it likes
        """The JSON value; None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Http:
    """One connection. Raises UsageError for an address, a certificate file or a secret that cannot be used.

    `secrets` are hidden in all that is told. `login_refused` are the statuses that mean that. `whole` says that the
    address of the settings is that of each request, with what stands behind its `?`.
    """

    def __init__(
        self,
        settings: SystemSettings,
        *,
        headers: Mapping[str, str],
        secrets: Iterable[str] = (),
        login_refused: frozenset[int] = _LOGIN,
        whole: bool = False,
    ) -> None:
        self._name, self._timeout_s = settings.name, settings.number("timeout")
        self._url = _address(settings, whole=whole)
        ca_file = settings.settings.path(key := f"systems.{settings.name}.ca_file")
        self._tls = trusting(str(ca_file or ""), key) if self._url.scheme == "https" else None
        self._headers = {"User-Agent": f"orderctl/{__version__}", "Accept-Encoding": "identity", **headers}
        self._hide(*secrets)
        self._login_refused = login_refused
        self._deadline = _Deadline()
        self._client: httpx.Client | None = None
        if not all(value.isascii() and value.isprintable() for value in self._headers.values()):
            raise UsageError(
                _("the login of systems.{name} is not one line of ASCII", name=self._name),
                hint=_("check systems.{name}.secret_file", name=self._name),
            )

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._client is not None

    def authorize(self, login: str, *secrets: str) -> None:
        """Send this header with each request from now on, none if it is empty; hide these secrets too."""
        self.close()
        self._headers = {name: each for name, each in self._headers.items() if name != _AUTHORIZATION}
        if login:
            self._headers[_AUTHORIZATION] = login
        self._hide(*self._secrets, *secrets)

    def _hide(self, *secrets: str) -> None:
        self._secrets = tuple(sorted({each for each in secrets if each}, key=len, reverse=True))

    def open(self) -> None:
        """Make ready; the first request connects."""
        self._opened()

    def _opened(self) -> httpx.Client:
        if self._client is None:
            transport = _Transport(self._tls, self._deadline)
            self._client = httpx.Client(
                transport=transport, headers=self._headers, follow_redirects=False, trust_env=False
            )
        return self._client

    def close(self) -> None:
        """Hang up."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        acts: bool = False,
    ) -> Answer:
        """The whole answer to one request, whose path begins with `/`. `acts`: it changes something there.

        Raises ServerUnavailableError if nothing was handed over (NotNowError: the system says so), and NoAnswerError if
        the request acts and may have been taken. A request that does not act is asked again once if its connection
        ended: servers close idle ones.
        """
        url = self._url.copy_with(path=self._url.path.rstrip("/") + path)
        request = self._opened().build_request(method, url, params=params, json=body)
        try:
            return self._judged(self._exchanged(request), acts=acts)
        except _LostError as lost:
            if acts:
                raise NoAnswerError(lost.why) from lost
            if lost.timed_out:
                raise self._unreachable(lost.why) from lost
        try:
            return self._judged(self._exchanged(request), acts=acts)
        except _LostError as lost:
            raise self._unreachable(lost.why) from lost

    def post(self, body: bytes, headers: Mapping[str, str], begin: Begin) -> Answer | None:
        """The answer to a post to the address itself, over a connection of its own; None if `begin` refused.

        `begin` is asked once there is a connection. The status counts, be the rest of the answer cut off. Raises as
        `ask` does for a request that acts.
        """

        def step(name: str, _info: object) -> None:
            if name == "http11.send_request_headers.started":
                if not begin():
                    raise _NotBegunError
                self._deadline.begin(self._timeout_s)

        client = self._opened()
        request = client.build_request("POST", self._url, content=body, headers=headers, extensions={"trace": step})
        try:
            return self._judged(self._exchanged(request, first_words=True), acts=True)
        except _NotBegunError:
            return None
        except _LostError as lost:
            raise NoAnswerError(lost.why) from lost
        finally:
            # A connection that the server closes while it is idle would lose the next event.
            self.close()

    def document(self, answer: Answer, kind: type, *, acts: bool = False) -> Any:  # noqa: ANN401
        """The JSON value of a good answer. Raises as `ask` does if the answer is another, or of another type."""
        if not answer.good:
            self.unexpected(answer, acts=acts)
        found = answer.document()
        if isinstance(found, kind):
            return found
        raise NoAnswerError(self.strange().message) if acts else self.strange()

    def unexpected(self, answer: Answer, *, acts: bool) -> NoReturn:
        """Raise what an answer means that the kind has no other meaning for."""
        why = self.words(answer)
        if _WRONG <= answer.status < _BROKEN:
            raise self._set_up_wrong(why)
        if acts:
            raise NoAnswerError(why)
        raise self.not_now(why, answer.wait_s)

    def words(self, answer: Answer) -> str:
        """What an answer says, in short: its status, and the message of its document or the first line of a text."""
        found = answer.document()
        if isinstance(found, dict):
            found = found.get("message") or found.get("errors") or found.get("error")
        elif found is None and not answer.body.lstrip().startswith((b"<", b"{", b"[")):
            found = next(iter(answer.body[:_FIRST_WORDS].decode("utf-8", "replace").strip().splitlines()), "")
        said = found
        return self.shown(f"{answer.status} {said}" if isinstance(said, str) and said else f"HTTP {answer.status}")

    def shown(self, text: str) -> str:
        """A text from outside as it may be shown and kept: short, on one line, without our secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return safe(" ".join(text.split()))[:_LONGEST_WORDS]

    def strange(self) -> ServerUnavailableError:
        """The error for an answer that a system of the kind does not give."""
        return self._unreachable(_("its answer is not one of this kind of system"))

    def not_now(self, why: str, wait_s: float = 0.0) -> NotNowError:
        """The error for a request that is put off, for so many seconds if the system says that."""
        hint = _("try again later, and with a lower systems.{name}.rate if it says that often", name=self._name)
        return NotNowError(_(NOT_NOW, system=self._name, why=why), why, hint=hint, wait_s=wait_s)

    def login_refused(self, why: str) -> ServerSetupError:
        """The error for a login that the system does not take, or that may not do this."""
        return ServerSetupError(
            _(LOGIN_REFUSED, system=self._name, why=why),
            hint=_("check the rights and the age of what systems.{name}.secret_file holds", name=self._name),
        )

    def _unreachable(self, why: str) -> ServerUnavailableError:
        return ServerUnavailableError(
            _(UNREACHABLE, system=self._name, why=why), hint=_("check systems.{name}.url", name=self._name)
        )

    def _set_up_wrong(self, why: str) -> ServerSetupError:
        return ServerSetupError(
            _(UNREACHABLE, system=self._name, why=why), hint=_("check systems.{name}.url", name=self._name)
        )

    def _exchanged(self, request: httpx.Request, *, first_words: bool = False) -> Answer:
        """One request and its answer. Raises ServerUnavailableError before it is sent, _LostError after that."""
        self._deadline.begin(self._timeout_s)
        try:
            answer = self._opened().send(request, stream=True)
            try:
                return Answer(
                    status=answer.status_code,
                    body=_first_words(answer.iter_raw()) if first_words else _bounded(answer.iter_raw()),
                    retry_after=answer.headers.get("Retry-After", ""),
                )
            finally:
                answer.close()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._not_connected(error) from error
        except httpx.TimeoutException as error:
            why = _("no whole answer within {number} s", number=self._timeout_s)
            raise _LostError(why, timed_out=True) from error
        except (httpx.TransportError, httpx.StreamError) as error:
            raise _LostError(_("the connection ended before its answer did")) from error

    def _judged(self, answer: Answer, *, acts: bool) -> Answer:
        """The answer, if it is one that the kind has to read."""
        if answer.status in self._login_refused:
            raise self.login_refused(self.words(answer))
        if _MOVED <= answer.status < _WRONG:
            raise self._set_up_wrong(_("it sends us to another address ({number})", number=answer.status))
        wait = f" (Retry-After: {answer.retry_after})" if answer.retry_after else ""
        if answer.status == _TOO_MANY or (answer.status == _BUSY and wait):
            raise self.not_now(self.shown(self.words(answer) + wait), answer.wait_s)
        if answer.status >= _BROKEN and not acts and answer.document() is None:
            raise self.not_now(self.words(answer), answer.wait_s)
        return answer

    def _not_connected(self, error: Exception) -> ServerUnavailableError:
        if isinstance(error, httpx.ConnectTimeout):
            return self._unreachable(_("no connection within {number} s", number=self._timeout_s))
        cause = next((each for each in _causes(error) if isinstance(each, OSError)), None)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ServerSetupError(
                _(UNREACHABLE, system=self._name, why=safe(cause.verify_message)),
                hint=_("a private authority's certificate goes into systems.{name}.ca_file", name=self._name),
            )
        return self._unreachable(os_reason(cause) if cause else safe(str(error)))


def basic(user: str, secret: str) -> str:
    """The header of a login by name and password."""
    return f"Basic {b64encode(f'{user}:{secret}'.encode()).decode()}"


class _NotBegunError(Exception):
    """The store did not let the request go."""


class _LostError(Exception):
    """A request was sent, or a part of it, and its answer did not come to an end."""

    def __init__(self, why: str, *, timed_out: bool = False) -> None:
        super().__init__(why)
        self.why, self.timed_out = why, timed_out


def _address(settings: SystemSettings, *, whole: bool) -> httpx.URL:
    """The address of the settings. Raises UsageError if it is none, or if others could read what goes there.

    It is not repeated: there may be a secret in it.
    """
    text = settings.needed("url", _("such as: url = 'https://shop.example'"))
    key = f"systems.{settings.name}.url"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.userinfo:
        raise UsageError(
            _("{key} holds a login", key=key),
            hint=_("write it into systems.{name}.user and systems.{name}.secret_file", name=settings.name),
        )
    if not url.host or url.scheme not in {"http", "https"} or (url.query and not whole) or url.fragment:
        raise UsageError(_("{key} is not an address of the web", key=key), hint=_("write https://HOST"))
    if url.scheme != "https" and not is_loopback(url.host):
        raise UsageError(
            _(
                "{key} would send orders and the login to {host} for everyone in between to read",
                key=key,
                host=url.host,
            ),
            hint=_("write https; http is for a server on this computer"),
        )
    return url


def _bounded(chunks: Iterable[bytes]) -> bytes:
    """All of it. Raises _LostError if it is longer than any honest answer."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > _LONGEST_ANSWER:
            raise _LostError(_("its answer has no end"))
    return bytes(found)


def _first_words(chunks: Iterable[bytes]) -> bytes:
    """What comes of it, as far as anybody reads it."""
    found = bytearray()
    with suppress(httpx.TransportError, httpx.StreamError):
        for chunk in chunks:
            found += chunk
            if len(found) >= _FIRST_WORDS:
                break
    return bytes(found)


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class _Deadline(httpcore.NetworkBackend):
    """Connections on which a whole request, with its answer, has a limit of time.

    httpx limits each read: a server that sends a byte now and then would hold us without end.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self, timeout_s: float) -> None:
        """The next request must have its whole answer within this time."""
        self._until = time.monotonic() + timeout_s

    def left_s(self, error: type[Exception]) -> float:
        """The time that is left. Raises `error` if there is none."""
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise error("timed out")
        return left_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - ours counts
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect within the time that is left."""
        left_s = self.left_s(httpcore.ConnectTimeout)
        found = httpcore.SyncBackend().connect_tcp(host, port, left_s, local_address, socket_options)
        return _Stream(found, self)


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes wait until the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """What there is."""
        return self._stream.read(max_bytes, self._deadline.left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """All of it."""
        self._stream.write(buffer, self._deadline.left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """The same, encrypted."""
        left_s = self._deadline.left_s(httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left_s), self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore has it
        """What is known of the connection."""
        return self._stream.get_extra_info(info)


class _Transport(httpx.HTTPTransport):
    """httpx over these connections. It has no public place for them; a test of a slow server tells if that moves."""

    def __init__(self, tls: ssl.SSLContext | None, deadline: _Deadline) -> None:
        tls = tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for http: none is used, and none is loaded
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls, max_connections=1, keepalive_expiry=30.0, network_backend=deadline
        )
