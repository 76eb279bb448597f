"""The steps of a run as `--verbose` tells them to a person. The file of the log keeps their English names."""

from collections.abc import Iterator, Mapping

from orderctl.language import later, say

_STEPS = frozenset(
    {
        later("end"),
        later("exporting"),
        later("mailing"),
        later("planned"),
        later("planning"),
        later("reading"),
        later("rejected"),
        later("rejecting"),
        later("repeated"),
        later("verifying"),
        later("verifying the log"),
        later("writing"),
    }
)
_FIGURES = {
    "batch": later("batch {value}"),
    "command": later("command {value}"),
    "exit_code": later("{value} exit code"),
    "left_out": later("{value} left out"),
    "mails": later("{value} mails"),
    "rejected": later("{value} rejected"),
    "skipped": later("{value} skipped"),
    "statements": later("{value} statements"),
    "store_seconds": later("store seconds {value}"),
    "targets": later("{value} targets"),
}


def step_words(name: str, figures: Mapping[str, object]) -> str:
    """`reading: 2,000 of 2,000 in 1.9 s`, `rejected: batch 068f…, 39 rejected`."""
    told, seconds = ", ".join(_told(figures)), figures.get("seconds")
    if seconds is not None:
        told = (
            say("{figures} in {seconds} s", figures=told, seconds=seconds)
            if told
            else say("in {seconds} s", seconds=seconds)
        )
    return f"{say(name) if name in _STEPS else name}: {told}"


def _told(figures: Mapping[str, object]) -> Iterator[str]:
    for name, value in figures.items():
        if name in _FIGURES:
            yield say(_FIGURES[name], value=_shown(value))
        elif name not in {"done", "total", "seconds"}:
            yield f"{name.replace('_', ' ')} {_shown(value)}"
    done, total = figures.get("done"), figures.get("total")
    if done is not None:
        counted = _shown(done)
        yield counted if total is None else say("{done} of {total}", done=counted, total=_shown(total))


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
