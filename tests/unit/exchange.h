/*
 * exchange.h - one connection of the real machine, brought to a state by the script of its kernel.
 *
 * Nothing here assigns a state: a connection gets to CONN_SENDING because its request came and its send had to wait.
 * There is one exchange at a time, and one per test is the rule.
 */
#ifndef AWS_EXCHANGE_H
#define AWS_EXCHANGE_H

#include "conn.h"
#include "fake_sys.h"

enum { CLIENT_FD = 30, ROOT_FD = 31, DOCUMENT_FD = 32, AIO_EVENT_FD = 33, TRACE_FD = 34 };

/* A static request, a dynamic one and one for nothing, in one piece each. */
#define GET_STATIC "GET /static/a HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_DYNAMIC "GET /dynamic/a HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_NOTHING "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

/* Files of two windows: two buffers, then one and EXCHANGE_TAIL bytes. */
#define EXCHANGE_BUFFER ((long)POOL_BUFFER_SIZE)
#define EXCHANGE_TAIL 100
#define EXCHANGE_SIZE (3 * EXCHANGE_BUFFER + EXCHANGE_TAIL)

/* What every exchange shares, and a trace. */
extern struct loader exchange_loader;

/* Start the loader, with windows of `window` buffers and `buffers` in all, and the trace; the clock and the trace's
 * writes are then free of the script. */
void exchange_open(int window, int buffers);

/* A new connection in CONN_INIT. */
struct connection *exchange_connect(void);

/* Expect the document to be found: a regular file of `size` bytes. */
void expect_document(long size);

/* Step `conn` from CONN_INIT in an exchange with windows of two buffers, by the shortest way, until it waits in
 * `state`; a body of `kind` with EXCHANGE_SIZE bytes where the state leaves the choice. In CONN_SENDING nothing of the
 * body has left; the clients of CONN_READING and CONN_LINGERING have sent nothing more. */
void exchange_reach(struct connection *conn, enum connection_state state, enum resource_kind kind);

/* Let the reads that are accepted from the `first` on come back whole: buffers, the last of the file its tail. */
void exchange_complete(struct connection *conn, int first, int count);

/* The states of all connections since exchange_open: "INIT WREADY SENDING CLOSED". */
const char *exchange_states(void);

/* Release and destroy `conn`, which has no read in flight. */
void exchange_disconnect(struct connection *conn);

/* End the exchange: the script is over, all buffers are back and no memory is lost. */
void exchange_close(void);

#endif
