# SPDX-License-Identifier: MIT
#
# Urgent data between a program on the library and one on the kernel's TCP. Whichever end is ours, both see
# what they see when the kernel is at both ends.

load lib

setup_file() {
    namespace_start net
    persistent_device
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# Takes a connection, an urgent byte and the text around it, and tells what it has seen. With "inline" the byte
# comes in the stream.
# shellcheck disable=SC2016
receive='
    use Socket; use Fcntl; use IO::Socket qw(sockatmark);
    socket(L, PF_INET, SOCK_STREAM, 0) or die $!;
    setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
    bind(L, sockaddr_in(5000, INADDR_ANY)) && listen(L, 1) or die $!;
    accept(S, L) or die $!;
    setsockopt(S, SOL_SOCKET, SO_OOBINLINE, 1) or die $! if @ARGV;
    $SIG{URG} = sub { $signals++ };
    fcntl(S, F_SETOWN, $$ + 0) or die $!;
    syswrite(S, "go");
    vec($except, fileno(S), 1) = 1;
    select(undef, undef, $except, 60) == 1 or select(undef, undef, $except, 60) == 1 or die "nothing urgent";
    $byte = defined recv(S, $_, 1, MSG_OOB) ? $_ : "none";
    sysread(S, $before, 100);
    ioctl(S, 0x8905, $mark = pack("i", 0)) or die $!;
    sockatmark(*S) == unpack("i", $mark) or die "sockatmark() says otherwise";
    while (sysread(S, $_, 100)) { $behind .= $_ }
    ioctl(S, 0x8905, $end = pack("i", 1)) or die $!;
    print "urgent $byte, signals $signals, before $before, at the mark ", unpack("i", $mark),
        ", behind $behind, at the mark ", unpack("i", $end), "\n"'

# shellcheck disable=SC2016
send='
    use Socket;
    socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
    connect(S, sockaddr_in(5000, inet_aton(shift))) or die $!;
    sysread(S, $_, 2) == 2 or die $!;
    send(S, "abc", 0) == 3 && send(S, "!", MSG_OOB) == 1 && send(S, "def", 0) == 3 or die $!;
    shutdown(S, 1);
    sysread(S, $_, 1)'

# exchange RECEIVER SENDER ADDRESS [inline]: the two functions run the programs.
exchange() {
    "start_$1" receiver perl -e "$receive" "${@:4}" >seen
    if [[ $1 == kernel ]]; then
        wait_until 20 kernel_listens 5000
    else
        wait_until 20 inside ping -c 1 -W 1 "$STACK"
    fi
    wait_until 20 "$2" perl -e "$send" "$3"
    wait "$receiver"
    assert_equal "$(cat seen)" "$expected"
    wait_until 60 no_keeper
}

start_kernel() {
    start "$@"
}

readonly apart='urgent !, signals 1, before abc, at the mark 1, behind def, at the mark 0'
readonly inline='urgent none, signals 1, before abc, at the mark 1, behind !def, at the mark 0'

@test "the kernel's two ends: a byte apart" {
    expected=$apart exchange kernel inside $KERNEL
}

@test "the kernel's two ends: a byte inline" {
    expected=$inline exchange kernel inside $KERNEL inline
}

@test "we send, the kernel receives" {
    expected=$apart exchange kernel ours $KERNEL
}

@test "the kernel sends, we receive" {
    expected=$apart exchange ours inside $STACK
}

@test "the kernel sends, we receive the byte inline" {
    expected=$inline exchange ours inside $STACK inline
}
