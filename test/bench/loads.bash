# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# What scripts/bench measures. Each load has a function `load_NAME PEER AMOUNT` that prints one figure, and after
# it how much was done, if that is not the amount.

# As: name, title, unit, what is better, amount by frames of 64 KB and of 1500 bytes, what it costs by:
# GB (of bytes) or each; and another load that it is compared with.
loads() {
    cat <<'END'
out|bulk out|Gbit/s|more|2000000000|400000000|GB
in|bulk in|Gbit/s|more|2000000000|400000000|GB
rtt|1 byte there and back, read()|us|less|10000|10000|each
rtt-poll|1 byte there and back, poll()|us|less|10000|10000|each
rtt-epoll|1 byte there and back, epoll|us|less|10000|10000|each
connect|connections as client|per second|more|3000|3000|each
accept|connections as server|per second|more|3000|3000|each
iperf-out|iperf3, 1 stream out|Gbit/s|more|2000000000|400000000|GB
iperf-in|iperf3, 1 stream in|Gbit/s|more|2000000000|400000000|GB
iperf-out8|iperf3, 8 streams out|Gbit/s|more|2000000000|400000000|GB|iperf-out
iperf-in8|iperf3, 8 streams in|Gbit/s|more|2000000000|400000000|GB|iperf-in
curl|curl of 1 GB|Gbit/s|more|1000000000|400000000|GB
nginx|nginx, 1 KB|requests/s|more|2|2|each
nginx-close|nginx, 1 KB, a connection for each|requests/s|more|2|2|each
nginx-1m|nginx, 1 MB|requests/s|more|2|2|each
nginx-1m-close|nginx, 1 MB, a connection for each|requests/s|more|2|2|each
redis|redis, GET|requests/s|more|60000|60000|each
redis-16|redis, GET, 16 in a pipeline|requests/s|more|600000|400000|each
out-idle|bulk out beside 10,000 idle connections|Gbit/s|more|2000000000|400000000||out
in-idle|bulk in beside 10,000 idle connections|Gbit/s|more|2000000000|400000000||in
rtt-idle|1 byte there and back beside 10,000 idle connections|us|less|10000|10000||rtt
idle-10|user memory of 10 idle connections|KB each|less|10|10|each
idle-1000|user memory of 1,000 idle connections|KB each|less|1000|1000|each
idle-10000|user memory of 10,000 idle connections|KB each|less|10000|10000|each
start|start of a program without TCP|us|less|300|300|
END
}

# load_field LOAD NUMBER: of the table above.
load_field() {
    loads | awk -F'|' -v name="$1" -v field="$2" '$1 == name { print $field }'
}

# amount_of LOAD PEER
amount_of() {
    local full
    if [[ $1 == idle-* ]]; then
        load_field "$1" 5
        return
    fi
    full=$(load_field "$1" "$([[ $(peer_frames "$2") == 1500 ]] && echo 6 || echo 5)")
    awk -v full="$full" -v scale="$SCALE" 'BEGIN { printf "%.0f", full * scale + 0.5 }'
}

# possible LOAD PEER: the memory of the kernel's connections is not the program's.
possible() {
    case $1 in
    out | in | rtt) true ;;
    connect) [[ $2 != bare* ]] ;;
    idle-*) [[ $2 == utcp ]] ;;
    start) [[ $2 == lo || $2 == utcp ]] ;;
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

# The time that /bin/true takes, without and with the library, measured by turns.
load_start() {
    local without with
    read -r without with < <("$crowd" start "$2" "$library" /bin/true)
    if [[ $1 == lo ]]; then echo "$without"; else echo "$with"; fi
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
