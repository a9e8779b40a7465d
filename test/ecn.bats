# SPDX-License-Identifier: MIT
#
# ECN with the kernel at the other end: congestion told instead of suffered. The marks are made by our own
# impairment, 3 in 100 packets; no packet is lost, so none may go twice.

load lib

readonly FROM_US="ip.src == $STACK" FROM_KERNEL="ip.src == $KERNEL"
readonly DATA='tcp.len > 0 && tcp.flags.syn == 0'
readonly MARKS='delay 5ms mark 3%'

setup_file() {
    namespace_start net
    inside "$ROOT/scripts/utcp" setup
    serve
    make_file "$WWW/some" 3000000
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    inside sysctl -qw net.ipv4.tcp_ecn=1
}

# upload IMPAIR SETTINGS, download IMPAIR SETTINGS: the capture is capture.pcapng.
upload() {
    UTCP_IMPAIR=$1 UTCP_SET=$2 UTCP_PCAP=capture.pcapng ours curl -sS --fail -T "$WWW/some" "http://$KERNEL/up"
    cmp "$WWW/up" "$WWW/some"
    captured
}

download() {
    UTCP_IMPAIR=$1 UTCP_SET=$2 UTCP_PCAP=capture.pcapng ours curl -sS --fail -o down "http://$KERNEL/some"
    cmp down "$WWW/some"
    captured
}

captured() {
    wait_until 60 no_keeper
    assert_equal "$(packets capture.pcapng tcp.analysis.retransmission)" 0
}

# some FILTER, none FILTER: packets of the capture.
some() {
    assert [ "$(packets capture.pcapng "$1")" -gt 0 ]
}

none() {
    assert_equal "$(packets capture.pcapng "$1")" 0
}

@test "our sender takes the kernel's word for marks: fewer in flight, and CWR" {
    upload "$MARKS" ecn=1
    some "$FROM_US && tcp.flags.syn == 1 && tcp.flags.ece == 1 && tcp.flags.cwr == 1"
    some "$FROM_KERNEL && tcp.flags.syn == 0 && tcp.flags.ece == 1"
    some "$FROM_US && $DATA && tcp.flags.cwr == 1"
    none "$FROM_US && $DATA && ip.dsfield.ecn == 0"
    none "$FROM_US && tcp.len == 0 && ip.dsfield.ecn != 0"
    # Once for each window at most: many an ACK says ECE before ours has said CWR.
    assert [ "$(packets capture.pcapng "$FROM_US && tcp.flags.cwr == 1")" -lt \
        "$(packets capture.pcapng "$FROM_KERNEL && tcp.flags.ece == 1")" ]
}

@test "our receiver tells the kernel of marks until it says CWR" {
    download "$MARKS" ecn=1
    some "$FROM_US && tcp.flags.syn == 0 && tcp.flags.ece == 1"
    some "$FROM_US && tcp.flags.syn == 0 && tcp.flags.ece == 0 && tcp.ack > 1000000"
    some "$FROM_KERNEL && $DATA && tcp.flags.cwr == 1"
}

@test "without marks nobody speaks of any" {
    upload 'delay 5ms' ecn=1
    some "$FROM_US && $DATA && ip.dsfield.ecn == 2"
    none 'tcp.flags.syn == 0 && (tcp.flags.ece == 1 || tcp.flags.cwr == 1)'
}

@test "by default we do not offer it" {
    upload "$MARKS" ''
    none 'tcp.flags.ece == 1 || tcp.flags.cwr == 1 || ip.dsfield.ecn != 0'
}

@test "a kernel that refuses it gets none" {
    inside sysctl -qw net.ipv4.tcp_ecn=0
    upload "$MARKS" ecn=1
    some "$FROM_US && tcp.flags.syn == 1 && tcp.flags.ece == 1"
    none 'tcp.flags.syn == 0 && (tcp.flags.ece == 1 || tcp.flags.cwr == 1)'
    none 'ip.dsfield.ecn != 0'
}

@test "a connection that began with a SYN cookie has what both wanted" {
    start server env UTCP_SET=syncookies=2 UTCP_PCAP="$PWD/capture.pcapng" LD_PRELOAD="$LIBRARY" \
        nc -N -l 5000 <"$WWW/some" >taken
    wait_until 20 inside ping -c 1 -W 1 $STACK
    inside nc -N $STACK 5000 <"$WWW/some" >given
    wait "$server"
    cmp given "$WWW/some"
    cmp taken "$WWW/some"
    captured
    some "$FROM_US && tcp.flags.syn == 1 && tcp.flags.ece == 1 && tcp.options.wscale.shift"
    some "$FROM_US && $DATA && ip.dsfield.ecn == 2 && tcp.options.timestamp.tsval"
}
