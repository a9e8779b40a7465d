/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <sys/sendfile.h>

/* Bytes by every call that moves them, and the arguments that none of them takes. */

static char *const bad_pointer = (char *)8;

static void check_reads(void)
{
    char text[64] = "";
    int fd = connected(0);
    theme("reading");
    peer(PEER_WRITE, 26);
    await(fd, POLLIN);
    check("a part", read(fd, text, 4));
    check_text("which is", "%.4s", text);
    check("MSG_PEEK", recv(fd, text, 4, MSG_PEEK));
    check_text("which is", "%.4s", text);
    check("MSG_PEEK again", recv(fd, text, 2, MSG_PEEK));
    check("what was peeked at", recv(fd, text, 4, 0));
    check_text("which is", "%.4s", text);
    check("MSG_TRUNC, which throws away", recv(fd, NULL, 4, MSG_TRUNC));
    check("recvfrom, without a name", recvfrom(fd, text, 2, 0, NULL, NULL));
    check_text("which is", "%.2s", text);
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    check("recvfrom, with a name", recvfrom(fd, text, 2, 0, (struct sockaddr *)&name, &size));
    check("the name's size", (long)size);
    check("nothing", read(fd, text, 0));
    check("into nowhere", read(fd, NULL, 4));
    check("to where nothing can be", read(fd, bad_pointer, 4));
    check("what is left", recv(fd, text, sizeof text, 0));
    check_text("which is", "%.10s", text);
    check("MSG_DONTWAIT when nothing is there", recv(fd, text, 4, MSG_DONTWAIT));
    check("MSG_DONTWAIT into nowhere", recv(fd, NULL, 4, MSG_DONTWAIT));
    check("MSG_PEEK when nothing is there", recv(fd, text, 4, MSG_DONTWAIT | MSG_PEEK));
    check("MSG_ERRQUEUE", recv(fd, text, 4, MSG_ERRQUEUE));
    check("MSG_OOB when nothing is there", recv(fd, text, 1, MSG_OOB));
    check("nothing, when nothing is there", recv(fd, text, 0, MSG_DONTWAIT));
    peer(PEER_WRITE, 3);
    peer_begin(PEER_WRITE, 3);
    check("MSG_WAITALL over two segments", recv(fd, text, 6, MSG_WAITALL));
    peer_answer();
    peer(PEER_WRITE, 3);
    peer(PEER_SHUTDOWN, SHUT_WR);
    check("MSG_WAITALL up to the end", recv(fd, text, 6, MSG_WAITALL));
    check("the end", recv(fd, text, 6, MSG_WAITALL));
    check("the end again", read(fd, text, sizeof text));
    check("the end, MSG_PEEK", recv(fd, text, 6, MSG_PEEK));
    check("the end, into nowhere", read(fd, NULL, 6));
    close(fd);
}

static void check_vectors(void)
{
    char a[4] = "", b[8] = "";
    struct iovec two[] = {{a, 3}, {b, 5}}, bad[] = {{a, 2}, {bad_pointer, 2}};
    struct iovec negative = {a, (size_t)-1}, empty[] = {{NULL, 0}, {b, 2}};
    static struct iovec many[1100];
    int fd = connected(0);
    theme("vectors");
    peer(PEER_WRITE, 26);
    await(fd, POLLIN);
    check("readv", readv(fd, two, 2));
    check_text("which is", "%.3s %.5s", a, b);
    check("readv of none", readv(fd, two, 0));
    check("readv of -1", readv(fd, two, -1));
    check("readv of too many", readv(fd, many, 1025));
    check("readv of a negative length", readv(fd, &negative, 1));
    check("readv with an empty part", readv(fd, empty, 2));
    check("readv from no vector", readv(fd, NULL, 1));
    check("readv from a bad vector", readv(fd, (struct iovec *)bad_pointer, 1));
    check("readv with a bad part", readv(fd, bad, 2));
    check("preadv2 at -1", preadv2(fd, two, 1, -1, 0));
    check("preadv2 at -1, RWF_NOWAIT", preadv2(fd, two, 1, -1, RWF_NOWAIT));
    check("preadv2 at 0", preadv2(fd, two, 1, 0, 0));
    check("preadv2 with a flag that does not exist", preadv2(fd, two, 1, -1, 0x1000000));
    check("preadv", preadv(fd, two, 1, 0));
    check("pread", pread(fd, a, 1, 0));
    check("writev", writev(fd, two, 2));
    check("writev of none", writev(fd, two, 0));
    check("writev of -1", writev(fd, two, -1));
    check("writev of too many", writev(fd, many, 1025));
    check("writev of a negative length", writev(fd, &negative, 1));
    check("writev with an empty part", writev(fd, empty, 2));
    check("writev from no vector", writev(fd, NULL, 1));
    check("pwritev2 at -1", pwritev2(fd, two, 2, -1, 0));
    check("pwritev", pwritev(fd, two, 1, 0));
    check("pwrite", pwrite(fd, a, 1, 0));
    check("what the peer has of it", peer(PEER_READ, 8 + 2 + 8));
    close(fd);
}

static void check_writes(void)
{
    struct name peers = name_of(peer_address, 1);
    int fd = connected(0), pending;
    theme("writing");
    check("write", write(fd, "text", 4));
    check("of nothing", write(fd, "", 0));
    check("from nowhere", write(fd, NULL, 4));
    check("from where nothing can be", write(fd, bad_pointer, 4));
    check("send of nothing", send(fd, "", 0, 0));
    check("MSG_DONTWAIT", send(fd, "text", 4, MSG_DONTWAIT));
    check("MSG_EOR", send(fd, "text", 4, MSG_EOR));
    check("MSG_CONFIRM", send(fd, "text", 4, MSG_CONFIRM));
    check("MSG_DONTROUTE", send(fd, "text", 4, MSG_DONTROUTE));
    check("MSG_MORE", send(fd, "text", 4, MSG_MORE));
    check("a flag that does not exist", send(fd, "text", 4, 0x400000));
    check("to somebody else", sendto(fd, "text", 4, 0, any(&peers), peers.size));
    check("to a name of size 1", sendto(fd, "text", 4, 0, any(&peers), 1));
    check("to a bad name", sendto(fd, "text", 4, 0, (struct sockaddr *)bad_pointer, peers.size));
    check("to a name that is too long", sendto(fd, "text", 4, 0, any(&peers), 1000));
    int arrives = 4 * 7;
    check("what the peer has of it", peer(PEER_READ, arrives));
    for (int i = 0; i < 1000 && ioctl(fd, TIOCOUTQ, &pending) == 0 && pending > 0; i++)
        usleep(10000);
    check("TIOCOUTQ in the end", pending);
    check("ioctl FIONREAD", ioctl(fd, FIONREAD, &pending));
    check("which is", pending);
    close(fd);
}

/* How much fits is each TCP's own business; that it is much, and what happens then, is not. */
static void check_full(void)
{
    static char block[100000];
    long sum = 0, part, rounds = 0;
    peer(PEER_SMALL, 0);
    int fd = connected(SOCK_NONBLOCK);
    theme("a full socket");
    while (rounds < 100) {
        while ((part = write(fd, block, sizeof block)) > 0)
            sum += part;
        usleep(10000);
        rounds++;
    }
    check("write", part);
    check("which was much before", sum > 2000);
    check_events("poll", fd);
    check("send of nothing", send(fd, block, 0, 0));
    check("send with MSG_DONTWAIT", send(fd, block, 1, MSG_DONTWAIT));
    check("the peer reads it", peer(PEER_READ, (int)sum) == sum);
    await(fd, POLLOUT);
    check_events("poll after that", fd);
    check("write after that", write(fd, block, 1));
    close(fd);
    fd = connected(0);
    peer_begin(PEER_READ, 3 * (int)sizeof block);
    check("write, blocking, of more than fits", write(fd, block, sizeof block) == sizeof block);
    struct iovec two[] = {{block, sizeof block}, {block, sizeof block}};
    check("writev, blocking", writev(fd, two, 2) == 2 * sizeof block);
    check("all of it arrives", peer_answer() == 3 * sizeof block);
    close(fd);
}

static int open_file(void)
{
    char name[] = "/tmp/semantics-XXXXXX";
    int file = mkstemp(name);
    unlink(name);
    if (file < 0 || write(file, "0123456789", 10) != 10)
        give_up("a file");
    lseek(file, 0, SEEK_SET);
    return file;
}

static void check_sendfile(void)
{
    int fd = connected(0), file = open_file();
    off_t offset = 2;
    theme("sendfile");
    check("of a part", sendfile(fd, file, NULL, 3));
    check("where the file is then", lseek(file, 0, SEEK_CUR));
    check("with an offset", sendfile(fd, file, &offset, 3));
    check("the offset then", offset);
    check("where the file is then", lseek(file, 0, SEEK_CUR));
    check("of more than there is", sendfile(fd, file, NULL, 100));
    check("at the end", sendfile(fd, file, NULL, 100));
    check("of nothing", sendfile(fd, file, NULL, 0));
    offset = -1;
    check("with a negative offset", sendfile(fd, file, &offset, 3));
    check("from a socket", sendfile(file, fd, NULL, 3));
    check("from -1", sendfile(fd, -1, NULL, 3));
    check("to -1", sendfile(-1, file, NULL, 3));
    check("what the peer has of it", peer(PEER_READ, 3 + 3 + 7));
    check("copy_file_range", copy_file_range(file, NULL, fd, NULL, 3, 0));
    close(fd);
    check("to what is closed", sendfile(fd, file, NULL, 3));
    close(file);
}

static void check_splice(void)
{
    char text[16] = "";
    int fd = connected(0), ends[2];
    off64_t offset = 0;
    if (pipe(ends) < 0)
        give_up("pipe");
    theme("splice");
    peer(PEER_WRITE, 10);
    await(fd, POLLIN);
    check("from the socket", splice(fd, NULL, ends[1], NULL, 4, 0));
    check("and the rest", splice(fd, NULL, ends[1], NULL, 100, SPLICE_F_MOVE));
    check("what came", read(ends[0], text, sizeof text));
    check_text("which is", "%.10s", text);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    check("when nothing is there", splice(fd, NULL, ends[1], NULL, 4, SPLICE_F_NONBLOCK));
    fcntl(fd, F_SETFL, 0);
    check("of nothing", splice(fd, NULL, ends[1], NULL, 0, 0));
    check("with an offset of the socket's", splice(fd, &offset, ends[1], NULL, 4, 0));
    check("between sockets", splice(fd, NULL, fd, NULL, 4, 0));
    check("into the pipe", write(ends[1], "0123456789", 10));
    check("to the socket", splice(ends[0], NULL, fd, NULL, 10, SPLICE_F_MORE));
    check("which arrives", peer(PEER_READ, 10));
    peer(PEER_SHUTDOWN, SHUT_WR);
    await(fd, POLLRDHUP);
    check("at the end", splice(fd, NULL, ends[1], NULL, 4, 0));
    check("read after splice", read(fd, text, sizeof text));
    close(ends[0]);
    close(ends[1]);
    close(fd);
}

static void check_urgent(void)
{
    char text[16] = "";
    int mark, fd = connected(0);
    theme("urgent data");
    check("SIOCATMARK before", ioctl(fd, SIOCATMARK, &mark) == 0 && mark == 0);
    peer(PEER_WRITE, 3);
    peer(PEER_URGENT, 0);
    await(fd, POLLPRI | POLLIN);
    check_events("poll", fd);
    check("MSG_OOB, MSG_PEEK", recv(fd, text, 1, MSG_OOB | MSG_PEEK));
    check("MSG_OOB", recv(fd, text, 1, MSG_OOB));
    check_text("which is", "%.1s", text);
    check("MSG_OOB again", recv(fd, text, 1, MSG_OOB));
    check_events("poll after that", fd);
    check("read stops at the mark", read(fd, text, sizeof text));
    check("SIOCATMARK there", ioctl(fd, SIOCATMARK, &mark) == 0 && mark == 1);
    check("sockatmark", sockatmark(fd));
    peer(PEER_WRITE, 3);
    await(fd, POLLIN);
    check("read goes on behind it", read(fd, text, sizeof text));
    check("SIOCATMARK behind it", ioctl(fd, SIOCATMARK, &mark) == 0 && mark == 0);
    check("send of one", send(fd, "!", 1, MSG_OOB));
    check("send of three", send(fd, "ab!", 3, MSG_OOB));
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes);
    peer(PEER_URGENT, 0);
    await(fd, POLLIN);
    check("MSG_OOB with SO_OOBINLINE", recv(fd, text, 1, MSG_OOB));
    check("read with SO_OOBINLINE", read(fd, text, sizeof text));
    check_text("which is", "%.1s", text);
    close(fd);
}

void check_transfer(void)
{
    check_reads();
    check_vectors();
    check_writes();
    check_sendfile();
    check_splice();
    check_urgent();
    check_full();
}
