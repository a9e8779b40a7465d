# SPDX-License-Identifier: MIT
#
# AF_INET6 sockets that speak to IPv4 are ours, all others the kernel's.

load lib

setup_file() {
    namespace_start net
    persistent_device
    mkdir -p "$BATS_FILE_TMPDIR/www"
    export FILE=$BATS_FILE_TMPDIR/www/file
    make_file "$FILE" 3000000
    # The kernel's, on 0.0.0.0 and ::.
    start _ python3 -m http.server --bind :: --directory "${FILE%/*}" 8080 \
        >"$BATS_FILE_TMPDIR/http.log" 2>&1
    start _ "$BUILD/test/programs/inet6" server 7777
    start _ iperf3 -s -p 5300 >"$BATS_FILE_TMPDIR/iperf3.log" 2>&1
    wait_until 20 kernel_listens 8080
    wait_until 20 kernel_listens 7777
    wait_until 20 kernel_listens 5300
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# as_the_kernel WHAT: the program says the same on either TCP.
as_the_kernel() {
    inside timeout 120 "$BUILD/test/programs/inet6" "$1" $KERNEL $KERNEL 7777 >kernel
    ours timeout 120 "$BUILD/test/programs/inet6" "$1" $STACK $KERNEL 7777 >ours
    run -0 diff kernel ours
    assert [ "$(wc -l <ours)" -gt 500 ]
}

# fetches URL: the kernel's curl gets the file.
fetches() {
    inside curl -sS --retry 20 --retry-connrefused --retry-delay 1 -o fetched "$1"
    cmp fetched "$FILE"
}

# counted COUNTER COMMAND...: how far the command moves a counter of the kernel's TCP.
counted() {
    local before
    before=$(kernel_tcp "$1")
    "${@:2}" >&2
    echo $(($(kernel_tcp "$1") - before))
}

@test "addresses and errors are as the kernel's" {
    as_the_kernel names
}

@test "options are as the kernel's" {
    as_the_kernel options
}

@test "a mapped address is spoken to by our TCP" {
    UTCP_PCAP=$PWD/mapped.pcapng run -0 ours curl -sS -o got -w '%{local_ip} %{remote_ip}' \
        "http://[::ffff:$KERNEL]:8080/file"
    assert_output "::ffff:$STACK ::ffff:$KERNEL"
    cmp got "$FILE"
    assert_equal "$(packets mapped.pcapng 'tcp.flags.syn == 1 && tcp.flags.ack == 0')" 1
}

@test "a real IPv6 address is spoken to by the kernel's TCP" {
    opened=$(counted ActiveOpens ours curl -sS -6 -o got 'http://[::1]:8080/file')
    assert_equal "$opened" 1
    cmp got "$FILE"
    opened=$(counted ActiveOpens ours curl -sS -6 -o got 'http://localhost:8080/file')
    assert_equal "$opened" 1
    cmp got "$FILE"
}

@test "a mapped address that is bypassed is the kernel's" {
    opened=$(counted ActiveOpens ours curl -sS -o got 'http://[::ffff:127.0.0.1]:8080/file')
    assert_equal "$opened" 1
    cmp got "$FILE"
}

@test "nc -6 sends to a mapped address" {
    start receiver nc -6 -d -l 5000 >received
    wait_until 20 kernel_listens 5000
    opened=$(counted ActiveOpens ours nc -6 -N "::ffff:$KERNEL" 5000 <"$FILE")
    assert_equal "$opened" 0
    wait_until 20 ended "$receiver"
    cmp received "$FILE"
}

@test "nc -6 listens on all addresses of IPv4" {
    start_ours server nc -6 -d -l 5001 >received
    wait_until 20 inside nc -N $STACK 5001 <"$FILE"
    wait_until 20 ended "$server"
    cmp received "$FILE"
}

@test "nc -6 says who came as a mapped address" {
    start_ours server nc -6 -v -n -d -l 5002 >received 2>log
    wait_until 20 inside nc -N $STACK 5002 <"$FILE"
    wait_until 20 ended "$server"
    run -0 cat log
    assert_output --partial "Connection received on ::ffff:$KERNEL"
}

@test "python's http.server on :: serves the kernel's curl" {
    start_ours server python3 -m http.server --bind :: --directory "${FILE%/*}" 8081 >log 2>&1
    fetches "http://$STACK:8081/file"
    assert [ ! "$(inside ss -Hltn 'sport = :8081')" ]
    kill "$server"
    run -0 cat log
    assert_output --partial "::ffff:$KERNEL"
}

@test "iperf3 -s as it is serves the kernel's iperf3" {
    start_ours server iperf3 -s -p 5301 >log 2>&1
    once_it_listens inside iperf3 -c $STACK -p 5301 -n 20M
    once_it_listens inside iperf3 -c $STACK -p 5301 -n 20M -R
    once_it_listens inside iperf3 -c $STACK -p 5301 -n 20M -P 4
    assert [ ! "$(inside ss -Hltn 'sport = :5301')" ]
    kill "$server"
    run -0 cat log
    assert_output --partial "local $STACK port 5301 connected to $KERNEL"
}

@test "iperf3 is a client of the kernel's iperf3 by a mapped address" {
    run -0 ours iperf3 -c "::ffff:$KERNEL" -p 5300 -n 20M
    assert_output --partial "local $STACK"
    run -0 ours iperf3 -6 -c "::ffff:$KERNEL" -p 5300 -n 20M -R -P 4
    assert_output --partial "local $STACK"
}

@test "nginx has 0.0.0.0 from us and a v6only :: from the kernel" {
    mkdir -p nginx
    cat >nginx/conf <<END
daemon off;
worker_processes 2;
user root;
pid $PWD/nginx/pid;
error_log $PWD/nginx/error.log;
events { }
http {
    log_format who '\$remote_addr \$server_addr';
    access_log $PWD/nginx/access.log who;
    client_body_temp_path $PWD/nginx/body;
    proxy_temp_path $PWD/nginx/proxy;
    fastcgi_temp_path $PWD/nginx/fastcgi;
    uwsgi_temp_path $PWD/nginx/uwsgi;
    scgi_temp_path $PWD/nginx/scgi;
    server {
        listen 8082;
        listen [::]:8082 ipv6only=on;
        listen [::]:8083 ipv6only=off;
        root ${FILE%/*};
    }
}
END
    start_ours server nginx -c "$PWD/nginx/conf" -p "$PWD/nginx"
    fetches "http://$STACK:8082/file"
    fetches "http://$STACK:8083/file"
    fetches 'http://[::1]:8082/file'
    run -0 inside ss -Hltn 'sport = :8082'
    assert_equal "$(awk '{ print $4 }' <<<"$output")" '[::]:8082'
    assert [ ! "$(inside ss -Hltn 'sport = :8083')" ]
    kill "$server"
    wait_until 20 ended "$server"
    run -0 cat nginx/access.log
    assert_output "$KERNEL $STACK
::ffff:$KERNEL ::ffff:$STACK
::1 ::1"
}

@test "bindv6only of the system is heeded" {
    inside sysctl -qw net.ipv6.bindv6only=1
    start_ours server nc -6 -d -l 5003 >received
    wait_until 20 kernel_listens 5003
    inside sysctl -qw net.ipv6.bindv6only=0
    run -0 inside nc -N ::1 5003 <"$FILE"
    wait_until 20 ended "$server"
    cmp received "$FILE"
}

@test "a bind that the kernel refuses leaves the socket ours" {
    start_ours server python3 -c '
import socket
s = socket.socket(socket.AF_INET6)
for name in "::1", "2001:db8::1", "::ffff:127.0.0.1":
    try:
        s.bind((name, 7777))
    except OSError as error:
        print(name, error.errno, flush=True)
s.bind(("::", 5004))
s.listen()
accepted, peer = s.accept()
print(peer[0], accepted.recv(100))' >log
    wait_until 20 inside sh -c "echo hello | nc -N $STACK 5004"
    wait_until 20 ended "$server"
    run -0 cat log
    assert_output "::1 98
2001:db8::1 99
::ffff:127.0.0.1 98
::ffff:$KERNEL b'hello\n'"
}

@test "a forked worker sees mapped addresses" {
    start_ours server socat TCP6-LISTEN:5005,ipv6only=0,reuseaddr,fork \
        SYSTEM:'echo $SOCAT_SOCKADDR $SOCAT_PEERADDR; cat'
    run -0 inside bash -c "
        until exec 5<>/dev/tcp/$STACK/5005; do sleep 0.1; done 2>/dev/null
        head -n 1 <&5"
    assert_output "[0000:0000:0000:0000:0000:ffff:0a00:0001] [0000:0000:0000:0000:0000:ffff:0a00:0002]"
    kill "$server"
}

@test "a kernel without IPv6 is asked for none before it is needed" {
    start_ours server "$BUILD/test/programs/inet6" without nc -6 -d -l 5006 >received
    wait_until 20 inside nc -N $STACK 5006 <"$FILE"
    wait_until 20 ended "$server"
    cmp received "$FILE"
    run -7 ours "$BUILD/test/programs/inet6" without curl -v 'http://[::1]:8080/file'
    assert_output --partial 'Address family not supported'
}
