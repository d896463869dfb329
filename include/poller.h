/*
 * poller.h - epoll: who is watched for what, and who woke.
 *
 * A source is any pointer that the caller can recognise; the poller never looks behind it. Level-triggered: what was
 * left undone is reported again.
 */
#ifndef AWS_POLLER_H
#define AWS_POLLER_H

#include <stdint.h>

/* The bits of interest and readiness. HANGUP is reported whether asked for or not. */
enum { POLLER_READABLE = 1, POLLER_WRITABLE = 2, POLLER_HANGUP = 4 };

/* Wake-ups taken from the kernel at a time. */
#define POLLER_EVENTS_MAX 256

struct poller_event {
    void *source;
    unsigned ready;
};

struct poller {
    int fd;
};

/* 0 or a negative errno (epoll_create1(2)). */
int poller_open(struct poller *poller);

void poller_close(struct poller *poller);

/* Watch `fd` for `interest`, or tell it again; a descriptor that is closed is forgotten by itself. 0 or a negative
 * errno (epoll_ctl(2)). */
int poller_add(struct poller *poller, int fd, unsigned interest, void *source);
int poller_change(struct poller *poller, int fd, unsigned interest, void *source);

/* Wait at most `timeout_ms`, -1: for ever (epoll_wait(2)). Returns how many `events` there are; 0 after the time or a
 * signal; a negative errno if the poller itself is broken. */
int poller_wait(struct poller *poller, struct poller_event events[POLLER_EVENTS_MAX], int64_t timeout_ms);

#endif
