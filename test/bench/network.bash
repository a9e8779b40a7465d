# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# The network of scripts/bench, which file draws it; who runs where; and whether the machine is quiet.

# The same server twice; that on RTT_PORT keeps to the last processor.
readonly PORT=5001 RTT_PORT=5003
readonly LIMIT=(timeout -k 1 60) # nothing takes that long, unless it hangs

# What the program under test runs on. As: name, title, size of frames, its own address, the kernel's at the other end.
peers() {
    cat <<'END'
lo|kernel, loopback|64k|192.0.2.1|192.0.2.1
veth|kernel, veth|64k|10.1.0.2|10.1.0.1
relay|kernel, TUN relay|64k|10.2.0.2|10.2.0.1
relay1500|kernel, TUN relay|1500|10.3.0.2|10.3.0.1
bare|bare TUN, one copy|64k|10.4.0.1|192.0.2.1
bare0|bare TUN, no copy|64k|10.4.0.1|192.0.2.1
bare1500|bare TUN, one copy|1500|10.4.0.1|192.0.2.1
gvisor|gVisor, host GSO|64k|10.4.0.1|192.0.2.1
lwip|lwIP, raw API|64k|10.4.0.1|192.0.2.1
utcp|utcp|64k|10.0.0.1|192.0.2.1
utcp1500|utcp|1500|10.0.0.1|192.0.2.1
END
}

# peer_field PEER NUMBER: of the table above.
peer_field() {
    peers | awk -F'|' -v name="$1" -v field="$2" '$1 == name { print $field }'
}

peer_title() { peer_field "$1" 2; }
peer_frames() { peer_field "$1" 3; }
own_address() { peer_field "$1" 4; }
other_address() { peer_field "$1" 5; }

# ---- setting up ----

# tun_device NAME ADDRESS OTHER: one that stays, for programs to attach to.
tun_device() {
    ip tuntap add dev "$1" mode tun vnet_hdr
    ip link set dev "$1" addrgenmode none
    ip address add "$2" peer "$3" dev "$1"
    ip link set dev "$1" up
}

# far COMMAND...: in the other namespace.
far() {
    nsenter --target "$far" --net -- "$@"
}

# tune_kernel: the congestion control that was asked for; nearly all ports for clients, where those of connections
# that ended may be used again; and long backlogs.
tune_kernel() {
    sysctl -qw net.ipv4.tcp_congestion_control="$CONGESTION" net.ipv4.ip_local_port_range='10240 65535' \
        net.ipv4.tcp_tw_reuse=1 net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535
}

set_up_far() {
    ip link set lo up
    ip address add 10.1.0.2 peer 10.1.0.1 dev far0
    ip link set far0 up
    tun_device relay 10.2.0.2 10.2.0.1
    tun_device relay1500 10.3.0.2 10.3.0.1
    tune_kernel
}

set_up_network() {
    unshare --net -- sleep infinity &
    far=$!
    until [[ $(readlink /proc/$far/ns/net) != "$(readlink /proc/self/ns/net)" ]]; do sleep 0.01; done
    ip link set lo up
    ip address add 192.0.2.1/32 dev lo
    ip link add near0 type veth peer name far0 netns "$far"
    ip address add 10.1.0.1 peer 10.1.0.2 dev near0
    ip link set near0 up
    tun_device relay 10.2.0.1 10.2.0.2
    tun_device relay1500 10.3.0.1 10.3.0.2
    tun_device bare0 10.4.0.2 10.4.0.1
    tune_kernel
    far bash -c "$(declare -f tun_device tune_kernel set_up_far); set -e; set_up_far"
    "$bench/relay" relay "/proc/$far/ns/net" offload &
    "$bench/relay" relay1500 "/proc/$far/ns/net" &
    serve_kernel $PORT
    serve_kernel $RTT_PORT taskset -c $(($(nproc) - 1))
}

# serve_kernel PORT [PREFIX...]: the other end of the loads of `peer`. A client that fails takes it along, so another
# one follows.
serve_kernel() {
    while :; do "${@:2}" "$bench/peer" serve 0.0.0.0 "$1" || true; done 2>/dev/null &
    wait_for_listener "$1"
}

# kernel_listens PORT: in this namespace.
kernel_listens() {
    ss -Hltn "sport = :$1" | grep -q .
}

# wait_for_listener PORT
wait_for_listener() {
    until kernel_listens "$1"; do sleep 0.02; done
}

# ---- running ----

# prefix_for PEER: sets $prefix, behind which an unmodified program runs on the TCP of that peer.
prefix_for() {
    case $1 in
    lo) prefix=() ;;
    veth | relay*) prefix=(nsenter --target "$far" --net --) ;;
    utcp) prefix=(env LD_PRELOAD="$library") ;;
    utcp1500) prefix=(env UTCP_SET=offload=0 LD_PRELOAD="$library") ;;
    *) echo "bench: $1 runs no program" >&2 && return 1 ;;
    esac
}

# on PEER COMMAND...
on() {
    prefix_for "$1"
    shift
    "${LIMIT[@]}" "${prefix[@]}" "$@"
}

# client PEER MODE AMOUNT [PORT [OPTIONS]]: `peer` as a client on that peer, or what stands for it.
client() {
    local peer=$1 rest=("$2" "$3" "$(other_address "$1")" "${4:-$PORT}") own
    case $peer in
    bare) own=("$bench/bare") ;;
    bare0) own=("$bench/bare" -n) ;;
    bare1500) own=("$bench/bare" -s) ;;
    gvisor | lwip) own=("$bench/$peer") ;;
    *) on "$peer" "$bench/peer" "${@:5}" "${rest[@]}" && return ;;
    esac
    "${LIMIT[@]}" "${own[@]}" bare0 10.4.0.1 "${rest[@]}"
}

# client_apart PEER MODE AMOUNT [OPTIONS]: on the first processor, and the kernel's end on the last, as two machines are. Else
# one run has both on the same processor and the next one has not, which is a third of the time or all of it.
client_apart() (
    taskset -cp 0 "$BASHPID" >/dev/null
    client "$1" "$2" "$3" $RTT_PORT "${@:4}"
)

# there PEER: can it be measured on this machine?
there() {
    [[ $1 != gvisor && $1 != lwip ]] || [[ -x $bench/$1 ]]
}

# build_gvisor: where Debian has put its source, and Go; nothing where there is none.
build_gvisor() {
    local source=/usr/share/gocode/src/gvisor.dev/gvisor
    [[ -d $source ]] && type -P go >/dev/null || return 0
    [[ ! $bench/gvisor -nt $ROOT/test/bench/gvisor.go ]] || return 0
    note "building the peer on gVisor"
    GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$BUILD/go go build -o "$bench/gvisor" "$ROOT/test/bench/gvisor.go"
}

# runs_programs PEER: unmodified ones.
runs_programs() {
    [[ $1 == lo || $1 == veth || $1 == relay* || $1 == utcp* ]]
}

# keepers: the ids of what says good-bye for a program that ended, or is about to. All processes that we see are our own.
keepers() {
    grep -lsE 'utcp-(standby|keeper)' /proc/[0-9]*/comm | cut -d/ -f3
}

# free_device: waits until no keeper holds it, but not long.
free_device() {
    local limit=$((SECONDS + 5)) keeper
    while [[ $(keepers) ]] && ((SECONDS < limit)); do sleep 0.02; done
    for keeper in $(keepers); do kill -KILL "$keeper"; done
}

# start_server PEER COMMAND...: a program on that peer, in the background; its id is then in $server.
start_server() {
    prefix_for "$1"
    shift
    "${prefix[@]}" "$@" >/dev/null 2>&1 &
    server=$!
    trap 'kill -TERM "$server" 2>/dev/null || true' EXIT
}

stop_server() {
    kill -TERM "$server"
    wait "$server" || true
    trap - EXIT
}

# ---- the machine ----

# busy_share: how many per cent of half a second the processors of the machine were busy, or not ours.
busy_share() {
    { grep '^cpu ' /proc/stat && sleep 0.5 && grep '^cpu ' /proc/stat; } | awk '
        { sum = 0; for (i = 2; i <= 9; i++) sum += $i; idle = $5 + $6 }
        NR == 1 { sum0 = sum; idle0 = idle }
        END { printf "%d\n", 100 - 100 * (idle - idle0) / (sum - sum0 + 1e-9) }'
}

# wait_for_quiet: until less than a tenth of the machine is used, but not longer than $patience, from which it takes
# the seconds that it waited. Says nothing, and fails when the machine is not quiet.
wait_for_quiet() {
    local start=$SECONDS limit=$((SECONDS + patience)) quiet=0
    until (($(busy_share) < 10)); do
        ((SECONDS < limit)) || {
            quiet=1
            break
        }
    done
    patience=$((patience - (SECONDS - start)))
    ((patience > 0)) || patience=0
    return $quiet
}

# processor_ticks: that all our processes have used so far, and their children that ended. A tick is 10 ms.
processor_ticks() {
    cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' |
        awk '{ sum += $12 + $13 + $14 + $15 } END { print sum }'
}
