"""The barest Typer program with as many commands as ours. Arguments: those of the program."""

import typer

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False)
PANELS = {
    "The main job": ["search", "select", "reject"],
    "Around it": ["show", "import", "export", "filter", "archive", "unarchive", "tag", "untag", "stats", "duplicates"],
    "The record": ["plan", "mail", "log"],
    "Set-up": ["store", "config", "demo"],
}


@app.callback()
def root(store: str = typer.Option("", help="The store."), profile: str = typer.Option("", help="The profile.")):
    """Reject many wholesale orders at once."""


for panel, names in PANELS.items():
    for name in names:

        def command():
            """Do one thing, in a sentence of about this length."""

        app.command(name, rich_help_panel=panel)(command)

if __name__ == "__main__":
    app()
