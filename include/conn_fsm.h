/*
 * conn_fsm.h - the state machine of a connection: its table and the driver.
 */
#ifndef AWS_CONN_FSM_H
#define AWS_CONN_FSM_H

#include <stdbool.h>

#include "conn.h"

/* What a state waits for, and what woke it up; the bits of connection readiness. */
enum {
    CONN_READABLE = 1,
    CONN_WRITABLE = 2,
    CONN_HANGUP = 4, /* the peer is gone altogether; a half-close is not that */
};

/* Which clock runs in a state. */
enum conn_clock { CLOCK_NONE, CLOCK_HEAD, CLOCK_SEND, CLOCK_LINGER, CONN_CLOCKS };

/* Step `conn` as far as it goes without waiting, after `ready` (the bits above; 0 for a completion). */
void conn_step(struct connection *conn, unsigned ready);

/* The only function that changes a state; the edge must be in the table. */
void conn_goto(struct connection *conn, enum connection_state next);

/* CONN_READABLE, CONN_WRITABLE or 0: what `state` wants of epoll. */
unsigned conn_wants(enum connection_state state);

/* The clock that runs in `state`. */
enum conn_clock conn_clock(enum connection_state state);

/* Whether the table has the edge. */
bool conn_may_go(enum connection_state from, enum connection_state to);

/* The name of `state`, as in the assignment. */
const char *conn_state_name(enum connection_state state);

#endif
