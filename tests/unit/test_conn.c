/*
 * test_conn.c - how a connection begins and ends.
 *
 * Rows of "the server must":
 *   no memory for a connection               that one is refused
 *   peer gone while a read is in flight      closed now, freed after the completion
 */
#include "conn.h"

#include <signal.h>

#include "alloc_faults.h"
#include "conn_fsm.h"
#include "exchange.h"
#include "unit.h"

Test(conn, a_new_connection_is_in_init_and_owns_its_socket_only)
{
    exchange_open(2, 2);
    struct connection *conn = exchange_connect();
    cr_assert(eq(int, (int)conn->state, CONN_INIT));
    cr_assert(eq(int, conn->fd, CLIENT_FD));
    cr_assert(eq(int, conn->file, -1));
    cr_assert(zero(ptr, conn->head));
    cr_assert(zero(ptr, conn->request.target));
    cr_assert(eq(str, text(exchange_states()), text("INIT")));
    cr_assert(eq(sz, script_written.length, strlen("0.000000 conn=1 fd=30 new -> CONN_INIT\n")));
    exchange_disconnect(conn);
    exchange_close();
}

Test(conn, no_memory_refuses_it_and_leaves_the_socket_alone)
{
    struct conn_shared none = {.root = -1};
    fail_next_allocation();
    cr_assert(zero(ptr, conn_create(CLIENT_FD, 1, &none)));
    script_is_over();
}

Test(conn, release_closes_socket_and_document_and_gives_the_buffers_back)
{
    exchange_open(2, 2);
    struct connection *conn = exchange_connect();
    exchange_reach(conn, CONN_SENDING, RESOURCE_DYNAMIC);
    cr_assert(zero(sz, exchange_loader.pool.available));

    expect(close, WITH(CLIENT_FD));
    expect(close, WITH(DOCUMENT_FD));
    cr_assert(not(conn_release(conn)));
    cr_assert(eq(sz, exchange_loader.pool.available, 2));
    cr_assert(eq(int, conn->fd, -1));
    cr_assert(eq(int, conn->file, -1));
    conn_destroy(conn);
    exchange_close();
}

/* Whoever starts a server with standard input closed gets it. */
Test(conn, descriptor_0_is_a_descriptor_like_any_other)
{
    exchange_open(2, 2);
    struct connection *conn = exchange_connect();
    expect(recv, WITH(CLIENT_FD), GIVES(GET_STATIC));
    expect(openat2, WITH(ROOT_FD), .result = 0);
    expect(fstat, WITH(0), .status = {.st_mode = S_IFREG, .st_size = 5});
    expect(send, WITH(CLIENT_FD), .result = ALL);
    expect(sendfile, WITH(CLIENT_FD, 0, 0, 5), .result = 5);
    conn_step(conn, CONN_READABLE);
    expect(close, WITH(CLIENT_FD));
    expect(close, WITH(0));
    cr_assert(not(conn_release(conn)));
    conn_destroy(conn);
    exchange_close();
}

/* Row: peer gone while a read is in flight. */
Test(conn, release_with_a_read_in_flight_closes_now_and_is_freed_after_the_completion)
{
    exchange_open(2, 2);
    struct connection *conn = exchange_connect();
    exchange_reach(conn, CONN_READING_ASYNC, RESOURCE_DYNAMIC);
    expect(io_submit, WITH(ANY, 2), .result = 2);
    loader_run(&exchange_loader);

    expect(close, WITH(CLIENT_FD));
    expect(close, WITH(DOCUMENT_FD));
    cr_assert(conn_release(conn));
    exchange_complete(conn, 0, 2);
    conn_destroy(conn);
    exchange_close();
}

Test(conn, a_request_that_never_became_complete_is_freed_with_it)
{
    exchange_open(2, 2);
    struct connection *conn = exchange_connect();
    exchange_reach(conn, CONN_READING, RESOURCE_NONE);
    cr_assert(not(zero(ptr, conn->request.target)));
    exchange_disconnect(conn);
    exchange_close();
}

Test(conn, destroying_nothing_is_allowed)
{
    conn_destroy(NULL);
}

Test(conn, destroying_it_before_its_release_is_our_own_fault, .signal = SIGABRT)
{
    exchange_open(2, 2);
    conn_destroy(exchange_connect());
}
