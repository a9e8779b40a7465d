# SPDX-License-Identifier: MIT
#
# A program ends without a word to the library: by a signal, or by calls of libc's own. Its peers hear
# of it, as from a kernel.

load lib

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    namespace_start net
    persistent_device
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
}

# One that says something, and then waits for the peer's first byte.
speaker() {
    # shellcheck disable=SC2016
    start_ours speaker perl -MSocket -e '
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(S, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!;
        syswrite(S, "hello"); sysread(S, $_, 1); sleep 600' $KERNEL
}

@test "a killed program's connection ends with FIN, after what it has written" {
    start server sh -c 'nc -l 5000 >received; echo $? >status'
    wait_until 10 kernel_listens 5000
    speaker
    wait_until 60 test -s received
    kill -KILL "$speaker"
    wait_until 240 test -s status
    assert_equal "$(cat received status)" "hello0"
    wait_until 240 no_keeper
}

@test "what a killed program has written arrives over a slow link" {
    make_file upload 2000000
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    # shellcheck disable=SC2016
    UTCP_SET=snd_buf=4M UTCP_IMPAIR='rate 8mbit' ours perl -MSocket -e '
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(S, sockaddr_in(5000, inet_aton(shift))) or die $!;
        while (sysread(STDIN, $_, 65536)) { syswrite(S, $_) == length or die $! }
        kill KILL => $$' $KERNEL <upload || true
    wait "$server"
    cmp upload received
}

@test "a program killed with something unread resets its peer" {
    start server perl -MSocket -e '
        $SIG{PIPE} = "IGNORE";
        socket(L, PF_INET, SOCK_STREAM, 0); setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
        bind(L, sockaddr_in(5000, INADDR_ANY)) or die $!; listen(L, 1);
        accept(S, L); syswrite(S, "unread"); sysread(S, $_, 5); print STDOUT "up\n"; $| = 1; print "";
        $got = sysread(S, $_, 1); print defined $got ? "got $got\n" : "$!\n"' >said
    wait_until 10 kernel_listens 5000
    # shellcheck disable=SC2016
    start_ours speaker perl -MSocket -e '
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(S, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!;
        vec($in, fileno(S), 1) = 1; select($in, undef, undef, undef);
        syswrite(S, "hello"); sleep 600' $KERNEL
    wait_until 60 connection_stands
    wait_until 60 sent_hello
    kill -KILL "$speaker"
    wait "$server"
    assert_equal "$(cat said)" $'up\nConnection reset by peer'
    wait_until 240 no_keeper
}

connection_stands() {
    inside ss -Htn state established "sport = :5000" | grep -q .
}

# Nothing of its six bytes waits for an ACK, and the five have been read.
sent_hello() {
    inside ss -Htn state established "sport = :5000" | grep -qE '^0 +0 '
}

@test "a peer at the other end of a bad link is not left alone with its FIN" {
    # Lost are our text, their FIN, and its tail loss probe.
    inside nft 'table ip losing {
        chain in { type filter hook input priority 0; tcp dport 5000 tcp flags & psh == psh numgen inc mod 3 < 1 drop; };
        chain out { type filter hook output priority 0;
            tcp sport 5000 tcp flags & fin == fin numgen inc mod 3 < 2 counter drop; }; }'
    # It acknowledges ours before it says its own.
    start server perl -MSocket -e '
        socket(L, PF_INET, SOCK_STREAM, 0); bind(L, sockaddr_in(5000, INADDR_ANY)) or die $!; listen(L, 1);
        accept(S, L); while (sysread(S, $_, 10)) {} select(undef, undef, undef, 0.05)'
    wait_until 10 kernel_listens 5000
    # shellcheck disable=SC2016
    ours perl -MSocket -e '
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(S, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!; syswrite(S, "text")' $KERNEL
    wait "$server"
    wait_until 20 nobody_says_fin
    inside nft list table ip losing | grep -q 'counter packets 2 '
    inside nft delete table ip losing
}

nobody_says_fin() {
    ! inside ss -Htn state last-ack state closing "sport = :5000" | grep -q .
}

@test "a program killed in the middle of a transfer leaves nobody waiting" {
    for _ in 1 2 3 4 5 6 7 8; do
        start server sh -c 'nc -l 5000 >/dev/null; echo $? >status'
        wait_until 10 kernel_listens 5000
        # shellcheck disable=SC2016
        start_ours speaker perl -MSocket -e '
            socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
            connect(S, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!;
            $_ = "x" x 65536; open(F, ">", "going"); syswrite(S, $_) while 1' $KERNEL
        wait_until 60 test -e going
        kill -KILL "$speaker"
        wait_until 240 test -s status
        wait_until 240 no_keeper
        rm status going
    done
}
