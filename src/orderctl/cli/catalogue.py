"""The commands by name: where each lives and what it does. A command is imported when it is called."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its module in `orderctl.cli`, one line about it, and the panel of `--help` that lists it.

    `app` is the name of its app in the module.
    """

    module: str
    about: str
    panel: str
    app: str = "app"


_MAIN, _AROUND, _RECORD, _SETUP = "The main job", "Around it", "The record", "Set-up"
COMMANDS = {
    "search": Entry("search", "Find orders: a table on a terminal, ids in a pipe.", _MAIN),
    "select": Entry("select", "Collect orders in a named selection.", _MAIN),
    "reject": Entry("reject", "Plan, preview, confirm, reject, and tell the buyers.", _MAIN),
    "plan": Entry("plan", "Saved plans: what would happen, what changed, who approved.", _MAIN),
    "show": Entry("show", "Show one order: lines, tags, log, and whether it can be rejected.", _AROUND),
    "archive": Entry("changing", "Take orders out of the default view.", _AROUND, "archive"),
    "unarchive": Entry("changing", "Put archived orders back into the default view.", _AROUND, "unarchive"),
    "tag": Entry("changing", "Put a tag on orders.", _AROUND, "tag"),
    "untag": Entry("changing", "Take a tag off orders.", _AROUND, "untag"),
    "import": Entry("importing", "Read orders from Excel, CSV or JSON lines.", _AROUND),
    "export": Entry("export", "Write orders as Excel, CSV, JSON lines or PDF.", _AROUND),
    "stats": Entry("stats", "Count orders and add up their amounts, with charts.", _AROUND),
    "filter": Entry("filters", "Keep filters under a name, for everyone on the store.", _AROUND),
    "mail": Entry("mail", "The outbox: what waits, what was sent, what failed.", _RECORD),
    "log": Entry("log", "Who rejected what, when and why.", _RECORD),
    "store": Entry("store", "Make, upgrade, check and copy the database.", _SETUP),
    "config": Entry("config", "Show the settings and where each came from.", _SETUP),
    "completion": Entry("completion", "Print the script that completes commands in bash, zsh or fish.", _SETUP),
    "help": Entry("manual", "Explain a command or a topic; without either, list them all.", _SETUP, "help_"),
    "man": Entry("manual", "Print the manual page.", _SETUP, "man"),
    "demo": Entry("demo", "A guided run on sample orders, in a folder of its own.", _SETUP),
}
