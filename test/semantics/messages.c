/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <time.h>

/* recvmsg(), sendmsg() and their plural forms. */

static void check_recvmsg(void)
{
    char text[16] = "", control[64];
    struct sockaddr_storage name;
    struct iovec iov = {text, 4};
    struct msghdr message = {.msg_name = &name,
                             .msg_namelen = sizeof name,
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control,
                             .msg_flags = 0x7777};
    int fd = connected(0);
    theme("recvmsg");
    peer(PEER_WRITE, 20);
    await(fd, POLLIN);
    check("of a part", recvmsg(fd, &message, 0));
    check("msg_namelen", (long)message.msg_namelen);
    check("msg_controllen", (long)message.msg_controllen);
    check("msg_flags", message.msg_flags);
    check("with MSG_CMSG_CLOEXEC", recvmsg(fd, &message, MSG_CMSG_CLOEXEC));
    check("msg_flags then", message.msg_flags);
    message.msg_iovlen = 0;
    check("of no part", recvmsg(fd, &message, MSG_DONTWAIT));
    message.msg_iovlen = 1025;
    check("of too many parts", recvmsg(fd, &message, MSG_DONTWAIT));
    message.msg_iovlen = 1;
    message.msg_iov = NULL;
    check("of a bad vector", recvmsg(fd, &message, MSG_DONTWAIT));
    message.msg_iov = &iov;
    message.msg_namelen = (socklen_t)-1;
    check("with a negative msg_namelen", recvmsg(fd, &message, MSG_DONTWAIT));
    message.msg_namelen = sizeof name;
    check("of a bad message", recvmsg(fd, NULL, MSG_DONTWAIT));
    check("MSG_ERRQUEUE", recvmsg(fd, &message, MSG_ERRQUEUE));
    iov.iov_len = sizeof text;
    check("of the rest", recvmsg(fd, &message, MSG_DONTWAIT) > 0);
    check("when nothing is there", recvmsg(fd, &message, MSG_DONTWAIT));
    peer(PEER_CLOSE, 0);
    await(fd, POLLRDHUP);
    check("at the end", recvmsg(fd, &message, 0));
    check("msg_flags at the end", message.msg_flags);
    close(fd);
}

static void check_sendmsg(void)
{
    struct iovec iov[] = {{"te", 2}, {"xt", 2}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct cmsghdr *header = (struct cmsghdr *)(void *)control;
    int fd = connected(0);
    theme("sendmsg");
    check("of two parts", sendmsg(fd, &message, 0));
    message.msg_flags = 0x7777;
    check("with msg_flags, which do not count", sendmsg(fd, &message, 0));
    message.msg_iovlen = 0;
    check("of no part", sendmsg(fd, &message, 0));
    message.msg_iovlen = 1025;
    check("of too many parts", sendmsg(fd, &message, 0));
    message.msg_iovlen = 2;
    *header = (struct cmsghdr){.cmsg_level = 4711, .cmsg_type = 1, .cmsg_len = CMSG_LEN(4)};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    check("with control of another level", sendmsg(fd, &message, 0));
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = 4711;
    check("with control of no type", sendmsg(fd, &message, 0));
    header->cmsg_type = SCM_RIGHTS;
    check("with SCM_RIGHTS", sendmsg(fd, &message, 0));
    header->cmsg_len = 3;
    check("with control that is too short", sendmsg(fd, &message, 0));
    message.msg_control = NULL;
    message.msg_controllen = 0;
    message.msg_iov = NULL;
    check("of a bad vector", sendmsg(fd, &message, 0));
    check("of a bad message", sendmsg(fd, NULL, 0));
    close(fd);
}

static void check_plural(void)
{
    char text[4][8] = {""};
    struct iovec iov[4];
    struct mmsghdr messages[4] = {0};
    struct timespec soon = {.tv_nsec = 1000};
    int fd = connected(0);
    for (int i = 0; i < 4; i++) {
        iov[i] = (struct iovec){text[i], 4};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    theme("recvmmsg, sendmmsg");
    peer(PEER_WRITE, 10);
    await(fd, POLLIN);
    check("recvmmsg of four", recvmmsg(fd, messages, 4, MSG_DONTWAIT, NULL));
    check_text("lengths", "%u %u %u", messages[0].msg_len, messages[1].msg_len,
               messages[2].msg_len);
    check("recvmmsg when nothing is there", recvmmsg(fd, messages, 4, MSG_DONTWAIT, NULL));
    check("recvmmsg of none", recvmmsg(fd, messages, 0, MSG_DONTWAIT, NULL));
    peer(PEER_WRITE, 6);
    await(fd, POLLIN);
    check("recvmmsg, MSG_WAITFORONE", recvmmsg(fd, messages, 4, MSG_WAITFORONE, NULL));
    peer(PEER_WRITE, 6);
    await(fd, POLLIN);
    check("recvmmsg with time", recvmmsg(fd, messages, 4, MSG_DONTWAIT, &soon) > 0);
    while (recv(fd, text, sizeof text, MSG_DONTWAIT) > 0)
        continue;
    struct timespec wrong = {.tv_nsec = 2000000000};
    check("recvmmsg with a wrong time", recvmmsg(fd, messages, 4, MSG_DONTWAIT, &wrong));
    check("sendmmsg of four", sendmmsg(fd, messages, 4, 0));
    check_text("lengths", "%u %u %u", messages[0].msg_len, messages[1].msg_len,
               messages[2].msg_len);
    check("sendmmsg of none", sendmmsg(fd, messages, 0, 0));
    messages[1].msg_hdr.msg_iov = NULL;
    check("sendmmsg with a bad second", sendmmsg(fd, messages, 4, 0));
    check("what arrives", peer(PEER_READ, 4 * 4 + 4));
    peer(PEER_CLOSE, 0);
    await(fd, POLLRDHUP);
    check("recvmmsg at the end", recvmmsg(fd, messages, 1, 0, NULL));
    close(fd);
    check("recvmmsg of what is closed", recvmmsg(fd, messages, 1, 0, NULL));
    check("sendmmsg of what is closed", sendmmsg(fd, messages, 1, 0));
}

void check_messages(void)
{
    check_recvmsg();
    check_sendmsg();
    check_plural();
}
