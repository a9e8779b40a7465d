# SPDX-License-Identifier: MIT
#
# The compatibility matrix once more, without the kernel's TCP: client and server are both on ours, each with a device of
# its own, and the kernel routes between the two.
#
#	10.0.0.1 --[utcp0]-- 10.0.0.2  the kernel  10.0.0.6 --[utcp1]-- 10.0.0.5
#	client                                                         server

load lib
load matrix

THERE=10.0.0.5

setup_file() {
    matrix_setup
    inside sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    inside ip tuntap add dev utcp1 mode tun vnet_hdr user postgres
    inside ip link set dev utcp1 addrgenmode none
    inside ip address add 10.0.0.6 peer $THERE dev utcp1
    inside ip link set dev utcp1 up
    inside chmod 666 /dev/net/tun
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    cp "$BIG" "$SMALL" .
    export UTCP_DEV=utcp1
}

teardown() {
    stop_server
}

# listens PORT: the server is there.
listens() {
    inside nc -z -w 2 $THERE "$1"
}

# near COMMAND...: a client, on the other device.
near() {
    UTCP_DEV=utcp0 client "$@"
}

# pair CLIENT RESULT SERVER RESULT
pair() {
    cell "$1, to $3" client utcp "$2"
    cell "$3, from $1" server utcp "$4"
}

nginx_server() {
    certificate
    mkdir -p up body
    cat >nginx.conf <<END
user root;
pid $PWD/nginx.pid;
error_log $PWD/error.log;
worker_processes 4;
events { worker_connections 512; }
http {
    access_log off;
    sendfile on;
    client_body_temp_path $PWD/body;
    server {
        listen 80;
        listen 443 ssl http2;
        ssl_certificate $PWD/cert.pem;
        ssl_certificate_key $PWD/key.pem;
        client_max_body_size 0;
        root $PWD;
        location /up { dav_methods PUT; }
    }
}
END
    server nginx nginx -p "$PWD" -c nginx.conf -g 'daemon off;'
    wait_until 60 listens 80
}

@test "curl and nginx" {
    nginx_server
    near curl -sS --fail -o got http://$THERE/big
    cmp "$BIG" got
    near curl -sSk --fail --http2 -o got https://$THERE/big
    cmp "$BIG" got
    near curl -sS --fail -T big http://$THERE/up/big
    cmp "$BIG" up/big
    pair curl pass nginx bridged
}

@test "wget and nginx over a bad link" {
    UTCP_IMPAIR='delay 2ms loss 1% seed 11' nginx_server
    UTCP_IMPAIR='delay 2ms 1ms loss 0.5% reorder 5% seed 12' near wget -q -O got http://$THERE/big
    cmp "$BIG" got
    pair 'wget over a bad link' pass nginx bridged
}

@test "ssh, scp and sshd" {
    ssh-keygen -q -t ed25519 -N '' -f host
    ssh-keygen -q -t ed25519 -N '' -f user
    inside mkdir -p -m 755 /run/sshd
    printf '%s\n' 'Port 2222' "HostKey $PWD/host" "AuthorizedKeysFile $PWD/user.pub" 'StrictModes no' \
        'PermitRootLogin yes' 'PidFile none' 'UsePAM no' 'Subsystem sftp internal-sftp' >sshd_config
    options=(-F none -i user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
        -o BatchMode=yes)
    server sshd /usr/sbin/sshd -D -e -f "$PWD/sshd_config"
    wait_until 60 listens 2222
    near ssh "${options[@]}" -p 2222 root@$THERE cat <"$BIG" >got
    cmp "$BIG" got
    near scp -q "${options[@]}" -P 2222 "$BIG" root@$THERE:"$PWD/there"
    cmp "$BIG" there
    pair ssh pass sshd bridged
}

@test "iperf3 and iperf3" {
    server iperf3 iperf3 -s -B $THERE
    for options in '' -R '-P 8'; do
        # shellcheck disable=SC2086
        once_it_listens near iperf3 -c $THERE -n 100M -J $options
        echo "$output" >report
        run -0 python3 -c 'import json; print(json.load(open("report"))["end"]["sum_received"]["bytes"] >= 10000000)'
        assert_output True
    done
    pair iperf3 pass iperf3 pass
}

@test "redis-benchmark and redis-server" {
    server redis redis-server --port 6379 --bind $THERE --dir "$PWD" --save '' --protected-mode no
    wait_until 60 listens 6379
    near redis-benchmark -h $THERE --csv -n 5000 -c 20 -d 1000 -t set,get >out
    near redis-benchmark -h $THERE --csv -n 20000 -c 20 -P 16 -t set,get >>out
    assert_equal "$(grep -cE '^"(SET|GET)"' out)" 4
    pair redis-benchmark pass redis-server pass
}

@test "git and git daemon" {
    git init -q --bare repository
    git init -q work
    cp "$BIG" work/big
    git -C work add big
    git -C work -c user.name=x -c user.email=x commit -qm big
    git -C work push -q "$PWD/repository" HEAD:main
    git -C repository symbolic-ref HEAD refs/heads/main
    server git git daemon --export-all --reuseaddr --base-path="$PWD"
    wait_until 60 listens 9418
    near git clone -q git://$THERE/repository clone
    cmp "$BIG" clone/big
    pair 'git clone' bridged 'git daemon' bridged
}

@test "nc and nc, also over a bad link" {
    UTCP_LOG=info start_ours server nc -nv -l 5000 >received 2>nc.log
    wait_until 60 grep -q Listening nc.log
    near nc -N $THERE 5000 <"$BIG"
    wait "$server"
    cmp "$BIG" received
    UTCP_LOG=info UTCP_IMPAIR='delay 2ms loss 1% seed 21' start_ours server nc -nv -N -l 5000 <"$BIG" 2>nc.log
    wait_until 60 grep -q Listening nc.log
    UTCP_IMPAIR='delay 2ms loss 1% seed 22' near nc -d $THERE 5000 >got
    wait "$server"
    cmp "$BIG" got
    pair nc pass nc pass
}

@test "python3 asyncio and node http" {
    server node node -e '
require("http").createServer((q, r) => require("fs").createReadStream("." + q.url).pipe(r)).listen(8000, "'$THERE'")'
    wait_until 60 listens 8000
    near python3 -c '
import asyncio, sys
big = open("big", "rb").read()
async def fetch():
    reader, writer = await asyncio.open_connection(sys.argv[1], 8000)
    writer.write(b"GET /big HTTP/1.0\r\n\r\n")
    head, body = (await reader.read(-1)).split(b"\r\n\r\n", 1)
    writer.close()
    assert body == big, len(body)
async def main():
    await asyncio.gather(*[fetch() for _ in range(5)])
asyncio.run(main())' $THERE
    pair 'python3 asyncio' pass node pass
}

@test "psql, pgbench and postgres" {
    local bin
    bin=$(echo /usr/lib/postgresql/*/bin)
    inside install -d -o postgres /run/data
    as_postgres "$bin/initdb" -D /run/data -A trust -N >/dev/null
    as_postgres sh -c "echo 'host all all 0.0.0.0/0 trust' >>/run/data/pg_hba.conf"
    openssl base64 -in big -out text
    # Root's folders are none of postgres's.
    cd / && UTCP_LOG=info start_ours server setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/postgres" \
        -D /run/data -c fsync=off -c listen_addresses=$THERE -c unix_socket_directories= >"$BATS_TEST_TMPDIR/postgres.log" 2>&1
    cd "$BATS_TEST_TMPDIR"
    wait_until 60 listens 5432
    wait_until 60 inside psql -h $THERE -U postgres -c 'select 1'
    near psql -h $THERE -U postgres -qc 'create table t (x text)' </dev/null
    near psql -h $THERE -U postgres -qc '\copy t from stdin' <text
    near psql -h $THERE -U postgres -qc '\copy t to stdout' >got
    cmp text got
    near "$bin/pgbench" -h $THERE -U postgres -i -q postgres
    run -0 near "$bin/pgbench" -h $THERE -U postgres -c 4 -j 2 -t 250 postgres
    assert_line --regexp 'number of transactions actually processed: 1000/1000'
    pair psql pass postgres bridged
    pair pgbench pass postgres bridged
}

as_postgres() {
    (cd / && inside setpriv --reuid=postgres --regid=postgres --clear-groups "$@")
}

@test "wrk and lighttpd" {
    printf '%s\n' "server.document-root = \"$PWD\"" 'server.port = 8000' "server.bind = \"$THERE\"" \
        "server.errorlog = \"$PWD/error.log\"" >lighttpd.conf
    server lighttpd lighttpd -D -f lighttpd.conf
    wait_until 60 listens 8000
    near wrk -t 2 -c 20 -d 2 http://$THERE:8000/small >out
    run -0 awk '/requests in/ { print ($1 >= 1000) }' out
    assert_output 1
    run -0 cat out
    refute_output --partial 'Socket errors'
    refute_output --partial 'Non-2xx'
    pair wrk pass lighttpd pass
}

@test "socat and memcached" {
    server memcached memcached -u root -l $THERE -p 11211 -I 32m -m 256
    wait_until 60 listens 11211
    { printf 'set big 0 0 10000000\r\n'; cat big; printf '\r\nget big\r\nquit\r\n'; } |
        near socat -t 200 - TCP:$THERE:11211 >got
    run -0 head -n 2 got
    assert_output $'STORED\r\nVALUE big 0 10000000\r'
    cmp -n 10000000 "$BIG" <(tail -n +3 got)
    pair socat pass memcached pass
}
