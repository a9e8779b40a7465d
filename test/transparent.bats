# SPDX-License-Identifier: MIT
#
# What the program and its surroundings notice: nothing. The same program runs with the library and
# without, and what can be seen of it is compared.

load lib

setup_file() {
    namespace_start net
    persistent_device
    serve
    make_file "$WWW/file" 3000000
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    wait_until 240 no_keeper
}

# same COMMAND...: exit status, stdout and stderr with the library are those without.
same() {
    local with=0 without=0
    inside "$@" >stdout.without 2>stderr.without || without=$?
    ours "$@" >stdout.with 2>stderr.with || with=$?
    assert_equal "$with" "$without"
    diff stdout.without stdout.with
    diff stderr.without stderr.with
}

@test "exit status, stdout and stderr of programs without sockets are unchanged" {
    same true
    same false
    same sh -c 'echo out; echo err >&2; exit 7'
    same ls /nonexistent
    same sh -c 'kill -TERM $$'
    same perl -e 'print "$0\n"; die "why"'
}

@test "exit status, stdout and stderr of curl are unchanged" {
    same curl -sS "http://$KERNEL/file"
    same curl -sS --fail "http://$KERNEL/missing"
    same curl -sS http://no-such-name.invalid/
}

@test "descriptor numbers of sockets are the ones the kernel would give" {
    same perl -MSocket -e '
        for (1 .. 5) { socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!; push @s, $s }
        print join(" ", map fileno, @s), "\n";
        close $s[1]; close $s[3];
        for (1 .. 3) { socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!; push @s, $s }
        print join(" ", map { fileno($_) // "-" } @s), "\n";
        open(F, "<", "/dev/null"); print fileno(F), "\n"'
}

@test "descriptor numbers stay so once a connection is open" {
    same perl -MSocket -e '
        for (1 .. 3) {
            socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
            connect($s, sockaddr_in(80, inet_aton($ARGV[0]))) or die $!;
            push @s, $s;
        }
        pipe(R, W); open(F, "<", "/dev/null");
        print join(" ", map(fileno($_), @s), fileno(R), fileno(W), fileno(F)), "\n"' $KERNEL
}

@test "accepted connections have the numbers the kernel would give" {
    local serve_one='
        socket(L, PF_INET, SOCK_STREAM, 0) or die $!;
        setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
        bind(L, sockaddr_in(5000, INADDR_ANY)) or die $!; listen(L, 5) or die $!;
        accept(C, L) or die $!; open(F, "<", "/dev/null");
        syswrite(C, join(" ", fileno(L), fileno(C), fileno(F)) . "\n"); close(C)'
    start server perl -MSocket -e "$serve_one"
    wait_until 10 kernel_listens 5000
    inside nc -d $KERNEL 5000 >without
    start_ours server perl -MSocket -e "$serve_one"
    wait_until 20 inside sh -c "nc -d $STACK 5000 >with"
    diff without with
}

@test "a program without a TCP socket has no thread of ours and no device" {
    run -0 ours perl -MSocket -e '
        socket(U, PF_INET, SOCK_DGRAM, 0) or die $!;
        socket(X, PF_UNIX, SOCK_STREAM, 0) or die $!;
        print scalar(() = glob("/proc/$$/task/*")), " ", scalar(grep { /tun/ } map { readlink } glob("/proc/$$/fd/*"));'
    assert_output '1 0'
}

@test "a program with a TCP socket has one thread more" {
    run -0 ours perl -MSocket -e '
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        print scalar(() = glob("/proc/$$/task/*"))'
    assert_output 2
}

@test "the environment is unchanged" {
    same sh -c 'unset LD_PRELOAD; env'
}

@test "a pipe ends with the program although a keeper still works" {
    make_file upload 2000000
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    # At 8 Mbit/s the keeper has work for two seconds after perl is gone.
    # shellcheck disable=SC2016
    UTCP_SET=snd_buf=4M UTCP_IMPAIR='rate 8mbit' ours perl -MSocket -e '
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(S, sockaddr_in(5000, inet_aton(shift))) or die $!;
        while (sysread(STDIN, $_, 65536)) { syswrite(S, $_) == length or die $! }' $KERNEL <upload | cat
    run -1 no_keeper
    wait "$server"
    cmp upload received
}

@test "the keeper is nobody's child to wait for" {
    make_file upload 2000000
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    UTCP_SET=snd_buf=4M UTCP_IMPAIR='rate 8mbit' run -0 inside perl -e '
        $library = shift;
        if (!($pid = fork)) { $ENV{LD_PRELOAD} = $library; open(STDIN, "<", "upload"); exec @ARGV }
        waitpid($pid, 0); print "$? ", wait()' "$LIBRARY" perl -e "$send_and_exit" $KERNEL 5000
    assert_output '0 -1'
    run -1 no_keeper
    wait "$server"
    cmp upload received
}

@test "a program that closes every descriptor does not cut its connections' last words" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    run -0 ours perl -MSocket -MPOSIX -e '
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(S, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!;
        syswrite(S, "last words"); POSIX::close($_) for 3 .. 1023;' $KERNEL
    wait "$server"
    assert_equal "$(cat received)" 'last words'
}

@test "a file opened under the number of a closed socket gets no packet" {
    start server nc -k -l 5000 >received
    wait_until 10 kernel_listens 5000
    run -0 ours perl -MSocket -MPOSIX -e '
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(S, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!;
        socket(T, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(T, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!;
        for (3 .. 1023) { POSIX::close($_) if $_ != fileno(T) }
        for (1 .. 64) { open(my $f, ">", "victim$_") or die $!; push @f, $f }
        syswrite(T, "x" x 100000); close(T)' $KERNEL
    wait_until 240 no_keeper
    kill "$server"
    run -0 sh -c 'cat victim* | wc -c'
    assert_output 0
}

@test "the program's signals and its SIGPIPE are its own" {
    start server nc -N -l 5000 </dev/null
    wait_until 10 kernel_listens 5000
    run ours perl -MSocket -e '
        $SIG{PIPE} = sub { print "pipe\n" };
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(S, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!;
        shutdown(S, 1); print defined syswrite(S, "x") ? "sent" : "$!"' $KERNEL
    assert_output $'pipe\nBroken pipe'
}

@test "poll and select show what they show of the kernel's sockets" {
    # Pollable as: connecting, connected, data there, peer's FIN.
    local program='
        use Socket; use IO::Poll qw(POLLIN POLLOUT POLLHUP POLLERR);
        sub seen { my $p = IO::Poll->new; $p->mask(S => 0); }
        sub ready { my ($r, $w) = ("", ""); vec($r, fileno(S), 1) = 1; $w = $r;
                    select($r, $w, undef, $_[0]); (vec($r, fileno(S), 1), vec($w, fileno(S), 1)) }
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        connect(S, sockaddr_in(80, inet_aton($ARGV[0]))) or die $!;
        print "connected: ", join(" ", ready(0)), "\n";
        syswrite(S, "GET /missing HTTP/1.0\r\n\r\n");
        sleep 1; print "answered: ", join(" ", ready(0)), "\n";
        1 while sysread(S, $_, 65536); print "ended: ", join(" ", ready(0)), "\n"'
    same perl -e "$program" $KERNEL
}

@test "congestion control and pacing rate read and are set as in the kernel" {
    inside sh -c 'cat /proc/sys/net/ipv4/tcp_available_congestion_control' | grep -qw reno ||
        fail 'this kernel has no reno to compare with'
    same perl -MSocket -MErrno -e '
        my ($congestion, $rate) = (13, 47);
        socket(S, PF_INET, SOCK_STREAM, 0) or die;
        for my $name ("reno", "cubic\0\0\0", "vegan", "") {
            my $done = setsockopt(S, IPPROTO_TCP, $congestion, $name);
            print $name, ": ", $done ? "done" : 0 + $!, ", ", getsockopt(S, IPPROTO_TCP, $congestion), "\n";
        }
        print unpack("Q", getsockopt(S, SOL_SOCKET, $rate)), "\n";
        for my $value (pack("L", 4000000000), pack("Q", 5e9), pack("l", -1), pack("S", 1)) {
            my $done = setsockopt(S, SOL_SOCKET, $rate, $value);
            print $done ? "done" : 0 + $!, ", ", unpack("H*", getsockopt(S, SOL_SOCKET, $rate)), "\n";
        }'
}
