# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# What scripts/bench measures. Each load has a function `load_NAME PEER AMOUNT` that prints one figure.

# As: name, title, unit, what is better, amount by frames of 64 KB and of 1500 bytes, what it costs by:
# GB (of bytes) or each.
loads() {
    cat <<'END'
out|bulk out|Gbit/s|more|2000000000|400000000|GB
in|bulk in|Gbit/s|more|2000000000|400000000|GB
rtt|1 byte there and back, read()|us|less|10000|10000|each
rtt-poll|1 byte there and back, poll()|us|less|10000|10000|each
rtt-epoll|1 byte there and back, epoll|us|less|10000|10000|each
connect|connections as client|per second|more|3000|3000|each
accept|connections as server|per second|more|3000|3000|each
END
}

# load_field LOAD NUMBER: of the table above.
load_field() {
    loads | awk -F'|' -v name="$1" -v field="$2" '$1 == name { print $field }'
}

# amount LOAD PEER
amount() {
    local full
    full=$(load_field "$1" "$([[ $(peer_frames "$2") == 1500 ]] && echo 6 || echo 5)")
    awk -v full="$full" -v scale="$SCALE" 'BEGIN { printf "%.0f", full * scale + 0.5 }'
}

# possible LOAD PEER
possible() {
    case $1 in
    out | in | rtt) true ;;
    *) runs_programs "$2" ;;
    esac
}

load_out() { client "$1" out "$2"; }
load_in() { client "$1" in "$2"; }
load_rtt() { client_apart "$1" rtt "$2"; }
load_rtt-poll() { client_apart "$1" rtt-poll "$2"; }
load_rtt-epoll() { client_apart "$1" rtt-epoll "$2"; }
load_connect() { client "$1" connect "$2"; }

# The kernel is the client.
load_accept() {
    start_server "$1" "$bench/peer" serve 0.0.0.0 5002
    retry 5 "$bench/peer" connect 1 "$(own_address "$1")" 5002 >/dev/null
    "$bench/peer" connect "$2" "$(own_address "$1")" 5002
    stop_server
}

# retry SECONDS COMMAND...: until it succeeds.
retry() {
    local limit=$((SECONDS + $1))
    shift
    until "$@" 2>/dev/null; do
        ((SECONDS < limit)) || return 1
        sleep 0.02
    done
}
