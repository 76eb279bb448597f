"""`orderctl mail send --sample ADDRESS`: which letter, and to whom."""

from orderctl.bootstrap.program import Program
from orderctl.cli.sources import Source, choose
from orderctl.domain.errors import UsageError
from orderctl.domain.outbox import LetterFacts
from orderctl.domain.selection import DEFAULT_SELECTION
from orderctl.language import say
from orderctl.ports import Store
from orderctl.services.rejecting import RejectionRequest
from orderctl.services.sample_mail import Sender, facts_of_batch, facts_of_request, invented_facts, send_sample


def send_sample_mail(
    program: Program, to: str, *, batch: str | None, filter_text: str | None, name: str | None
) -> None:
    """Send one letter to an address: of the batch, the filter or the selection, or else about an invented order."""
    if batch is not None and (filter_text is not None or name is not None):
        raise UsageError(
            say("--batch and a choice of orders are two sources of a letter"), hint=say("give one of them")
        )
    address = program.mailing.address(to, "--sample")
    sender = Sender(
        composer=program.mailing.composer(),
        open_mailer=program.mailing.mailer_factory(),
        clock=program.clock,
        new_id=program.new_id,
        domain=program.mailing.message_domain,
    )
    with program.open_store() as store:
        if batch is not None:
            facts = facts_of_batch(store, batch)
        else:
            facts = _facts(program, store, sender, Source(filter_text=filter_text, selection=name))
    letter = send_sample(sender, facts, address)
    program.screen.tell(say("a sample was sent to {address}: {subject}", address=address, subject=letter.subject))


def _facts(program: Program, store: Store, sender: Sender, source: Source) -> LetterFacts:
    if not source.given:
        with store.snapshot() as work:
            selected = work.selections.size(program.actor, DEFAULT_SELECTION)
        if not selected:
            return invented_facts(program.settings.text("mail.language"))
    choice = choose(program, store, source)
    return facts_of_request(store, RejectionRequest(choice=choice, by=program.provenance(choice.words)), sender)
