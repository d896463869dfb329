/*
 * conn.h - one connection: what it is, how it begins and how it ends.
 */
#ifndef AWS_CONN_H
#define AWS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "deadline.h"
#include "load.h"
#include "request.h"
#include "resource.h"
#include "trace.h"

/* The states of the assignment, and two more: conn_fsm.c has the table. */
enum connection_state {
    CONN_INIT,
    CONN_READING,
    CONN_WREADY,
    CONN_READING_ASYNC,
    CONN_SENDING,
    CONN_LINGERING,
    CONN_CLOSED,
    CONN_STATES, /* how many there are */
};

/* What all connections share. */
struct conn_shared {
    int root; /* the document root, open */
    struct loader *loader;
    struct trace *trace;
    char *receive_buffer; /* one for all: nothing stays in it between two calls */
    size_t receive_size;
};

struct connection {
    enum connection_state state; /* written by conn_goto only */
    int fd;                      /* -1 once closed */
    uint64_t number;             /* the how-many-th since the start, from 1 */
    struct conn_shared *shared;

    struct request request;

    const char *write_buff; /* what send_message sends: the head, or a piece of a dynamic file; not owned */
    size_t write_length;    /* bytes of it that have not left */
    char *head;             /* owned; NULL until there is an answer */

    enum resource_kind body; /* how the body is sent; RESOURCE_NONE: there is none, or it is part of the head */
    int file;                /* the document, -1 if none is open */
    off_t offset;            /* static: bytes of the file that have left */
    uint64_t size;           /* of the file */
    struct load load;        /* dynamic: the file on its way into memory */

    size_t moved;       /* bytes that left in this step: bounds it, and shows that the client is not stalled */
    int unacknowledged; /* bytes that the client had not taken when we last looked: it is slow, or stalled */
    bool must_linger;   /* the client may still send: close in two steps */

    /* The server's. */
    struct deadline deadline;
    uint8_t interest; /* what the poller was told last */
    TAILQ_ENTRY(connection) link;
};

TAILQ_HEAD(connection_list, connection);

/* A connection in CONN_INIT that owns the socket `fd`, or NULL if there is no memory: then `fd` is still the
 * caller's. */
struct connection *conn_create(int fd, uint64_t number, struct conn_shared *shared);

/* Close its descriptors and give back its buffers, once. Returns true if reads are in flight: then it may only be
 * destroyed after loader_next_finished has returned it. */
bool conn_release(struct connection *conn);

/* Free it. It must have been released, with nothing in flight. NULL is allowed. */
void conn_destroy(struct connection *conn);

#endif
