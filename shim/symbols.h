/* SPDX-License-Identifier: MIT */
/*
 * Every symbol that the shim interposes. This one list declares ours and libc's, resolves libc's,
 * and becomes the version script that exports ours: what stands here cannot be forgotten elsewhere.
 *
 *	X(type, name, parameters, early)
 *
 * early stands in for libc's function until the constructor has resolved it. It goes straight to
 * the system call: other libraries' constructors run before ours, and dlsym() itself may call what
 * is interposed.
 */
#ifndef UTCP_SHIM_SYMBOLS_H
#define UTCP_SHIM_SYMBOLS_H

/* clang-format off */
#define UTCP_SYMBOLS(X)                                                                            \
    /* sockets */                                                                                  \
    X(int, socket, (int domain, int type, int protocol),                                           \
      return (int)syscall(SYS_socket, domain, type, protocol))                                     \
    X(int, bind, (int fd, const struct sockaddr *name, socklen_t size),                            \
      return (int)syscall(SYS_bind, fd, name, size))                                               \
    X(int, listen, (int fd, int backlog), return (int)syscall(SYS_listen, fd, backlog))            \
    X(int, accept, (int fd, struct sockaddr *name, socklen_t *size),                               \
      return (int)syscall(SYS_accept4, fd, name, size, 0))                                         \
    X(int, accept4, (int fd, struct sockaddr *name, socklen_t *size, int flags),                   \
      return (int)syscall(SYS_accept4, fd, name, size, flags))                                     \
    X(int, connect, (int fd, const struct sockaddr *name, socklen_t size),                         \
      return (int)syscall(SYS_connect, fd, name, size))                                            \
    X(int, __connect, (int fd, const struct sockaddr *name, socklen_t size),                       \
      return libc.connect(fd, name, size))                                                         \
    X(int, shutdown, (int fd, int how), return (int)syscall(SYS_shutdown, fd, how))                \
    X(int, getsockname, (int fd, struct sockaddr *name, socklen_t *size),                          \
      return (int)syscall(SYS_getsockname, fd, name, size))                                        \
    X(int, getpeername, (int fd, struct sockaddr *name, socklen_t *size),                          \
      return (int)syscall(SYS_getpeername, fd, name, size))                                        \
    X(int, getsockopt, (int fd, int level, int option, void *value, socklen_t *size),              \
      return (int)syscall(SYS_getsockopt, fd, level, option, value, size))                         \
    X(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t size),         \
      return (int)syscall(SYS_setsockopt, fd, level, option, value, size))                         \
    /* reading */                                                                                  \
    X(ssize_t, read, (int fd, void *buffer, size_t size),                                          \
      return syscall(SYS_read, fd, buffer, size))                                                  \
    X(ssize_t, __read, (int fd, void *buffer, size_t size), return libc.read(fd, buffer, size))    \
    X(ssize_t, __read_chk, (int fd, void *buffer, size_t size, size_t room),                       \
      (void)room; return libc.read(fd, buffer, size))                                              \
    X(ssize_t, readv, (int fd, const struct iovec *iov, int count),                                \
      return syscall(SYS_readv, fd, iov, count))                                                   \
    X(ssize_t, preadv2, (int fd, const struct iovec *iov, int count, off_t offset, int flags),     \
      return syscall(SYS_preadv2, fd, iov, count, offset, 0, flags))                               \
    X(ssize_t, preadv64v2, (int fd, const struct iovec *iov, int count, off64_t offset, int flags),\
      return libc.preadv2(fd, iov, count, offset, flags))                                          \
    X(ssize_t, recv, (int fd, void *buffer, size_t size, int flags),                               \
      return syscall(SYS_recvfrom, fd, buffer, size, flags, NULL, NULL))                           \
    X(ssize_t, __recv_chk, (int fd, void *buffer, size_t size, size_t room, int flags),            \
      (void)room; return libc.recv(fd, buffer, size, flags))                                       \
    X(ssize_t, recvfrom,                                                                           \
      (int fd, void *buffer, size_t size, int flags, struct sockaddr *name, socklen_t *name_size), \
      return syscall(SYS_recvfrom, fd, buffer, size, flags, name, name_size))                      \
    X(ssize_t, __recvfrom_chk,                                                                     \
      (int fd, void *buffer, size_t size, size_t room, int flags, struct sockaddr *name,           \
       socklen_t *name_size),                                                                      \
      (void)room; return libc.recvfrom(fd, buffer, size, flags, name, name_size))                  \
    X(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags),                               \
      return syscall(SYS_recvmsg, fd, message, flags))                                             \
    X(int, recvmmsg,                                                                               \
      (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),     \
      return (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout))                      \
    /* writing */                                                                                  \
    X(ssize_t, write, (int fd, const void *buffer, size_t size),                                   \
      return syscall(SYS_write, fd, buffer, size))                                                 \
    X(ssize_t, __write, (int fd, const void *buffer, size_t size),                                 \
      return libc.write(fd, buffer, size))                                                         \
    X(ssize_t, writev, (int fd, const struct iovec *iov, int count),                               \
      return syscall(SYS_writev, fd, iov, count))                                                  \
    X(ssize_t, pwritev2, (int fd, const struct iovec *iov, int count, off_t offset, int flags),    \
      return syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags))                              \
    X(ssize_t, pwritev64v2,                                                                        \
      (int fd, const struct iovec *iov, int count, off64_t offset, int flags),                     \
      return libc.pwritev2(fd, iov, count, offset, flags))                                         \
    X(ssize_t, send, (int fd, const void *buffer, size_t size, int flags),                         \
      return syscall(SYS_sendto, fd, buffer, size, flags, NULL, 0))                                \
    X(ssize_t, __send, (int fd, const void *buffer, size_t size, int flags),                       \
      return libc.send(fd, buffer, size, flags))                                                   \
    X(ssize_t, sendto,                                                                             \
      (int fd, const void *buffer, size_t size, int flags, const struct sockaddr *name,            \
       socklen_t name_size),                                                                       \
      return syscall(SYS_sendto, fd, buffer, size, flags, name, name_size))                        \
    X(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),                         \
      return syscall(SYS_sendmsg, fd, message, flags))                                             \
    X(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags),                \
      return (int)syscall(SYS_sendmmsg, fd, messages, count, flags))                               \
    X(ssize_t, sendfile, (int out, int in, off_t *offset, size_t count),                           \
      return syscall(SYS_sendfile, out, in, offset, count))                                        \
    X(ssize_t, sendfile64, (int out, int in, off64_t *offset, size_t count),                       \
      return libc.sendfile(out, in, offset, count))                                                \
    /* descriptors */                                                                              \
    X(int, close, (int fd), return (int)syscall(SYS_close, fd))                                    \
    X(int, __close, (int fd), return libc.close(fd))                                               \
    X(int, close_range, (unsigned first, unsigned last, int flags),                                \
      return (int)syscall(SYS_close_range, first, last, flags))                                    \
    X(void, closefrom, (int first), syscall(SYS_close_range, first, ~0U, 0))                       \
    X(int, dup, (int fd), return (int)syscall(SYS_dup, fd))                                        \
    X(int, dup2, (int fd, int target),                                                             \
      return (int)(fd == target ? syscall(SYS_fcntl, fd, F_GETFD) < 0 ? -1 : fd                    \
                                : syscall(SYS_dup3, fd, target, 0)))                               \
    X(int, __dup2, (int fd, int target), return libc.dup2(fd, target))                             \
    X(int, dup3, (int fd, int target, int flags),                                                  \
      return (int)syscall(SYS_dup3, fd, target, flags))                                            \
    X(int, fcntl, (int fd, int command, ...),                                                      \
      return (int)syscall(SYS_fcntl, fd, command, ARGUMENT_AFTER(command)))                        \
    X(int, fcntl64, (int fd, int command, ...),                                                    \
      return libc.fcntl(fd, command, ARGUMENT_AFTER(command)))                                     \
    X(int, __fcntl, (int fd, int command, ...),                                                    \
      return libc.fcntl(fd, command, ARGUMENT_AFTER(command)))                                     \
    X(int, ioctl, (int fd, unsigned long request, ...),                                            \
      return (int)syscall(SYS_ioctl, fd, request, ARGUMENT_AFTER(request)))                        \
    /* the process */                                                                              \
    X(void, _exit, (int status), syscall(SYS_exit_group, status))                                  \
    X(void, _Exit, (int status), libc._exit(status))
/* clang-format on */

#endif
