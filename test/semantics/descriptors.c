/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <termios.h>

/* What any descriptor can be asked, and what becomes of its copies. */

static void check_as_file(void)
{
    struct stat status;
    struct termios terminal;
    char path[64], target[64] = "";
    struct flock lock = {.l_type = F_WRLCK};
    int fd = connected(0);
    theme("as a file");
    check("fstat", fstat(fd, &status));
    check_text("which says", "%o, size %ld, %ld links", status.st_mode, (long)status.st_size,
               (long)status.st_nlink);
    check("lseek", lseek(fd, 0, SEEK_SET));
    check("ftruncate", ftruncate(fd, 0));
    check("fsync", fsync(fd));
    check("fdatasync", fdatasync(fd));
    check("mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
    check("isatty", isatty(fd) == 0 ? -1 : 1);
    check("tcgetattr", tcgetattr(fd, &terminal));
    check("posix_fadvise", posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL));
    check("posix_fallocate", posix_fallocate(fd, 0, 10));
    check("readahead", readahead(fd, 0, 10));
    check("sync_file_range", sync_file_range(fd, 0, 0, 0));
    check("fchdir", fchdir(fd));
    check("openat", openat(fd, "x", O_RDONLY));
    check("getdents64", syscall(SYS_getdents64, fd, path, sizeof path));
    check("flock", flock(fd, LOCK_EX | LOCK_NB));
    check("F_SETLK", fcntl(fd, F_SETLK, &lock));
    check("F_GETPIPE_SZ", fcntl(fd, F_GETPIPE_SZ));
    check("F_GETLEASE", fcntl(fd, F_GETLEASE));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(path, target, sizeof target - 1);
    check_text("/proc/self/fd", "%.8s, %d", target, len > 9);
    check("open of that", open(path, O_RDWR));
    close(fd);
}

static void check_copies(void)
{
    char text[8];
    struct stat status, other;
    int fd = connected(0), copy = dup(fd);
    theme("duplicates");
    check("dup gives the next", copy == fd + 1);
    fstat(fd, &status);
    fstat(copy, &other);
    check("of the same inode", status.st_ino == other.st_ino);
    check("F_DUPFD from 100 on", fcntl(fd, F_DUPFD, 100));
    check("F_DUPFD_CLOEXEC from 100 on", fcntl(fd, F_DUPFD_CLOEXEC, 100));
    check("F_GETFD of that", fcntl(101, F_GETFD));
    check("F_DUPFD from -1 on", fcntl(fd, F_DUPFD, -1));
    check("F_DUPFD from too high on", fcntl(fd, F_DUPFD, 1 << 30));
    check("dup2", dup2(fd, 102));
    check("dup2 onto itself", dup2(fd, fd) == fd);
    check("dup3 onto itself", dup3(fd, fd, 0));
    check("dup3 with a flag that does not exist", dup3(fd, 103, 1));
    check("dup2 of what is closed", dup2(999, 104));
    check("dup2 to -1", dup2(fd, -1));
    check("dup of -1", dup(-1));
    check("O_NONBLOCK on one", fcntl(fd, F_SETFL, O_NONBLOCK));
    check("is on the other", fcntl(102, F_GETFL));
    check("read of the other", read(102, text, sizeof text));
    check("close of one", close(fd));
    check("write to another", write(copy, "text", 4));
    check("which arrives", peer(PEER_READ, 4));
    check("the next number is the lowest", dup(copy) == fd);
    check("close_range", close_range(100, 102, 0));
    check("read of what it closed", read(101, text, sizeof text));
    check("close of that", close(101));
    close(fd);
    check("syscall(SYS_close) of the last", syscall(SYS_close, copy));
    check("the peer sees it", peer(PEER_READ, 1));
    fd = connected(0);
    int file = open("/dev/null", O_RDWR);
    check("dup2 of a file onto a connection", dup2(file, fd) == fd);
    check("the peer sees its end", peer(PEER_READ, 1));
    check("write to the file there", write(fd, "text", 4));
    close(file);
    close(fd);
}

static void check_flags(void)
{
    struct f_owner_ex owner = {0};
    int value, fd = connected(0);
    theme("flags");
    check("F_GETFL", fcntl(fd, F_GETFL));
    check("F_SETFL of all there are",
          fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND | O_ASYNC | O_NOATIME));
    check("F_GETFL then", fcntl(fd, F_GETFL));
    check("F_SETFL with O_DIRECT", fcntl(fd, F_SETFL, O_DIRECT));
    check("F_SETFL of none", fcntl(fd, F_SETFL, 0));
    check("F_GETFL then", fcntl(fd, F_GETFL));
    value = 1;
    check("FIONBIO", ioctl(fd, FIONBIO, &value));
    check("F_GETFL then", fcntl(fd, F_GETFL));
    value = 0;
    check("FIONBIO of none", ioctl(fd, FIONBIO, &value));
    check("F_GETFL then", fcntl(fd, F_GETFL));
    value = 1;
    check("FIOASYNC", ioctl(fd, FIOASYNC, &value));
    check("F_GETFL then", fcntl(fd, F_GETFL));
    check("FIOCLEX", ioctl(fd, FIOCLEX));
    check("F_GETFD then", fcntl(fd, F_GETFD));
    check("FIONCLEX", ioctl(fd, FIONCLEX));
    check("F_GETFD then", fcntl(fd, F_GETFD));
    check("F_SETFD", fcntl(fd, F_SETFD, FD_CLOEXEC));
    check("F_GETFD then", fcntl(fd, F_GETFD));
    check("F_GETOWN", fcntl(fd, F_GETOWN));
    check("F_SETOWN", fcntl(fd, F_SETOWN, getpid()));
    check("F_GETOWN then", fcntl(fd, F_GETOWN) == getpid());
    check("F_GETOWN_EX", fcntl(fd, F_GETOWN_EX, &owner) == 0 && owner.pid == getpid());
    check("F_SETSIG", fcntl(fd, F_SETSIG, 40));
    check("F_GETSIG", fcntl(fd, F_GETSIG));
    check("a command that does not exist", fcntl(fd, 4711));
    close(fd);
    check("F_GETFL of what is closed", fcntl(fd, F_GETFL));
    check("F_GETFL of -1", fcntl(-1, F_GETFL));
}

static void check_ioctls(void)
{
    int value, fd = connected(0);
    theme("ioctl");
    peer(PEER_WRITE, 7);
    await(fd, POLLIN);
    check("FIONREAD", ioctl(fd, FIONREAD, &value));
    check("which is", value);
    check("FIONREAD to nowhere", ioctl(fd, FIONREAD, NULL));
    check("TIOCOUTQ", ioctl(fd, TIOCOUTQ, &value));
    check("which is", value);
    check("SIOCOUTQNSD", ioctl(fd, 0x894B, &value));
    check("which is", value);
    check("SIOCATMARK", ioctl(fd, SIOCATMARK, &value));
    check("which is", value);
    value = getpid();
    check("FIOSETOWN", ioctl(fd, FIOSETOWN, &value));
    check("FIOGETOWN", ioctl(fd, FIOGETOWN, &value));
    check("which is", value == getpid());
    check("TCGETS", ioctl(fd, TCGETS, &value));
    check("one that does not exist", ioctl(fd, 0x12345678, &value));
    close(fd);
    check("FIONREAD of what is closed", ioctl(fd, FIONREAD, &value));
    check("FIONREAD of -1", ioctl(-1, FIONREAD, &value));
}

static void check_closed(void)
{
    char text[8];
    struct iovec iov = {text, sizeof text};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    struct name peers = name_of(peer_address, peer_port);
    int fd = connected(0);
    theme("closed");
    check("close", close(fd));
    check("close again", close(fd));
    check("read", read(fd, text, 1));
    check("write", write(fd, text, 1));
    check("recv", recv(fd, text, 1, 0));
    check("send", send(fd, text, 1, 0));
    check("recvfrom", recvfrom(fd, text, 1, 0, NULL, NULL));
    check("sendto", sendto(fd, text, 1, 0, any(&peers), peers.size));
    check("recvmsg", recvmsg(fd, &message, 0));
    check("sendmsg", sendmsg(fd, &message, 0));
    check("readv", readv(fd, &iov, 1));
    check("writev", writev(fd, &iov, 1));
    check("connect", connect(fd, any(&peers), peers.size));
    check("bind", bind(fd, any(&peers), peers.size));
    check("listen", listen(fd, 1));
    check("accept", accept(fd, NULL, NULL));
    check("dup", dup(fd));
    check("setsockopt", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, text, 4));
    check("fstat", fstat(fd, &(struct stat){0}));
    check("read of -1", read(-1, text, 1));
    check("write of -1", write(-1, text, 1));
    check("close of -1", close(-1));
    check("recv of a file", recv(0, text, 1, 0));
    check("send of a file", send(0, text, 1, 0));
}

void check_descriptors(void)
{
    check_as_file();
    check_copies();
    check_flags();
    check_ioctls();
    check_closed();
}
