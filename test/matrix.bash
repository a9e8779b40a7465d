# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2086,SC2154
#
# The compatibility matrix: real programs of Debian's, as clients and as servers, with the kernel's TCP or another
# of ours at the other end. Each cell moves at least 10 MB, or makes 1,000 requests, and says in the end
# what became of it. scripts/matrix makes the README's table of that.

readonly MATRIX=$ROOT/build/matrix

# cell PROGRAM ROLE PEER RESULT: program is its name, and then, in words, what is special; role is client or server,
# peer is kernel or utcp, result is pass or bridged. Called as the last thing of a test, so what is recorded has been
# seen, and it fails when the program's own log does not agree.
cell() {
    assert_equal "$1: $(measured "$2")" "$1: $4"
    mkdir -p "$MATRIX"
    printf '%s|%s|%s|%s\n' "$@" >"$MATRIX/${BATS_TEST_FILENAME##*/}.$BATS_TEST_NUMBER.${1//[^a-z0-9]/-}.$2"
}

# measured ROLE: what the logs of the clients, or of the servers, tell: that the device was opened, or else the kernel's
# TCP was used after all, and whether a socket was bridged.
measured() {
    local logs
    if [[ $1 == client ]]; then
        logs=$(cat client.log)
    else
        logs=$(find . -maxdepth 1 -name '*.log' ! -name client.log -exec cat {} +)
    fi
    if ! grep -q '^utcp: utcp[0-9]*, mtu ' <<<"$logs"; then
        echo kernel
    elif grep -q '^utcp: a socket is bridged' <<<"$logs"; then
        echo bridged
    else
        echo pass
    fi
}

matrix_setup() {
    # Debian's programs, and no others of the same name.
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin
    cd "$BATS_FILE_TMPDIR" || exit 1
    namespace_start net
    persistent_device
    make_file big 10000000
    make_file small 4000
    export BIG=$BATS_FILE_TMPDIR/big SMALL=$BATS_FILE_TMPDIR/small
}

# server NAME COMMAND...: on our TCP, in the background, with what it says in NAME.log.
server() {
    UTCP_LOG=info start_ours server "${@:2}" >"$1.log" 2>&1
}

# client COMMAND...: on our TCP, with what it says on stderr in client.log.
client() {
    UTCP_LOG=info ours timeout 240 "$@" 2>>client.log
}

# answers PORT: somebody listens there on our address.
answers() {
    inside nc -z -w 2 "$STACK" "$1"
}

# ours_running: the processes on our TCP, without keepers.
ours_running() {
    local pid
    for pid in $(processes_in "$(readlink "/proc/${net:?}/ns/net")"); do
        if grep -qsF "$LIBRARY" "/proc/$pid/maps" &&
            ! grep -qs ^utcp- "/proc/$pid/comm"; then echo "$pid"; fi
    done
}

# stop_server: asks everybody on our TCP to go, and waits until they and their keepers have.
stop_server() {
    local pid
    [[ ${BATS_TEST_COMPLETED:-} ]] || tail -n 40 ./*.log 2>/dev/null || true
    for pid in $(ours_running); do
        kill -TERM "$pid" 2>/dev/null || true
    done
    wait "${server:-}" 2>/dev/null || true
    wait_until 60 none_running
    wait_until 60 no_keeper
}

none_running() {
    [[ -z $(ours_running) ]]
}

# certificate: a key and a certificate for TLS servers, in key.pem and cert.pem.
certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 \
        -subj /CN=utcp.test >/dev/null 2>&1
}

# fetches URL [CURL OPTIONS]: what nginx and its kin serve as "big" arrives as it is.
fetches() {
    inside curl -sS --fail --max-time 240 "${@:2}" -o fetched "$1" && cmp "$BIG" fetched
}

# echoes PORT: 10 MB come back as they went.
echoes() {
    inside timeout 240 nc -N "$STACK" "$1" <"$BIG" >echoed && cmp "$BIG" echoed
}
