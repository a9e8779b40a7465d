# SPDX-License-Identifier: MIT
#
# Corners in which a program notices an interposer: descriptors that run out, connections that end before they are
# accepted, an epoll that knew a socket before it was the kernel's, threads in the middle of a call when the process ends.

load lib

setup_file() {
    namespace_start net
    persistent_device
    serve
    make_file "$WWW/file" 1000000
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

@test "a program that runs out of descriptors gets EMFILE, and goes on when it has some again" {
    # shellcheck disable=SC2016
    run -0 ours bash -c 'ulimit -n 128; exec python3 -c "$@"' _ '
import errno, socket, sys
def fill():
    sockets = []
    try:
        while True:
            sockets.append(socket.socket())
    except OSError as error:
        assert error.errno == errno.EMFILE, error
    assert len(sockets) > 60, len(sockets)
for i in range(3):
    fill()
    for j in range(20):
        with socket.create_connection((sys.argv[1], 80)) as s:
            s.sendall(b"GET /file HTTP/1.0\r\n\r\n")
            while s.recv(65536):
                pass
print("done")' $KERNEL
    assert_output done
}

# accept_without_descriptors: accepts when it has no descriptor left, and again when it has.
accept_without_descriptors='
import errno, os, socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", 5000))
listener.listen()
print("listening", flush=True)
os.read(0, 1)
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for i in range(3):
    try:
        listener.accept()
        print("accepted?")
    except OSError as error:
        print(errno.errorcode[error.errno])
for fd in taken:
    os.close(fd)
connection, _ = listener.accept()
print(connection.recv(100).decode())
connection.sendall(b"there you are")
connection.close()
'

@test "accept() without a free descriptor leaves the connection to the next one" {
    mkfifo go
    # shellcheck disable=SC2016
    start server env LD_PRELOAD="$LIBRARY" bash -c 'ulimit -n 64; exec python3 -c "$1"' _ \
        "$accept_without_descriptors" <>go >output
    wait_until 20 grep -q listening output
    start client bash -c "exec 3<>/dev/tcp/$STACK/5000; echo -n hello >&3; cat <&3" >answer
    wait_until 20 inside sh -c "ss -Htn state established dport = :5000 | grep -q ."
    echo >go
    wait "$client"
    wait "$server"
    assert_equal "$(cat answer)" 'there you are'
    assert_equal "$(cat output)" $'listening\nEMFILE\nEMFILE\nEMFILE\nhello'
}

@test "a connection that was reset before accept() is handed out, and tells so" {
    local program='
import os, select, socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", 5000))
listener.listen()
print("listening", flush=True)
os.read(0, 1)
connection, name = listener.accept()
print(name[0])
readiness = select.poll()
readiness.register(connection, select.POLLIN)
print(readiness.poll(10000)[0][1] & (select.POLLERR | select.POLLHUP))
try:
    print(connection.recv(10))
except OSError as error:
    print(error)
'
    local client='
import socket, struct, sys
s = socket.create_connection((sys.argv[1], 5000))
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()'
    mkfifo go
    start server python3 -c "$program" <>go >without
    wait_until 20 grep -q listening without
    inside python3 -c "$client" $KERNEL
    echo >go
    wait "$server"
    start_ours server python3 -c "$program" <>go >with
    wait_until 20 grep -q listening with
    inside python3 -c "$client" $STACK
    sleep 0.5 # the reset has come long before
    echo >go
    wait "$server"
    diff <(sed "s/$KERNEL/client/" without) <(sed "s/$KERNEL/client/" with)
}

@test "an epoll to which a socket was added before it became the kernel's hears of it" {
    local program='
import select, socket
listener = socket.create_server(("127.0.0.1", 0))
s = socket.socket()
s.setblocking(False)
epoll = select.epoll()
epoll.register(s, select.EPOLLOUT | select.EPOLLET)
epoll.poll(0)
s.connect_ex(listener.getsockname())
print(epoll.poll(10) == [(s.fileno(), select.EPOLLOUT)])
peer, _ = listener.accept()
epoll.modify(s, select.EPOLLIN)
peer.sendall(b"x")
print(epoll.poll(10) == [(s.fileno(), select.EPOLLIN)])
'
    inside python3 -c "$program" >without
    ours python3 -c "$program" >with
    diff without with
    assert_equal "$(cat with)" $'True\nTrue'
}

@test "an epoll hears of a socket that connects again after it was refused" {
    local program='
import select, socket, sys
s = socket.socket()
s.setblocking(False)
epoll = select.epoll()
epoll.register(s, select.EPOLLOUT)
s.connect_ex((sys.argv[1], 81))
epoll.poll(10)
s.connect_ex((sys.argv[1], 81))
s.connect_ex((sys.argv[1], 80))
print(len(epoll.poll(10)))
print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.getpeername()[1])
'
    inside python3 -c "$program" $KERNEL >without
    ours python3 -c "$program" $KERNEL >with
    diff without with
}

@test "threads that are in a call when the process ends get no error and no signal" {
    start server socat -u TCP-LISTEN:5000,fork,reuseaddr /dev/null
    wait_until 10 kernel_listens 5000
    for _ in {1..20}; do
        run -7 ours "$BUILD/test/programs/leaver" $KERNEL 5000
        assert_output ''
    done
    kill "$server"
}

@test "a signal handler may use sockets while its thread executes a program" {
    start server socat TCP-LISTEN:5000,fork,reuseaddr EXEC:cat
    wait_until 10 kernel_listens 5000
    run -0 ours timeout 60 "$BUILD/test/programs/handler" $KERNEL 5000
    kill "$server"
}

@test "a library that is loaded with RTLD_DEEPBIND does not pass us by" {
    run -0 ours python3 -c '
import ctypes, os, socket, sys
library = ctypes.CDLL(sys.argv[1], mode=os.RTLD_DEEPBIND | os.RTLD_NOW)
s = socket.socket(fileno=library.connect_to(sys.argv[2].encode(), 80))
print(s.getsockname()[0])' "$BUILD/test/programs/libbound.so" $KERNEL
    assert_output $STACK
}

@test "a program has a connection as its input, output and errors" {
    start_ours server python3 -c '
import socket, subprocess
with socket.create_server(("0.0.0.0", 5000)) as listener:
    connection, _ = listener.accept()
    subprocess.run(["sh", "-c", "read line; echo got $line; echo but >&2; ls /nonexistent"],
                   stdin=connection, stdout=connection, stderr=connection)'
    wait_until 20 inside sh -c "echo hello | nc -N $STACK 5000 >answer"
    wait "$server"
    assert_equal "$(head -n 2 answer)" $'got hello\nbut'
    run -0 grep -c nonexistent answer
    assert_output 1
}
