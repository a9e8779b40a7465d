# SPDX-License-Identifier: MIT
#
# What cannot run on our TCP, or only in part, is told with the reason: by the launcher, by the doctor, and by the
# library as the program runs.

load lib

setup() {
    cd "$BATS_TEST_TMPDIR"
    export HOME=$PWD/home
}

teardown() {
    namespace_stop net
}

utcp() {
    "$ROOT/scripts/utcp" "$@"
}

# program NAME [FLAGS...]: one that does nothing.
program() {
    echo 'int main(void) { return 0; }' | cc -x c - -o "$@"
}

# patch FILE OFFSET BYTE: in octal.
patch() {
    printf "\\$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

refused() {
    run -126 utcp "$@"
    assert_line --regexp '^utcp: .*(cannot be run on our TCP: |: )'
}

@test "a program of another architecture is refused" {
    program narrow
    patch narrow 4 001 # ELFCLASS32
    refused ./narrow
    assert_line 'utcp: ./narrow cannot be run on our TCP: it is built for another architecture than the library'
}

@test "a program for another C library is refused" {
    program musl -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1
    refused ./musl
    assert_line --partial 'its C library is musl (/lib/ld-musl-x86_64.so.1)'
    program other -Wl,--dynamic-linker=/lib/ld-uClibc.so.0
    refused ./other
    assert_line --partial "its loader is not glibc's: /lib/ld-uClibc.so.0"
    program lost -Wl,--dynamic-linker=/nowhere/ld-linux.so.2
    refused ./lost
    assert_line --partial 'its loader /nowhere/ld-linux.so.2: No such file'
}

@test "a static program is refused however it is linked" {
    program static -static
    program static-pie -static-pie
    for name in static static-pie; do
        refused ./$name
        assert_line "utcp: ./$name cannot be run on our TCP: it is linked statically: no loader reads LD_PRELOAD"
        assert_line "  it would silently use the kernel's TCP"
    done
}

@test "a file that is no whole program is refused" {
    program whole
    for bytes in 10 63 64 200; do
        head -c $bytes whole >part
        chmod +x part
        refused ./part
        assert_line --regexp 'it ends (within its ELF header|before its segments do)'
    done
    echo 'int f(void) { return 0; }' | cc -x c - -c -o object
    chmod +x object
    refused ./object
    assert_line --partial 'it is an ELF file, but no program'
}

@test "no damage to a file makes the probe fail itself" {
    program whole
    run -0 python3 - "$BUILD/scripts/utcp-probe" whole <<'END'
import random, subprocess, sys
probe, name = sys.argv[1:]
whole = open(name, "rb").read()
random.seed(1)
for n in range(150):
    hurt = bytearray(whole)
    for _ in range(random.randint(1, 6)):
        # The headers lie at the start; tables anywhere.
        at = random.randrange(min(1024, len(hurt)) if n % 3 else len(hurt))
        hurt[at] = random.choice((0, 1, 0x7f, 0x80, 0xff, random.randrange(256)))
    if n % 5 == 0:
        del hurt[random.randrange(1, len(hurt)):]
    open("hurt", "wb").write(hurt)
    for what in (["program", "hurt"], ["imports", "hurt", "hurt"], ["imports", name, "hurt"]):
        status = subprocess.run([probe, *what], stdout=subprocess.DEVNULL, timeout=60).returncode
        assert status in (0, 1), (n, what, status)
END
}

@test "the chain of #! is followed as far as the kernel does" {
    program static -static
    local before=$PWD/static i
    for i in 1 2 3 4 5; do
        printf '#!%s\n' "$before" >script$i
        chmod +x script$i
        before=$PWD/script$i
    done
    refused ./script5
    assert_line --partial 'it is linked statically'
    printf '#!%s\n' "$before" >script6
    chmod +x script6
    refused ./script6
    assert_line --partial 'the kernel gives up'
    printf '#!%s/loop\n' "$PWD" >loop
    chmod +x loop
    refused ./loop
}

@test "a script whose interpreter cannot be run is told as such" {
    printf '#!/nowhere/sh\n' >lost
    printf '#!/bin/sh\r\n' >windows
    printf '#!\n' >nobody
    chmod +x lost windows nobody
    refused ./lost
    assert_line 'utcp: ./lost: its interpreter /nowhere/sh is not there'
    refused ./windows
    assert_line --partial 'its lines end as on Windows'
    refused ./nobody
    assert_line --partial 'names no interpreter'
}

@test "a script is judged by its interpreter, not by its own bits" {
    printf '#!/bin/sh\necho ran\n' >script
    chown nobody script
    chmod 4755 script
    run -0 utcp ./script
    assert_output ran
}

@test "env is looked behind, whatever its options" {
    program static -static
    refused env A=1 ./static
    refused env -- A=1 ./static
    refused env -u HOME ./static
    refused env -uHOME -v ./static
    refused env --unset=HOME ./static
    refused env -C "$PWD" ./static
    refused env -C "$PWD" A=1 env ./static
    refused env -S "./static x"
    refused env "-vSA=1 ./static x"
    refused env "PATH=$PWD" static
    printf '#!/usr/bin/env -S A=1 %s/static\n' "$PWD" >script
    chmod +x script
    refused ./script
    refused env ./script
    run -0 utcp env A=1 true
    run -0 utcp env
    run -127 utcp env A=1 no-such-program
}

@test "whoever takes LD_PRELOAD away is told where to put utcp" {
    for words in '-i' '-' '-iv' '--ignore-environment' '-u LD_PRELOAD' '-uLD_PRELOAD' 'LD_PRELOAD=x'; do
        # shellcheck disable=SC2086
        refused env $words true
        assert_line --partial 'takes LD_PRELOAD away from it'
    done
    refused env -i true
    assert_line '  how:             env -i utcp true ...'
    printf '#!/bin/sh\n' >sudo
    chmod +x sudo
    refused ./sudo true
    assert_line '  how:             ./sudo utcp PROGRAM'
}

@test "set-id bits count for whom they raise" {
    namespace_start net
    checkout_for_everybody
    program plain
    inside cp plain /run/plain
    inside install -m 4755 plain /run/setuid
    inside install -m 2755 plain /run/setgid
    inside install -m 4755 -o 65534 plain /run/own
    inside install -m 4711 plain /run/unreadable
    for name in setuid setgid unreadable; do
        run -126 as_nobody $CHECKOUT/scripts/utcp /run/$name
        assert_line --regexp 'it is set[ug]id: its loader ignores LD_PRELOAD'
        run -0 inside $CHECKOUT/scripts/utcp /run/$name
    done
    run -0 as_nobody $CHECKOUT/scripts/utcp /run/plain
    run -0 as_nobody $CHECKOUT/scripts/utcp /run/own
    run -126 inside $CHECKOUT/scripts/utcp /run/own
    # Nobody rises who has promised not to, nor where the file system forbids it.
    run -0 as_nobody setpriv --no-new-privs $CHECKOUT/scripts/utcp /run/setuid
    inside mount -o remount,nosuid /run
    run -0 as_nobody $CHECKOUT/scripts/utcp /run/setuid
}

@test "file capabilities count when there are any" {
    namespace_start net
    checkout_for_everybody
    program plain
    inside cp plain /run/capable
    inside setcap cap_net_raw+p /run/capable
    run -126 as_nobody $CHECKOUT/scripts/utcp /run/capable
    assert_line --partial 'it has file capabilities'
    inside setcap = /run/capable
    run -0 as_nobody $CHECKOUT/scripts/utcp /run/capable
}

@test "a Go program runs, and it is said that its TCP stays the kernel's" {
    # As Go's linker has it: 4 bytes of name, 4 of id, type 4.
    cat >note.s <<'END'
.section .note.go.buildid, "a", @note
.long 4, 4, 4
.ascii "Go\0\0abcd"
.section .note.GNU-stack, "", @progbits
END
    echo 'int main(void) { return 3; }' >gopher.c
    cc -o gopher gopher.c note.s
    run -3 --separate-stderr utcp ./gopher
    assert_equal "$stderr" "utcp: ./gopher is a Go program: it makes its system calls itself, so its TCP stays the kernel's"
    run -3 --separate-stderr utcp -q ./gopher
    assert_equal "$stderr" ''
    run -1 utcp doctor ./gopher
    assert_line --partial './gopher is a Go program'
}

@test "a pipe, a folder and a text are not mistaken for programs" {
    mkfifo -m 755 pipe
    refused ./pipe
    run -126 utcp ./
    printf 'echo ran\n' >text
    chmod +x text
    run -0 utcp --rehearse ./text
}

@test "the doctor gives the launcher's reasons" {
    program static -static
    run -1 utcp doctor ./static
    assert_line 'no  ./static cannot be run on our TCP: it is linked statically: no loader reads LD_PRELOAD'
    run -1 utcp doctor env -i true
    assert_line --partial 'env -i takes LD_PRELOAD away from it'
    run -1 utcp doctor no-such-program
    assert_line 'no  no-such-program: no such program'
}

@test "the doctor names what a program and its libraries call that is not interposed" {
    cat >library.c <<'END'
int io_submit(void);
int io_submit(void) { return 0; }
END
    cat >user.c <<'END'
int socket(int, int, int), io_submit(void), aio_read(void *), aio_write(void *);
long syscall(long, ...);
int main(int n, char **v) { return n < 2 ? 0 : socket(0, 0, 0) + io_submit() + aio_read(v) + (int)syscall(0); }
END
    cc -shared -fPIC -o libother.so library.c
    cc -w -o user user.c -L. -lother -Wl,-rpath,"$PWD"
    run utcp doctor ./user
    assert_line 'ok  ./user can be run on our TCP'
    assert_line --regexp '^    1 of the 3 functions for sockets and descriptors that it and its [0-9]+ libraries call are interposed$'
    assert_line '    not interposed: aio_read (user): what it moves goes past us'
    assert_line '    not interposed: io_submit (user): what it moves goes past us'
    assert_line --regexp '^    syscall \(user\): '
    refute_line --partial aio_write
    program nothing
    run utcp doctor ./nothing
    assert_line --partial 'none of them calls socket()'
}

@test "all that curl calls is interposed" {
    run utcp doctor curl
    assert_line 'ok  curl can be run on our TCP'
    refute_line --partial 'not interposed'
}

# What a program asks for that we lack, twice.
asks_for_much() {
    cat <<'END'
import fcntl, socket, struct
def quiet(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        pass
for again in range(2):
    s = socket.socket()
    quiet(s.setsockopt, socket.IPPROTO_TCP, 31, b"tls")
    quiet(s.setsockopt, socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"nosuch")
    quiet(s.setsockopt, socket.IPPROTO_TCP, 200, 1)
    quiet(s.setsockopt, 282, 1, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 7)
    # Served, or the program's own mistake.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 0)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    quiet(s.setsockopt, socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 100000)
    quiet(fcntl.ioctl, s, 0x8933, b"lo".ljust(40, b"\0"))
    quiet(fcntl.ioctl, s, 0x5401, bytes(100))
    quiet(s.sendto, b"x", socket.MSG_FASTOPEN, ("10.0.0.2", 9))
    quiet(s.recv, 1)
    for port in 9, 10:
        s = socket.socket()
        quiet(s.connect, ("127.0.0.1", port))
    s = socket.socket()
    s.bind(("127.0.0.2", 0))
    s = socket.socket(socket.AF_INET6)
    quiet(s.connect, ("::1", 9))
    quiet(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 132)
END
}

@test "what is refused or left to the kernel is named once, to whom asks for it" {
    namespace_start net
    asks_for_much >asks.py
    UTCP_LOG=info run -0 --separate-stderr ours python3 asks.py
    # The device is named, too.
    run -0 grep -v 'utcp[0-9], ' <<<"$stderr"
    assert_output - <<'END'
utcp: setsockopt(IPPROTO_TCP, TCP_ULP): refused: TLS is the program's own affair here (ENOPROTOOPT)
utcp: setsockopt(IPPROTO_TCP, TCP_CONGESTION): refused: utcp cc lists what there is (ENOENT)
utcp: setsockopt(IPPROTO_TCP, option 200): refused (ENOPROTOOPT)
utcp: setsockopt(level 282, option 1): refused (ENOPROTOOPT)
utcp: setsockopt(SOL_SOCKET, SO_MARK): remembered, without effect: no packet carries it
utcp: ioctl(SIOCGIFINDEX): left to the kernel
utcp: ioctl(TCGETS): left to the kernel
utcp: send(MSG_FASTOPEN): refused: there is no fast open (EOPNOTSUPP)
utcp: connect 127.0.0.1: left to the kernel: it is in UTCP_BYPASS, by default loopback
utcp: bind 127.0.0.2: left to the kernel: it is in UTCP_BYPASS, by default loopback
utcp: connect ::1: left to the kernel: it is IPv6
utcp: socket: left to the kernel: a stream of a protocol that is not TCP
END
}

@test "that a socket is bridged is said once, in each process that has one" {
    namespace_start net
    # shellcheck disable=SC2016
    UTCP_LOG=info run -0 --separate-stderr ours perl -MSocket -e '
        for (1, 2) { socket(S, PF_INET, SOCK_STREAM, 0) or die $!; push @held, *S{IO};
            if (!fork) { getsockopt(S, SOL_SOCKET, SO_TYPE) or die $! for 1, 2; exit 0 }
            wait; $? and die }'
    run -0 grep -v 'utcp[0-9], ' <<<"$stderr"
    assert_output - <<'END'
utcp: a socket is bridged: from here on its bytes pass through the kernel
utcp: a socket is bridged: from here on its bytes pass through the kernel
END
}

@test "nothing is said of it to whom does not ask" {
    namespace_start net
    asks_for_much >asks.py
    run -0 --separate-stderr ours python3 asks.py
    assert_equal "$stderr" ''
}

@test "a program that another one executes, and that will not load the library, is named" {
    program static -static
    cat >runs.sh <<'END'
./static
/bin/true
env -i /bin/cat /dev/null
env PATH=. static
timeout 10 ./static
python3 -c 'import subprocess; subprocess.run(["./static"]); subprocess.run(["/bin/true"], env={"A": "1"})'
END
    UTCP_LOG=info LD_PRELOAD=$LIBRARY run -0 sh runs.sh
    # Each of these processes says it: the shell, env, timeout and python.
    assert_equal "$(grep -c 'exec of ./static: left to the kernel: it is linked statically' <<<"$output")" 4
    assert_line 'utcp: exec of /bin/cat: left to the kernel: its environment lacks LD_PRELOAD'
    assert_line 'utcp: exec of /bin/true: left to the kernel: its environment lacks LD_PRELOAD'
    refute_line --partial 'exec of /bin/true: left to the kernel: it is'
    UTCP_LOG=warn LD_PRELOAD=$LIBRARY run -0 sh runs.sh
    assert_output ''
}
