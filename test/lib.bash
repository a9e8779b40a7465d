# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the bats files share: network namespaces of their own, a kernel at the other end, files to
# move, and captures to look into.
#
# A namespace is held by a sleeping process and entered with nsenter, so a test file needs no wrapper
# and can never touch the machine's own network. Each has its own /dev/net/tun, /run and /sys, too.
#
#	namespace "net", made by setup_file
#	+-------------------------------------------------------------------+
#	|  the kernel's TCP                                       our TCP   |
#	|  nginx, nc, ping -- 10.0.0.2 ----[utcp0, TUN]---- 10.0.0.1 -- curl, nc
#	+-------------------------------------------------------------------+

bats_require_minimum_version 1.5.0
bats_load_library bats-support
bats_load_library bats-assert

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$ROOT/build}
LIBRARY=$BUILD/shim/libutcp.so
export ROOT BUILD LIBRARY BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-300}

# The addresses of the first device of the pool.
readonly KERNEL=10.0.0.2 STACK=10.0.0.1

# ---- namespaces ----

: "${net=}" # the process that holds the namespace "net"

# namespace_start NAME: holds a namespace; its process id is then in the variable NAME.
namespace_start() {
    local ready=$BATS_FILE_TMPDIR/$1.ready
    rm -f "$ready"
    # shellcheck disable=SC2016
    unshare --net --mount -- bash -c '
        set -e
        mount -t tmpfs -o mode=755 none /dev/net
        mknod -m 0600 /dev/net/tun c 10 200
        mount -t tmpfs -o mode=755 none /run
        mount -t sysfs none /sys
        ip link set lo up
        touch "$0"
        exec sleep infinity' "$ready" 3>&- &
    export "${1?}=$!"
    wait_until 10 test -e "$ready"
}

# namespace_stop NAME: ends every process in it, and with the last of them the namespace goes. Does
# nothing when it was not started, so that a teardown may say it in any case.
namespace_stop() {
    local holder=${!1-} here pid
    if [[ ! $holder ]]; then return; fi
    here=$(readlink "/proc/$holder/ns/net")
    for pid in $(processes_in "$here"); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait "$holder" 2>/dev/null || true
    unset "$1"
}

# processes_in NAMESPACE: their ids; the namespace as readlink tells it.
processes_in() {
    local process
    for process in /proc/[0-9]*; do
        if [[ $(readlink "$process/ns/net" 2>/dev/null) == "$1" ]]; then echo "${process#/proc/}"; fi
    done
}

# inside COMMAND...: in the namespace "net", as root, on the kernel's TCP.
inside() {
    inside_of net "$@"
}

# inside_of NAME COMMAND...
inside_of() {
    nsenter --target "${!1}" --net --mount --wd="$PWD" -- "${@:2}"
}

# start VARIABLE COMMAND...: inside, in the background; its process id is then in the variable.
start() {
    # <&0: else bash gives what runs in the background an empty input.
    nsenter --target "$net" --net --mount --wd="$PWD" -- "${@:2}" <&0 3>&- 7>&- &
    printf -v "$1" %s "$!"
}

# start_ours VARIABLE COMMAND...
start_ours() {
    start "$1" env LD_PRELOAD="$LIBRARY" "${@:2}"
}

# job NAME COMMAND...: runs a shell function or command in the background of the whole file; its
# status goes to NAME.status, what it says to NAME.log, both in the file's folder.
job() {
    local name=$BATS_FILE_TMPDIR/$1
    shift
    {
        set +e
        (set -e && "$@") >"$name.log" 2>&1
        echo $? >"$name.status"
    } 3>&- &
}

# job_succeeds NAME
job_succeeds() {
    local name=$BATS_FILE_TMPDIR/$1
    wait_until 290 test -s "$name.status"
    cat "$name.log"
    assert_equal "$(cat "$name.status")" 0
}

# ours COMMAND...: the same on our TCP.
ours() {
    inside env LD_PRELOAD="$LIBRARY" "$@"
}

# as_nobody COMMAND...: an unprivileged user in the namespace, in a folder that may be entered.
as_nobody() {
    (cd / && inside setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent "$@")
}

# checkout_for_everybody: puts launcher and library where an unprivileged user can read them, and
# sets CHECKOUT to the place.
checkout_for_everybody() {
    export CHECKOUT=/run/checkout
    inside mkdir -p $CHECKOUT/build/shim $CHECKOUT/build/scripts
    inside cp "$ROOT/meson.build" $CHECKOUT/
    inside cp -r "$ROOT/scripts" $CHECKOUT/
    inside cp "$LIBRARY" $CHECKOUT/build/shim/
    inside cp "$BUILD/scripts/utcp-probe" $CHECKOUT/build/scripts/
}

# persistent_device: utcp0 as setup makes it, for tests that look at it from outside.
persistent_device() {
    inside ip tuntap add dev utcp0 mode tun vnet_hdr
    inside ip link set dev utcp0 addrgenmode none
    inside ip address add $KERNEL peer $STACK dev utcp0
    inside ip link set dev utcp0 up
}

# ---- waiting ----

# wait_until SECONDS COMMAND...: fails when the command has not succeeded by then.
wait_until() {
    local limit=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > limit)); then
            echo "waited in vain for: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}

# once_it_listens COMMAND...: iperf3 as a client. Its server stops listening for a moment after each client, and refuses a
# second one; that is tried again, and nothing else. (With -J it is a success.) Leaves what it says in $output.
once_it_listens() {
    local limit=$((SECONDS + 60))
    while
        run "$@"
        # shellcheck disable=SC2154
        [[ $output == *'unable to connect'* || $output == *'server is busy'* ]] && ((SECONDS < limit))
    do sleep 0.05; done
    assert_success
}

# kernel_listens PORT
kernel_listens() {
    inside ss -Hltn "sport = :$1" | grep -q .
}

# ended PID
ended() {
    ! kill -0 "$1" 2>/dev/null
}

no_keeper() {
    local here pid
    here=$(readlink "/proc/$net/ns/net")
    for pid in $(processes_in "$here"); do
        if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == utcp-keeper* ]]; then return 1; fi
    done
}

# ---- files ----

# make_file FILE BYTES: bytes that look random and are the same each time.
make_file() {
    openssl enc -aes-128-ctr -nosalt -pbkdf2 -pass "pass:${1##*/}" -in /dev/zero 2>/dev/null |
        head -c "$2" >"$1"
}

# send_and_exit ADDRESS PORT <FILE: a program that exits as soon as its last write returned.
# shellcheck disable=SC2016
send_and_exit='
    use Socket;
    socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
    connect(S, sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die $!;
    while (sysread(STDIN, $_, 65536)) { syswrite(S, $_) == length or die $! }'
export send_and_exit

# ---- the server ----

# serve: nginx on port 80 of the namespace, with uploads; its files lie in $WWW.
serve() {
    export WWW=$BATS_FILE_TMPDIR/www
    mkdir -p "$WWW" "$BATS_FILE_TMPDIR/nginx"
    cat >"$BATS_FILE_TMPDIR/nginx/conf" <<END
daemon off;
user root;
pid $BATS_FILE_TMPDIR/nginx/pid;
error_log $BATS_FILE_TMPDIR/nginx/error.log;
events { worker_connections 512; }
http {
    access_log off;
    send_timeout 600s;
    sendfile on;
    client_body_temp_path $BATS_FILE_TMPDIR/nginx/body;
    proxy_temp_path $BATS_FILE_TMPDIR/nginx/proxy;
    fastcgi_temp_path $BATS_FILE_TMPDIR/nginx/fastcgi;
    uwsgi_temp_path $BATS_FILE_TMPDIR/nginx/uwsgi;
    scgi_temp_path $BATS_FILE_TMPDIR/nginx/scgi;
    server {
        listen 80;
        root $WWW;
        client_max_body_size 0;
        location / { dav_methods PUT; }
    }
}
END
    start nginx nginx -c "$BATS_FILE_TMPDIR/nginx/conf" -p "$BATS_FILE_TMPDIR/nginx" \
        >"$BATS_FILE_TMPDIR/nginx/out" 2>&1
    wait_until 20 kernel_listens 80
}

# ---- what the kernel and the wire say ----

# kernel_tcp COUNTER: of the kernel's TCP in the namespace (ActiveOpens, PassiveOpens, RetransSegs...).
kernel_tcp() {
    # shellcheck disable=SC2016
    inside awk -v name="$1" '
        /^Tcp:/ && !seen { for (i = 2; i <= NF; i++) if ($i == name) column = i; seen = 1; next }
        /^Tcp:/ { print $column }' /proc/net/snmp
}

# capture_start FILE: dumpcap on the device.
capture_start() {
    start capture dumpcap -q -i utcp0 -w "$1" >"$1.log" 2>&1
    wait_until 20 grep -q 'Capturing on\|File:' "$1.log"
}

# capture_stop FILE: once a connection has ended in it; what dumpcap is given late it would not write any more.
capture_stop() {
    wait_until 20 both_fins "$1"
    kill -TERM "${capture:?}"
    wait "$capture" || true
}

# both_fins FILE
both_fins() {
    [ "$(packets "$1" "ip.src == $STACK && tcp.flags.fin == 1")" -gt 0 ] &&
        [ "$(packets "$1" "ip.src == $KERNEL && tcp.flags.fin == 1")" -gt 0 ]
}

# packets FILE FILTER [OPTIONS]: how many packets of a capture match a display filter.
packets() {
    tshark -n -r "$1" -Y "$2" "${@:3}" 2>/dev/null | wc -l
}
