"""What the outbox keeps of a mail's last attempt: stored in English, told in the operator's language."""

from orderctl.language import later, retell

GIVEN_UP = later("given up after {attempts} attempts: {words}")
GONE = later("its buyer is not in the store any more")
NOT_BEGUN = later("interrupted before it was sent")
INTERRUPTED = later("interrupted while it was being sent: the server may have taken this mail")
PERHAPS_TAKEN = later("{step}: the connection was lost ({why}); the server may have taken it")
NOT_TAKEN = later("{step}: the connection was lost ({why}); the server did not take it")
WRITTEN = later("written to {path}")
SENT_AGAIN = later("an operator lets it be sent again")
CANCELLED = later("cancelled by an operator")
ARRIVED = later("an operator found out: it arrived")
DID_NOT_ARRIVE = later("an operator found out: it did not arrive")
UNREACHABLE = later("the mail server {host}:{port} cannot be reached: {why}")
UNTRUSTED = later("the mail server {host}:{port} showed a certificate that is not trusted: {why}")
NO_ENCRYPTION = later("the mail server {host}:{port} did not agree on encryption")
LOGIN_REFUSED = later("the mail server {host}:{port} refused the login of {user} ({code})")
LOGIN_WANTED = later("the mail server wants a login before it takes mails: {reply}")
NO_STARTTLS = later("the mail server {host}:{port} does not offer starttls")
NO_LOGIN = later("the mail server {host}:{port} does not offer a login that we know")
TURNED_AWAY = later("the mail server {host}:{port} turned us away ({code})")
NO_MAILDIR = later("the Maildir {path} cannot be written: {why}")
NOT_ONE_ADDRESS = later("{address} is not one e-mail address: {why}")
ODD_ADDRESS = later("{address} has letters before the @ that not every mail server takes")
NO_MESSAGE_ID = later("{text} is not a Message-ID")
NO_MESSAGE = later("the letter cannot be written as a message: {why}")
NO_TEMPLATE = later("the mail template {name} is missing")
BROKEN_TEMPLATE = later("{place}: the mail template is broken: {error}")
ODD_HEADERS = later("the message's headers do not read back as they were meant")
_TOLD = tuple(text for name, text in sorted(globals().items()) if name.isupper())
# How many connections to a mail server may be open at a time.
MAX_CONNECTIONS = 16


def detail_in_words(detail: str) -> str:
    """What the outbox keeps of the last attempt, in the operator's language; a server's own words stay as they are."""
    return retell(detail, _TOLD)
