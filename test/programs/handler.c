/* SPDX-License-Identifier: MIT */
/*
 * A signal handler that uses a socket, whatever its thread is doing, while that tries to execute a program that is not
 * there:
 *
 *	handler ADDRESS PORT
 *
 * The server returns what it gets. Ends after 300 answers, without a word.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWERS = 300 };

static int fd;
static volatile sig_atomic_t answers;

static void talk(int signal)
{
    int saved = errno;
    char byte = 'x';

    (void)signal;
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
        _exit(1);
    answers++;
    errno = saved;
}

int main(int argc, char **argv)
{
    struct itimerval often = {{0, 700}, {0, 700}};
    struct sockaddr_in name = {.sin_family = AF_INET};
    char name_of_none[] = "no-such-program", *nothing[] = {name_of_none, NULL};

    if (argc != 3 || inet_pton(AF_INET, argv[1], &name.sin_addr) != 1)
        errx(2, "usage: handler ADDRESS PORT");
    name.sin_port = htons((uint16_t)atoi(argv[2]));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof name) != 0)
        err(1, "connect");
    signal(SIGALRM, talk);
    setitimer(ITIMER_REAL, &often, NULL);
    while (answers < ANSWERS)
        execvp(nothing[0], nothing);
    return 0;
}
