/*
 * poller.c - the only file that knows epoll's names.
 */
#include "poller.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>

#include "sys.h"

int poller_open(struct poller *poller)
{
    poller->fd = sys_epoll_create1(EPOLL_CLOEXEC);
    return poller->fd < 0 ? poller->fd : 0;
}

void poller_close(struct poller *poller)
{
    sys_close(poller->fd);
}

static int control(struct poller *poller, int operation, int fd, unsigned interest, void *source)
{
    struct epoll_event event = {.data.ptr = source};
    if (interest & POLLER_READABLE)
        event.events |= EPOLLIN;
    if (interest & POLLER_WRITABLE)
        event.events |= EPOLLOUT;
    return sys_epoll_ctl(poller->fd, operation, fd, &event);
}

int poller_add(struct poller *poller, int fd, unsigned interest, void *source)
{
    return control(poller, EPOLL_CTL_ADD, fd, interest, source);
}

int poller_change(struct poller *poller, int fd, unsigned interest, void *source)
{
    return control(poller, EPOLL_CTL_MOD, fd, interest, source);
}

static unsigned readiness(uint32_t events)
{
    unsigned ready = 0;
    if (events & EPOLLIN)
        ready |= POLLER_READABLE;
    if (events & EPOLLOUT)
        ready |= POLLER_WRITABLE;
    if (events & (EPOLLERR | EPOLLHUP))
        ready |= POLLER_HANGUP;
    return ready;
}

int poller_wait(struct poller *poller, struct poller_event events[POLLER_EVENTS_MAX], int64_t timeout_ms)
{
    struct epoll_event raw[POLLER_EVENTS_MAX];
    int wait_ms = timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
    int count = sys_epoll_wait(poller->fd, raw, POLLER_EVENTS_MAX, wait_ms);

    for (int i = 0; i < count; i++)
        events[i] = (struct poller_event){.source = raw[i].data.ptr, .ready = readiness(raw[i].events)};
    return count == -EINTR ? 0 : count;
}
