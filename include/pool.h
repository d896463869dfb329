/*
 * pool.h - the bounded memory for dynamic files: equal buffers, page-aligned, taken and given back.
 *
 * Address space for all buffers is reserved once; the kernel adds pages when a buffer is first written to. So the bound
 * holds by construction, and a server without dynamic requests pays nothing.
 */
#ifndef AWS_POOL_H
#define AWS_POOL_H

#include <stddef.h>
#include <sys/queue.h>

#include "aio.h"

/* Large enough that a read's fixed cost does not matter, small enough that copying one does not hold the loop up. */
#define POOL_BUFFER_SIZE 131072

/* A buffer and the read that fills it. */
struct buffer {
    struct aio_read read; /* read.bytes is the buffer's memory, POOL_BUFFER_SIZE bytes */
    TAILQ_ENTRY(buffer) link;
};

TAILQ_HEAD(buffer_list, buffer);

struct pool {
    char *pages;
    struct buffer *buffers;
    size_t count;            /* buffers in all */
    size_t available;        /* of these, not taken */
    size_t warm;             /* of the available ones, those that hold pages: the first so many of `free` */
    struct buffer_list free; /* warm ones first */
};

/* Reserve `memory` bytes, rounded down to whole buffers, at least one. 0 or -ENOMEM; on failure `pool` holds
 * nothing. */
int pool_init(struct pool *pool, size_t memory);

/* Every buffer must have been given back. */
void pool_destroy(struct pool *pool);

/* A buffer, or NULL when all are taken. */
struct buffer *pool_take(struct pool *pool);

/* Give `buffer` back. Beyond a few, the pages of free buffers go back to the kernel. */
void pool_give(struct pool *pool, struct buffer *buffer);

#endif
