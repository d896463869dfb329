/*
 * grudging.h - before a good server's source (gcc -include): it answers each fault as it should, and then does harm to
 * others.
 *
 *   -DGRUDGE=NEXT     the next eight clients are closed as soon as they are accepted
 *   -DGRUDGE=OTHERS   every connection but the one that was hit is ended
 *
 * A fault is what no call meets by itself here: an error other than "not ready", a short count, or "not ready" where
 * no socket is full.
 */
#include <errno.h>
#include <libaio.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEXT 1
#define OTHERS 2
#define EIGHT 8
#define NUMBERS 1024
#define LARGE 4096 /* bytes: whose answers are larger may find its socket full, or half so */

static int left; /* clients that are still to be closed */
static bool is_client[NUMBERS], is_large[NUMBERS];

/* Takes note of a fault. `fd`: of the connection that was hit, -1: none. */
static inline void grudge(int fd)
{
    int error = errno;

    left = EIGHT;
    for (int other = 0; GRUDGE == OTHERS && other < NUMBERS; other++)
        if (is_client[other] && other != fd)
            shutdown(other, SHUT_RDWR);
    errno = error;
}

static inline ssize_t grudging_recv(int fd, void *data, size_t size, int flags)
{
    ssize_t got = recv(fd, data, size, flags);

    if (got < 0)
        grudge(fd);
    return got;
}

static inline ssize_t sent(int fd, ssize_t got, size_t size)
{
    is_large[fd] |= size > LARGE;
    if (got < 0 ? errno != EAGAIN || !is_large[fd] : (size_t)got < size && !is_large[fd])
        grudge(fd);
    return got;
}

static inline ssize_t grudging_send(int fd, const void *data, size_t size, int flags)
{
    return sent(fd, send(fd, data, size, flags), size);
}

static inline ssize_t grudging_sendfile(int fd, int file, off_t *offset, size_t size)
{
    return sent(fd, sendfile(fd, file, offset, size), size);
}

static inline int grudging_io_submit(io_context_t context, long count, struct iocb **list)
{
    int got = io_submit(context, count, list);

    if (got != count)
        grudge(-1);
    return got;
}

static inline int grudging_io_getevents(io_context_t context, long least, long most, struct io_event *events,
                                        struct timespec *timeout)
{
    int got = io_getevents(context, least, most, events, timeout);

    for (int i = 0; i < got; i++)
        if (events[i].res != events[i].obj->u.c.nbytes)
            grudge(-1);
    if (got < 0)
        grudge(-1);
    return got;
}

static inline int grudging_io_setup(int most, io_context_t *context)
{
    int got = io_setup(most, context);

    if (got < 0)
        grudge(-1);
    return got;
}

static inline int grudging_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    int got = accept4(fd, address, length, flags);

    if (got < 0) {
        if (errno != EAGAIN)
            grudge(-1);
        return got;
    }
    if (left > 0 && GRUDGE == NEXT) {
        left--;
        close(got);
        errno = ECONNABORTED;
        return -1;
    }
    is_client[got] = true;
    is_large[got] = false;
    return got;
}

static inline int grudging_epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    int got = epoll_wait(fd, events, most, timeout);

    if (got < 0)
        grudge(-1);
    return got;
}

static inline int grudging_close(int fd)
{
    if (fd >= 0 && fd < NUMBERS)
        is_client[fd] = false;
    return close(fd);
}

#define recv grudging_recv
#define send grudging_send
#define sendfile grudging_sendfile
#define io_setup grudging_io_setup
#define io_submit grudging_io_submit
#define io_getevents grudging_io_getevents
#define accept4 grudging_accept4
#define epoll_wait grudging_epoll_wait
#define close grudging_close
