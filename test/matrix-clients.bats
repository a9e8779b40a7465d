# SPDX-License-Identifier: MIT
#
# The clients of the compatibility matrix, on our TCP; their servers are on the kernel's. What several of them
# talk to is started once for all.

load lib
load matrix

setup_file() {
    matrix_setup
    certificate
    make_file million 1000000
    openssl base64 -in big -out text
    web_server
    echo_server
    repository
    inside git daemon --export-all --reuseaddr --base-path="$PWD" --listen=$KERNEL --detach 3>&-
    sshd_server
    start iperf iperf3 -s -B $KERNEL >iperf.out 2>&1
    start redis redis-server --port 6379 --bind $KERNEL --save '' --protected-mode no >redis.out
    for port in 80 443 7 9418 2222 5201 6379; do wait_until 60 kernel_listens $port; done
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    FILES=$BATS_FILE_TMPDIR
}

teardown() {
    [[ ${BATS_TEST_COMPLETED:-} ]] || tail -n 40 ./*.log 2>/dev/null || true
    wait_until 60 none_running
    wait_until 60 no_keeper
}

# web_server: by HTTP, and by HTTP/2 with TLS; takes uploads into up/.
web_server() {
    mkdir -p up body
    cat >nginx.conf <<END
user root;
daemon off;
pid $PWD/nginx.pid;
error_log $PWD/error.out;
events { worker_connections 512; }
http {
    access_log off;
    keepalive_requests 100000;
    client_body_temp_path $PWD/body;
    server {
        listen $KERNEL:80;
        listen $KERNEL:443 ssl http2;
        ssl_certificate $PWD/cert.pem;
        ssl_certificate_key $PWD/key.pem;
        client_max_body_size 0;
        root $PWD;
        location /up { dav_methods PUT; }
    }
}
END
    start nginx nginx -p "$PWD" -c nginx.conf 2>nginx.out
}

# echo_server: on port 7. (The kernel resets connections when a backlog of socat's usual 5 is full.)
echo_server() {
    start echo socat -t 240 "TCP-LISTEN:7,bind=$KERNEL,reuseaddr,fork,backlog=300" EXEC:cat 2>echo.out
}

# repository: with the big file in it, for git daemon, and for web servers that know nothing of git.
repository() {
    git init -q --bare repository
    git init -q work
    cp big work/big
    git -C work add big
    git -C work -c user.name=x -c user.email=x commit -qm big
    git -C work push -q "$PWD/repository" HEAD:main
    git -C repository symbolic-ref HEAD refs/heads/main
    git -C repository update-server-info
}

sshd_server() {
    ssh-keygen -q -t ed25519 -N '' -f host
    ssh-keygen -q -t ed25519 -N '' -f user
    inside mkdir -p -m 755 /run/sshd
    cat >sshd_config <<END
Port 2222
ListenAddress $KERNEL
HostKey $PWD/host
AuthorizedKeysFile $PWD/user.pub
StrictModes no
PermitRootLogin yes
PidFile none
UsePAM no
Subsystem sftp internal-sftp
END
    start sshd /usr/sbin/sshd -D -e -f "$PWD/sshd_config" 2>sshd.out
}

ssh_options() {
    options=(-F none -i "$FILES/user" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
        -o LogLevel=ERROR -o BatchMode=yes)
}

# nc_server FILE: takes one connection on port 5000, sends the file, and writes what comes to "received".
nc_server() {
    start server nc -N -l $KERNEL 5000 <"$1" >received
    wait_until 10 kernel_listens 5000
}

# arrived BYTES: so many are in "received".
arrived() {
    [[ $(stat -c %s received) == "$1" ]]
}

# ---- the web ----

@test "curl" {
    client curl -sS --fail -o got http://$KERNEL/big
    cmp "$BIG" got
    cell curl client kernel pass
}

@test "curl --parallel" {
    client curl -sS --fail --parallel --parallel-immediate -o 'got#1' "http://$KERNEL/{big,text,million}" \
        -o 'again#1' "http://$KERNEL/{big,text,million}"
    for file in big text million; do
        cmp "$FILES/$file" got$file
        cmp "$FILES/$file" again$file
    done
    cell 'curl --parallel' client kernel pass
}

@test "curl -T uploads" {
    client curl -sS --fail -T "$BIG" http://$KERNEL/up/curl
    cmp "$BIG" "$FILES/up/curl"
    cell 'curl -T' client kernel pass
}

@test "curl -C - goes on with a download" {
    head -c 400000 "$FILES/text" >got
    client curl -sS --fail -C - -o got http://$KERNEL/text
    cmp "$FILES/text" got
    cell 'curl -C -' client kernel pass
}

@test "curl with HTTPS, also by HTTP/2" {
    run -0 client curl -sSk --http1.1 -o got -w '%{http_version}' https://$KERNEL/big
    assert_output 1.1
    cmp "$BIG" got
    run -0 client curl -sSk --http2 -o got -w '%{http_version}' https://$KERNEL/big
    assert_output 2
    cmp "$BIG" got
    run -0 client curl -sSk --http2 --parallel -o 'got#1' -w '%{http_version}' "https://$KERNEL/{big,text}"
    assert_output 22
    cmp "$BIG" gotbig
    cmp "$FILES/text" gottext
    cell 'curl with HTTPS, HTTP/2' client kernel pass
}

@test "wget, also limited in time, and to go on" {
    client wget -q --tries=1 --timeout=200 -O got http://$KERNEL/big
    cmp "$BIG" got
    head -c 400000 "$FILES/text" >text
    client wget -q -c http://$KERNEL/text
    cmp "$FILES/text" text
    client wget -q --no-check-certificate -O got https://$KERNEL/big
    cmp "$BIG" got
    cell wget client kernel pass
}

@test "busybox wget" {
    client busybox wget -q -O got http://$KERNEL/big
    cmp "$BIG" got
    cell 'busybox wget' client kernel bridged
}

@test "wrk" {
    client wrk -t 2 -c 20 -d 2 http://$KERNEL/small >out
    run -0 awk '/requests in/ { print ($1 >= 1000) }' out
    assert_output 1
    run -0 cat out
    refute_output --partial 'Socket errors'
    refute_output --partial 'Non-2xx'
    cell wrk client kernel pass
}

@test "ab, with a connection for each request, and with few for all" {
    for options in '' -k; do
        # shellcheck disable=SC2086
        run -0 client ab -q $options -n 1000 -c 20 http://$KERNEL/small
        assert_line --regexp 'Complete requests: +1000'
        assert_line --regexp 'Failed requests: +0'
        assert_line --regexp 'HTML transferred: +4000000 bytes'
    done
    cell ab client kernel pass
}

# ---- bytes there and back ----

@test "nc -N sends and receives" {
    client nc -N $KERNEL 7 <"$BIG" >got
    cmp "$BIG" got
    cell 'nc -N' client kernel pass
}

@test "nc with time-outs, buffers, a source port, and a scan" {
    client nc -z -v $KERNEL 7 80
    assert [ "$(grep -c succeeded client.log)" == 2 ]
    run -1 client nc -z -w 5 $KERNEL 9
    nc_server "$FILES/text"
    client nc -d -w 20 -p 4321 -s $STACK -I 100000 -O 100000 -T lowdelay $KERNEL 5000 >got
    wait "$server"
    cmp "$FILES/text" got
    nc_server /dev/null
    client nc -q 1 $KERNEL 5000 <"$BIG"
    wait "$server"
    cmp "$BIG" received
    cell 'nc -z, -w, -q, -p, -s, -I, -O, -T' client kernel pass
}

@test "nc -l, and -lk for many" {
    UTCP_LOG=info start_ours server nc -nv -l 5000 >received 2>nc.log
    wait_until 60 grep -q Listening nc.log
    inside timeout 240 nc -N $STACK 5000 <"$BIG"
    wait "$server"
    cmp "$BIG" received
    UTCP_LOG=info start_ours server nc -nv -N -l 5000 <"$BIG" 2>nc.log
    wait_until 60 grep -q Listening nc.log
    inside timeout 240 nc -d $STACK 5000 >got
    wait "$server"
    cmp "$BIG" got
    UTCP_LOG=info start_ours server nc -nv -lk 5000 >received 2>nc.log
    wait_until 60 grep -q Listening nc.log
    for _ in {1..10}; do inside timeout 240 nc -N $STACK 5000 <"$FILES/million"; done
    wait_until 60 arrived 10000000
    kill "$server"
    cmp received <(for _ in {1..10}; do cat "$FILES/million"; done)
    cell 'nc -l, -lk' server kernel pass
}

@test "ncat" {
    client ncat $KERNEL 7 <"$BIG" >got
    cmp "$BIG" got
    nc_server /dev/null
    client ncat --send-only $KERNEL 5000 <"$BIG"
    wait "$server"
    cmp "$BIG" received
    cell ncat client kernel pass
}

@test "ncat --ssl" {
    client ncat --ssl --no-shutdown $KERNEL 443 <<<$'GET /big HTTP/1.0\r\n\r' | sed '1,/^\r$/d' >got
    cmp "$BIG" got
    cell 'ncat --ssl' client kernel pass
}

# On any TCP its relay leaves at the peer's FIN, and fills up when both sides talk at once.
@test "ncat -e runs a program on its connection" {
    start server nc -d -l $KERNEL 5000 >received
    wait_until 10 kernel_listens 5000
    client ncat --sh-exec "cat '$BIG'" $KERNEL 5000
    wait "$server"
    cmp "$BIG" received
    nc_server "$BIG"
    client ncat --sh-exec "cat >got" $KERNEL 5000
    wait "$server"
    wait_until 60 cmp "$BIG" got
    cell 'ncat -e' client kernel bridged
}

@test "socat" {
    client socat -t 60 - TCP:$KERNEL:7 <"$BIG" >got
    cmp "$BIG" got
    cell socat client kernel pass
}

@test "socat EXEC" {
    nc_server "$BIG"
    client socat -t 60 TCP:$KERNEL:5000 EXEC:md5sum
    wait "$server"
    run -0 cat received
    assert_output "$(md5sum <"$BIG")"
    cell 'socat EXEC' client kernel pass
}

@test "socat EXEC with nofork gives its connection away" {
    nc_server "$BIG"
    client socat TCP:$KERNEL:5000 EXEC:md5sum,nofork
    wait "$server"
    run -0 cat received
    assert_output "$(md5sum <"$BIG")"
    cell 'socat EXEC,nofork' client kernel bridged
}

# Without a terminal telnet leaves at the end of its input, whatever is on its way.
@test "telnet" {
    start server nc -l $KERNEL 5000 <"$FILES/text" >received
    wait_until 10 kernel_listens 5000
    client telnet $KERNEL 5000 < <(cat "$FILES/text"; wait_until 200 telnet_is_done) >got || true
    telnet_is_done
    cell telnet client kernel pass
}

# Behind three lines of its own, and without the carriage returns that it adds.
telnet_is_done() {
    cmp "$FILES/text" <(tail -n +4 got) && cmp "$FILES/text" <(tr -d '\r' <received)
}

# shellcheck disable=SC2016
@test "bash /dev/tcp, with cat" {
    client bash -c "exec 3<>/dev/tcp/$KERNEL/80
        printf 'GET /big HTTP/1.0\r\n\r\n' >&3; while read -r line <&3 && [[ \$line != \$'\r' ]]; do :; done
        cat <&3 >got"
    cmp "$BIG" got
    nc_server /dev/null
    client bash -c "cat '$BIG' >/dev/tcp/$KERNEL/5000"
    wait "$server"
    cmp "$BIG" received
    cell 'bash /dev/tcp' client kernel bridged
}

# shellcheck disable=SC2016
@test "perl IO::Socket" {
    client perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new("$ARGV[0]:7") or die $!; local $/;
        open F, "<", $ARGV[1]; $text = <F>;
        if (!($child = fork)) { print $s $text; $s->flush; $s->shutdown(1); exit 0 }
        open G, ">", "got"; print G <$s>; waitpid $child, 0; exit $?' $KERNEL "$BIG"
    cmp "$BIG" got
    cell 'perl IO::Socket, with a fork' client kernel bridged
}

# shellcheck disable=SC2016
@test "perl IO::Socket line by line" {
    client perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new("$ARGV[0]:80") or die $!;
        print $s "GET /text HTTP/1.0\r\n\r\n"; 1 while <$s> ne "\r\n"; print while <$s>' $KERNEL >got
    cmp "$FILES/text" got
    cell 'perl IO::Socket' client kernel pass
}

# ---- ssh and what goes through it ----

@test "ssh" {
    ssh_options
    client ssh "${options[@]}" -p 2222 root@$KERNEL cat <"$BIG" >got
    cmp "$BIG" got
    cell ssh client kernel pass
}

@test "scp, there and back" {
    ssh_options
    client scp -q "${options[@]}" -P 2222 "$BIG" root@$KERNEL:"$PWD/there"
    client scp -q "${options[@]}" -P 2222 root@$KERNEL:"$PWD/there" back
    cmp "$BIG" back
    cell scp client kernel pass
}

@test "sftp, there and back" {
    ssh_options
    printf 'put %s %s\nget %s %s\n' "$BIG" "$PWD/there" "$PWD/there" back |
        client sftp "${options[@]}" -P 2222 -b - root@$KERNEL
    cmp "$BIG" back
    cell sftp client kernel pass
}

@test "rsync over ssh" {
    ssh_options
    client rsync -e "ssh ${options[*]} -p 2222" "$BIG" root@$KERNEL:"$PWD/there"
    client rsync -e "ssh ${options[*]} -p 2222" root@$KERNEL:"$PWD/there" back
    cmp "$BIG" back
    cell 'rsync over ssh' client kernel pass
}

@test "rsync with its own daemon" {
    printf 'use chroot = no\nuid = root\ngid = root\n[files]\npath = %s\nread only = no\n' "$PWD" >rsyncd.conf
    start server rsync --daemon --no-detach --config="$PWD/rsyncd.conf" --address=$KERNEL
    wait_until 10 kernel_listens 873
    client rsync "$BIG" rsync://$KERNEL/files/there
    client rsync rsync://$KERNEL/files/there back
    kill "$server"
    cmp "$BIG" back
    cell 'rsync from a daemon' client kernel bridged
}

@test "git clone by git://" {
    client git clone -q git://$KERNEL/repository clone
    cmp "$BIG" clone/big
    cell 'git clone by git://' client kernel bridged
}

@test "git clone by http://" {
    client git clone -q http://$KERNEL/repository clone
    cmp "$BIG" clone/big
    cell 'git clone by http://' client kernel pass
}

# ---- interpreters ----

@test "python3 urllib" {
    client python3 -c '
import ssl, sys, urllib.request
open("got", "wb").write(urllib.request.urlopen("http://" + sys.argv[1] + "/big").read())
insecure = ssl._create_unverified_context()
open("secret", "wb").write(urllib.request.urlopen("https://" + sys.argv[1] + "/big", context=insecure).read())
' $KERNEL
    cmp "$BIG" got
    cmp "$BIG" secret
    cell 'python3 urllib' client kernel pass
}

@test "python3 asyncio, twenty streams at once" {
    client python3 -c '
import asyncio, sys
text = open(sys.argv[2], "rb").read()
async def one():
    reader, writer = await asyncio.open_connection(sys.argv[1], 7)
    async def send():
        writer.write(text)
        await writer.drain()
        writer.write_eof()
    sending = asyncio.create_task(send())
    back = await reader.read(-1)
    await sending
    writer.close()
    assert back == text, len(back)
async def main():
    await asyncio.gather(*[one() for _ in range(20)])
asyncio.run(main())' $KERNEL "$FILES/million"
    cell 'python3 asyncio' client kernel pass
}

@test "python3 subprocess, with a connection as its input and output" {
    nc_server "$BIG"
    client python3 -c '
import socket, subprocess, sys
s = socket.create_connection((sys.argv[1], 5000))
subprocess.run(["md5sum"], stdin=s, stdout=s, check=True)' $KERNEL
    wait "$server"
    run -0 cat received
    assert_output "$(md5sum <"$BIG")"
    cell 'python3 subprocess' client kernel bridged
}

@test "node fetch" {
    client node -e '
(async () => {
    const bodies = await Promise.all([1, 2, 3].map(async () => {
        const answer = await fetch(`http://${process.argv[1]}/big`);
        return Buffer.from(await answer.arrayBuffer()); }));
    bodies.forEach((body, i) => require("fs").writeFileSync("got" + i, body));
})()' $KERNEL
    for i in 0 1 2; do cmp "$BIG" got$i; done
    cell 'node fetch' client kernel pass
}

@test "node http, up and down" {
    client node -e '
const http = require("http"), fs = require("fs"), host = process.argv[1];
http.get({host, path: "/big"}, answer => answer.pipe(fs.createWriteStream("got")));
const put = http.request({host, method: "PUT", path: "/up/node"}, answer => answer.resume());
fs.createReadStream(process.argv[2]).pipe(put);' $KERNEL "$BIG"
    cmp "$BIG" got
    cmp "$BIG" "$FILES/up/node"
    cell 'node http' client kernel pass
}

# ---- databases ----

@test "redis-cli" {
    client redis-cli -h $KERNEL -x set big <"$BIG" >out
    client redis-cli -h $KERNEL get big | head -c 10000000 >got
    cmp "$BIG" got
    cell redis-cli client kernel pass
}

@test "redis-benchmark, pipelined and with threads" {
    client redis-benchmark -h $KERNEL --csv -n 5000 -c 20 -d 1000 -t set,get >out
    client redis-benchmark -h $KERNEL --csv -n 20000 -c 20 -P 16 --threads 2 -t set,get,lpush >>out
    assert_equal "$(grep -cE '^"(SET|GET|LPUSH)"' out)" 5
    cell redis-benchmark client kernel pass
}

@test "psql and pgbench" {
    postgres
    client psql -h $KERNEL -U postgres -qc 'create table t (x text)' </dev/null
    client psql -h $KERNEL -U postgres -qc '\copy t from stdin' <"$FILES/text"
    client psql -h $KERNEL -U postgres -qc '\copy t to stdout' >got
    cmp "$FILES/text" got
    client "$bin/pgbench" -h $KERNEL -U postgres -i -q postgres
    run -0 client "$bin/pgbench" -h $KERNEL -U postgres -c 4 -j 2 -t 250 postgres
    assert_line --regexp 'number of transactions actually processed: 1000/1000'
    run -0 client "$bin/pgbench" -h $KERNEL -U postgres -C -S -c 2 -t 100 postgres
    assert_line --regexp 'number of transactions actually processed: 200/200'
    cell psql client kernel pass
    cell pgbench client kernel pass
}

# postgres: on the kernel's TCP, until the namespace ends; sets bin.
postgres() {
    bin=$(echo /usr/lib/postgresql/*/bin)
    inside install -d -o postgres /run/data
    as_postgres "$bin/initdb" -D /run/data -A trust -N >/dev/null
    as_postgres sh -c "echo 'host all all 0.0.0.0/0 trust' >>/run/data/pg_hba.conf"
    as_postgres "$bin/pg_ctl" -w -D /run/data -l /run/data/log start 3>&- \
        -o "-c listen_addresses=$KERNEL -c unix_socket_directories= -c fsync=off" >/dev/null
    wait_until 60 kernel_listens 5432
}

as_postgres() {
    (cd / && inside setpriv --reuid=postgres --regid=postgres --clear-groups "$@")
}

# ---- iperf3 ----

# measures OPTIONS...: a transfer after which both ends agree on how much there was.
measures() {
    once_it_listens client iperf3 -c $KERNEL -J "$@"
    echo "$output" >report
    run -0 python3 -c '
import json
end = json.load(open("report"))["end"]
total = sum(end[name]["bytes"] for name in end if name.startswith("sum_received"))
print("enough" if total >= 10000000 else end)'
    assert_output enough
}

@test "iperf3, one way, the other, eight at once, and both" {
    measures -n 20M
    measures -n 20M -R
    measures -n 20M -P 8
    measures -n 20M -Z
    measures -t 1 --bidir
    measures -n 20M -w 100K -M 1000 -N
    cell 'iperf3 -R, -P 8, -Z, --bidir, -w, -M' client kernel pass
}

@test "iperf3 -C, -V" {
    measures -n 20M -C cubic
    measures -n 20M -C reno
    run -0 client iperf3 -c $KERNEL -n 10M -V -C reno
    assert_line --regexp 'snd_tcp_congestion reno'
    cell 'iperf3 -C, -V' client kernel pass
}
