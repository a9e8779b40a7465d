# SPDX-License-Identifier: MIT
#
# Several programs at once: each has a device of its own.

load lib

setup() {
    cd "$BATS_TEST_TMPDIR"
    namespace_start net
    serve
    make_file "$WWW/file" 20000000
}

teardown() {
    namespace_stop net
}

# pool COUNT: devices as setup makes them.
pool() {
    inside "$ROOT/scripts/utcp" setup --count "$1"
}

# device_held DEVICE
device_held() {
    inside ip -o link show dev "$1" | grep -q LOWER_UP
}

@test "two programs at once each get a device of the pool" {
    pool 2
    start_ours first nc -k -l 5000 >first
    wait_until 20 device_held utcp0
    start_ours second nc -k -l 5000 >second
    wait_until 20 device_held utcp1
    wait_until 20 inside sh -c "nc -N 10.0.0.1 5000 <'$WWW/file'"
    wait_until 20 inside sh -c "nc -N 10.0.0.5 5000 <'$WWW/file'"
    wait_until 20 cmp first "$WWW/file"
    wait_until 20 cmp second "$WWW/file"
}

@test "two programs at once make a device each where there is no pool" {
    start_ours first nc -k -l 5000 >first
    wait_until 20 device_held utcp0
    start_ours second nc -k -l 5000 >second
    wait_until 20 device_held utcp1
    wait_until 20 inside sh -c "nc -N 10.0.0.1 5000 <'$WWW/file'"
    wait_until 20 inside sh -c "nc -N 10.0.0.5 5000 <'$WWW/file'"
    wait_until 20 cmp first "$WWW/file"
    wait_until 20 cmp second "$WWW/file"
}

@test "a device that was made goes with its program" {
    ours curl -sS "http://$KERNEL/file" | cmp - "$WWW/file"
    wait_until 240 no_keeper
    run -1 inside ip link show dev utcp0
}

@test "four programs transfer at the same time" {
    pool 4
    local pids=() i
    for i in 1 2 3 4; do
        start_ours pid curl -sS -o "got$i" "http://$KERNEL/file"
        pids+=("$pid")
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    for i in 1 2 3 4; do cmp "got$i" "$WWW/file"; done
}

@test "a program after another takes the same device again" {
    pool 1
    for i in 1 2 3 4 5; do
        ours curl -sS "http://$KERNEL/file" | cmp - "$WWW/file"
    done
}

@test "when no device is free its holder is named" {
    pool 1
    start_ours first nc -k -l 5000
    wait_until 20 device_held utcp0
    run -1 --separate-stderr inside env UTCP_DEV=utcp0 LD_PRELOAD="$LIBRARY" nc -l 5000
    [[ ${stderr_lines[0]} == 'utcp: no device: utcp0 is held by nc (pid '* ]]
}

@test "UTCP_DEV chooses the device" {
    pool 3
    start_ours server env UTCP_DEV=utcp2 nc -k -l 5000
    wait_until 20 device_held utcp2
    run -1 device_held utcp0
}

@test "two programs on our TCP speak to each other" {
    pool 2
    inside sysctl -qw net.ipv4.ip_forward=1
    start_ours server nc -l 5000 >received
    wait_until 20 inside ping -c 1 -W 1 10.0.0.1
    wait_until 20 ours sh -c "nc -N 10.0.0.1 5000 <'$WWW/file'"
    wait "$server"
    cmp received "$WWW/file"
}
