# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Follows a command, through #! and env, to the program that will have the sockets, and refuses what cannot
# be interposed with the reason. The launcher and the doctor ask the same. Comes after common.bash.
#
# shellcheck disable=SC2034,SC2154

# How the probe is called: as the user and in the namespaces that the program will have.
program_probe=()

# What program_follow() came to: the file; elf, go or unknown; its loader, if that is ours.
program_file='' program_kind='' program_loader=''

program_path=$PATH program_directory='' # as env sets them
program_hops=0 program_scripts=0

# refuse PROGRAM REASON [LINE...]
refuse() {
    die "$cannot_run" "$1 cannot be run on our TCP: $2" "it would silently use the kernel's TCP" "${@:3}"
}

# find_program WORD: sets `found`, or ends with the status a shell would end with.
find_program() {
    case $1 in
        /*) found=$1 ;;
        */*) found=${program_directory:+$program_directory/}$1 ;;
        *) found=$(PATH=$program_path type -P -- "$1") || found= ;;
    esac
    if [[ ! $found || ! -e $found ]]; then die "$not_found" "$1: no such program"; fi
    if [[ -d $found ]]; then die "$cannot_run" "$1: is a directory"; fi
    if [[ ! -x $found ]]; then die "$cannot_run" "$1: is not executable"; fi
}

# program_follow WORD [ARGUMENTS]
program_follow() {
    local word=$1 found answer reason helps
    if ((++program_hops > 20)); then die "$cannot_run" "$word: it is run by itself, over and over"; fi
    find_program "$word"
    case ${found##*/} in
        sudo | doas | pkexec)
            refuse "$word" "it takes LD_PRELOAD away from what it runs" "how:             $word utcp PROGRAM"
            ;;
    esac
    answer=$("${program_probe[@]}" program "$found") || {
        { read -r reason && read -r helps; } <<<"$answer" || true
        refuse "$word" "${reason:-the probe failed}" ${helps:+"$helps"}
    }
    program_kind=${answer%% *} program_file=$found program_loader=${answer#"$program_kind"}
    program_loader=${program_loader# }
    if [[ $program_kind == script ]]; then
        follow_script "$found" "$program_loader"
    elif [[ ${found##*/} == env ]]; then
        follow_env "${@:2}"
    fi
}

# follow_script FILE "INTERPRETER [ARGUMENT]": as the kernel does, which knows no PATH, gives all that
# follows the interpreter as one argument, and follows five scripts.
follow_script() {
    local script=$1 interpreter=${2%% *} argument=
    if [[ $2 == *' '* ]]; then argument=${2#* }; fi
    if ((++program_scripts > 5)); then
        die "$cannot_run" "$script: scripts run each other by #!, and the kernel gives up"
    fi
    if [[ $interpreter != */* ]]; then interpreter=./$interpreter; fi
    if [[ ! -e $interpreter ]]; then
        die "$cannot_run" "$script: its interpreter $interpreter is not there"
    fi
    program_follow "$interpreter" ${argument:+"$argument"} "$script"
}

# follow_env ARGUMENTS: the program that env is going to run.
follow_env() {
    local taker='' words
    program_scripts=0
    while [[ ${1-} == -* ]]; do
        case $1 in
            --) shift && break ;;
            - | --ignore-environment) taker='env -i' ;;
            --unset=* | --chdir=* | --split-string=*)
                set -- "${1%%=*}" "${1#*=}" "${@:2}"
                continue
                ;;
            --unset)
                if [[ ${2-} == LD_PRELOAD ]]; then taker='env -u LD_PRELOAD'; fi
                shift
                ;;
            --chdir)
                program_directory=${2-}
                shift
                ;;
            --split-string)
                read -ra words <<<"${2-}"
                set -- ${words[@]+"${words[@]}"} "${@:3}"
                continue
                ;;
            --*) ;; # of signals and output
            *)
                spell_out_letter "$1"
                set -- "${words[@]}" "${@:2}"
                continue
                ;;
        esac
        shift || return 0
    done
    while [[ ${1-} == *=* ]]; do
        case $1 in
            PATH=*) program_path=${1#*=} ;;
            LD_PRELOAD=*libutcp.so*) taker='' ;;
            LD_PRELOAD=*) taker='env LD_PRELOAD=...' ;;
        esac
        shift
    done
    if ((!$#)); then return; fi
    if [[ $taker ]]; then
        refuse "$1" "$taker takes LD_PRELOAD away from it" "how:             $taker utcp $1 ..."
    fi
    program_follow "$@"
}

# spell_out_letter -LETTERS: sets `words` to the long option of the first letter, and what follows it.
spell_out_letter() {
    local rest=${1:2}
    case ${1:1:1} in
        u) words=(--unset ${rest:+"$rest"}) ;;
        C) words=(--chdir ${rest:+"$rest"}) ;;
        S) words=(--split-string ${rest:+"$rest"}) ;;
        i) words=(--ignore-environment ${rest:+"-$rest"}) ;;
        *) words=(--other ${rest:+"-$rest"}) ;;
    esac
}

# program_doubt: what speaks against a program that can be run all the same; nothing when nothing does.
program_doubt() {
    if [[ $program_kind == go ]]; then
        echo "is a Go program: it makes its system calls itself, so its TCP stays the kernel's"
    fi
}
