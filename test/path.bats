# SPDX-License-Identifier: MIT
#
# What lies between the two ends: paths narrower than the device, fragments, and ICMP both ways.
#
#	our TCP 10.0.0.1 --[utcp0]-- 10.0.0.2, which forwards -- veth 192.168.9.1 -- 192.168.9.2 "far"
#	                                                      -- the same, but for 1400 bytes at most --
#	                                                         192.168.9.3

load lib

readonly FAR=192.168.9.2 NARROW=192.168.9.3

setup_file() {
    namespace_start net
    namespace_start far
    persistent_device
    inside sysctl -qw net.ipv4.ip_forward=1
    inside ip link add to_far type veth peer name to_net netns "$far"
    inside ip address add 192.168.9.1/24 dev to_far
    inside ip link set to_far up
    inside_of far ip address add $FAR/24 dev to_net
    inside_of far ip address add $NARROW/24 dev to_net
    inside_of far ip link set to_net up
    inside_of far ip route add 10.0.0.0/24 via 192.168.9.1
    inside ip route add $NARROW/32 via $FAR mtu lock 1400
    make_file "$BATS_FILE_TMPDIR/file" 5000000
}

teardown_file() {
    namespace_stop far
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# far_receives FILE: the namespace "far" writes to it what comes on port 5000.
far_receives() {
    nsenter --target "$far" --net --wd="$PWD" -- nc -l 5000 >"$1" <&0 3>&- &
    receiver=$!
    wait_until 20 eval 'inside_of far ss -Hltn "sport = :5000" | grep -q .'
}

# Sends a file, and then says what the socket holds the path's MTU to be (IP_MTU).
# shellcheck disable=SC2016
send_and_tell_mtu='
    use Socket;
    socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
    connect(S, sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die $!;
    while (sysread(STDIN, $_, 65536)) { syswrite(S, $_) == length or die $! }
    shutdown(S, 1);
    sysread(S, $_, 1);
    print unpack("i", getsockopt(S, 0, 14)), "\n"'

# sent_below FILE BYTES: after the router's first message no longer packet leaves us.
sent_below() {
    local first
    first=$(tshark -n -r "$1" -Y 'icmp.type == 3 && icmp.code == 4' -T fields -e frame.number 2>/dev/null | head -n 1)
    assert [ "$first" ]
    assert_equal "$(packets "$1" "frame.number > $first + 20 && ip.src == $STACK && tcp.len > 0 && !tcp.analysis.retransmission && ip.len > $2 && ip.len < 1501")" 0
}

@test "a narrow path is found, and what it lost goes again" {
    far_receives received
    UTCP_SET=offload=0 UTCP_PCAP=$PWD/narrow.pcapng run -0 --separate-stderr \
        ours perl -e "$send_and_tell_mtu" $NARROW 5000 <"$BATS_FILE_TMPDIR/file"
    assert_output 1400
    wait "$receiver"
    cmp received "$BATS_FILE_TMPDIR/file"
    assert [ "$(packets narrow.pcapng 'icmp.type == 3 && icmp.code == 4')" -gt 0 ]
    sent_below narrow.pcapng 1400
}

@test "a narrow path is found with offload, too" {
    far_receives received
    run -0 --separate-stderr \
        ours perl -e "$send_and_tell_mtu" $NARROW 5000 <"$BATS_FILE_TMPDIR/file"
    assert_output 1400
    wait "$receiver"
    cmp received "$BATS_FILE_TMPDIR/file"
}

@test "a wide path is the device's" {
    far_receives received
    run -0 --separate-stderr ours perl -e "$send_and_tell_mtu" $FAR 5000 <"$BATS_FILE_TMPDIR/file"
    assert_output 1500
    wait "$receiver"
    cmp received "$BATS_FILE_TMPDIR/file"
}

# The file in thirds: the second waits for the file "narrow", and the third for "wide"; but a little comes all the
# time, so that who sends it makes calls, and what the library logs is written.
in_thirds() {
    local signal
    for signal in narrow wide; do
        head -c 1500000
        until [[ -e $signal ]]; do
            head -c 1000
            sleep 0.05
        done
    done
    cat
}

# has_received BYTES
has_received() {
    (($(stat -c %s received) >= $1))
}

@test "a device whose MTU changes in flight is obeyed, down and up" {
    far_receives received
    in_thirds <"$BATS_FILE_TMPDIR/file" |
        UTCP_LOG=info UTCP_PCAP=$PWD/mtu.pcapng UTCP_SET=offload=0 ours nc -N $FAR 5000 2>log 3>&- &
    local sender=$!
    wait_until 60 has_received 1500000
    inside ip link set utcp0 mtu 1280
    wait_until 60 grep -q 'mtu 1280$' log
    touch narrow
    wait_until 60 has_received 3000000
    inside ip link set utcp0 mtu 1500
    wait_until 60 grep -q 'mtu 1500$' log
    touch wide
    wait $sender "$receiver"
    cmp received "$BATS_FILE_TMPDIR/file"
    assert [ "$(packets mtu.pcapng "ip.src == $STACK && ip.len == 1280")" -gt 100 ]
    assert [ "$(packets mtu.pcapng "ip.src == $STACK && ip.len == 1500")" -gt 100 ]
    assert_equal "$(packets mtu.pcapng tcp.analysis.retransmission)" 0
}

@test "a ping in fragments comes back in fragments" {
    start_ours server nc -k -l 5000
    wait_until 20 inside ping -c 1 -W 1 $STACK
    run -0 inside ping -c 5 -i 0.01 -s 4000 -W 2 $STACK
    assert_output --partial '5 received, 0% packet loss'
    run -0 inside ping -c 2 -i 0.01 -s 65507 -W 2 $STACK
    assert_output --partial '2 received, 0% packet loss'
    kill "$server"
}

@test "a datagram for a protocol that is not served is refused" {
    start_ours server nc -k -l 5000
    wait_until 20 inside ping -c 1 -W 1 $STACK
    # shellcheck disable=SC2016
    run -0 inside perl -e '
        use Socket;
        socket(S, PF_INET, SOCK_DGRAM, 0);
        connect(S, sockaddr_in(53, inet_aton($ARGV[0])));
        send(S, "hello", 0);
        alarm 5;
        recv(S, $_, 10, 0);
        print $!' $STACK
    assert_output 'Connection refused'
    kill "$server"
}
