/*
 * conn_io.h - one small action for each state.
 *
 * Each does what its state is for, as far as that goes without waiting and within the bounds of a step, and returns the
 * next state; its own state means "wait". conn_fsm.c calls them, nobody else does but tests.
 */
#ifndef AWS_CONN_IO_H
#define AWS_CONN_IO_H

#include <stdbool.h>

#include "conn.h"
#include "io.h"

/* Bytes that one connection may send in one step before others have their turn. */
#define CONN_STEP_BYTES ((size_t)1 << 20)

/* CONN_INIT, CONN_READING: receive once, feed the request; when it is complete (or hopeless) prepare the answer. */
enum connection_state conn_io_receive(struct connection *conn);

/* CONN_WREADY: send the head. */
enum connection_state conn_io_send_head(struct connection *conn);

/* CONN_READING_ASYNC: ask for the next window, or take what was read. */
enum connection_state conn_io_load(struct connection *conn);

/* CONN_SENDING: send the body, by sendfile or buffer by buffer. */
enum connection_state conn_io_send_body(struct connection *conn);

/* CONN_LINGERING: read away what the client still sends, until its end. */
enum connection_state conn_io_linger(struct connection *conn);

/* Whether the client has taken any bytes since a send had to wait, the write side was shut, or this was asked last. A
 * slow client takes bytes long before its socket is writable again: the kernel says so only when a good part of the
 * send buffer is free. */
bool conn_io_client_takes(struct connection *conn);

/*
 * Send what is in conn->write_buff (send(2)); the head and every piece of a dynamic file leave through here. `flags` is
 * MSG_MORE if more follows at once, or 0. IO_PROGRESS: all of it has left. IO_AGAIN: some is left, wait until writable.
 * Any other verdict: the connection cannot go on.
 */
enum io_verdict send_message(struct connection *conn, int flags);

#endif
