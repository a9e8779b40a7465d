/* SPDX-License-Identifier: MIT */
/*
 * System calls without libc.
 *
 * The engine lives in the same library as the shim that stands in for libc's read(), close(),
 * socket() and their kin: calling these by name would land in our own shim. So every system call
 * of the engine is made here, by its number, and answers with the kernel's own convention: a
 * negative errno value on failure, errno itself untouched.
 */
#ifndef UTCP_ENGINE_SYS_H
#define UTCP_ENGINE_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#if defined(__x86_64__)
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
#error "system calls of this machine are not known here yet"
#endif

/* ---- files ---- */

static inline int sys_open(const char *path, int flags, mode_t mode)
{
    return (int)sys_call(SYS_openat, AT_FDCWD, (long)path, flags, (long)mode, 0, 0);
}

static inline int sys_close(int fd)
{
    return (int)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    return (int)sys_call(SYS_close_range, first, last, flags, 0, 0, 0);
}

static inline long sys_read(int fd, void *buffer, size_t size)
{
    return sys_call(SYS_read, fd, (long)buffer, (long)size, 0, 0, 0);
}

static inline long sys_write(int fd, const void *buffer, size_t size)
{
    return sys_call(SYS_write, fd, (long)buffer, (long)size, 0, 0, 0);
}

static inline long sys_readv(int fd, const struct iovec *iov, int count)
{
    return sys_call(SYS_readv, fd, (long)iov, count, 0, 0, 0);
}

static inline long sys_writev(int fd, const struct iovec *iov, int count)
{
    return sys_call(SYS_writev, fd, (long)iov, count, 0, 0, 0);
}

static inline int sys_fcntl(int fd, int command, long argument)
{
    return (int)sys_call(SYS_fcntl, fd, command, argument, 0, 0, 0);
}

static inline int sys_ioctl(int fd, unsigned long request, void *argument)
{
    return (int)sys_call(SYS_ioctl, fd, (long)request, (long)argument, 0, 0, 0);
}

static inline int sys_fstat(int fd, struct stat *status)
{
    return (int)sys_call(SYS_fstat, fd, (long)status, 0, 0, 0, 0);
}

static inline void sys_yield(void)
{
    sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static inline int sys_stat(const char *path, struct stat *status)
{
    return (int)sys_call(SYS_newfstatat, AT_FDCWD, (long)path, (long)status, 0, 0, 0);
}

static inline long sys_getdents(int fd, void *buffer, size_t size)
{
    return sys_call(SYS_getdents64, fd, (long)buffer, (long)size, 0, 0, 0);
}

static inline long sys_readlink(const char *path, char *buffer, size_t size)
{
    return sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)buffer, (long)size, 0, 0);
}

/* ---- sockets ---- */

static inline int sys_socket(int domain, int type, int protocol)
{
    return (int)sys_call(SYS_socket, domain, type, protocol, 0, 0, 0);
}

static inline int sys_bind(int fd, const void *address, size_t size)
{
    return (int)sys_call(SYS_bind, fd, (long)address, (long)size, 0, 0, 0);
}

/* *size becomes that of the name. */
static inline int sys_getpeername(int fd, void *name, size_t room, size_t *size)
{
    socklen_t len = (socklen_t)room;
    int error = (int)sys_call(SYS_getpeername, fd, (long)name, (long)&len, 0, 0, 0);

    *size = len;
    return error;
}

static inline int sys_socketpair(int domain, int type, int ends[2])
{
    return (int)sys_call(SYS_socketpair, domain, type, 0, (long)ends, 0, 0);
}

/* A descriptor for that thread; -EINVAL before Linux 6.9. */
static inline int sys_pidfd_open_thread(int thread)
{
    const unsigned pidfd_thread = O_EXCL; /* newer than some headers */

    return (int)sys_call(SYS_pidfd_open, thread, pidfd_thread, 0, 0, 0, 0);
}

/* A duplicate, close-on-exec, of a descriptor in that thread's table. */
static inline int sys_pidfd_getfd(int thread, int fd)
{
    return (int)sys_call(SYS_pidfd_getfd, thread, fd, 0, 0, 0, 0);
}

static inline long sys_send(int fd, const void *buffer, size_t size, int flags)
{
    return sys_call(SYS_sendto, fd, (long)buffer, (long)size, flags | MSG_NOSIGNAL, 0, 0);
}

static inline long sys_recv(int fd, void *buffer, size_t size, int flags)
{
    return sys_call(SYS_recvfrom, fd, (long)buffer, (long)size, flags, 0, 0);
}

static inline long sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return sys_call(SYS_sendmsg, fd, (long)message, flags | MSG_NOSIGNAL, 0, 0, 0);
}

static inline long sys_recvmsg(int fd, struct msghdr *message, int flags)
{
    return sys_call(SYS_recvmsg, fd, (long)message, flags, 0, 0, 0);
}

/* Room beside a message for up to two descriptors (SCM_RIGHTS). */
struct sys_passed {
    _Alignas(struct cmsghdr) char space[CMSG_SPACE(2 * sizeof(int))];
};

/* Lets count descriptors go with a message; 1 or 2. */
static inline void sys_pass(struct msghdr *message, struct sys_passed *passed, const int *fds,
                            size_t count)
{
    struct cmsghdr *header = (struct cmsghdr *)(void *)passed->space;

    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS,
                               .cmsg_len = CMSG_LEN(count * sizeof *fds)};
    memcpy(CMSG_DATA(header), fds, count * sizeof *fds);
    message->msg_control = passed->space;
    message->msg_controllen = CMSG_SPACE(count * sizeof *fds);
}

/* Receives a message with up to two descriptors, close-on-exec; -1 where none came. The size of the message, or
 * -EMFILE when the table had no room for them. */
static inline long sys_receive_passed(int fd, void *data, size_t size, int fds[2], int flags)
{
    struct sys_passed passed;
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = passed.space,
                             .msg_controllen = sizeof passed.space};
    long len = sys_recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *header = len >= 0 ? CMSG_FIRSTHDR(&message) : NULL;

    fds[0] = fds[1] = -1;
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    if (len < 0 || !(message.msg_flags & MSG_CTRUNC))
        return len;
    if (fds[0] >= 0)
        sys_close(fds[0]);
    fds[0] = -1;
    return -EMFILE;
}

static inline int sys_shutdown(int fd, int how)
{
    return (int)sys_call(SYS_shutdown, fd, how, 0, 0, 0, 0);
}

static inline int sys_getsockopt(int fd, int level, int name, void *value, socklen_t size)
{
    return (int)sys_call(SYS_getsockopt, fd, level, name, (long)value, (long)&size, 0);
}

static inline int sys_setsockopt(int fd, int level, int name, int value)
{
    return (int)sys_call(SYS_setsockopt, fd, level, name, (long)&value, sizeof value, 0);
}

/* ---- waiting ---- */

static inline int sys_epoll_create(void)
{
    return (int)sys_call(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0, 0);
}

static inline int sys_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    return (int)sys_call(SYS_epoll_ctl, epoll, operation, fd, (long)event, 0, 0);
}

static inline int sys_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    return (int)sys_call(SYS_epoll_pwait, epoll, (long)events, count, timeout_ms, 0, 0);
}

static inline int sys_epoll_wait_ns(int epoll, struct epoll_event *events, int count,
                                    const struct timespec *timeout)
{
    return (int)sys_call(SYS_epoll_pwait2, epoll, (long)events, count, (long)timeout, 0, 0);
}

static inline void sys_sleep(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};

    sys_call(SYS_nanosleep, (long)&time, 0, 0, 0, 0, 0);
}

/* ---- memory, signals, processes ---- */

/* Fresh zeroed pages, NULL = none left. */
static inline void *sys_map(size_t size)
{
    long address = sys_call(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return address < 0 && address > -4096 ? NULL : (void *)address;
}

static inline void sys_unmap(void *memory, size_t size)
{
    sys_call(SYS_munmap, (long)memory, (long)size, 0, 0, 0, 0);
}

/* Replaces the set of blocked signals (bit n-1 is signal n) and returns the one before. */
static inline uint64_t sys_block_signals(uint64_t set)
{
    uint64_t before = 0;

    sys_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)&set, (long)&before, sizeof set, 0, 0);
    return before;
}

static inline long sys_getrandom(void *buffer, size_t size)
{
    return sys_call(SYS_getrandom, (long)buffer, (long)size, 0, 0, 0, 0);
}

static inline int sys_getpid(void)
{
    return (int)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline int sys_getrlimit(int resource, struct rlimit *limit)
{
    return (int)sys_call(SYS_prlimit64, 0, resource, 0, (long)limit, 0, 0);
}

static inline _Noreturn void sys_exit(int status)
{
    for (;;)
        sys_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

#endif
