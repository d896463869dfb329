/*
 * conn_io.c - the actions of the states, and send_message.
 *
 * Their common shape: call, judge, and go on at once, wait, or end. Which state follows which is checked by the table
 * in conn_fsm.c.
 */
#include "conn_io.h"

#include <assert.h>

#include "answer.h"
#include "sys.h"

/* Bytes asked of one sendfile(2): it copies in the kernel and may wait for the disk, so a call is kept short. */
#define SENDFILE_MAX ((size_t)256 * 1024)

/* --- receiving -------------------------------------------------------------------------------------------------- */

static ssize_t receive(struct connection *conn)
{
    ssize_t count;
    do
        count = sys_recv(conn->fd, conn->shared->receive_buffer, conn->shared->receive_size, 0);
    while (io_judge(count) == IO_INTERRUPTED);
    return count;
}

enum connection_state conn_io_receive(struct connection *conn)
{
    ssize_t count = receive(conn);
    switch (io_judge(count)) {
    case IO_PROGRESS:
        break;
    case IO_AGAIN:
    case IO_INTERRUPTED:
        return conn->state;
    case IO_END: /* the client closed, or half-closed, before its request was complete */
    case IO_GONE:
    case IO_FAILED:
        return CONN_CLOSED;
    }

    enum request_verdict verdict = request_feed(&conn->request, conn->shared->receive_buffer, (size_t)count);
    if (verdict == REQUEST_MORE)
        return CONN_READING;
    return answer_prepare(conn, verdict) ? CONN_WREADY : CONN_CLOSED;
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

enum io_verdict send_message(struct connection *conn, int flags)
{
    while (conn->write_length > 0) {
        ssize_t count = sys_send(conn->fd, conn->write_buff, conn->write_length, flags | MSG_NOSIGNAL);
        enum io_verdict verdict = io_judge(count);
        if (verdict == IO_INTERRUPTED)
            continue;
        if (verdict != IO_PROGRESS)
            return verdict;
        conn->write_buff += count;
        conn->write_length -= (size_t)count;
        conn->moved += (size_t)count;
    }
    return IO_PROGRESS;
}

/* Go on when the client has taken something. */
static enum connection_state wait_for_client(struct connection *conn)
{
    /* The exchange takes longer than its turn: by its end the client may have sent something more. */
    conn->must_linger = true;
    conn->unacknowledged = sys_unacknowledged(conn->fd);
    return conn->state;
}

/* Where a connection goes whose send did not get through. */
static enum connection_state wait_or_close(struct connection *conn, enum io_verdict verdict)
{
    return verdict == IO_AGAIN ? wait_for_client(conn) : CONN_CLOSED;
}

bool conn_io_client_takes(struct connection *conn)
{
    int before = conn->unacknowledged;
    conn->unacknowledged = sys_unacknowledged(conn->fd);
    return conn->unacknowledged >= 0 && conn->unacknowledged < before;
}

/*
 * The answer has left. close(2) while bytes of the client's are unread, or on their way, sends RST, and that may
 * destroy the end of our answer at the client: then only the write side is shut, and the rest is read away first. A
 * client that sent nothing after its request is closed at once. One simplification: a second request that arrives in
 * the microseconds between the first one and the end of a short answer is not waited for.
 */
static enum connection_state end_response(struct connection *conn)
{
    if (!conn->must_linger)
        return CONN_CLOSED;
    if (sys_shutdown(conn->fd, SHUT_WR) < 0)
        return CONN_CLOSED;
    conn->unacknowledged = sys_unacknowledged(conn->fd);
    return CONN_LINGERING;
}

enum connection_state conn_io_send_head(struct connection *conn)
{
    bool body_follows = conn->body != RESOURCE_NONE;
    enum io_verdict verdict = send_message(conn, body_follows ? MSG_MORE : 0);
    if (verdict != IO_PROGRESS)
        return wait_or_close(conn, verdict);
    if (!body_follows)
        return end_response(conn);
    return conn->body == RESOURCE_STATIC ? CONN_SENDING : CONN_READING_ASYNC;
}

static enum connection_state send_static(struct connection *conn)
{
    while ((uint64_t)conn->offset < conn->size) {
        uint64_t left = conn->size - (uint64_t)conn->offset;
        if (conn->moved >= CONN_STEP_BYTES)
            return wait_for_client(conn);
        ssize_t count = sys_sendfile(conn->fd, conn->file, &conn->offset, left < SENDFILE_MAX ? left : SENDFILE_MAX);
        enum io_verdict verdict = io_judge(count);
        if (verdict == IO_INTERRUPTED)
            continue;
        /* IO_END: the file shrank. The promised length cannot be kept; closing shows that, waiting would spin. */
        if (verdict != IO_PROGRESS)
            return wait_or_close(conn, verdict);
        conn->moved += (size_t)count;
    }
    return end_response(conn);
}

static enum connection_state send_dynamic(struct connection *conn)
{
    struct loader *loader = conn->shared->loader;
    struct load *load = &conn->load;

    load_unpark(loader, load);
    while (load->status == LOAD_READY) {
        if (conn->moved >= CONN_STEP_BYTES) {
            /* The socket may be nearly full: who is stalled from here on must not keep what others wait for. */
            load_park(loader, load);
            return wait_for_client(conn);
        }
        size_t front = load_front(load, &conn->write_buff);
        conn->write_length = front;
        bool last = load->consumed + front == load->size;
        enum io_verdict verdict = send_message(conn, last ? 0 : MSG_MORE);
        load_consume(loader, load, front - conn->write_length);
        if (verdict != IO_PROGRESS) {
            load_park(loader, load);
            return wait_or_close(conn, verdict);
        }
    }
    return load->consumed < load->size ? CONN_READING_ASYNC : end_response(conn);
}

enum connection_state conn_io_send_body(struct connection *conn)
{
    return conn->body == RESOURCE_STATIC ? send_static(conn) : send_dynamic(conn);
}

/* --- loading, lingering ----------------------------------------------------------------------------------------- */

enum connection_state conn_io_load(struct connection *conn)
{
    switch (conn->load.status) {
    case LOAD_EMPTY:
        load_request(conn->shared->loader, &conn->load);
        return CONN_READING_ASYNC;
    case LOAD_COMING:
        return CONN_READING_ASYNC;
    case LOAD_READY:
        return CONN_SENDING;
    case LOAD_FAILED: /* the head has left already: only closing can say that the body is not coming */
        break;
    }
    return CONN_CLOSED;
}

enum connection_state conn_io_linger(struct connection *conn)
{
    ssize_t count = receive(conn);
    enum io_verdict verdict = io_judge(count);
    return verdict == IO_PROGRESS || verdict == IO_AGAIN ? CONN_LINGERING : CONN_CLOSED;
}
