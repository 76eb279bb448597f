"""`orderctl completion`: the scripts that connect a shell with `shell_completion`."""

from enum import StrEnum
from typing import Annotated

import typer

from orderctl.cli.apps import command_app
from orderctl.cli.options import context_of

app = command_app()


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
