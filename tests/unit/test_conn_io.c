/*
 * test_conn_io.c - one small action for each state: every result of its system call, and where that leads.
 *
 * Rows of "the server must":
 *   short recv, recv 0, recv EAGAIN, EINTR            keep and go on / close / wait / try again at once
 *   send EAGAIN, EINTR, short send, short sendfile    wait / try again / go on at the right offset
 *   ECONNRESET, EPIPE                                 close quietly
 *   sendfile 0, AIO res short or 0 before the end     close: never pad, never spin
 *   peer gone while a read is in flight               closed now
 *   no memory for a buffer                            wait
 *
 * And every edge of the state table is used: see the last test.
 */
#include "conn_io.h"

#include <errno.h>
#include <stdio.h>

#include "alloc_faults.h"
#include "conn_fsm.h"
#include "exchange.h"
#include "response.h"
#include "unit.h"

#define SENDFILE_MAX ((long)256 * 1024)
#define LAST MSG_NOSIGNAL
#define MORE (MSG_MORE | MSG_NOSIGNAL)

/* What ends a connection quietly, whatever it was doing. */
static const int gone[] = {-ECONNRESET, -EPIPE, -ETIMEDOUT, -ENOTCONN, -EBADF, -EIO};
#define GONE_COUNT (sizeof gone / sizeof gone[0])

static struct connection *conn;

static void start(enum connection_state state, enum resource_kind kind)
{
    exchange_open(2, 2);
    conn = exchange_connect();
    exchange_reach(conn, state, kind);
}

static void next(enum connection_state state, enum resource_kind kind)
{
    conn = exchange_connect();
    exchange_reach(conn, state, kind);
}

static void assert_state(enum connection_state want)
{
    cr_assert(eq(str, text(conn_state_name(conn->state)), text(conn_state_name(want))));
}

static void finish(void)
{
    exchange_disconnect(conn);
    exchange_close();
}

/* The bytes of the body that have left: all that was sent after the head. */
static const char *sent_body(size_t *length)
{
    const char *end = memmem(script_sent.bytes, script_sent.length, "\r\n\r\n", 4);
    cr_assert(not(zero(ptr, text(end))), "no head has left");
    *length = script_sent.length - (size_t)(end + 4 - script_sent.bytes);
    return end + 4;
}

/* Exactly the first `count` bytes of the document have left. */
static void assert_body_sent(long count)
{
    size_t length;
    const char *body = sent_body(&length);
    cr_assert(eq(sz, length, (size_t)count));
    cr_assert(eq(sz, fake_differs_at(body, 0, length), length));
}

/* --- receiving -------------------------------------------------------------------------------------------------- */

/* Row: short recv, recv EAGAIN, EINTR. */
Test(conn_io, a_request_in_pieces_is_kept_and_gone_on_with)
{
    start(CONN_INIT, RESOURCE_NONE);
    expect(recv, WITH(CLIENT_FD, REQUEST_HEAD_MAX, 0), .result = -EINTR);
    expect(recv, WITH(CLIENT_FD), .result = -EAGAIN);
    conn_step(conn, CONN_READABLE);
    assert_state(CONN_INIT);

    expect(recv, WITH(CLIENT_FD), GIVES("GET /sta"));
    expect(recv, WITH(CLIENT_FD), GIVES("tic/a HT"));
    conn_step(conn, CONN_READABLE); /* one more receive after the state has changed, then the poller is asked */
    assert_state(CONN_READING);
    expect(recv, WITH(CLIENT_FD), GIVES("TP/1.1\r\n"));
    conn_step(conn, CONN_READABLE);
    assert_state(CONN_READING);

    expect(recv, WITH(CLIENT_FD), GIVES("Host: x\r\n\r\n"));
    expect(openat2, WITH(ROOT_FD), .path = "static/a", .result = DOCUMENT_FD);
    expect(fstat, WITH(DOCUMENT_FD), .status = {.st_mode = S_IFREG, .st_size = 10});
    expect(send, WITH(CLIENT_FD, ANY, MORE), .result = ALL);
    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 0, 10), .result = 10);
    conn_step(conn, CONN_READABLE);
    cr_assert(eq(str, text(exchange_states()), text("INIT READING WREADY SENDING CLOSED")));
    finish();
}

/* Row: recv 0. */
Test(conn_io, an_end_before_the_request_is_complete_closes)
{
    const enum connection_state states[] = {CONN_INIT, CONN_READING};
    exchange_open(2, 2);
    for (int i = 0; i < 2; i++) {
        next(states[i], RESOURCE_NONE);
        expect(recv, WITH(CLIENT_FD), .result = 0);
        conn_step(conn, CONN_READABLE);
        assert_state(CONN_CLOSED);
        exchange_disconnect(conn);
    }
    exchange_close();
}

/* Row: ECONNRESET, EPIPE. */
Test(conn_io, a_client_that_is_gone_closes_quietly_while_receiving)
{
    exchange_open(2, 2);
    for (size_t i = 0; i < GONE_COUNT; i++) {
        next(CONN_READING, RESOURCE_NONE);
        expect(recv, WITH(CLIENT_FD), .result = gone[i]);
        conn_step(conn, CONN_READABLE);
        assert_state(CONN_CLOSED);
        exchange_disconnect(conn);
    }
    exchange_close();
}

Test(conn_io, no_memory_for_an_answer_closes)
{
    start(CONN_INIT, RESOURCE_NONE);
    expect(recv, WITH(CLIENT_FD), GIVES(GET_NOTHING));
    fail_allocation(2, false); /* the first is the target's */
    conn_step(conn, CONN_READABLE);
    assert_state(CONN_CLOSED);
    finish();
}

/* --- the head --------------------------------------------------------------------------------------------------- */

/* Row: short send, send EAGAIN, EINTR. */
Test(conn_io, a_short_send_of_the_head_resumes_at_the_offset)
{
    start(CONN_WREADY, RESOURCE_STATIC);
    long length = (long)conn->write_length;
    char head[RESPONSE_SIZE_MAX];
    memcpy(head, conn->write_buff, (size_t)length);

    expect(send, WITH(CLIENT_FD, length, MORE), .result = 10);
    expect(send, WITH(CLIENT_FD, length - 10, MORE), .result = -EINTR);
    expect(send, WITH(CLIENT_FD, length - 10, MORE), .result = 1);
    expect(send, WITH(CLIENT_FD, length - 11, MORE), .result = -EAGAIN);
    expect(unacknowledged, WITH(CLIENT_FD), .result = 11);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_WREADY);
    cr_assert(eq(sz, conn->moved, 11), "the client is not stalled");

    expect(send, WITH(CLIENT_FD, length - 11, MORE), .result = ALL);
    expect(sendfile, WITH(CLIENT_FD), .result = -EAGAIN);
    expect(unacknowledged, WITH(CLIENT_FD), .result = 11);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_SENDING);
    cr_assert(eq(sz, script_sent.length, (size_t)length));
    cr_assert(zero(int, memcmp(script_sent.bytes, head, (size_t)length)), "each byte once, in order");
    finish();
}

Test(conn_io, an_answer_without_a_body_is_pushed_out_with_its_head)
{
    const struct {
        const char *request;
        long size; /* of the document; -1: none is asked for */
    } rows[] = {{GET_NOTHING, -1}, {"HEAD /static/a HTTP/1.1\r\n\r\n", 5}, {GET_STATIC, 0}, {GET_DYNAMIC, 0}};

    exchange_open(2, 2);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        next(CONN_INIT, RESOURCE_NONE);
        expect(recv, WITH(CLIENT_FD), GIVES(rows[i].request));
        if (rows[i].size >= 0)
            expect_document(rows[i].size);
        expect(send, WITH(CLIENT_FD, ANY, LAST), .result = ALL);
        conn_step(conn, CONN_READABLE);
        assert_state(CONN_CLOSED);
        exchange_disconnect(conn);
    }
    cr_assert(eq(str, text(exchange_states()),
                 text("INIT WREADY CLOSED INIT WREADY CLOSED INIT WREADY CLOSED INIT WREADY CLOSED")));
    exchange_close();
}

/* Row: ECONNRESET, EPIPE. */
Test(conn_io, a_client_that_is_gone_closes_quietly_while_the_head_is_sent)
{
    exchange_open(2, 2);
    for (size_t i = 0; i < GONE_COUNT; i++) {
        next(CONN_WREADY, RESOURCE_STATIC);
        expect(send, WITH(CLIENT_FD), .result = gone[i]);
        conn_step(conn, CONN_WRITABLE);
        assert_state(CONN_CLOSED);
        exchange_disconnect(conn);
    }
    exchange_close();
}

/* --- static bodies ---------------------------------------------------------------------------------------------- */

/* Row: short sendfile, EAGAIN, EINTR. */
Test(conn_io, a_short_sendfile_goes_on_at_the_right_offset)
{
    start(CONN_SENDING, RESOURCE_STATIC);
    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 0, SENDFILE_MAX), .result = 1);
    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 1, SENDFILE_MAX), .result = -EINTR);
    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 1, SENDFILE_MAX), .result = 5000);
    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 5001, SENDFILE_MAX), .result = -EAGAIN);
    expect(unacknowledged, WITH(CLIENT_FD), .result = 5001);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_SENDING);

    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 5001, SENDFILE_MAX), .result = ALL);
    long left = EXCHANGE_SIZE - 5001 - SENDFILE_MAX;
    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 5001 + SENDFILE_MAX, left), .result = ALL);
    expect(shutdown, WITH(CLIENT_FD, SHUT_WR)); /* it took longer than its turn: the client may have sent more */
    expect(unacknowledged, WITH(CLIENT_FD), .result = 1);
    expect(recv, WITH(CLIENT_FD), .result = 0);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_CLOSED);
    finish();
}

/* Row: sendfile 0 before the end. */
Test(conn_io, a_file_that_shrank_is_closed_on_and_never_asked_again)
{
    start(CONN_SENDING, RESOURCE_STATIC);
    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 0), .result = 5000);
    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 5000), .result = 0);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_CLOSED);
    finish();
}

/* Row: ECONNRESET, EPIPE. */
Test(conn_io, a_client_that_is_gone_closes_quietly_while_a_file_is_sent)
{
    exchange_open(2, 2);
    for (size_t i = 0; i < GONE_COUNT; i++) {
        next(CONN_SENDING, RESOURCE_STATIC);
        expect(sendfile, WITH(CLIENT_FD), .result = gone[i]);
        conn_step(conn, CONN_WRITABLE);
        assert_state(CONN_CLOSED);
        exchange_disconnect(conn);
    }
    exchange_close();
}

Test(conn_io, one_step_of_a_static_file_is_bounded)
{
    start(CONN_INIT, RESOURCE_NONE);
    const long size = 3 * (long)CONN_STEP_BYTES;
    expect(recv, WITH(CLIENT_FD), GIVES(GET_STATIC));
    expect_document(size);
    expect(send, WITH(CLIENT_FD), .result = ALL);
    expect(sendfile, WITH(CLIENT_FD), .result = -EAGAIN);
    expect(unacknowledged, WITH(CLIENT_FD), .result = 100);
    conn_step(conn, CONN_READABLE); /* the head counts, too, but in this step */
    long offset = 0;
    for (; offset < (long)CONN_STEP_BYTES; offset += SENDFILE_MAX)
        expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, offset, SENDFILE_MAX), .result = ALL);
    expect(unacknowledged, WITH(CLIENT_FD), .result = 5000);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_SENDING);
    cr_assert(eq(int, conn->unacknowledged, 5000), "what the client takes meanwhile shows that it is not stalled");

    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, offset, SENDFILE_MAX), .result = -EPIPE);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_CLOSED);
    finish();
}

/* --- dynamic bodies --------------------------------------------------------------------------------------------- */

Test(conn_io, a_dynamic_file_goes_buffer_by_buffer_and_window_by_window)
{
    start(CONN_READING_ASYNC, RESOURCE_DYNAMIC);
    conn_step(conn, 0); /* woken without reason: what is coming is waited for */
    assert_state(CONN_READING_ASYNC);

    expect(io_submit, WITH(ANY, 2), .result = 2);
    loader_run(&exchange_loader);
    exchange_complete(conn, 0, 2);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, MORE), .result = ALL);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, MORE), .result = ALL);
    conn_step(conn, 0);
    assert_state(CONN_READING_ASYNC);

    expect(io_submit, WITH(ANY, 2), .result = 2);
    loader_run(&exchange_loader);
    exchange_complete(conn, 2, 2);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, MORE), .result = ALL);
    expect(send, WITH(CLIENT_FD, EXCHANGE_TAIL, LAST), .result = ALL); /* nothing follows: out with it */
    conn_step(conn, 0);
    assert_state(CONN_CLOSED);
    assert_body_sent(EXCHANGE_SIZE);
    cr_assert(eq(str, text(exchange_states()), text("INIT WREADY READING_ASYNC SENDING READING_ASYNC SENDING CLOSED")));
    finish();
}

/* Row: short send, send EAGAIN, EINTR. */
Test(conn_io, a_short_send_of_a_buffer_resumes_at_the_offset)
{
    start(CONN_SENDING, RESOURCE_DYNAMIC);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, MORE), .result = 1);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER - 1, MORE), .result = -EINTR);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER - 1, MORE), .result = 4999);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER - 5000, MORE), .result = -EAGAIN);
    expect(unacknowledged, WITH(CLIENT_FD), .result = 5000);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_SENDING);
    cr_assert(conn->load.parked, "who waits for its client may be robbed");

    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER - 5000, MORE), .result = ALL);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, MORE), .result = -EPIPE);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_CLOSED);
    assert_body_sent(EXCHANGE_BUFFER);
    finish();
}

/* Row: no memory for a buffer. */
Test(conn_io, a_robbed_connection_asks_for_its_window_again)
{
    start(CONN_SENDING, RESOURCE_DYNAMIC);
    expect(send, WITH(CLIENT_FD), .result = 5000);
    expect(send, WITH(CLIENT_FD), .result = -EAGAIN);
    expect(unacknowledged, WITH(CLIENT_FD), .result = 5000);
    conn_step(conn, CONN_WRITABLE);

    struct connection *slow = conn;
    next(CONN_READING_ASYNC, RESOURCE_DYNAMIC);
    expect(io_submit, WITH(ANY, 2), .result = 2);
    loader_run(&exchange_loader);
    exchange_complete(conn, 2, 2);

    struct connection *other = conn;
    conn = slow;
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_READING_ASYNC);
    loader_run(&exchange_loader); /* the other one has all buffers: it waits */
    exchange_disconnect(other);

    expect(io_submit, WITH(ANY, 2), .result = 2);
    loader_run(&exchange_loader);
    expect_completions(AIO_EVENT_FD, 2, {4, EXCHANGE_BUFFER}, {5, EXCHANGE_BUFFER});
    loader_collect(&exchange_loader);
    cr_assert(eq(ptr, loader_next_finished(&exchange_loader), conn));
    /* 5000 is no block's start: 904 bytes were read twice, and are sent once. */
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER - 904, MORE), .result = -ECONNRESET);
    conn_step(conn, 0);
    assert_state(CONN_CLOSED);
    finish();
}

/* Row: AIO res short or 0 before the end. */
Test(conn_io, a_body_that_does_not_come_closes_without_padding)
{
    const long results[] = {0, -EIO, -EBADF};

    exchange_open(2, 2);
    for (int i = 0; i < 3; i++) {
        next(CONN_READING_ASYNC, RESOURCE_DYNAMIC);
        int first = script_accepted;
        size_t sent = script_sent.length;
        expect(io_submit, WITH(ANY, 2), .result = 2);
        loader_run(&exchange_loader);
        expect_completions(AIO_EVENT_FD, 2, {first, EXCHANGE_BUFFER}, {first + 1, results[i]});
        loader_collect(&exchange_loader);
        cr_assert(eq(ptr, loader_next_finished(&exchange_loader), conn));
        conn_step(conn, 0);
        assert_state(CONN_CLOSED);
        cr_assert(eq(sz, script_sent.length, sent));
        exchange_disconnect(conn);
    }
    exchange_close();
}

/* Row: ECONNRESET, EPIPE. */
Test(conn_io, a_client_that_is_gone_closes_quietly_while_buffers_are_sent)
{
    exchange_open(2, 2);
    for (size_t i = 0; i < GONE_COUNT; i++) {
        next(CONN_SENDING, RESOURCE_DYNAMIC);
        expect(send, WITH(CLIENT_FD), .result = gone[i]);
        conn_step(conn, CONN_WRITABLE);
        assert_state(CONN_CLOSED);
        exchange_disconnect(conn);
    }
    exchange_close();
}

Test(conn_io, one_step_of_a_dynamic_file_is_bounded)
{
    const int in_a_step = CONN_STEP_BYTES / POOL_BUFFER_SIZE;
    const int window = in_a_step + 1;

    exchange_open(window, window);
    conn = exchange_connect();
    expect(recv, WITH(CLIENT_FD), GIVES(GET_DYNAMIC));
    expect_document(window * EXCHANGE_BUFFER);
    expect(send, WITH(CLIENT_FD), .result = ALL);
    conn_step(conn, CONN_READABLE);
    expect(io_submit, WITH(ANY, window), .result = window);
    loader_run(&exchange_loader);
    exchange_complete(conn, 0, window);

    for (int i = 0; i < in_a_step; i++)
        expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, MORE), .result = ALL);
    expect(unacknowledged, WITH(CLIENT_FD), .result = 5000);
    conn_step(conn, 0);
    assert_state(CONN_SENDING);
    cr_assert(eq(int, conn->unacknowledged, 5000), "what the client takes meanwhile shows that it is not stalled");
    cr_assert(conn->load.parked, "its client may take nothing more for long: it may be robbed");

    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, LAST), .result = ALL);
    expect(shutdown, WITH(CLIENT_FD, SHUT_WR));
    expect(unacknowledged, WITH(CLIENT_FD), .result = 1);
    expect(recv, WITH(CLIENT_FD), .result = 0);
    conn_step(conn, CONN_WRITABLE);
    assert_state(CONN_CLOSED);
    assert_body_sent(window * EXCHANGE_BUFFER);
    finish();
}

/* --- lingering -------------------------------------------------------------------------------------------------- */

Test(conn_io, what_the_client_still_sends_is_read_away_until_its_end)
{
    start(CONN_LINGERING, RESOURCE_NONE);
    expect(recv, WITH(CLIENT_FD, REQUEST_HEAD_MAX, 0), GIVES("GET /an/other HTTP/1.1\r\n\r\n"));
    conn_step(conn, CONN_READABLE);
    assert_state(CONN_LINGERING);
    expect(recv, WITH(CLIENT_FD), .result = -EINTR);
    expect(recv, WITH(CLIENT_FD), .result = -EAGAIN);
    conn_step(conn, CONN_READABLE);
    assert_state(CONN_LINGERING);
    expect(recv, WITH(CLIENT_FD), .result = 0);
    conn_step(conn, CONN_READABLE);
    assert_state(CONN_CLOSED);
    finish();
}

Test(conn_io, a_client_that_is_gone_ends_the_lingering)
{
    exchange_open(2, 2);
    for (size_t i = 0; i < GONE_COUNT; i++) {
        next(CONN_LINGERING, RESOURCE_NONE);
        expect(recv, WITH(CLIENT_FD), .result = gone[i]);
        conn_step(conn, CONN_READABLE | CONN_HANGUP);
        assert_state(CONN_CLOSED);
        exchange_disconnect(conn);
    }
    exchange_close();
}

Test(conn_io, what_came_before_a_hang_up_is_still_read_while_lingering)
{
    start(CONN_LINGERING, RESOURCE_NONE);
    expect(recv, WITH(CLIENT_FD), GIVES("more"));
    conn_step(conn, CONN_READABLE | CONN_HANGUP);
    assert_state(CONN_LINGERING);
    finish();
}

Test(conn_io, a_socket_that_cannot_be_shut_is_closed)
{
    start(CONN_INIT, RESOURCE_NONE);
    expect(recv, WITH(CLIENT_FD), GIVES(GET_NOTHING "more"));
    expect(send, WITH(CLIENT_FD), .result = ALL);
    expect(shutdown, WITH(CLIENT_FD, SHUT_WR), .result = -ENOTCONN);
    conn_step(conn, CONN_READABLE);
    assert_state(CONN_CLOSED);
    finish();
}

/* --- slow and stalled ------------------------------------------------------------------------------------------- */

Test(conn_io, a_client_takes_while_fewer_bytes_are_unacknowledged)
{
    const struct {
        int now;
        bool takes;
    } asked[] = {{1000, false}, {999, true}, {999, false}, {1500, false}, {0, true}, {-EBADF, false}};

    start(CONN_SENDING, RESOURCE_STATIC); /* 1000 are unacknowledged */
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        expect(unacknowledged, WITH(CLIENT_FD), .result = asked[i].now);
        cr_assert(eq(int, conn_io_client_takes(conn), asked[i].takes), "when %d were left", asked[i].now);
    }
    finish();
}

/* --- the machine ------------------------------------------------------------------------------------------------ */

Test(conn_io, a_hang_up_closes_in_every_state_but_lingering)
{
    exchange_open(2, 2);
    for (enum connection_state state = CONN_INIT; state < CONN_CLOSED; state++) {
        if (state == CONN_LINGERING)
            continue;
        for (enum resource_kind kind = RESOURCE_STATIC; kind <= RESOURCE_DYNAMIC; kind++) {
            next(state, kind);
            conn_step(conn, CONN_HANGUP | CONN_READABLE | CONN_WRITABLE);
            assert_state(CONN_CLOSED);
            exchange_disconnect(conn);
        }
    }
    exchange_close();
}

/* Let `conn` go from CONN_SENDING of its second window's first buffer to the end, with lingering. */
static void send_the_rest(void)
{
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, MORE), .result = ALL);
    expect(send, WITH(CLIENT_FD, EXCHANGE_BUFFER, MORE), .result = ALL);
    conn_step(conn, CONN_WRITABLE);
    int first = script_accepted;
    expect(io_submit, WITH(ANY, 2), .result = 2);
    loader_run(&exchange_loader);
    exchange_complete(conn, first, 2);
    expect(send, WITH(CLIENT_FD), .result = ALL);
    expect(send, WITH(CLIENT_FD), .result = ALL);
    expect(shutdown, WITH(CLIENT_FD, SHUT_WR));
    expect(unacknowledged, WITH(CLIENT_FD), .result = 1);
    expect(recv, WITH(CLIENT_FD), .result = -EAGAIN);
    conn_step(conn, 0);
    assert_state(CONN_LINGERING);
}

/* Whether some connection has gone from `from` to `to`, by the trace. */
static bool was_walked(enum connection_state from, enum connection_state to)
{
    char edge[64];
    snprintf(edge, sizeof edge, " %s -> %s\n", conn_state_name(from), conn_state_name(to));
    return memmem(script_written.bytes, script_written.length, edge, strlen(edge));
}

Test(conn_io, every_edge_of_the_state_table_is_walked_and_no_other)
{
    exchange_open(2, 2);
    for (enum connection_state state = CONN_INIT; state < CONN_CLOSED; state++) {
        for (enum resource_kind kind = RESOURCE_STATIC; kind <= RESOURCE_DYNAMIC; kind++) {
            next(state, kind);
            if (state == CONN_SENDING && kind == RESOURCE_DYNAMIC)
                send_the_rest();
            if (conn->state == CONN_LINGERING)
                expect(recv, WITH(CLIENT_FD), .result = 0);
            conn_step(conn, CONN_HANGUP);
            exchange_disconnect(conn);
        }
    }
    next(CONN_READING, RESOURCE_NONE);
    expect(recv, WITH(CLIENT_FD), GIVES("\r\n\r\n")); /* "GET /sta" and no more: HTTP/0.9 */
    expect(send, WITH(CLIENT_FD), .result = -EPIPE);
    conn_step(conn, CONN_READABLE);
    exchange_disconnect(conn);

    for (enum connection_state from = CONN_INIT; from < CONN_STATES; from++)
        for (enum connection_state to = CONN_INIT; to < CONN_STATES; to++)
            cr_assert(eq(int, was_walked(from, to), conn_may_go(from, to)), "%s -> %s", conn_state_name(from),
                      conn_state_name(to));
    exchange_close();
}
