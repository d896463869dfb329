/*
 * conn.c - the lifetime of a connection.
 *
 *   conn_create ---> the states of conn_fsm.c ---> conn_release ---> conn_destroy
 *                                                       |                 ^
 *                                                       +--> completion --+    if a read is in flight
 *
 * Release and destruction are two steps because a read in flight outlives its connection: descriptors are closed at
 * once, the memory that the kernel writes into is not ours until the completion comes.
 */
#include "conn.h"

#include <assert.h>
#include <stdlib.h>

#include "conn_fsm.h"
#include "sys.h"

struct connection *conn_create(int fd, uint64_t number, struct conn_shared *shared)
{
    struct connection *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->state = CONN_INIT;
    conn->fd = fd;
    conn->number = number;
    conn->shared = shared;
    conn->file = -1;
    request_init(&conn->request);
    load_init(&conn->load, -1, 0, conn);
    trace_edge(shared->trace, number, fd, "new", conn_state_name(CONN_INIT));
    return conn;
}

bool conn_release(struct connection *conn)
{
    bool in_flight = load_cancel(conn->shared->loader, &conn->load);

    sys_close(conn->fd);
    conn->fd = -1;
    if (conn->file >= 0)
        sys_close(conn->file);
    conn->file = -1;
    return in_flight;
}

void conn_destroy(struct connection *conn)
{
    if (!conn)
        return;
    assert(conn->fd < 0 && conn->load.outstanding == 0 && "destroyed before it was released");
    request_destroy(&conn->request);
    free(conn->head);
    free(conn);
}
