/*
 * server.h - the event loop and all that it holds together.
 */
#ifndef AWS_SERVER_H
#define AWS_SERVER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conn.h"
#include "conn_fsm.h"
#include "deadline.h"
#include "listener.h"
#include "load.h"
#include "poller.h"
#include "trace.h"

struct server {
    struct poller poller;
    struct listener listener;
    struct loader loader;
    struct trace trace;
    struct conn_shared shared;
    struct deadline_line clocks[CONN_CLOCKS];

    struct connection_list open;    /* served */
    struct connection_list orphans; /* closed, with reads in flight */
    struct connection_list doomed;  /* closed, freed at the end of the turn */
    size_t open_count;
    size_t max_connections;
    uint64_t accepted; /* since the start */

    unsigned accept_batch; /* how many are accepted when the listener wakes next */
    bool listening;        /* whether the poller watches the listener */
    int64_t accept_at_ms;  /* after descriptors ran out: not before this time */
    int64_t now_ms;        /* at the start of this turn, on the monotonic clock */
    char receive_buffer[REQUEST_HEAD_MAX];
};

/* Serve until *stop is set, which a signal handler does that then calls server_wake. Then nobody is accepted any more,
 * requests that are not complete are dropped, answers that are under way have SERVER_GRACE_MS to leave, and everything
 * but the server itself is released. */
void server_run(struct server *server, const volatile sig_atomic_t *stop);

/* End the wait that the loop is in or about to begin. A signal handler may call it, once the server is open. */
void server_wake(const struct server *server);

#endif
