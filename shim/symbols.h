/* SPDX-License-Identifier: MIT */
/*
 * Every symbol that the shim interposes. This one list declares ours and libc's, resolves libc's,
 * and becomes the version script that exports ours: what stands here cannot be forgotten elsewhere.
 *
 *	X(type, name, parameters, early)
 *
 * early stands in for libc's function until the constructor has resolved it. It goes straight to
 * the system call: other libraries' constructors run before ours, and dlsym() itself may call what
 * is interposed. What has no system call of its own, and dlsym() does not call, is resolved then. (We never
 * call libc's variadic ones.)
 */
#ifndef UTCP_SHIM_SYMBOLS_H
#define UTCP_SHIM_SYMBOLS_H

/* clang-format off */
#define UTCP_SYMBOLS(X)                                                                            \
    /* sockets */                                                                                  \
    X(int, socket, (int domain, int type, int protocol),                                           \
      return (int)kernel_call(SYS_socket, domain, type, protocol))                                     \
    X(int, bind, (int fd, const struct sockaddr *name, socklen_t size),                            \
      return (int)kernel_call(SYS_bind, fd, name, size))                                               \
    X(int, listen, (int fd, int backlog), return (int)kernel_call(SYS_listen, fd, backlog))            \
    X(int, accept, (int fd, struct sockaddr *name, socklen_t *size),                               \
      return (int)kernel_call(SYS_accept4, fd, name, size, 0))                                         \
    X(int, accept4, (int fd, struct sockaddr *name, socklen_t *size, int flags),                   \
      return (int)kernel_call(SYS_accept4, fd, name, size, flags))                                     \
    X(int, connect, (int fd, const struct sockaddr *name, socklen_t size),                         \
      return (int)kernel_call(SYS_connect, fd, name, size))                                            \
    X(int, __connect, (int fd, const struct sockaddr *name, socklen_t size),                       \
      return libc.connect(fd, name, size))                                                         \
    X(int, shutdown, (int fd, int how), return (int)kernel_call(SYS_shutdown, fd, how))                \
    X(int, getsockname, (int fd, struct sockaddr *name, socklen_t *size),                          \
      return (int)kernel_call(SYS_getsockname, fd, name, size))                                        \
    X(int, getpeername, (int fd, struct sockaddr *name, socklen_t *size),                          \
      return (int)kernel_call(SYS_getpeername, fd, name, size))                                        \
    X(int, getsockopt, (int fd, int level, int option, void *value, socklen_t *size),              \
      return (int)kernel_call(SYS_getsockopt, fd, level, option, value, size))                         \
    X(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t size),         \
      return (int)kernel_call(SYS_setsockopt, fd, level, option, value, size))                         \
    /* reading */                                                                                  \
    X(ssize_t, read, (int fd, void *buffer, size_t size),                                          \
      return kernel_call(SYS_read, fd, buffer, size))                                                  \
    X(ssize_t, __read, (int fd, void *buffer, size_t size), return libc.read(fd, buffer, size))    \
    X(ssize_t, __read_chk, (int fd, void *buffer, size_t size, size_t room),                       \
      (void)room; return libc.read(fd, buffer, size))                                              \
    X(ssize_t, readv, (int fd, const struct iovec *iov, int count),                                \
      return kernel_call(SYS_readv, fd, iov, count))                                                   \
    X(ssize_t, preadv2, (int fd, const struct iovec *iov, int count, off_t offset, int flags),     \
      return kernel_call(SYS_preadv2, fd, iov, count, offset, 0, flags))                               \
    X(ssize_t, preadv64v2, (int fd, const struct iovec *iov, int count, off64_t offset, int flags),\
      return libc.preadv2(fd, iov, count, offset, flags))                                          \
    X(ssize_t, recv, (int fd, void *buffer, size_t size, int flags),                               \
      return kernel_call(SYS_recvfrom, fd, buffer, size, flags, NULL, NULL))                           \
    X(ssize_t, __recv_chk, (int fd, void *buffer, size_t size, size_t room, int flags),            \
      (void)room; return libc.recv(fd, buffer, size, flags))                                       \
    X(ssize_t, recvfrom,                                                                           \
      (int fd, void *buffer, size_t size, int flags, struct sockaddr *name, socklen_t *name_size), \
      return kernel_call(SYS_recvfrom, fd, buffer, size, flags, name, name_size))                      \
    X(ssize_t, __recvfrom_chk,                                                                     \
      (int fd, void *buffer, size_t size, size_t room, int flags, struct sockaddr *name,           \
       socklen_t *name_size),                                                                      \
      (void)room; return libc.recvfrom(fd, buffer, size, flags, name, name_size))                  \
    X(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags),                               \
      return kernel_call(SYS_recvmsg, fd, message, flags))                                             \
    X(int, recvmmsg,                                                                               \
      (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),     \
      return (int)kernel_call(SYS_recvmmsg, fd, messages, count, flags, timeout))                      \
    /* writing */                                                                                  \
    X(ssize_t, write, (int fd, const void *buffer, size_t size),                                   \
      return kernel_call(SYS_write, fd, buffer, size))                                                 \
    X(ssize_t, __write, (int fd, const void *buffer, size_t size),                                 \
      return libc.write(fd, buffer, size))                                                         \
    X(ssize_t, writev, (int fd, const struct iovec *iov, int count),                               \
      return kernel_call(SYS_writev, fd, iov, count))                                                  \
    X(ssize_t, pwritev2, (int fd, const struct iovec *iov, int count, off_t offset, int flags),    \
      return kernel_call(SYS_pwritev2, fd, iov, count, offset, 0, flags))                              \
    X(ssize_t, pwritev64v2,                                                                        \
      (int fd, const struct iovec *iov, int count, off64_t offset, int flags),                     \
      return libc.pwritev2(fd, iov, count, offset, flags))                                         \
    X(ssize_t, send, (int fd, const void *buffer, size_t size, int flags),                         \
      return kernel_call(SYS_sendto, fd, buffer, size, flags, NULL, 0))                                \
    X(ssize_t, __send, (int fd, const void *buffer, size_t size, int flags),                       \
      return libc.send(fd, buffer, size, flags))                                                   \
    X(ssize_t, sendto,                                                                             \
      (int fd, const void *buffer, size_t size, int flags, const struct sockaddr *name,            \
       socklen_t name_size),                                                                       \
      return kernel_call(SYS_sendto, fd, buffer, size, flags, name, name_size))                        \
    X(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),                         \
      return kernel_call(SYS_sendmsg, fd, message, flags))                                             \
    X(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags),                \
      return (int)kernel_call(SYS_sendmmsg, fd, messages, count, flags))                               \
    X(ssize_t, sendfile, (int out, int in, off_t *offset, size_t count),                           \
      return kernel_call(SYS_sendfile, out, in, offset, count))                                        \
    X(ssize_t, sendfile64, (int out, int in, off64_t *offset, size_t count),                       \
      return libc.sendfile(out, in, offset, count))                                                \
    /* descriptors */                                                                              \
    X(int, close, (int fd), return (int)kernel_call(SYS_close, fd))                                    \
    X(int, __close, (int fd), return libc.close(fd))                                               \
    X(int, close_range, (unsigned first, unsigned last, int flags),                                \
      return (int)kernel_call(SYS_close_range, first, last, flags))                                    \
    X(void, closefrom, (int first), kernel_call(SYS_close_range, first, ~0U, 0))                       \
    X(int, dup, (int fd), return (int)kernel_call(SYS_dup, fd))                                        \
    X(int, dup2, (int fd, int target),                                                             \
      return (int)(fd == target ? kernel_call(SYS_fcntl, fd, F_GETFD) < 0 ? -1 : fd                    \
                                : kernel_call(SYS_dup3, fd, target, 0)))                               \
    X(int, __dup2, (int fd, int target), return libc.dup2(fd, target))                             \
    X(int, dup3, (int fd, int target, int flags),                                                  \
      return (int)kernel_call(SYS_dup3, fd, target, flags))                                            \
    X(int, fcntl, (int fd, int command, ...),                                                      \
      return (int)kernel_call(SYS_fcntl, fd, command, ARGUMENT_AFTER(command)))                        \
    X(int, fcntl64, (int fd, int command, ...),                                                    \
      return libc.fcntl(fd, command, ARGUMENT_AFTER(command)))                                     \
    X(int, __fcntl, (int fd, int command, ...),                                                    \
      return libc.fcntl(fd, command, ARGUMENT_AFTER(command)))                                     \
    X(int, ioctl, (int fd, unsigned long request, ...),                                            \
      return (int)kernel_call(SYS_ioctl, fd, request, ARGUMENT_AFTER(request)))                        \
    X(int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event),               \
      return (int)kernel_call(SYS_epoll_ctl, epoll, operation, fd, event))                             \
    X(int, sockatmark, (int fd),                                                                   \
      int mark; return libc.ioctl(fd, SIOCATMARK, &mark) < 0 ? -1 : mark)                          \
    X(FILE *, fdopen, (int fd, const char *mode), libc_resolve(); return libc.fdopen(fd, mode))    \
    X(int, vdprintf, (int fd, const char *format, va_list rest),                                   \
      libc_resolve(); return libc.vdprintf(fd, format, rest))                                      \
    X(int, dprintf, (int fd, const char *format, ...), (void)fd; (void)format; return -1)          \
    X(int, __vdprintf_chk, (int fd, int flag, const char *format, va_list rest),                   \
      (void)flag; return libc.vdprintf(fd, format, rest))                                          \
    X(int, __dprintf_chk, (int fd, int flag, const char *format, ...),                             \
      (void)fd; (void)flag; (void)format; return -1)                                               \
    X(ssize_t, splice,                                                                             \
      (int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size, unsigned flags),     \
      return kernel_call(SYS_splice, in, in_offset, out, out_offset, size, flags))                     \
    /* ways around libc */                                                                         \
    X(long, syscall, (long number, ...), (void)number; return -1)                                  \
    X(void *, dlopen, (const char *file, int mode),                                                \
      libc_resolve(); return libc.dlopen(file, mode))                                              \
    X(void *, dlmopen, (Lmid_t list, const char *file, int mode),                                  \
      libc_resolve(); return libc.dlmopen(list, file, mode))                                       \
    /* liburing, which may come later */                                                               \
    X(int, io_uring_queue_init, (unsigned entries, struct io_uring *ring, unsigned flags),         \
      return ((int (*)(unsigned, struct io_uring *,                                                \
       unsigned))uring_late("io_uring_queue_init"))(entries, ring, flags))                         \
    X(int, io_uring_queue_init_params, (unsigned entries, struct io_uring *ring,                   \
       struct io_uring_params *params),                                                            \
      return ((int (*)(unsigned, struct io_uring *,                                                \
       struct io_uring_params *))uring_late("io_uring_queue_init_params"))(entries, ring, params)) \
    X(int, io_uring_queue_init_mem, (unsigned entries, struct io_uring *ring,                      \
       struct io_uring_params *params, void *memory, size_t size),                                 \
      return ((int (*)(unsigned, struct io_uring *, struct io_uring_params *, void *,              \
       size_t))uring_late("io_uring_queue_init_mem"))(entries, ring, params, memory, size))        \
    X(int, io_uring_setup, (unsigned entries, struct io_uring_params *params),                     \
      return ((int (*)(unsigned,                                                                   \
       struct io_uring_params *))uring_late("io_uring_setup"))(entries, params))                   \
    /* the process */                                                                              \
    X(pid_t, _Fork, (void), libc_resolve(); return libc._Fork())                                   \
    X(int, daemon, (int keeps_directory, int keeps_streams),                                       \
      libc_resolve(); return libc.daemon(keeps_directory, keeps_streams))                          \
    X(int, execve, (const char *path, char *const *arguments, char *const *environment),           \
      return (int)kernel_call(SYS_execve, path, arguments, environment))                               \
    X(int, execveat, (int directory, const char *path, char *const *arguments,                     \
      char *const *environment, int flags),                                                        \
      return (int)kernel_call(SYS_execveat, directory, path, arguments, environment, flags))           \
    X(int, fexecve, (int fd, char *const *arguments, char *const *environment),                    \
      return (int)kernel_call(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH))            \
    X(int, execvpe, (const char *file, char *const *arguments, char *const *environment),          \
      libc_resolve(); return libc.execvpe(file, arguments, environment))                           \
    X(int, execv, (const char *path, char *const *arguments),                                      \
      return libc.execve(path, arguments, environ))                                                \
    X(int, execvp, (const char *file, char *const *arguments),                                     \
      return libc.execvpe(file, arguments, environ))                                               \
    X(int, execl, (const char *path, const char *argument, ...),                                   \
      (void)path; (void)argument; return -1)                                                       \
    X(int, execlp, (const char *file, const char *argument, ...),                                  \
      (void)file; (void)argument; return -1)                                                       \
    X(int, execle, (const char *path, const char *argument, ...),                                  \
      (void)path; (void)argument; return -1)                                                       \
    X(int, posix_spawn,                                                                            \
      (pid_t * child, const char *path, const posix_spawn_file_actions_t *actions,                 \
       const posix_spawnattr_t *attributes, char *const *arguments, char *const *environment),     \
      libc_resolve();                                                                              \
      return libc.posix_spawn(child, path, actions, attributes, arguments, environment))           \
    X(int, posix_spawnp,                                                                           \
      (pid_t * child, const char *file, const posix_spawn_file_actions_t *actions,                 \
       const posix_spawnattr_t *attributes, char *const *arguments, char *const *environment),     \
      libc_resolve();                                                                              \
      return libc.posix_spawnp(child, file, actions, attributes, arguments, environment))          \
    X(int, posix_spawn_file_actions_adddup2,                                                       \
      (posix_spawn_file_actions_t * actions, int fd, int target),                                  \
      libc_resolve(); return libc.posix_spawn_file_actions_adddup2(actions, fd, target))           \
    X(int, system, (const char *command), libc_resolve(); return libc.system(command))             \
    X(FILE *, popen, (const char *command, const char *mode),                                      \
      libc_resolve(); return libc.popen(command, mode))                                            \
    X(void, _exit, (int status), kernel_call(SYS_exit_group, status))                                  \
    X(void, _Exit, (int status), libc._exit(status))
/* clang-format on */

#endif
