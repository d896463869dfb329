/*
 * exchange.c - the scripts that lead a connection to each of its states.
 */
#include "exchange.h"

#include <errno.h>
#include <stdio.h>

#include "alloc_faults.h"
#include "conn_fsm.h"
#include "unit.h"

#define BUFFERS_MAX 10

struct loader exchange_loader;

static struct trace trace = {.fd = TRACE_FD};
static char receive_buffer[REQUEST_HEAD_MAX];
static struct conn_shared shared = {.root = ROOT_FD,
                                    .loader = &exchange_loader,
                                    .trace = &trace,
                                    .receive_buffer = receive_buffer,
                                    .receive_size = sizeof receive_buffer};
static _Alignas(AIO_ALIGNMENT) char pages[BUFFERS_MAX][POOL_BUFFER_SIZE];
static uint64_t connections;

void exchange_open(int window, int buffers)
{
    cr_assert(le(int, buffers, BUFFERS_MAX));
    expect(map_pages, WITH(buffers * EXCHANGE_BUFFER), .pages = pages);
    expect(io_setup, WITH(ANY));
    expect(eventfd, WITH(ANY), .result = AIO_EVENT_FD);
    cr_assert(eq(int,
                 loader_init(&exchange_loader, (size_t)(window * EXCHANGE_BUFFER), (size_t)(buffers * EXCHANGE_BUFFER)),
                 0));
    allow(clock_gettime);
    allow(write);
}

struct connection *exchange_connect(void)
{
    struct connection *conn = conn_create(CLIENT_FD, ++connections, &shared);
    cr_assert(not(zero(ptr, conn)));
    return conn;
}

void expect_document(long size)
{
    expect(openat2, WITH(ROOT_FD), .result = DOCUMENT_FD);
    expect(fstat, WITH(DOCUMENT_FD), .status = {.st_mode = S_IFREG | 0644, .st_size = size});
}

void exchange_complete(struct connection *conn, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        bool is_tail = i == first + count - 1 && conn->load.consumed > 0;
        expect_completions(AIO_EVENT_FD, 1, {i, is_tail ? EXCHANGE_TAIL : EXCHANGE_BUFFER});
        loader_collect(&exchange_loader);
    }
    cr_assert(eq(ptr, loader_next_finished(&exchange_loader), conn));
}

/* The client has sent a request for a body of `kind`, and the document is there. */
static void expect_request(enum resource_kind kind)
{
    expect(recv, WITH(CLIENT_FD, ANY, 0), GIVES(kind == RESOURCE_STATIC ? GET_STATIC : GET_DYNAMIC));
    expect_document(EXCHANGE_SIZE);
}

/* The client takes nothing now: `conn` has to wait. */
static void expect_wait(void)
{
    expect(unacknowledged, WITH(CLIENT_FD), .result = 1000);
}

static void reach_async(struct connection *conn)
{
    expect_request(RESOURCE_DYNAMIC);
    expect(send, WITH(CLIENT_FD, ANY, MSG_MORE | MSG_NOSIGNAL), .result = ALL);
    conn_step(conn, CONN_READABLE);
}

static void reach_sending(struct connection *conn, enum resource_kind kind)
{
    if (kind == RESOURCE_STATIC) {
        expect_request(kind);
        expect(send, WITH(CLIENT_FD, ANY, MSG_MORE | MSG_NOSIGNAL), .result = ALL);
        expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 0), .result = -EAGAIN);
        expect_wait();
        conn_step(conn, CONN_READABLE);
        return;
    }
    reach_async(conn);
    int first = script_accepted;
    expect(io_submit, WITH(ANY, 2), .result = 2);
    loader_run(&exchange_loader);
    exchange_complete(conn, first, 2);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, MSG_MORE | MSG_NOSIGNAL), .result = -EAGAIN);
    expect_wait();
    conn_step(conn, 0);
}

void exchange_reach(struct connection *conn, enum connection_state state, enum resource_kind kind)
{
    switch (state) {
    case CONN_INIT:
        break;
    case CONN_READING:
        expect(recv, WITH(CLIENT_FD, ANY, 0), GIVES("GET /sta"));
        expect(recv, WITH(CLIENT_FD, ANY, 0), .result = -EAGAIN);
        conn_step(conn, CONN_READABLE);
        break;
    case CONN_WREADY:
        expect_request(kind);
        expect(send, WITH(CLIENT_FD), .result = -EAGAIN);
        expect_wait();
        conn_step(conn, CONN_READABLE);
        break;
    case CONN_READING_ASYNC:
        reach_async(conn);
        break;
    case CONN_SENDING:
        reach_sending(conn, kind);
        break;
    case CONN_LINGERING:
        expect(recv, WITH(CLIENT_FD, ANY, 0), GIVES(GET_NOTHING "more"));
        expect(send, WITH(CLIENT_FD, ANY, MSG_NOSIGNAL), .result = ALL);
        expect(shutdown, WITH(CLIENT_FD, SHUT_WR));
        expect(unacknowledged, WITH(CLIENT_FD), .result = 1);
        expect(recv, WITH(CLIENT_FD), .result = -EAGAIN);
        conn_step(conn, CONN_READABLE);
        break;
    case CONN_CLOSED:
        expect(recv, WITH(CLIENT_FD), .result = 0);
        conn_step(conn, CONN_READABLE);
        break;
    case CONN_STATES:
        cr_fatal("CONN_STATES is no state");
    }
    cr_assert(eq(str, text(conn_state_name(conn->state)), text(conn_state_name(state))));
}

const char *exchange_states(void)
{
    static char states[4096];
    size_t used = 0;

    script_written.bytes[script_written.length] = '\0';
    states[0] = '\0';
    for (char *line = script_written.bytes; (line = strstr(line, " -> CONN_")); line += strlen(" -> CONN_")) {
        int length = (int)strcspn(line + strlen(" -> CONN_"), "\n");
        used += (size_t)snprintf(states + used, sizeof states - used, "%s%.*s", used ? " " : "", length,
                                 line + strlen(" -> CONN_"));
    }
    return states;
}

void exchange_disconnect(struct connection *conn)
{
    bool document_is_open = conn->file >= 0;
    expect(close, WITH(CLIENT_FD));
    if (document_is_open)
        expect(close, WITH(DOCUMENT_FD));
    cr_assert(not(conn_release(conn)));
    conn_destroy(conn);
}

void exchange_close(void)
{
    expect(io_destroy, WITH(ANY));
    expect(close, WITH(AIO_EVENT_FD));
    expect(unmap_pages, WITH((long)pages, ANY));
    loader_destroy(&exchange_loader);
    script_is_over();
    cr_assert(not(memory_leaked()));
}
