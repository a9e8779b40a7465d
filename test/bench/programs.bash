# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# The loads of scripts/bench that are programs of this world. Where they serve, the client is on the kernel.

readonly HTTP=8080 FILES=8081 REDIS=6400 IPERF=5201

# ---- iperf3 and curl are clients ----

# iperf PEER AMOUNT OPTIONS...
iperf() {
    local other
    other=$(other_address "$1")
    kernel_listens $IPERF || iperf3 --server --port $IPERF >/dev/null 2>&1 &
    wait_for_listener $IPERF
    on "$1" iperf3 --client "$other" --port $IPERF --bytes "$2" --json "${@:3}" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9)'
}

load_iperf-out() { iperf "$@"; }
load_iperf-in() { iperf "$@" --reverse; }
load_iperf-out8() { iperf "$@" --parallel 8; }
load_iperf-in8() { iperf "$@" --parallel 8 --reverse; }

# A part of a file that is one large hole, but in memory by then.
load_curl() {
    local other
    other=$(other_address "$1")
    if ! kernel_listens $FILES; then
        prepare_nginx
        head -c "$2" "$WORK/www/large" >/dev/null
        nginx -c "$WORK/$FILES.conf" -p "$WORK" >/dev/null 2>&1 &
        wait_for_listener $FILES
    fi
    on "$1" curl -sS -o "$WORK/null" -r "0-$(($2 - 1))" -w '%{speed_download}' "http://$other:$FILES/large" |
        awk '{ print $1 * 8 / 1e9 }'
}

# ---- nginx and redis are servers ----

prepare_nginx() {
    [[ ! -e $WORK/www ]] || return 0
    mkdir -p "$WORK/www" "$WORK/tmp"
    ln -s /dev/null "$WORK/null"
    head -c 1024 /dev/zero >"$WORK/www/1k"
    head -c 1048576 /dev/zero >"$WORK/www/1m"
    truncate -s 8G "$WORK/www/large"
    nginx_configuration $HTTP >"$WORK/$HTTP.conf"
    nginx_configuration $FILES >"$WORK/$FILES.conf"
}

# nginx_configuration PORT
nginx_configuration() {
    cat <<END
daemon off;
master_process off;
user root;
pid $WORK/$1.pid;
error_log /dev/null;
events { worker_connections 4096; }
http {
    access_log off;
    sendfile on;
    keepalive_requests 1000000;
    client_body_temp_path $WORK/tmp;
    proxy_temp_path $WORK/tmp;
    fastcgi_temp_path $WORK/tmp;
    uwsgi_temp_path $WORK/tmp;
    scgi_temp_path $WORK/tmp;
    server { listen $1 backlog=4096; root $WORK/www; }
}
END
}

# nginx_load PEER SECONDS FILE [HEADER]: prints requests a second, and how many there were.
nginx_load() {
    local url
    url=http://$(own_address "$1"):$HTTP/$3
    prepare_nginx
    start_server "$1" nginx -c "$WORK/$HTTP.conf" -p "$WORK"
    retry 5 curl -sS -o "$WORK/null" "$url"
    "${LIMIT[@]}" wrk -t 1 -c 32 -d "$2" ${4:+-H "$4"} "$url" >"$WORK/wrk"
    stop_server
    ! grep -E 'Socket errors|Non-2xx' "$WORK/wrk" >&2 || return 1
    awk '/requests in/ { all = $1 } /^Requests\/sec/ { print $2, all }' "$WORK/wrk"
}

load_nginx() { nginx_load "$@" 1k; }
load_nginx-close() { nginx_load "$@" 1k 'Connection: close'; }
load_nginx-1m() { nginx_load "$@" 1m; }
load_nginx-1m-close() { nginx_load "$@" 1m 'Connection: close'; }

# redis_load PEER AMOUNT PIPELINE
redis_load() {
    local own
    own=$(own_address "$1")
    start_server "$1" redis-server --port $REDIS --bind 0.0.0.0 --protected-mode no --save '' --dir "$WORK"
    retry 5 redis_answers "$own"
    "${LIMIT[@]}" redis-benchmark -h "$own" -p $REDIS -t get -n "$2" -P "$3" -c 50 --csv >"$WORK/redis"
    stop_server
    awk -F'"' '$2 == "GET" { print $4 }' "$WORK/redis"
}

redis_answers() {
    [[ $(redis-cli -h "$1" -p $REDIS ping) == PONG ]]
}

load_redis() { redis_load "$@" 1; }
load_redis-16() { redis_load "$@" 16; }
