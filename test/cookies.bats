# SPDX-License-Identifier: MIT
#
# SYN cookies, sent to the kernel: whether a connection that no memory was spent on is one.

load lib

setup_file() {
    namespace_start net
    inside "$ROOT/scripts/utcp" setup
    make_file "$BATS_FILE_TMPDIR/some" 3000000
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    inside sysctl -qw net.ipv4.tcp_ecn=1 net.ipv4.tcp_timestamps=1
}

# exchange: the kernel's client and our server send each other a file; the capture is capture.pcapng.
# A listening nc leaves at the client's FIN, sent all or not: the client says it (no -N) after the server's.
exchange() {
    local some=$BATS_FILE_TMPDIR/some
    start server env UTCP_SET=syncookies=2 UTCP_PCAP="$PWD/capture.pcapng" LD_PRELOAD="$LIBRARY" \
        nc -N -l 5000 <"$some" >taken
    wait_until 20 inside ping -c 1 -W 1 "$STACK"
    inside nc "$STACK" 5000 <"$some" >given
    wait "$server"
    wait_until 60 no_keeper
    cmp given "$some"
    cmp taken "$some"
}

# ours_has FILTER, ours_lacks FILTER: among our segments.
ours_has() {
    assert [ "$(packets capture.pcapng "ip.src == $STACK && $1")" -gt 0 ]
}

ours_lacks() {
    assert_equal "$(packets capture.pcapng "ip.src == $STACK && $1")" 0
}

@test "with timestamps a cookie holds all options" {
    exchange
    ours_has 'tcp.flags.syn == 1 && tcp.flags.ece == 1 && tcp.options.wscale.shift && tcp.options.sack_perm'
    ours_has 'tcp.len > 0 && ip.dsfield.ecn == 2 && tcp.options.timestamp.tsval'
    # More than a window field can say: it is scaled.
    ours_has 'tcp.flags.syn == 0 && tcp.window_size > 65535'
}

@test "without timestamps a cookie holds the MSS alone" {
    inside sysctl -qw net.ipv4.tcp_timestamps=0
    exchange
    ours_lacks 'tcp.options.wscale.shift'
    ours_lacks 'tcp.options.sack_perm'
    ours_lacks 'tcp.options.timestamp.tsval'
    ours_lacks 'ip.dsfield.ecn != 0'
}
