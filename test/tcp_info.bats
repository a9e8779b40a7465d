# SPDX-License-Identifier: MIT
#
# What TCP_INFO says to an unmodified program, against what our capture, the counters and the kernel
# at the other end say.

load lib

setup_file() {
    namespace_start net
    persistent_device
    make_file "$BATS_FILE_TMPDIR/file" 5000000
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# A program that sends what it reads and waits for the peer's end, then shows its TCP_INFO: a line
# `name value` for each field, by its place in struct tcp_info of linux/tcp.h.
# shellcheck disable=SC2016
send_and_tell='
    use Socket;
    my %field = (state => "C0", options => "C5", rto => "L2", snd_mss => "L4", rcv_mss => "L5", unacked => "L6",
        sacked => "L7", lost => "L8", retrans => "L9", pmtu => "L15", rtt => "L17", rttvar => "L18",
        ssthresh => "L19", cwnd => "L20", advmss => "L21", reordering => "L22", total_retrans => "L25",
        pacing_rate => "Q13", bytes_acked => "Q15", bytes_received => "Q16", segs_out => "L34",
        segs_in => "L35", min_rtt => "L37", data_segs_in => "L38", data_segs_out => "L39",
        busy => "Q21", rwnd_limited => "Q22", sndbuf_limited => "Q23", delivered => "L48", bytes_sent => "Q25",
        bytes_retrans => "Q26", dsack_dups => "L54", snd_wnd => "L57");
    socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
    connect(S, sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die $!;
    while (sysread(STDIN, $_, 65536)) { syswrite(S, $_) == length or die $! }
    shutdown(S, 1);
    1 while sysread(S, $_, 65536);
    my $info = getsockopt(S, 6, 11);
    for my $name (sort keys %field) {
        my ($type, $place) = $field{$name} =~ /(.)(.*)/;
        my $size = length pack($type, 0);
        print "$name ", unpack($type, substr($info, $place * $size, $size)), "\n";
    }'

# The kernel's end: takes everything, and only then answers; it tells its own TCP_INFO.
# shellcheck disable=SC2016
take_and_answer='
    use Socket;
    socket(L, PF_INET, SOCK_STREAM, 0);
    setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
    bind(L, sockaddr_in(5000, INADDR_ANY)) or die $!;
    listen(L, 1);
    accept(S, L);
    while (sysread(S, $_, 65536)) { print STDERR $_ }
    my $info = getsockopt(S, 6, 11);
    print "kernel_received ", unpack("Q", substr($info, 16 * 8, 8)), "\n";
    print "kernel_data_segs_in ", unpack("L", substr($info, 38 * 4, 4)), "\n";
    print "kernel_rcv_mss ", unpack("L", substr($info, 5 * 4, 4)), "\n";
    syswrite(S, "answer")'

# told NAME: what the program said.
told() {
    awk -v name="$1" '$1 == name { print $2 }' info
}

# sends_over IMPAIRMENT: the file, in sent.pcapng, and what TCP_INFO said at the end of it in info.
sends_over() {
    start receiver perl -e "$take_and_answer" >kernel 2>received
    wait_until 20 kernel_listens 5000
    UTCP_SET=offload=0 UTCP_IMPAIR=$1 UTCP_PCAP=$PWD/sent.pcapng \
        ours perl -e "$send_and_tell" $KERNEL 5000 <"$BATS_FILE_TMPDIR/file" >info
    wait "$receiver"
    cat kernel >>info
    cmp received "$BATS_FILE_TMPDIR/file"
    wait_until 60 no_keeper
}

# between LEAST VALUE MOST
between() {
    if (($1 <= $2 && $2 <= $3)); then return 0; fi
    echo "$2 is not from $1 to $3" >&2
    cat info >&2
    return 1
}

@test "a transfer without loss is told as it was" {
    sends_over 'delay 10ms limit 20000'
    assert_equal "$(told bytes_acked)" 5000000
    assert_equal "$(told bytes_received)" 6
    # A busy machine may be late, and a tail loss probe for that in vain.
    between 0 "$(told total_retrans)" 3
    assert_equal "$(told bytes_sent)" $((5000000 + $(told bytes_retrans)))
    assert_equal "$(told unacked) $(told lost) $(told sacked) $(told retrans)" '0 0 0 0'
    # On a busy machine a packet may be stamped a moment after the link took it over.
    between 15000 "$(told rtt)" 80000
    between 15000 "$(told min_rtt)" 25000
    between 1 "$(told rttvar)" 60000
    between 220000 "$(told rto)" 500000
    between 11 "$(told cwnd)" 5000
    assert_equal "$(told pmtu) $(told advmss)" '1500 1460'
    between "$(packets sent.pcapng "ip.src == $STACK && tcp.len > 0")" "$(told data_segs_out)" \
        "$(packets sent.pcapng "ip.src == $STACK && tcp.len > 0")"
    between 100000 "$(told busy)" 60000000
    between 0 "$(told rwnd_limited)" "$(told busy)"
    between 0 "$(told sndbuf_limited)" "$(told busy)"
}

@test "retransmissions are told as the capture and the kernel count them" {
    sends_over 'delay 5ms loss 2% dir out limit 20000 seed 3'
    local again
    # What was lost had not reached the device yet: all that is missing there went again.
    again=$(told total_retrans)
    between 40 "$again" 200
    assert_equal "$(told bytes_sent)" $((5000000 + $(told bytes_retrans)))
    assert_equal "$(told bytes_acked)" 5000000
    between $(($(told bytes_retrans) / 1460)) "$again" $(($(told bytes_retrans) / 500))
    between 2 "$(told ssthresh)" 10000
    between 2 "$(told cwnd)" 10000
    between 5000 "$(told rtt)" 40000
    between $(($(told data_segs_out) - again - 10)) "$(told delivered)" $(($(told data_segs_out) + 10))
}

@test "the kernel's other end agrees on bytes and segments" {
    sends_over ''
    # The kernel counts the FIN as a byte, but nothing twice: on a busy machine a tail loss probe may have been in vain.
    assert_equal "$(told kernel_received)" $(($(told bytes_sent) - $(told bytes_retrans) + 1))
    between $(($(told kernel_data_segs_in) - 1)) "$(told data_segs_out)" $(($(told kernel_data_segs_in) + 1))
    assert_equal "$(told snd_mss)" "$(told kernel_rcv_mss)"
}
