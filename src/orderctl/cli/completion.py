"""`orderctl completion`: the scripts that connect a shell with the program, and the answers to them.

See docs/reference/completion.md. Typer's own completion converts the values of the line and renders the help, so it
imports pydantic and Rich and takes three times as long. Its zsh script evaluates what the program prints, and
buyers choose some of the names in it.
"""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

import typer

from orderctl.cli.app import app as orderctl
from orderctl.cli.apps import HelpfulGroup, below, one_line, single
from orderctl.cli.context import Context

# For bash a word ends at `:` and `=`, so it gets only what comes after the one before the cursor. Characters that a
# shell would act on are quoted, because buyers choose their names.
_SCRIPTS = {
    "bash": r"""
_orderctl_completion() {
    local IFS=$'\n' line="${COMP_LINE:0:COMP_POINT}" found value mark="${COMP_WORDS[COMP_CWORD]}"
    [[ $mark == [:=] ]] || mark="${COMP_WORDS[COMP_CWORD-1]}"
    mapfile -t found < <(_ORDERCTL_COMPLETE=complete_bash _ORDERCTL_LINE="$line" "$1" 2>/dev/null)
    COMPREPLY=()
    for value in "${found[@]}"; do
        [[ $mark == [:=] ]] && value="${value#*"$mark"}"
        [[ $value =~ ^[A-Za-z0-9_.,:/@%+=-]*$ ]] || printf -v value %q "$value"
        COMPREPLY+=("$value")
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]]; then
        compopt -o nospace
    fi
}
complete -o default -F _orderctl_completion orderctl
""",
    "zsh": r"""
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
""",
    "fish": r"""
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
""",
}


@single(
    "orderctl completion bash >> ~/.bashrc",
    "orderctl completion zsh > ~/.zfunc/_orderctl",
    "orderctl completion fish > ~/.config/fish/completions/orderctl.fish",
)
def completion(
    context: Context,
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script that completes commands, filters and ids in a shell."""
    context.output.lines([_SCRIPTS[shell].strip()])


_CURSOR = "\0"  # marks the end of the word that is being written; no word of a command line can hold it


def answer(environ: Mapping[str, str]) -> None:
    """Print what could come next, one a line; zsh and fish also get a few words about each. Never fails."""
    found: list[tuple[str, str]] = []
    with suppress(Exception):  # the command itself will say what is wrong
        found = list(candidates(environ.get("_ORDERCTL_LINE", "")))
    with_words = environ.get("_ORDERCTL_COMPLETE") in {"complete_zsh", "complete_fish"}
    sys.stdout.write("".join(f"{value}\t{words}\n" if with_words and words else f"{value}\n" for value, words in found))
    sys.stdout.flush()
    os._exit(0)  # the shell waits, and there is nothing to clean up


def candidates(line: str) -> Iterator[tuple[str, str]]:
    """What could stand at the end of a command line, with a few words about each.

    Typer's parser, which converts no values, finds the command and the parameter that the last word belongs to.
    """
    words = _split(line)
    begun, rest = words[-1].removesuffix(_CURSOR), words[1:]
    root = typer.Context(typer.main.get_command(orderctl), info_name="orderctl", resilient_parsing=True)
    ctx: Any = root
    while True:
        values, rest, given = ctx.command.make_parser(ctx).parse_args(rest)
        root.params |= values  # the store and the profile may be named anywhere
        if not rest or rest[0].endswith(_CURSOR) or not isinstance(ctx.command, HelpfulGroup):
            break
        if (ctx := below(ctx, [rest.pop(0)])) is None:
            return
    for parameter in given:
        if (value := _at_cursor(values[parameter.name])) is not None:
            before = begun.removesuffix(value)  # `--format=`
            yield from ((before + item.value, one_line(item.help)) for item in parameter.shell_complete(ctx, value))
            return
    yield from _options(ctx, begun) if begun.startswith("-") else _commands(ctx, begun)


def _options(ctx: Any, begun: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a context of Typer's
    for option in ctx.command.get_params(ctx):
        if option.param_type_name == "option" and (option.multiple or option.name not in ctx.find_root().params):
            names = (*option.opts, *option.secondary_opts)
            yield from (
                (name, one_line(option.help)) for name in names if name.startswith("--") and name.startswith(begun)
            )


def _commands(ctx: Any, begun: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    for name, command in getattr(ctx.command, "commands", {}).items():
        if name.startswith(begun):
            yield name, one_line(command.help)


def _at_cursor(value: object) -> str | None:
    """What is written so far of a value if the cursor is in it."""
    last = value[-1] if isinstance(value, list | tuple) and value else value
    return last.removesuffix(_CURSOR) if isinstance(last, str) and last.endswith(_CURSOR) else None


def _split(line: str) -> list[str]:
    """The words of a line as a shell reads them, up to the cursor; a quote may still be open."""
    lexer = shlex.shlex(line + _CURSOR, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words = []
    try:
        for word in lexer:
            words.append(word)  # noqa: PERF402 - what was read stays when the lexer fails
    except ValueError:
        words.append(lexer.token)
    return words
