"""Real letters of a plan, composed before anything is changed: for its preview, and so that no template fails later."""

from dataclasses import replace

from orderctl.domain.outbox import LetterFacts
from orderctl.domain.reasons import words_of
from orderctl.domain.rejection import RejectionPlan
from orderctl.domain.sample_letters import SampleLetter, mark_extremes
from orderctl.ports import Composer, Store


def compose_samples(store: Store, composer: Composer, plan: RejectionPlan) -> tuple[SampleLetter, ...]:
    """One letter for each language of the plan. Raises UsageError if a template is missing or broken."""
    if not plan.mail.mails:
        return ()
    with store.snapshot() as work:
        found = work.rejections.sample(plan)
    return mark_extremes(_sample(composer, _with_words(facts, plan)) for facts in found)


def _with_words(facts: LetterFacts, plan: RejectionPlan) -> LetterFacts:
    ids = {order.id for order in facts.orders}
    messages = {note.id: note.message for note in plan.notes if note.id in ids} if plan.notes.messages else {}
    return replace(
        facts,
        message=plan.mail.message,
        reason=words_of(plan.reason, plan.reason_code),
        notes=tuple((order_id, message) for order_id, message in messages.items() if message),
    )


def _sample(composer: Composer, facts: LetterFacts) -> SampleLetter:
    return SampleLetter(
        buyer=facts.buyer.name,
        language=facts.language,
        written_in=composer.language_of(facts.language),
        orders=len(facts.orders),
        letter=composer.compose(facts),
    )
