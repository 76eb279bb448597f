"""`orderctl completion`: the scripts that connect a shell with the program, and what the program answers them.

See docs/reference/completion.md. Typer's own way makes contexts, and with them imports pydantic and Rich: three times
what a key press may take. Its zsh script also evaluates what the program prints, and buyers write the names that we
print.
"""

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any

import typer

from orderctl.cli.app import app as orderctl
from orderctl.cli.apps import App, options_anywhere
from orderctl.cli.options import context_of
from orderctl.language import _

app = App()


class Shell(StrEnum):
    """The shells that are served."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


# bash takes `:` and `=` for the ends of words, so it is given what comes after the first colon of the word. What a
# shell would act on is quoted: buyers write their names.
_BASH = r"""
_orderctl_completion() {
    local IFS=$'\n' line="${COMP_LINE:0:COMP_POINT}" found value
    mapfile -t found < <(_ORDERCTL_COMPLETE=complete_bash _ORDERCTL_LINE="$line" "$1" 2>/dev/null)
    COMPREPLY=()
    for value in "${found[@]}"; do
        if [[ ${COMP_WORDS[COMP_CWORD]} == : || ( COMP_CWORD -gt 0 && ${COMP_WORDS[COMP_CWORD-1]} == : ) ]]; then
            value="${value#*:}"
        fi
        [[ $value =~ ^[A-Za-z0-9_.,:/@%+=-]*$ ]] || printf -v value %q "$value"
        COMPREPLY+=("$value")
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]]; then
        compopt -o nospace
    fi
}
complete -o default -F _orderctl_completion orderctl
"""
_ZSH = r"""
#compdef orderctl
_orderctl() {
    local -a values shown
    local value about
    while IFS=$'\t' read -r value about; do
        values+=("$value")
        shown+=("$value${about:+  -- $about}")
    done < <(_ORDERCTL_COMPLETE=complete_zsh _ORDERCTL_LINE="${words[1,$CURRENT]}" orderctl 2>/dev/null)
    if (( ${#values} == 0 )); then
        _files
    elif (( ${#values} == 1 )) && [[ $values[1] == *: ]]; then
        compadd -U -S '' -- "$values[1]"
    else
        compadd -U -l -d shown -a values
    fi
}
if [[ $funcstack[1] == _orderctl ]]; then
    _orderctl "$@"
else
    compdef _orderctl orderctl
fi
"""
_FISH = r"""
function __orderctl_complete
    set -l line (commandline -cp | string collect)
    set -l found (env _ORDERCTL_COMPLETE=complete_fish _ORDERCTL_LINE="$line" orderctl 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c orderctl -f -a '(__orderctl_complete)'
"""
_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


@app.command(
    epilog="Examples:\n\norderctl completion bash >> ~/.bashrc\n\n"
    "orderctl completion zsh > ~/.zfunc/_orderctl\n\n"
    "orderctl completion fish > ~/.config/fish/completions/orderctl.fish"
)
def completion(
    ctx: typer.Context, shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]
) -> None:
    """Print the script that completes commands, filters and ids in a shell."""
    context_of(ctx).output.lines([_SCRIPTS[shell].strip()])


VARIABLE = "_ORDERCTL_COMPLETE"
LINE = "_ORDERCTL_LINE"
_WITH_HELP = {"complete_zsh", "complete_fish"}


def answer(environ: Mapping[str, str]) -> None:
    """Print what could come next, one a line; zsh and fish also get a few words about each. Never fails."""
    found: Iterable[tuple[str, str]] = ()
    with suppress(Exception):  # a key press is no place to complain: the command itself will
        found = list(candidates(environ.get(LINE, "")))
    with_help = environ.get(VARIABLE) in _WITH_HELP
    lines = [f"{value}\t{about}" if with_help and about else value for value, about in found]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to be tidied up, and the shell waits


def candidates(line: str) -> Iterator[tuple[str, str]]:
    """What could stand at the end of a command line, with a few words about each."""
    words, begun = _split(line)
    place = _Place(words[1:])
    if place.command is None:
        return
    if place.waiting is not None:
        yield from _values(place.waiting, place, begun)
    elif begun.startswith("-") and not place.options_ended:
        yield from _options(place, begun)
    elif hasattr(place.command, "list_commands"):
        yield from _commands(place, begun)
    elif (argument := place.argument()) is not None:
        yield from _values(argument, place, begun)


class _Place:
    """Where the words lead: the command, the option that waits for its value, the arguments so far."""

    def __init__(self, words: Sequence[str]) -> None:
        self.command: Any = typer.main.get_command(orderctl)
        self.context = typer.Context(self.command, info_name="orderctl")
        self.waiting: Any = None
        self.options_ended = False
        self.used: set[str] = set()
        self._arguments = 0
        for word in words:
            self._take(word)

    def argument(self) -> Any:  # noqa: ANN401 - a parameter of Typer's
        """The positional parameter that the next word belongs to."""
        places = [each for each in self.command.params if each.param_type_name == "argument"]
        if places and places[-1].nargs == -1:
            return places[min(self._arguments, len(places) - 1)]
        return places[self._arguments] if self._arguments < len(places) else None

    @property
    def parameters(self) -> list[Any]:
        """Those of the command, and behind them those that may stand anywhere."""
        root = self.context.command
        return self.command.params if self.command is root else [*self.command.params, *options_anywhere(root)]

    def _take(self, word: str) -> None:
        if self.command is None:
            return
        if self.waiting is not None:
            self._keep(self.waiting, word)
            self.waiting = None
        elif word == "--":
            self.options_ended = True
        elif word.startswith("-") and word != "-" and not self.options_ended:
            self._take_option(word)
        elif hasattr(self.command, "list_commands"):
            self.command = self.command.load(word) if hasattr(self.command, "load") else self.command.commands.get(word)
        else:
            self._arguments += 1

    def _take_option(self, word: str) -> None:
        name, given, value = word.partition("=")
        option = next((each for each in self.parameters if name in each.opts), None)
        self.used.add(name)
        if option is None or option.is_flag:
            return
        if given:
            self._keep(option, value)
        else:
            self.waiting = option

    def _keep(self, option: Any, value: str) -> None:  # noqa: ANN401
        self.context.params[option.name] = value


def _commands(place: _Place, begun: str) -> Iterator[tuple[str, str]]:
    for name in place.command.list_commands(place.context):
        command = place.command.get_command(place.context, name)
        if name.startswith(begun) and not command.hidden:
            yield name, _translated(command.help).partition("\n")[0]


def _options(place: _Place, begun: str) -> Iterator[tuple[str, str]]:
    name, given, value = begun.partition("=")
    for option in place.parameters:
        if option.param_type_name != "option" or option.hidden:
            continue
        if given and name in option.opts:
            yield from ((f"{name}={each}", about) for each, about in _values(option, place, value))
        elif not given:
            names = [each for each in (*option.opts, *option.secondary_opts) if each.startswith("--")]
            fresh = option.multiple or not place.used.intersection(option.opts)
            yield from ((each, _translated(option.help)) for each in names if fresh and each.startswith(begun))
    if "--help".startswith(begun):
        yield "--help", _("Show the help of this command.")


def _values(parameter: Any, place: _Place, begun: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    for item in parameter.shell_complete(place.context, begun):
        if item.type == "plain":
            yield item.value, _translated(item.help)


def _translated(words: str | None) -> str:
    return _(words) if words else ""


def _split(line: str) -> tuple[list[str], str]:
    """The words of a line as a shell reads them, and the one that is being written."""
    for closing in ("", '"', "'"):
        lexer = shlex.shlex(line + closing, posix=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        try:
            words = list(lexer)
        except ValueError:
            continue
        at_new_word = not closing and (not line or (line[-1].isspace() and not line.endswith("\\ ")))
        return (words, "") if at_new_word else (words[:-1], words[-1] if words else "")
    return [], ""
