"""The errors a user can meet. Each class owns its exit code (design.md, section 8)."""


class OrderctlError(Exception):
    """The command failed and nothing was changed."""

    exit_code = 1

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        """Take one sentence that says what was wrong and where, and a hint that says what to do next."""
        super().__init__(message or (self.__doc__ or "").splitlines()[0])
        self.hint = hint

    @property
    def sentence(self) -> str:
        """What was wrong and what to do next, on one line."""
        return f"{self}; {self.hint}" if self.hint else str(self)


class UsageError(OrderctlError):
    """The call, the configuration or an input file is wrong; nothing was changed."""

    exit_code = 2


class UnexpectedPlanError(OrderctlError):
    """The plan is not what the caller expected (`--strict`, `--expect`, `--max-orders`); nothing was changed."""

    exit_code = 3


class DeclinedError(OrderctlError):
    """Declined at the confirmation; nothing was changed."""

    exit_code = 4


class StoreUnavailableError(OrderctlError):
    """The store cannot be reached, is locked, or stayed busy beyond the retries; nothing was changed."""

    exit_code = 7


class CommitUnknownError(OrderctlError):
    """The store went away during the commit and cannot be asked whether it holds."""

    exit_code = 8


class MailUnavailableError(OrderctlError):
    """Mails cannot be handed over at present; those that are queued wait."""


class MailSetupError(MailUnavailableError):
    """The mail server turns us away until a person mends the settings; mails that are queued wait."""


class UnsendableError(OrderctlError):
    """The mail can never be sent as it is, whatever the server."""
