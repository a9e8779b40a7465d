# SPDX-License-Identifier: MIT
#
# Peers that fall silent: how a program with keep-alives, or a time-out of its own, hears of it.

load lib

# A client that says when it is connected, and goes on when the peer is gone. The arguments are what to
# do before it connects and after that; then it waits for an answer.
# shellcheck disable=SC2016
client='
    ($before, $after, $peer) = @ARGV;
    socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
    eval $before; die $@ if $@;
    connect(S, sockaddr_in(5000, inet_aton($peer))) or die $!;
    open(F, ">", "connected") or die $!;
    select(undef, undef, undef, 0.05) until -e "gone";
    eval $after; die $@ if $@;
    $got = sysread(S, $_, 1);
    print defined $got ? "read $got" : "$!"'

setup_file() {
    namespace_start net
    persistent_device
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    start server nc -l 5000
    wait_until 10 kernel_listens 5000
}

teardown() {
    kill "${server-}" 2>/dev/null || true
    inside ip rule del to $STACK blackhole 2>/dev/null || true
}

# connect_and_lose BEFORE AFTER: what the client said goes to the file "told".
connect_and_lose() {
    ours timeout 60 perl -MSocket=:all -e "$client" "$1" "$2" $KERNEL >told 2>&1 3>&- &
    local program=$!
    wait_until 20 test -e connected
    # The kernel hears us still, but nothing of what it says arrives, and there is no ICMP error.
    inside ip rule add to $STACK blackhole
    touch gone
    wait "$program"
}

@test "keep-alives end the connection of a program whose peer is gone" {
    # shellcheck disable=SC2016
    connect_and_lose '
        setsockopt(S, SOL_SOCKET, SO_KEEPALIVE, 1) or die $!;
        setsockopt(S, IPPROTO_TCP, TCP_KEEPIDLE, 1) or die $!;
        setsockopt(S, IPPROTO_TCP, TCP_KEEPINTVL, 1) or die $!;
        setsockopt(S, IPPROTO_TCP, TCP_KEEPCNT, 2) or die $!' ''
    assert_equal "$(cat told)" 'Connection timed out'
}

@test "TCP_USER_TIMEOUT ends the connection of a program whose peer is gone" {
    # shellcheck disable=SC2016
    connect_and_lose 'setsockopt(S, IPPROTO_TCP, TCP_USER_TIMEOUT, 2000) or die $!' \
        'syswrite(S, "x") == 1 or die $!'
    assert_equal "$(cat told)" 'Connection timed out'
}

@test "with SO_LINGER a close does not wait for a peer that has been given up" {
    # shellcheck disable=SC2016
    connect_and_lose '
        setsockopt(S, SOL_SOCKET, SO_LINGER, pack("ii", 1, 1000)) or die $!;
        setsockopt(S, IPPROTO_TCP, TCP_USER_TIMEOUT, 2000) or die $!' '
        syswrite(S, "x") == 1 or die $!;
        close(S); print "closed"; exit'
    assert_equal "$(cat told)" closed
}
