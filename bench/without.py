"""Runs the program without one of its tricks: `python -m bench.without TRICK ARGUMENT…`; `nothing` leaves none out.

The program has no option for it: the module with the trick is changed as soon as it is loaded, and not before.
"""

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def message_by_the_library(message: ModuleType) -> None:
    """Nothing is kept from one message to the next, and the library puts the parts together."""
    policy = type(message._POLICY).__base__(linesep="\r\n", cte_type="7bit")

    def part(text: str, subtype: str) -> object:
        made = message.MIMEPart(policy=policy)
        made.set_content(text, subtype=subtype)
        return made

    def alternative(parts: list[object], message_id: str) -> bytes:
        whole = message.MIMEPart(policy=policy)
        whole["MIME-Version"] = "1.0"
        whole["Content-Type"] = "multipart/alternative"
        whole.set_payload(parts)
        whole.set_boundary(f"=_{message.hashlib.sha256(message_id.encode('ascii')).hexdigest()[:32]}")
        return bytes(whole)

    message._part, message._alternative = part, alternative


def collect_as_usual(main: ModuleType) -> None:
    main._collect_seldom = lambda: None


MESSAGE, GARBAGE = "message put together here", "garbage collected seldom"
WITHOUT: dict[str, tuple[str, Callable[[ModuleType], None]]] = {
    MESSAGE: ("orderctl.mail.message", message_by_the_library),
    GARBAGE: ("orderctl.__main__", collect_as_usual),
}


class Changing:
    """Finds a module as ever, and changes it once it is loaded."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._change = change

    def find_spec(self, name: str, *_where: object) -> ModuleSpec | None:
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        load = spec.loader.exec_module

        def load_and_change(module: ModuleType) -> None:
            load(module)
            self._change(module)

        spec.loader.exec_module = load_and_change
        return spec


if __name__ == "__main__":
    trick = sys.argv.pop(1)
    if trick != "nothing":
        sys.meta_path.insert(0, Changing(*WITHOUT[trick]))
    importlib.import_module("orderctl.__main__").main()
