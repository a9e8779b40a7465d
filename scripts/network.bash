# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What setup, teardown and doctor know about the network: nets as numbers, and where setup keeps
# what it found.
#
# State lies under /run/utcp, in one folder for each network namespace:
#
#	/run/utcp/tun_mode        what /dev/net/tun's mode was; "missing" when setup made the node
#	/run/utcp/net-INODE/      one namespace
#	    settings              net, count and user of the set-up
#	    devices               the devices made, one a line, written before each is made
#	    ip_forward            what it was

PATH=$PATH:/usr/sbin:/sbin # a user's path lacks them, and ip and nft lie there

# shellcheck disable=SC2034
readonly tun=/dev/net/tun
readonly state_root=/run/utcp
state_dir=$state_root/net-$(stat -L -c %i /proc/self/ns/net)
# shellcheck disable=SC2034
readonly state_dir

dry_run=

# do_run COMMAND...: runs it, or only shows it; counts what was changed.
changes=0
do_run() {
    changes=$((changes + 1))
    if [[ $dry_run ]]; then
        printf '%s\n' "${*@Q}" | sed "s/'\([A-Za-z0-9_.,:\/=+-]*\)'/\1/g"
    else
        "$@"
    fi
}

# record FILE TEXT: remembers something of the namespace; a rehearsal remembers nothing.
record() {
    if [[ $dry_run ]]; then return; fi
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$2" >>"$1"
}

# to_number A.B.C.D
to_number() {
    local a b c d
    IFS=. read -r a b c d <<<"$1"
    echo $(((10#$a << 24) + (10#$b << 16) + (10#$c << 8) + 10#$d))
}

# to_address NUMBER
to_address() {
    echo "$(($1 >> 24 & 255)).$(($1 >> 16 & 255)).$(($1 >> 8 & 255)).$(($1 & 255))"
}

# size_of LENGTH: the number of addresses of a net with that prefix length.
size_of() {
    echo $((1 << (32 - $1)))
}

is_net() {
    local part='(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])'
    [[ $1 =~ ^$part\.$part\.$part\.$part/(3[0-2]|[12]?[0-9])$ ]]
}

# overlap NET NET: do they share an address?
overlap() {
    local a b
    a=$(to_number "${1%/*}") b=$(to_number "${2%/*}")
    ((a < b + $(size_of "${2#*/}") && b < a + $(size_of "${1#*/}")))
}

# used_nets: what this machine routes somewhere already, without the default route and our devices.
used_nets() {
    ip -4 -o route show table all | awk '
        / dev utcp[0-9]+ / { next }
        { net = $1 }
        net ~ /^(unicast|local|broadcast|blackhole|unreachable|prohibit|throw)$/ { net = $2 }
        net == "default" { next }
        net !~ /\// { net = net "/32" }
        { print net }' | sort -u
}

# may_open_tun: opening it does nothing yet. (A redirection would make a file where there is no node.)
may_open_tun() {
    [[ -c $tun ]] && (: <>"$tun") 2>/dev/null
}

# device_holders DEVICE: "NAME (pid N)" of each process attached to it, as far as we may look.
device_holders() {
    local file pid here
    here=$(readlink /proc/self/ns/net)
    grep -lsE "^iff:[[:space:]]+$1\$" /proc/[0-9]*/task/*/fdinfo/* 2>/dev/null |
        cut -d/ -f3 | sort -un | while read -r pid; do
        file=/proc/$pid
        if [[ $(readlink "$file/ns/net") != "$here" ]]; then continue; fi
        echo "$(cat "$file/comm") (pid $pid)"
    done || true
}
