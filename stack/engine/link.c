/* SPDX-License-Identifier: MIT */
/*
 * Somebody may give the interface another MTU while connections go on. The kernel tells of it on a
 * netlink socket, which anybody may open; what exactly it tells is not read, the interface is asked.
 * Without such a socket (a sandbox may forbid it) the MTU stays what it was at the start.
 *
 * The impairment has slots of the MTU at the start, so a link that is impaired never grows beyond.
 */
#include "state.h"
#include "sys.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

void link_open(void)
{
    struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = sys_socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return;
    if (sys_bind(fd, &name, sizeof name) || engine_watch(fd, EPOLLIN, &engine.link)) {
        sys_close(fd);
        return;
    }
    engine.link = fd;
}

static void change_mtu(uint32_t mtu_bytes)
{
    int error;

    engine.device.mtu_bytes = mtu_bytes;
    engine_lock();
    error = utcp_set_mtu(engine.stack, mtu_bytes, engine_now());
    engine_unlock();
    if (!error)
        engine_log(ENGINE_INFO, "%s, mtu %u", engine.device.name, mtu_bytes);
}

void link_changed(void)
{
    bool impaired = engine.impair_in || engine.impair_out;
    uint8_t message[4096];
    uint32_t mtu_bytes;

    while (sys_recv(engine.link, message, sizeof message, 0) > 0)
        ;
    mtu_bytes = device_ask_mtu(&engine.device);
    if (impaired && mtu_bytes > engine.impair_mtu)
        mtu_bytes = engine.impair_mtu;
    if (mtu_bytes && mtu_bytes != engine.device.mtu_bytes)
        change_mtu(mtu_bytes);
}
