/*
 * listener.h - the listening socket.
 */
#ifndef AWS_LISTENER_H
#define AWS_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

struct listener {
    int fd; /* -1: closed */
    uint16_t port;
};

/* What listener_accept returns besides a descriptor. */
enum {
    LISTENER_EMPTY = -1,     /* nobody is waiting */
    LISTENER_SKIP = -2,      /* that one is lost (it left already, or a signal came): ask again */
    LISTENER_EXHAUSTED = -3, /* no descriptor or memory for another: stop asking until some come back */
};

/* Listen on `address` (numeric IPv4 or IPv6) and `port`, 0 for a free one; listener->port is then the one in use.
 * Returns 0 or a negative errno (socket(2), bind(2), listen(2)); -EINVAL if `address` is not numeric. */
int listener_open(struct listener *listener, const char *address, uint16_t port);

void listener_close(struct listener *listener);

/* The next client's socket, non-blocking and close-on-exec, or one of the values above (accept4(2)). */
int listener_accept(struct listener *listener);

#endif
