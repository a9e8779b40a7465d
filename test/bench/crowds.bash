# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# The loads of scripts/bench with many idle connections: what each costs, and what they cost the others.

readonly CROWD=5000 IDLE=10000

# serve_crowd: what holds the other ends, on the kernel.
serve_crowd() {
    kernel_listens $CROWD || "$crowd" serve 0.0.0.0 $CROWD >/dev/null 2>&1 &
    wait_for_listener $CROWD
}

# crowd_memory PEER COUNT: KB of memory of a program on that peer that holds so many connections, each of which was
# used. It is that process's own and its share of what it shares, without files, whose share depends on who else has
# them; nothing of the kernel's.
crowd_memory() {
    local process memory
    rm -f "$WORK/held" "$WORK/stdin"
    mkfifo "$WORK/stdin"
    prefix_for "$1"
    "${prefix[@]}" "$crowd" hold "$2" "$(other_address "$1")" $CROWD <>"$WORK/stdin" >"$WORK/held" &
    process=$!
    retry 60 grep -q held "$WORK/held" || return 1
    sleep 1 # what gives back what is idle has the time for it
    memory=$(awk '/^Pss_(Anon|Shmem):/ { sum += $2 } END { print sum }' "/proc/$process/smaps_rollup")
    kill -KILL "$process"
    wait "$process" 2>/dev/null || true
    echo "$memory"
}

# idle_memory PEER COUNT: for each of them, beyond what a program with one connection has.
idle_memory() {
    local one all
    serve_crowd
    one=$(crowd_memory "$1" 1)
    free_device
    all=$(crowd_memory "$1" "$2")
    awk -v one="$one" -v all="$all" -v count="$2" 'BEGIN { printf "%.3f\n", (all - one) / (count - 1) }'
}

load_idle-10() { idle_memory "$@"; }
load_idle-1000() { idle_memory "$@"; }
load_idle-10000() { idle_memory "$@"; }

load_out-idle() { serve_crowd && client "$1" out "$2" "$PORT" -i $IDLE:$CROWD; }
load_in-idle() { serve_crowd && client "$1" in "$2" "$PORT" -i $IDLE:$CROWD; }
load_rtt-idle() { serve_crowd && client_apart "$1" rtt "$2" -i $IDLE:$CROWD; }
