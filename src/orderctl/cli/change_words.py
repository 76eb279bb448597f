"""What a change did, or would do, to so many orders: a whole sentence for each, as languages put them differently."""

from orderctl.domain.changes import Change, ChangeKind
from orderctl.language import say_count


def done_words(change: Change, number: int) -> str:
    """What was done."""
    match change.kind:
        case ChangeKind.ARCHIVED:
            return say_count("{number:,} order archived", "{number:,} orders archived", number)
        case ChangeKind.UNARCHIVED:
            return say_count("{number:,} order unarchived", "{number:,} orders unarchived", number)
        case ChangeKind.TAGGED:
            return say_count("{number:,} order tagged {tag}", "{number:,} orders tagged {tag}", number, tag=change.tag)
        case ChangeKind.UNTAGGED:
            return say_count(
                "{number:,} order untagged {tag}", "{number:,} orders untagged {tag}", number, tag=change.tag
            )


def would_be_words(change: Change, number: int) -> str:
    """What would be done."""
    match change.kind:
        case ChangeKind.ARCHIVED:
            return say_count("{number:,} order would be archived", "{number:,} orders would be archived", number)
        case ChangeKind.UNARCHIVED:
            return say_count("{number:,} order would be unarchived", "{number:,} orders would be unarchived", number)
        case ChangeKind.TAGGED:
            return say_count(
                "{number:,} order would be tagged {tag}",
                "{number:,} orders would be tagged {tag}",
                number,
                tag=change.tag,
            )
        case ChangeKind.UNTAGGED:
            return say_count(
                "{number:,} order would be untagged {tag}",
                "{number:,} orders would be untagged {tag}",
                number,
                tag=change.tag,
            )
