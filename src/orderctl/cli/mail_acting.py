"""What operators do to mails by hand: the deed, and what is said about it."""

from orderctl.bootstrap.program import Program
from orderctl.domain.errors import DeclinedError, UsageError
from orderctl.domain.mail_actions import MailAction
from orderctl.domain.outbox import MailState
from orderctl.language import say, say_count
from orderctl.ports import MailQuery
from orderctl.services.mail_actions import act_on_mails, pick_mails


def act(program: Program, action: MailAction, query: MailQuery, *, reason: str, yes: bool) -> int:
    """Do it to the mails that are meant, and tell which were left alone; gives how many changed."""
    with program.open_store() as store:
        picked = pick_mails(store, action, query)
        unknown = picked.count(MailState.UNKNOWN)
        if unknown and not yes and (len(picked.mails) > 1 or not query.ids):
            _confirm(program, unknown)
        changed = act_on_mails(
            store,
            action,
            picked,
            actor=program.actor,
            reason=reason.strip(),
            clock=program.clock,
            new_id=program.new_id,
        )
    left = ", ".join(counted(state, number) for state, number in picked.left.items())
    if left or not picked.mails:
        program.screen.tell(say("left as they are: {mails}", mails=left) if left else say("no such mail"))
    if changed < len(picked.mails):
        stayed = say_count(
            "{number:,} mail changed in between and stayed as they are",
            "{number:,} mails changed in between and stayed as they are",
            len(picked.mails) - changed,
        )
        program.screen.warn(stayed)
    return changed


def counted(state: str, number: int) -> str:
    """How many mails are in a state."""
    return say("{number:,} {state}", number=number, state=state)


def _confirm(program: Program, unknown: int) -> None:
    """Ask before many buyers may get the same mail twice. Raises DeclinedError, or UsageError without a terminal."""
    if not program.prompts.can_ask():
        unasked = say_count(
            "{number:,} mail of unknown fate may have arrived, and there is no terminal to confirm on",
            "{number:,} mails of unknown fate may have arrived, and there is no terminal to confirm on",
            unknown,
        )
        raise UsageError(unasked, hint=say("look for their Message-IDs at the server, then say yes with --yes"))
    question = say_count(
        "{number:,} mail of unknown fate may have arrived: send again, perhaps twice?",
        "{number:,} mails of unknown fate may have arrived: send again, perhaps twice?",
        unknown,
    )
    if not program.prompts.yes_or_no(question):
        raise DeclinedError(say("declined; nothing was changed"))
