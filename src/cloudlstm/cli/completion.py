"""Scripts that complete the command line in bash, zsh and fish.

A script holds all commands, flags and settings of this release, and lists the runs of the folder of runs by itself. So
completing a word starts no Python.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cloudlstm.benchmark.matrix import ENGINES, Matrix
from cloudlstm.cli.help import arguments, flag_name, parameters, summary
from cloudlstm.config import fields

SHELLS = ("bash", "zsh", "fish")
_FILES = (
    "--config", "--root", "--target", "market.path", "universe.path", "universe.sectors", "train.cache_dir",
    "train.weights",
)  # fmt: skip
"""Flags and settings whose value is a file or a folder."""

MATRIX = tuple(Matrix.model_fields)
"""The words of a benchmark's matrix."""

Commands = Mapping[str, Callable[..., Any]]

_WORDS = r"""# Completion of cloudlstm for SHELL, written by `cloudlstm completion SHELL`.

_cloudlstm_runs() {
    command ls -1 "${CLOUDLSTM_ROOT:-runs}/index" 2>/dev/null | while IFS= read -r run; do
        case "$run" in *[!a-z0-9-]*) ;; *) printf '%s\n' "$1$run" ;; esac
    done
}

# Prints the words that may stand at the cursor. $1: the command, or nothing before it; $2: the word so far.
_cloudlstm_words() {
    case "$2" in
        --run=*) _cloudlstm_runs --run= ; return ;;
VALUES
    esac
    case "$1" in
COMMANDS
    esac
}
"""

_BASH = r"""
_cloudlstm() {
    local line="${COMP_LINE:0:COMP_POINT}" command="" current cut="" word IFS=$' \t\n'
    local -a typed
    COMPREPLY=()
    read -ra typed <<<"$line"
    case "$line" in *[[:space:]]) typed+=("") ;; esac
    current="${typed[${#typed[@]}-1]}"
    for word in "${typed[@]:1:${#typed[@]}-2}"; do
        case "$word" in -*) ;; *) command="$word"; break ;; esac
    done
    # bash replaces only what follows the last = or :
    case "$COMP_WORDBREAKS" in *=*) cut="${current%"${current##*[=:]}"}" ;; esac
    IFS=$'\n'
    case "$current" in
        FILES)
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "${current#*=}")) ;;
        *)
            while read -r word; do
                case "$word" in
                    "$current"*=) COMPREPLY+=("${word#"$cut"}") ;;
                    "$current"*) COMPREPLY+=("${word#"$cut"} ") ;;
                esac
            done < <(_cloudlstm_words "$command" "$current") ;;
    esac
}
complete -o nospace -F _cloudlstm cloudlstm
"""

_ZSH = r"""
_cloudlstm() {
    local command="" word
    for word in ${words[2,CURRENT-1]}; do
        [[ $word == -* ]] || { command=$word; break }
    done
    case "$PREFIX" in
        FILES) compset -P '*='; _files; return ;;
    esac
    local -a found
    local result=1
    found=(${(f)"$(_cloudlstm_words "$command" "$PREFIX")"})
    compadd -S '' -- ${(M)found:#*=} && result=0
    compadd -- ${found:#*=} && result=0
    return result
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _cloudlstm cloudlstm
"""

_FISH = r"""# Completion of cloudlstm for fish, written by `cloudlstm completion fish`.

function __cloudlstm_runs
    set -l root runs
    set -q CLOUDLSTM_ROOT; and set root $CLOUDLSTM_ROOT
    command ls -1 $root/index 2>/dev/null | string match -r '^[a-z0-9-]+$'
end

function __cloudlstm_at
    string match -q -- "$argv[1]=*" (commandline -ct)
end

complete -c cloudlstm -f
"""


def script(shell: str, commands: Commands) -> str:
    """Returns the script for a shell of SHELLS."""
    if shell == "fish":
        return _FISH + "\n".join(_fish(commands)) + "\n"
    values = "\n".join(
        f"        {name}=*) printf '%s\\n' {_quoted(f'{name}={value}' for value in values)} ; return ;;"
        for name, values in _choices().items()
    )
    words = _WORDS.replace("SHELL", shell).replace("VALUES", values)
    words = words.replace("COMMANDS\n", "".join(f"        {line}\n" for line in _cases(commands)))
    return words + {"bash": _BASH, "zsh": _ZSH}[shell].replace("FILES", "|".join(f"{name}=*" for name in _FILES))


def _cases(commands: Commands) -> Iterator[str]:
    """The branches of the shells' `case` over the command."""
    yield f"\"\") printf '%s\\n' {_quoted([*commands, '--help', '--version'])} ;;"
    for name, command in commands.items():
        settings = [f"{each}=" for each in fields.names()] if _takes(command, "overrides") else []
        runs = " ; _cloudlstm_runs" if _takes(command, "run", "names") else ""
        yield f"{name}) printf '%s\\n' {_quoted([*_first_words(name), *_flags(command), *settings])}{runs} ;;"


def _fish(commands: Commands) -> Iterator[str]:
    """The lines of the script for fish."""
    for name, command in commands.items():
        described = shlex.quote(summary(command))
        yield f"complete -c cloudlstm -n __fish_use_subcommand -a {name} -d {described}"
        here = f"complete -c cloudlstm -n '__fish_seen_subcommand_from {name}'"
        for word in _first_words(name):
            yield f"{here} -a {word}"
        if _takes(command, "run", "names"):
            yield f"{here} -a '(__cloudlstm_runs)' -d run"
        for flag in parameters(command)[1]:
            if flag.default is False:
                value = ""
            elif flag.name == "run":
                value = " -x -a '(__cloudlstm_runs)'"
            else:
                value = " -r -F" if flag_name(flag) in _FILES else " -x"
            about = shlex.quote(arguments(command).get(flag.name, ""))
            yield f"{here} -l {flag_name(flag).removeprefix('--')}{value} -d {about}"
        if _takes(command, "overrides"):
            yield f"{here} -a {shlex.quote(' '.join(f'{each}=' for each in fields.names()))} -d setting"
    for name, values in _choices().items():
        yield f"complete -c cloudlstm -n '__cloudlstm_at {name}' -a '{' '.join(f'{name}={each}' for each in values)}'"
    for name in _FILES:
        if not name.startswith("--"):
            yield f"complete -c cloudlstm -n '__cloudlstm_at {name}' -F"


def _first_words(name: str) -> tuple[str, ...]:
    """The words that may follow a command, other than runs, flags and settings."""
    if name == "benchmark":
        return tuple(f"{each}=" for each in MATRIX)
    return SHELLS if name == "completion" else ()


def _flags(command: Callable[..., Any]) -> list[str]:
    """The flags of a command; one that needs a value ends in an equals sign."""
    found = parameters(command)[1]
    return [flag_name(flag) + ("" if flag.default is False else "=") for flag in found] + ["--help"]


def _takes(command: Callable[..., Any], *names: str) -> bool:
    return any(word.name in names for word in parameters(command)[0])


def _choices() -> dict[str, list[str]]:
    """The settings with few values."""
    found = {name: fields.choices(name.split(".")) for name in fields.names()} | {"engines": list(ENGINES)}
    return {name: values for name, values in found.items() if values}


def _quoted(words: Iterator[str] | list[str]) -> str:
    return " ".join(map(shlex.quote, words))
