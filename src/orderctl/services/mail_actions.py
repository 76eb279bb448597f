"""Does what an operator wants done with mails: picks them, changes those that may be changed, and keeps a log."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from orderctl.domain.errors import UsageError
from orderctl.domain.mail_actions import MailAction
from orderctl.domain.outbox import MailState
from orderctl.language import say
from orderctl.ports import Clock, MailQuery, Store
from orderctl.services.finding import found_in


@dataclass(frozen=True, slots=True, kw_only=True)
class PickedMails:
    """The mails that an action is for, each with the state it was seen in, and those that it leaves alone."""

    mails: Mapping[str, MailState]
    left: Mapping[MailState, int]

    def count(self, state: MailState) -> int:
        """How many of them are in the state."""
        return sum(1 for each in self.mails.values() if each is state)


def pick_mails(store: Store, action: MailAction, query: MailQuery) -> PickedMails:
    """The mails of the query that the action is for.

    Named by ids or their endings, each must be there and in a state that allows it: UsageError. Filters that name
    no state take those that the action takes unasked, and leave the rest alone.
    """
    with store.snapshot() as work:
        query = found_in(work, query)
        found = work.outbox.states(replace(query, states=()))
    if query.ids:
        for mail_id in query.ids:
            _check(action, mail_id, found[mail_id])
        return PickedMails(mails=found, left={})
    wanted = [state for state in action.allowed if state in query.states] if query.states else action.unasked
    if query.states and not wanted:
        raise UsageError(
            say("only mails that are {allowed} can become {to}", allowed=_or(action.allowed), to=action.to),
            hint=say("name another --state"),
        )
    in_question = {mail_id: state for mail_id, state in found.items() if not query.states or state in query.states}
    return PickedMails(
        mails={mail_id: state for mail_id, state in in_question.items() if state in wanted},
        left=dict(Counter(state for state in in_question.values() if state not in wanted)),
    )


def act_on_mails(
    store: Store,
    action: MailAction,
    picked: PickedMails,
    *,
    actor: str,
    reason: str,
    clock: Clock,
    new_id: Callable[[], str],
) -> int:
    """Do it to the picked mails that are still as they were seen, all at once; gives how many that were."""
    if not picked.mails:
        return 0
    event_id = new_id()
    return store.write(
        lambda work: work.outbox.act(
            action, picked.mails, event_id=event_id, actor=actor, reason=reason, at=clock.of(work)
        )
    )


def _check(action: MailAction, mail_id: str, state: MailState) -> None:
    if state not in action.allowed:
        raise UsageError(
            say(
                "mail {mail_id} is {state}; only one that is {allowed} can become {to}",
                mail_id=mail_id,
                state=state,
                allowed=_or(action.allowed),
                to=action.to,
            ),
            hint=say("look first: orderctl mail show {mail_id}", mail_id=mail_id),
        )


def _or(states: tuple[MailState, ...]) -> str:
    *others, last = states
    return say("{others} or {last}", others=", ".join(others), last=last) if others else str(last)
