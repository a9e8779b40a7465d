# SPDX-License-Identifier: MIT
#
# Sockets that leave the program's sight: forked children, programs that are executed, libc's own streams,
# descriptors that are sent. No byte is lost, and none is there twice.

load lib

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    namespace_start net
    persistent_device
    make_file upload 3000000
    export UPLOAD=$BATS_FILE_TMPDIR/upload
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
}

teardown() {
    wait_until 240 no_keeper
}

# Perl that our servers have in common: listens on a port, and returns what it was sent until FIN.
# shellcheck disable=SC2016
prelude='
    use Socket; use POSIX (); $SIG{ALRM} = sub { die "too late" }; alarm 240;
    sub serve { my ($port) = @_;
        socket(L, PF_INET, SOCK_STREAM, 0) or die $!; setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
        bind(L, sockaddr_in($port, INADDR_ANY)) or die $!; listen(L, 10) or die $!;
        open(my $ready, ">", "ready") }
    sub say_all { my ($socket, $text) = @_; my $done = 0;
        while ($done < length $text) {
            $done += syswrite($socket, $text, length($text) - $done, $done) // die $! } }
    sub echo { my ($socket) = @_; my $text;
        while (my $got = sysread($socket, $text, 65536) // die $!) { say_all($socket, $text) } }'
export prelude

# start_server SCRIPT: on port 5000 of our address.
start_server() {
    rm -f ready
    start_ours server perl -e "$prelude serve(5000); $1"
    wait_until 60 test -e ready
}

# echoes PORT: what goes there comes back.
echoes() {
    inside timeout 240 nc -N $STACK "$1" <"$UPLOAD" >"returned$1" && cmp "$UPLOAD" "returned$1"
}

@test "a forked child serves the connection that its parent accepted" {
    # shellcheck disable=SC2016
    start_server 'for (1 .. 3) {
        accept(S, L) or die $!;
        if (!fork) { close L; echo(\*S); exit 0 }
        close S }
        1 while wait > 0'
    for _ in 1 2 3; do echoes 5000; done
    wait "$server"
}

@test "parent and child read and write one connection in turn" {
    # shellcheck disable=SC2016
    start_server 'accept(S, L) or die $!;
        sysread(S, $_, 4); say_all(\*S, "parent $_");
        if (!fork) { sysread(S, $_, 4); say_all(\*S, "child $_"); POSIX::_exit(0) }
        wait; sysread(S, $_, 4); say_all(\*S, "parent $_")'
    run -0 inside perl -MSocket -e '$| = 1; alarm 240;
        socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(5000, inet_aton(shift))) or die $!;
        for my $word ("one\n", "two\n", "six\n") { syswrite(S, $word); sysread(S, $_, 99); print }
        print "end ", sysread(S, $_, 1), "\n"' $STACK
    assert_output $'parent one\nchild two\nparent six\nend 0'
}

@test "children accept from a listener whose maker is dead" {
    # shellcheck disable=SC2016
    start_server 'for (1 .. 2) {
        if (!fork) {
            for (1 .. 2) { accept(S, L) or die $!;
                (sockaddr_in(getpeername(S)))[1] eq inet_aton("10.0.0.2") or die "who?";
                (sockaddr_in(getsockname(S)))[0] == 5000 or die "where?";
                echo(\*S); close S }
            open(F, ">", "child$$"); exit 0 } }'
    wait "$server"
    for _ in 1 2 3 4; do echoes 5000; done
    # shellcheck disable=SC2016
    wait_until 60 bash -c '[[ $(ls child* | wc -l) == 2 ]]'
}

@test "the same after the maker was killed" {
    # shellcheck disable=SC2016
    start_server 'if (!fork) { accept(S, L) or die $!; echo(\*S); exit 0 } sleep 600'
    kill -KILL "$server"
    echoes 5000
}

@test "daemon(3) keeps its listener" {
    inside_has_python_daemon || fail 'python3 has no ctypes'
    start_ours server python3 -c '
import ctypes, socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 5000)); s.listen()
ctypes.CDLL(None).daemon(1, 1)
open("ready", "w")
c, peer = s.accept()
while True:
    text = c.recv(65536)
    if not text: break
    c.sendall(text)'
    wait "$server"
    wait_until 60 test -e ready
    echoes 5000
}

inside_has_python_daemon() {
    python3 -c 'import ctypes'
}

@test "another program takes a connection over as its input and output" {
    # shellcheck disable=SC2016
    start_server 'accept(S, L) or die $!; open(STDIN, "<&S"); open(STDOUT, ">&S"); close S; close L; exec "cat"'
    echoes 5000
    wait "$server"
}

@test "another program takes a listener over, and asks who its peer is" {
    # shellcheck disable=SC2016
    start_server 'open(STDIN, "<&L"); exec "perl", "-MSocket", "-e", q(
        accept(S, STDIN) or die $!; ($port, $address) = sockaddr_in(getpeername(S));
        ($here) = sockaddr_in(getsockname(S));
        syswrite(S, join " ", inet_ntoa($address), $here, unpack("i", getsockopt(S, SOL_SOCKET, SO_TYPE)),
            unpack("i", getsockopt(STDIN, SOL_SOCKET, SO_ACCEPTCONN)), unpack("C", getsockopt(S, 6, 11))))'
    run -0 inside timeout 60 nc $STACK 5000
    assert_output "$KERNEL 5000 1 1 1"
}

@test "so does one whose environment was cleaned, and it gets ours back" {
    # shellcheck disable=SC2016
    UTCP_LOG=error start_server '%ENV = (A => 1); open(STDIN, "<&L"); exec "/usr/bin/perl", "-MSocket", "-e", q(
        accept(S, STDIN) or die $!; ($port, $address) = sockaddr_in(getpeername(S));
        syswrite(S, join " ", inet_ntoa($address), map { /^LD_|^UTCP_LOG|^A$/ ? "$_=$ENV{$_}" : () } sort keys %ENV))'
    run -0 inside timeout 60 nc $STACK 5000
    assert_output "$KERNEL A=1 LD_PRELOAD=$LIBRARY UTCP_LOG=error"
}

# shellcheck disable=SC2016
@test "a program that inherits no socket gets the environment that it was given" {
    run -0 ours perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) or die $!; %ENV = (A => 1); exec "/usr/bin/env"'
    assert_output A=1
}

@test "a shell's redirection serves the programs it runs" {
    start server nc -l 5001 >received
    wait_until 10 kernel_listens 5001
    run -0 ours timeout 240 bash -c "exec 3<>/dev/tcp/$KERNEL/5001; head -c 1000000 $UPLOAD >&3
        tail -c +1000001 $UPLOAD >&3"
    wait "$server"
    cmp "$UPLOAD" received
}

# shellcheck disable=SC2016
@test "a shell prints and reads through redirections, in its own process" {
    start server socat TCP-LISTEN:5001 EXEC:cat
    wait_until 10 kernel_listens 5001
    run -0 ours timeout 60 bash -c 'exec 3<>/dev/tcp/$0/5001; printf "one %s\n" word >&3; echo two >&3
        read -r first <&3; read -r second <&3; echo "$first, $second"' $KERNEL
    assert_output 'one word, two'
    wait "$server"
}

@test "exec that fails changes nothing" {
    start server nc -l 5001 >received
    wait_until 10 kernel_listens 5001
    # shellcheck disable=SC2016
    run -0 ours perl -MSocket -e 'no warnings;
        socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(5001, inet_aton(shift))) or die $!;
        syswrite(S, "before "); exec "/nonexistent"; syswrite(S, "after")' $KERNEL
    wait "$server"
    assert_equal "$(cat received)" 'before after'
}

@test "a program that executes another leaves its connections in order" {
    start server nc -l 5001 >received
    wait_until 10 kernel_listens 5001
    # shellcheck disable=SC2016
    UTCP_SET=snd_buf=4M UTCP_IMPAIR='rate 16mbit' ours perl -MSocket -e '
        socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(5001, inet_aton(shift))) or die $!;
        while (sysread(STDIN, $_, 65536)) { syswrite(S, $_) } exec "true"' $KERNEL <"$UPLOAD"
    wait "$server"
    cmp "$UPLOAD" received
}

@test "stdio streams over a connection, by fdopen and dprintf" {
    start_ours server python3 -c '
import ctypes, socket
c = ctypes.CDLL(None); c.fdopen.restype = ctypes.c_void_p
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 5000)); s.listen(); open("ready", "w"); a, peer = s.accept()
stream = c.fdopen(a.fileno(), b"r"); line = ctypes.create_string_buffer(100)
while c.fgets(line, 100, ctypes.c_void_p(stream)):
    c.dprintf(a.fileno(), b"<%s>", line.value.strip())
a.shutdown(socket.SHUT_WR)'
    wait_until 60 test -e ready
    run -0 inside timeout 60 nc -N $STACK 5000 <<<$'one\ntwo'
    assert_output '<one><two>'
    wait "$server"
}

@test "a descriptor that is sent to another process works there" {
    start_ours server python3 -c '
import os, socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 5000)); s.listen()
ours, theirs = socket.socketpair()
if os.fork() == 0:
    s.close(); ours.close()
    a = socket.socket(fileno=socket.recv_fds(theirs, 1, 1)[1][0])
    assert a.getpeername()[0] == "10.0.0.2", a.getpeername()
    while True:
        text = a.recv(65536)
        if not text: break
        a.sendall(text)
    os._exit(0)
open("ready", "w"); a, peer = s.accept()
socket.send_fds(ours, [b"x"], [a.fileno()]); a.close()
os.wait()'
    wait_until 60 test -e ready
    echoes 5000
    wait "$server"
}

@test "subprocesses of python inherit what they are told to" {
    start_ours server python3 -c '
import socket, subprocess
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 5000)); s.listen(); open("ready", "w"); a, peer = s.accept()
subprocess.run(["cat"], stdin=a, stdout=a, check=True)'
    wait_until 60 test -e ready
    echoes 5000
    wait "$server"
}

@test "what a peer resets is reset for a child, too" {
    # shellcheck disable=SC2016
    start_server 'accept(S, L) or die $!;
        if (!fork) { sysread(S, $_, 1); syswrite(S, $_); $got = sysread(S, $_, 1);
            $heard = defined $got ? "got $got" : "$!"; open(F, ">", "heard"); print F $heard; close F; POSIX::_exit(0) }
        close S; wait'
    inside perl -MSocket -e 'alarm 240;
        socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(5000, inet_aton(shift))) or die $!;
        setsockopt(S, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0)); syswrite(S, "x"); sysread(S, $_, 1)' $STACK
    wait "$server"
    assert_equal "$(cat heard)" 'Connection reset by peer'
}

@test "a child that leaves something unread resets its peer" {
    # shellcheck disable=SC2016
    start_server 'accept(S, L) or die $!;
        if (!fork) { sysread(S, $_, 1); syswrite(S, $_);
            vec($in, fileno(S), 1) = 1; select($in, undef, undef, undef); POSIX::_exit(0) }
        close S; wait'
    run -0 inside perl -MSocket -e 'alarm 240;
        socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(5000, inet_aton(shift))) or die $!;
        syswrite(S, "x"); sysread(S, $_, 1); syswrite(S, "unread");
        print defined sysread(S, $_, 1) ? "end" : "$!"' $STACK
    assert_output 'Connection reset by peer'
}

@test "a half-closed connection goes on in a child, in either direction" {
    # shellcheck disable=SC2016
    start_server 'accept(S, L) or die $!; 
        if (!fork) { $text .= $_ while sysread(S, $_, 65536); say_all(\*S, $text); exit 0 }
        close S; wait; accept(S, L) or die $!; syswrite(S, "head "); shutdown(S, 1);
        if (!fork) { sysread(S, $_, 99); open(F, ">", "tail"); print F; exit 0 }
        close S; wait'
    echoes 5000
    run -0 inside perl -MSocket -e 'alarm 240;
        socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(5000, inet_aton(shift))) or die $!;
        print while sysread(S, $_, 99); syswrite(S, "tail")' $STACK
    assert_output 'head '
    wait "$server"
    assert_equal "$(cat tail)" tail
}

@test "what arrived with its FIN before the fork is all there in the child" {
    # shellcheck disable=SC2016
    start_server 'accept(S, L) or die $!; open(my $f, ">", "accepted"); close $f;
        select(undef, undef, undef, 0.05) until -e "sent";
        if (!fork) { $n += length while sysread(S, $_, 65536); open(F, ">", "count"); print F $n; close F; exit 0 }
        wait'
    inside sh -c "head -c 60000 $UPLOAD | nc -N $STACK 5000" &
    wait_until 60 test -e accepted
    wait_until 60 fin_has_come
    touch sent
    wait "$server"
    assert_equal "$(cat count)" 60000
}

fin_has_come() {
    inside ss -Htn state fin-wait-2 "dport = :5000" | grep -q .
}

# handover CONNECTIONS MEGABYTES SEED
handover() {
    ours timeout 280 "$BUILD/test/programs/handover" $KERNEL 5002 "$@"
}

# Half a second without a byte, as a lost one takes, is no end for it.
echo_server() {
    start echo_server socat -t 240 TCP-LISTEN:5002,reuseaddr,fork,backlog=300 EXEC:cat
    wait_until 10 kernel_listens 5002
}

@test "a ring moves the bytes of connections that were there before it, and of later ones" {
    start server socat TCP-LISTEN:5000,fork,reuseaddr EXEC:cat
    wait_until 60 kernel_listens 5000
    UTCP_LOG=info run -0 ours "$BUILD/test/programs/uring" $KERNEL 5000 20
    assert_line 'all bytes in order'
    assert_line --partial 'io_uring'
    kill "$server"
}

@test "under load, with threads, no byte is lost or repeated when a socket is bridged" {
    echo_server
    for seed in 1 2 3; do
        run handover 32 4 $seed
        assert_success
        assert_output 'all bytes in order'
    done
    kill "$echo_server"
}

@test "nor over a bad link" {
    echo_server
    for seed in 4 5 6; do
        UTCP_IMPAIR="seed $seed delay 5ms 2ms loss 1% reorder 10%" run handover 24 1 $seed
        assert_success
        assert_output 'all bytes in order'
    done
    kill "$echo_server"
}
