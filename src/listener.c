/*
 * listener.c - socket, bind, listen, accept; what a connection then does is not its business.
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "sys.h"

/* Clients that may wait to be accepted; the kernel caps it at net.core.somaxconn, 4096 by default. */
#define BACKLOG 4096

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Write the socket address of `text` and `port`; its length, or 0 if `text` is no numeric address. */
static socklen_t parse_address(const char *text, uint16_t port, union address *address)
{
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        return sizeof address->v4;
    }
    if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons(port);
        return sizeof address->v6;
    }
    return 0;
}

/* The port that the kernel chose, or that we named. sin_port and sin6_port are at the same place. */
static int read_port(struct listener *listener)
{
    union address bound;
    socklen_t length = sizeof bound;
    int status = sys_getsockname(listener->fd, &bound.any, &length);
    if (status == 0)
        listener->port = ntohs(bound.v4.sin_port);
    return status;
}

int listener_open(struct listener *listener, const char *address, uint16_t port)
{
    union address wanted;
    socklen_t length = parse_address(address, port, &wanted);
    if (length == 0)
        return -EINVAL;

    listener->fd = sys_socket(wanted.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return listener->fd;

    /* Without it a restart fails for a minute while old connections are in TIME_WAIT. */
    int status = sys_setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (status == 0)
        status = sys_bind(listener->fd, &wanted.any, length);
    if (status == 0)
        status = sys_listen(listener->fd, BACKLOG);
    if (status == 0)
        status = read_port(listener);
    if (status < 0)
        listener_close(listener);
    return status;
}

void listener_close(struct listener *listener)
{
    if (listener->fd >= 0)
        sys_close(listener->fd);
    listener->fd = -1;
}

int listener_accept(struct listener *listener)
{
    int fd = sys_accept4(listener->fd, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        return fd;
    switch (-fd) {
    case EAGAIN:
        return LISTENER_EMPTY;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return LISTENER_EXHAUSTED;
    default:
        /* ECONNABORTED, EINTR, and the new socket's own pending network errors (accept(2), "Error handling"). */
        return LISTENER_SKIP;
    }
}
