/*
 * conn_fsm.c - the whole server on one page.
 *
 *      CONN_INIT ----> CONN_READING      the request arrives, in pieces of any size
 *             \          /
 *             CONN_WREADY                the head of the answer is in write_buff
 *             /    |     \
 *            /     |   CONN_READING_ASYNC <---+     dynamic: a window of the file is read into buffers
 *           |      |        \                 |
 *           |      +----> CONN_SENDING -------+     static by sendfile, dynamic buffer by buffer
 *            \             /    |
 *          CONN_LINGERING <     |        the client may still send: read it away, or it would get RST
 *                   \           |
 *                    CONN_CLOSED         from anywhere; freed when nothing is in flight
 *
 * A row says what the state waits for, which clock runs meanwhile, what is done when it wakes, and where it may go. The
 * actions are in conn_io.c. An action returns the next state; returning its own state means "wait". No action calls
 * another, and none writes the state.
 */
#include "conn_fsm.h"

#include <assert.h>
#include <stddef.h>

#include "conn_io.h"

#define TO(state) (1u << (state))

static const struct row {
    const char *name;
    unsigned wants;
    enum conn_clock clock;
    enum connection_state (*action)(struct connection *conn);
    unsigned next;
} rows[CONN_STATES] = {
    [CONN_INIT] = {"CONN_INIT", CONN_READABLE, CLOCK_HEAD, conn_io_receive,
                   TO(CONN_READING) | TO(CONN_WREADY) | TO(CONN_CLOSED)},
    [CONN_READING] = {"CONN_READING", CONN_READABLE, CLOCK_HEAD, conn_io_receive, TO(CONN_WREADY) | TO(CONN_CLOSED)},
    [CONN_WREADY] = {"CONN_WREADY", CONN_WRITABLE, CLOCK_SEND, conn_io_send_head,
                     TO(CONN_SENDING) | TO(CONN_READING_ASYNC) | TO(CONN_LINGERING) | TO(CONN_CLOSED)},
    [CONN_READING_ASYNC] = {"CONN_READING_ASYNC", 0, CLOCK_NONE, conn_io_load, TO(CONN_SENDING) | TO(CONN_CLOSED)},
    [CONN_SENDING] = {"CONN_SENDING", CONN_WRITABLE, CLOCK_SEND, conn_io_send_body,
                      TO(CONN_READING_ASYNC) | TO(CONN_LINGERING) | TO(CONN_CLOSED)},
    [CONN_LINGERING] = {"CONN_LINGERING", CONN_READABLE, CLOCK_LINGER, conn_io_linger, TO(CONN_CLOSED)},
    [CONN_CLOSED] = {"CONN_CLOSED", 0, CLOCK_NONE, NULL, 0},
};

void conn_step(struct connection *conn, unsigned ready)
{
    enum connection_state before;

    /* A lingering connection is only waiting for the peer's end, and what was sent before it is still to be read. */
    if ((ready & CONN_HANGUP) && conn->state != CONN_LINGERING)
        conn_goto(conn, CONN_CLOSED);
    conn->moved = 0;
    do {
        before = conn->state;
        if (rows[before].action)
            conn_goto(conn, rows[before].action(conn));
    } while (conn->state != before);
}

void conn_goto(struct connection *conn, enum connection_state next)
{
    if (next == conn->state)
        return;
    assert(conn_may_go(conn->state, next) && "an edge that is not in the table");
    trace_edge(conn->shared->trace, conn->number, conn->fd, rows[conn->state].name, rows[next].name);
    conn->state = next;
}

unsigned conn_wants(enum connection_state state)
{
    return rows[state].wants;
}

enum conn_clock conn_clock(enum connection_state state)
{
    return rows[state].clock;
}

bool conn_may_go(enum connection_state from, enum connection_state to)
{
    return rows[from].next & TO(to);
}

const char *conn_state_name(enum connection_state state)
{
    return rows[state].name;
}
