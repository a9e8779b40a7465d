# SPDX-License-Identifier: MIT
#
# A program that asks a TCP socket all that can be asked prints the same on the kernel's TCP and on ours, but for what
# differs on purpose.

load lib

SEMANTICS=$BUILD/test/semantics/semantics

# Two networks alike: ours, and one between the kernels of two namespaces.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    namespace_start net
    namespace_start far
    persistent_device
    inside ip tuntap add dev nobody mode tun
    inside ip link set dev nobody up
    inside ip route add $NOBODY dev nobody
    inside ip link add veth0 type veth peer name veth1 netns "$far"
    inside ip address add 192.0.2.1/30 dev veth0
    inside ip link set dev veth0 up
    inside_of far ip address add 192.0.2.2/30 dev veth1
    inside_of far ip link set dev veth1 up
    start _ "$SEMANTICS" peer "$PWD/near.socket" $KERNEL
    nsenter --target "$far" --net --mount -- "$SEMANTICS" peer "$PWD/far.socket" 192.0.2.2 3>&- &
    wait_until 20 test -e near.socket
    wait_until 20 test -e far.socket
}

NOBODY=192.0.2.129

teardown_file() {
    namespace_stop far
    namespace_stop net
}

setup() {
    cd "$BATS_FILE_TMPDIR"
}

teardown() {
    wait_until 240 no_keeper
}

# as_the_kernel FAMILY
as_the_kernel() {
    inside timeout 240 "$SEMANTICS" "$1" far.socket 192.0.2.1 192.0.2.2 $NOBODY </dev/null >kernel
    ours timeout 240 "$SEMANTICS" "$1" near.socket $STACK $KERNEL $NOBODY </dev/null >ours
    diff --unchanged-line-format= --old-line-format='< %L' --new-line-format='> %L' kernel ours >found || true
    diff <(grep '^[<>]' "$ROOT/test/semantics/differences.txt") found
    echo "# $1: $(wc -l <ours) answers, $(grep -c '^>' found) differ on purpose" >&3
}

@test "AF_INET sockets answer as the kernel's" {
    as_the_kernel inet
}

@test "AF_INET6 sockets with mapped addresses do" {
    as_the_kernel inet6
}
