# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the launcher and its parts share: how they speak, and how they fail.

# shellcheck disable=SC2034
readonly failed=125 cannot_run=126 not_found=127

# say LINE...: to stderr, the first line as ours, the others below it.
say() {
    printf 'utcp: %s\n' "$1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
}

# die STATUS LINE...
die() {
    local status=$1
    shift
    say "$@"
    exit "$status"
}

# distance A B: how many letters to insert, drop or change to make B of A (Levenshtein).
distance() {
    local a=$1 b=$2 i j diagonal change other row=()
    for ((j = 0; j <= ${#b}; j++)); do row[j]=$j; done
    for ((i = 1; i <= ${#a}; i++)); do
        diagonal=${row[0]}
        row[0]=$i
        for ((j = 1; j <= ${#b}; j++)); do
            change=$diagonal
            [[ ${a:i-1:1} == "${b:j-1:1}" ]] || change=$((diagonal + 1))
            other=$(((row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1))
            diagonal=${row[j]}
            row[j]=$((change < other ? change : other))
        done
    done
    echo "${row[${#b}]}"
}

# nearest WORD NAME...: the name that looks most like the word; nothing when none does.
nearest() {
    local word=$1 name best='' least=$((${#1} / 2 + 2)) now
    shift
    for name; do
        now=$(distance "$word" "$name")
        if ((now < least)); then
            least=$now
            best=$name
        fi
    done
    echo "$best"
}

# need_tools COMMAND=PACKAGE...: every one must be there.
need_tools() {
    local pair
    for pair; do
        type -P "${pair%%=*}" >/dev/null ||
            die $failed "${pair%%=*} is not installed" "as root:         apt install ${pair#*=}"
    done
}
