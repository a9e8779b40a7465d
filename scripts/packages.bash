# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The Debian packages that the project needs, by what they are needed for, and how they are installed.

# shellcheck disable=SC2034
readonly build_packages=(gcc libc6-dev meson ninja-build pkg-config libcap-dev)
# shellcheck disable=SC2034
readonly demo_packages=(curl iproute2 nginx-light openssl procps tshark util-linux)
# shellcheck disable=SC2034
readonly test_packages=(apache2-utils bats bats-assert bats-support binutils busybox clang-format
    clang-tidy curl git haproxy iperf3 iproute2 iputils-ping libcap2-bin libcmocka-dev liburing-dev lighttpd
    memcached ncat netcat-openbsd nftables nginx-light nodejs openssh-client openssh-server openssl
    postgresql procps python3 redis-server redis-tools rsync shellcheck socat telnet tshark util-linux
    valgrind wget wrk)
# To build packetdrill, where there is its source.
# shellcheck disable=SC2034
readonly packetdrill_packages=(bison flex make)
# What utcp is compared with, as far as it is not Debian's kernel.
# shellcheck disable=SC2034
readonly bench_packages=(golang-go golang-gvisor-gvisor-dev liblwip-dev)

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif type -P sudo >/dev/null; then
        sudo "$@"
    else
        echo "$0: this needs root, and there is no sudo: $*" >&2
        return 1
    fi
}

is_installed() {
    [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) == 'install ok installed' ]]
}

# install_packages PACKAGE...: those that are missing; says nothing when none is.
install_packages() {
    local package missing=()

    for package; do
        is_installed "$package" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    echo "installing ${missing[*]}"
    # shellcheck disable=SC2016
    as_root env DEBIAN_FRONTEND=noninteractive sh -ec '
        # So that nginx does not begin to serve this machine: Debian asks policy-rc.d first.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap "rm -f $policy" EXIT
            printf "#!/bin/sh\nexit 101\n" >$policy
            chmod +x $policy
        fi
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "$@"' sh "${missing[@]}" >/dev/null || {
        echo "$0: apt-get could not install ${missing[*]}" >&2
        return 1
    }
}
