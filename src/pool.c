/*
 * pool.c - a list of free buffers over one reserved range of pages.
 *
 *   free:  [warm] [warm] [warm] [cold] [cold] ...     take from the front; give to the front while few are warm,
 *                                                     else drop the pages and put it at the end
 */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "sys.h"

/* Free buffers that keep their pages: 4 MiB, one default window. Taking those costs no page faults. */
#define WARM_MAX 32

int pool_init(struct pool *pool, size_t memory)
{
    size_t count = memory / POOL_BUFFER_SIZE ? memory / POOL_BUFFER_SIZE : 1;
    void *pages = NULL;

    *pool = (struct pool){.count = count, .available = count};
    TAILQ_INIT(&pool->free);
    int status = sys_map_pages(count * POOL_BUFFER_SIZE, &pages);
    if (status < 0)
        return status;
    pool->pages = pages;
    pool->buffers = calloc(count, sizeof *pool->buffers);
    if (!pool->buffers) {
        sys_unmap_pages(pages, count * POOL_BUFFER_SIZE);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        pool->buffers[i].read.bytes = pool->pages + i * POOL_BUFFER_SIZE;
        TAILQ_INSERT_TAIL(&pool->free, &pool->buffers[i], link);
    }
    return 0;
}

void pool_destroy(struct pool *pool)
{
    assert(pool->available == pool->count && "a buffer is still taken");
    free(pool->buffers);
    sys_unmap_pages(pool->pages, pool->count * POOL_BUFFER_SIZE);
}

struct buffer *pool_take(struct pool *pool)
{
    struct buffer *buffer = TAILQ_FIRST(&pool->free);
    if (!buffer)
        return NULL;
    TAILQ_REMOVE(&pool->free, buffer, link);
    pool->available--;
    if (pool->warm > 0)
        pool->warm--;
    return buffer;
}

void pool_give(struct pool *pool, struct buffer *buffer)
{
    pool->available++;
    if (pool->warm < WARM_MAX) {
        pool->warm++;
        TAILQ_INSERT_HEAD(&pool->free, buffer, link);
        return;
    }
    sys_drop_pages(buffer->read.bytes, POOL_BUFFER_SIZE);
    TAILQ_INSERT_TAIL(&pool->free, buffer, link);
}
