# SPDX-License-Identifier: MIT
#
# The servers of the compatibility matrix, on our TCP; their clients are on the kernel's.

load lib
load matrix

setup_file() {
    matrix_setup
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    cp "$BIG" "$SMALL" .
}

teardown() {
    stop_server
}

nginx_config() {
    certificate
    cat >nginx.conf <<END
user root;
pid $PWD/nginx.pid;
error_log $PWD/error.log;
worker_processes 4;
events { worker_connections 512; accept_mutex off; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path $PWD/body;
    server {
        listen 8000 reuseport_or_not;
        listen 8443 ssl;
        ssl_certificate $PWD/cert.pem;
        ssl_certificate_key $PWD/key.pem;
        root $PWD;
    }
}
END
    sed -i 's/ reuseport_or_not//' nginx.conf
}

@test "nginx with four workers, with sendfile and TLS, and reloaded" {
    nginx_config
    server nginx nginx -p "$PWD" -c nginx.conf -g 'daemon off;'
    wait_until 60 answers 8000
    fetches http://$STACK:8000/big
    fetches https://$STACK:8443/big -k
    run -0 inside ab -q -n 1000 -c 20 http://$STACK:8000/small
    assert_line --regexp 'Complete requests: +1000'
    refute_line --regexp 'Failed requests: +[1-9]'
    kill -HUP "$server"
    sleep 0.5
    fetches http://$STACK:8000/big
    run -0 inside ab -q -k -n 1000 -c 20 http://$STACK:8000/small
    assert_line --regexp 'Complete requests: +1000'
    refute_line --regexp 'Failed requests: +[1-9]'
    cell 'nginx with 4 workers, reload, HTTPS' server kernel bridged
}

@test "nginx as a daemon" {
    nginx_config
    UTCP_LOG=info ours nginx -p "$PWD" -c nginx.conf 2>nginx.log
    wait_until 60 answers 8000
    fetches http://$STACK:8000/big
    inside nginx -p "$PWD" -c nginx.conf -s quit
    wait_until 240 test ! -e nginx.pid
    cell 'nginx as a daemon' server kernel bridged
}

# It gives its listener to the new one with an environment that it has cleaned.
@test "nginx, replaced by another binary while it runs" {
    local old
    nginx_config
    UTCP_LOG=info ours /usr/sbin/nginx -p "$PWD" -c nginx.conf 2>nginx.log
    wait_until 60 answers 8000
    old=$(cat nginx.pid)
    kill -USR2 "$old"
    wait_until 60 test -s nginx.pid.oldbin -a -s nginx.pid
    kill -QUIT "$old"
    wait_until 60 test ! -e nginx.pid.oldbin
    fetches http://$STACK:8000/big
    run -0 inside ab -q -n 1000 -c 20 http://$STACK:8000/small
    assert_line --regexp 'Complete requests: +1000'
    refute_line --regexp 'Failed requests: +[1-9]'
    cell 'nginx replaced by another binary' server kernel bridged
}

@test "nginx in one process" {
    nginx_config
    server nginx nginx -p "$PWD" -c nginx.conf -g 'daemon off; master_process off;'
    wait_until 60 answers 8000
    fetches http://$STACK:8000/big
    run -0 inside ab -q -n 1000 -c 20 http://$STACK:8000/small
    refute_line --regexp 'Failed requests: +[1-9]'
    cell 'nginx in one process' server kernel pass
}

@test "redis-server, with BGSAVE between" {
    server redis redis-server --port 6379 --bind $STACK --dir "$PWD" --save '' --protected-mode no
    wait_until 60 answers 6379
    run -0 inside redis-benchmark -h $STACK -q -n 2000 -c 20 -d 1000 -t set,get
    run -0 inside redis-cli -h $STACK bgsave
    run -0 inside redis-cli -h $STACK -x set big <"$BIG"
    assert_output OK
    inside redis-cli -h $STACK get big | head -c 10000000 >fetched
    cmp "$BIG" fetched
    cell 'redis-server with BGSAVE' server kernel pass
}

@test "lighttpd" {
    cat >lighttpd.conf <<END
server.document-root = "$PWD"
server.port = 8000
server.bind = "$STACK"
server.errorlog = "$PWD/error.log"
END
    server lighttpd lighttpd -D -f lighttpd.conf
    wait_until 60 answers 8000
    fetches http://$STACK:8000/big
    run -0 inside ab -q -n 1000 -c 20 http://$STACK:8000/small
    refute_line --regexp 'Failed requests: +[1-9]'
    cell lighttpd server kernel pass
}

# worker_but PID: the server has another one, and that one has gone.
worker_but() {
    [[ $(pgrep -P "$server") && $(pgrep -P "$server") != *"$1"* ]]
}

@test "haproxy -W before a web server" {
    start backend python3 -m http.server --bind $KERNEL 8081 >/dev/null 2>&1
    wait_until 20 kernel_listens 8081
    cat >haproxy.cfg <<END
global
    maxconn 200
defaults
    mode http
    timeout connect 60s
    timeout client 240s
    timeout server 240s
listen web
    bind :8000
    option splice-response
    server one $KERNEL:8081
listen raw
    mode tcp
    bind :8001
    option splice-auto
    server one $KERNEL:8081
END
    server haproxy haproxy -W -f haproxy.cfg
    wait_until 60 answers 8000
    fetches http://$STACK:8000/big
    fetches http://$STACK:8001/big
    run -0 inside ab -q -n 1000 -c 10 http://$STACK:8000/small
    refute_line --regexp 'Failed requests: +[1-9]'
    # The master executes itself anew, and the new worker gets the listeners of the old one.
    local worker
    worker=$(pgrep -P "$server")
    kill -USR2 "$server"
    wait_until 60 worker_but "$worker"
    fetches http://$STACK:8000/big
    kill "$backend"
    cell 'haproxy -W, with splice, reload' server kernel bridged
}

@test "memcached" {
    server memcached memcached -u root -l $STACK -p 11211 -t 4 -I 8m -m 256
    wait_until 60 answers 11211
    # shellcheck disable=SC2016
    run -0 inside perl -MIO::Socket::INET -e 'alarm 240;
        for my $round (1 .. 10) {
            $s = IO::Socket::INET->new("$ARGV[0]:11211") or die $!;
            for (1 .. 100) { $text = chr(64 + $_ % 26) x (10000 + $_);
                print $s "set k$_ 0 0 ", length $text, "\r\n$text\r\n"; <$s> eq "STORED\r\n" or die;
                print $s "get k$_\r\n"; <$s>; read($s, $back, length($text) + 2);
                $back eq "$text\r\n" or die; <$s> } }
        print "all there"' $STACK
    assert_output 'all there'
    cell memcached server kernel pass
}

@test "iperf3 -s, with streams in both directions" {
    server iperf3 iperf3 -s -B $STACK
    once_it_listens inside iperf3 -c $STACK -n 10M
    once_it_listens inside iperf3 -c $STACK -n 10M -R
    once_it_listens inside iperf3 -c $STACK -n 10M -P 8
    once_it_listens inside iperf3 -c $STACK -t 1 --bidir
    cell 'iperf3 -s' server kernel pass
}

# ssh_keys: a host key, a user's key that the server takes, and sshd's configuration for port 2222.
ssh_keys() {
    ssh-keygen -q -t ed25519 -N '' -f host
    ssh-keygen -q -t ed25519 -N '' -f user
    inside mkdir -p -m 755 /run/sshd
    cat >sshd_config <<END
Port 2222
HostKey $PWD/host
AuthorizedKeysFile $PWD/user.pub
StrictModes no
PermitRootLogin yes
PidFile none
UsePAM no
Subsystem sftp internal-sftp
END
    ssh_options=(-F none -i user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
        -o LogLevel=ERROR -o BatchMode=yes)
}

@test "sshd, with ssh, scp, sftp and rsync" {
    ssh_keys
    server sshd /usr/sbin/sshd -D -e -f "$PWD/sshd_config"
    wait_until 60 answers 2222
    inside timeout 240 ssh "${ssh_options[@]}" -p 2222 root@$STACK cat <"$BIG" >echoed
    cmp "$BIG" echoed
    inside timeout 240 scp "${ssh_options[@]}" -O -P 2222 "$BIG" root@$STACK:"$PWD/by-scp"
    cmp "$BIG" by-scp
    echo "get $BIG by-sftp" | inside timeout 240 sftp "${ssh_options[@]}" -P 2222 -b - root@$STACK
    cmp "$BIG" by-sftp
    inside timeout 240 rsync -e "ssh ${ssh_options[*]} -p 2222" "$BIG" root@$STACK:"$PWD/by-rsync"
    cmp "$BIG" by-rsync
    cell 'sshd (re-exec with the socket)' server kernel bridged
}

@test "git daemon" {
    git init -q --bare repository
    git init -q work
    cp "$BIG" work/big
    git -C work add big
    git -C work -c user.name=x -c user.email=x commit -qm big
    git -C work push -q "$PWD/repository" HEAD:main
    git -C repository symbolic-ref HEAD refs/heads/main
    server git git daemon --export-all --reuseaddr --base-path="$PWD"
    wait_until 60 answers 9418
    inside timeout 240 git clone -q git://$STACK/repository clone
    cmp "$BIG" clone/big
    cell 'git daemon' server kernel bridged
}

@test "python3 -m http.server" {
    server python python3 -m http.server --bind $STACK 8000
    wait_until 60 answers 8000
    fetches http://$STACK:8000/big
    run -0 inside ab -q -n 1000 -c 5 http://$STACK:8000/small
    refute_line --regexp 'Failed requests: +[1-9]'
    cell 'python3 -m http.server' server kernel pass
}

@test "a python3 asyncio server" {
    server python python3 -c '
import asyncio
async def echo(reader, writer):
    while text := await reader.read(65536):
        writer.write(text); await writer.drain()
    writer.write_eof(); await writer.drain(); writer.close()
async def main():
    server = await asyncio.start_server(echo, "'$STACK'", 8000)
    await server.serve_forever()
asyncio.run(main())'
    wait_until 60 answers 8000
    echoes 8000
    cell 'python3 asyncio' server kernel pass
}

@test "a prefork server in python3" {
    server python python3 -c '
import os, socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("'$STACK'", 8000)); s.listen(100)
for _ in range(4):
    if os.fork() == 0:
        while True:
            c, peer = s.accept()
            while text := c.recv(65536): c.sendall(text)
            c.close()
os.wait()'
    wait_until 60 answers 8000
    for _ in 1 2 3 4; do echoes 8000; done
    cell 'python3 prefork' server kernel bridged
}

@test "node: an http server" {
    server node node -e '
require("http").createServer((q, r) => require("fs").createReadStream("." + q.url).pipe(r)).listen(8000, "'$STACK'")'
    wait_until 60 answers 8000
    fetches http://$STACK:8000/big
    run -0 inside ab -q -n 1000 -c 10 http://$STACK:8000/small
    refute_line --regexp 'Failed requests: +[1-9]'
    cell 'node http' server kernel pass
}

@test "node: a cluster of four" {
    cat >cluster.js <<END
const cluster = require("cluster");
if (cluster.isPrimary) for (let i = 0; i < 4; i++) cluster.fork();
else require("http").createServer((q, r) => require("fs").createReadStream("." + q.url).pipe(r)).listen(8000, "$STACK")
END
    server node node cluster.js
    wait_until 60 answers 8000
    fetches http://$STACK:8000/big
    run -0 inside ab -q -n 1000 -c 10 http://$STACK:8000/small
    refute_line --regexp 'Failed requests: +[1-9]'
    cell 'node cluster' server kernel bridged
}

@test "postgres, with pgbench and a large value" {
    local bin
    bin=$(echo /usr/lib/postgresql/*/bin)
    inside install -d -o postgres /run/data
    as_postgres "$bin/initdb" -D /run/data -A trust >/dev/null
    as_postgres sh -c "echo 'host all all 0.0.0.0/0 trust' >>/run/data/pg_hba.conf"
    # The servers are processes of another user, with devices that root makes for it.
    inside ip tuntap del dev utcp0 mode tun
    inside chmod 666 /dev/net/tun
    inside ip tuntap add dev utcp0 mode tun user postgres vnet_hdr
    inside ip link set dev utcp0 addrgenmode none
    inside ip address add $KERNEL peer $STACK dev utcp0
    inside ip link set dev utcp0 up
    cd /
    UTCP_LOG=info start_ours server setpriv --reuid=postgres --regid=postgres --clear-groups \
        "$bin/postgres" -D /run/data -c listen_addresses=$STACK -c unix_socket_directories= >"$BATS_FILE_TMPDIR/postgres.log" 2>&1
    cd "$BATS_FILE_TMPDIR"
    wait_until 60 answers 5432
    wait_until 60 inside psql -h $STACK -U postgres -c 'select 1'
    run -0 inside "$bin/pgbench" -h $STACK -U postgres -i -q postgres
    run -0 inside "$bin/pgbench" -h $STACK -U postgres -c 4 -j 2 -t 250 postgres
    assert_line --regexp 'number of transactions actually processed: 1000/1000'
    inside psql -h $STACK -U postgres -tAc "select repeat('0123456789', 1000000)" >fetched
    assert_equal "$(tr -d '\n' <fetched | md5sum)" "$(printf '%.0s0123456789' {1..1000000} | md5sum)"
    cell postgres server kernel bridged
}

as_postgres() {
    (cd / && inside setpriv --reuid=postgres --regid=postgres --clear-groups "$@")
}

@test "rsync as a daemon" {
    printf '%s\n' 'use chroot = no' 'uid = root' 'gid = root' '[files]' "path = $PWD" 'read only = no' >rsyncd.conf
    server rsync rsync --daemon --no-detach --config="$PWD/rsyncd.conf" --address=$STACK --log-file="$PWD/rsyncd.log"
    wait_until 60 answers 873
    inside timeout 240 rsync rsync://$STACK/files/big fetched
    cmp "$BIG" fetched
    inside timeout 240 rsync "$BIG" rsync://$STACK/files/sent
    cmp "$BIG" sent
    cell 'rsync --daemon' server kernel bridged
}

@test "busybox httpd" {
    server httpd busybox httpd -f -p $STACK:8000 -h "$PWD"
    wait_until 60 answers 8000
    fetches http://$STACK:8000/big
    run -0 inside ab -q -n 1000 -c 10 http://$STACK:8000/small
    refute_line --regexp 'Failed requests: +[1-9]'
    cell 'busybox httpd' server kernel bridged
}

# shellcheck disable=SC2016
@test "inetd style: ncat -lk -e cat" {
    # ncat's relay of what a program returns has never been good at both directions at once.
    server ncat ncat -lk --sh-exec 'read word; case $word in put) head -c 10000000 | md5sum ;; get) cat big ;; esac' \
        $STACK 8000
    wait_until 60 answers 8000
    run -0 inside sh -c "{ echo put; cat big; } | timeout 240 nc $STACK 8000"
    assert_output "$(md5sum <big)"
    inside sh -c "echo get | timeout 240 nc $STACK 8000" >fetched
    cmp big fetched
    cell 'ncat -lk -e' server kernel bridged
}

@test "inetd style: socat EXEC" {
    server socat socat TCP-LISTEN:8000,bind=$STACK,reuseaddr,fork EXEC:cat
    wait_until 60 answers 8000
    echoes 8000
    echoes 8000
    cell 'socat EXEC' server kernel bridged
}
