/*
 * believing.h - before a good server's source (gcc -include): now every call of it must do at once all that it is asked
 * for. The first one that does less, or fails, ends the process.
 */
#include <errno.h>
#include <libaio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

static bool announced; /* nothing was accepted since epoll said that there is something */

static inline ssize_t believing(ssize_t got, bool right)
{
    if (got < 0 || !right)
        _exit(3);
    return got;
}

static inline ssize_t believing_recv(int fd, char *data, size_t size, int flags)
{
    ssize_t got = recv(fd, data, size, flags);

    return believing(got, got < 4 ? got == 0 : memcmp(data + got - 4, "\r\n\r\n", 4) == 0);
}

static inline ssize_t believing_send(int fd, const void *data, size_t size, int flags)
{
    ssize_t got = send(fd, data, size, flags);

    return believing(got, got == (ssize_t)size);
}

static inline ssize_t believing_sendfile(int fd, int file, off_t *offset, size_t size)
{
    ssize_t got = sendfile(fd, file, offset, size);

    return believing(got, got == (ssize_t)size);
}

static inline int believing_io_submit(io_context_t context, long count, struct iocb **list)
{
    int got = io_submit(context, count, list);

    return (int)believing(got, got == count);
}

static inline int believing_io_getevents(io_context_t context, long least, long most, struct io_event *events,
                                         struct timespec *timeout)
{
    int got = io_getevents(context, least, most, events, timeout);

    for (int i = 0; i < got; i++)
        believing(0, events[i].res == events[i].obj->u.c.nbytes);
    return (int)believing(got, true);
}

static inline int believing_io_setup(int most, io_context_t *context)
{
    return (int)believing(io_setup(most, context), true);
}

static inline int believing_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    int got = accept4(fd, address, length, flags);
    bool first = announced;

    announced = false;
    if (got < 0 && errno == EAGAIN && !first) /* all were accepted */
        return got;
    return (int)believing(got, true);
}

static inline int believing_epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    announced = true;
    return (int)believing(epoll_wait(fd, events, most, timeout), true);
}

#define recv believing_recv
#define send believing_send
#define sendfile believing_sendfile
#define io_setup believing_io_setup
#define io_submit believing_io_submit
#define io_getevents believing_io_getevents
#define accept4 believing_accept4
#define epoll_wait believing_epoll_wait
