/*
 * load.c - windows of dynamic files, and who gets memory next.
 *
 *   load_request        loader_run           loader_collect           load_consume
 *   -----------> line ------------> reading ----------------> READY ----------------> EMPTY, and again
 *                 ^    takes buffers                            |
 *                 |                            parked and robbed|
 *                 +---------- load_request <---- EMPTY <--------+
 *
 * A robbed load has lost time, not data: `consumed` says where its next window starts.
 */
#include "load.h"

#include <assert.h>

int loader_init(struct loader *loader, size_t window, size_t memory)
{
    *loader = (struct loader){.window = window / POOL_BUFFER_SIZE ? window / POOL_BUFFER_SIZE : 1};
    TAILQ_INIT(&loader->waiting);
    TAILQ_INIT(&loader->parked);
    TAILQ_INIT(&loader->finished);

    int status = pool_init(&loader->pool, memory);
    if (status < 0)
        return status;
    status = aio_init(&loader->aio);
    if (status < 0)
        pool_destroy(&loader->pool);
    return status;
}

void loader_destroy(struct loader *loader)
{
    aio_destroy(&loader->aio);
    pool_destroy(&loader->pool);
}

void load_init(struct load *load, int fd, uint64_t size, void *owner)
{
    *load = (struct load){.size = size, .owner = owner, .status = LOAD_EMPTY};
    aio_file_init(&load->file, fd);
    TAILQ_INIT(&load->buffers);
}

void load_request(struct loader *loader, struct load *load)
{
    assert(load->status == LOAD_EMPTY && load->consumed < load->size && "nothing to ask for");
    load->status = LOAD_COMING;
    TAILQ_INSERT_TAIL(&loader->waiting, load, link);
}

/* Where in the file the window starts: reads are aligned, so up to AIO_ALIGNMENT - 1 bytes may come twice. */
static uint64_t window_start(const struct load *load)
{
    return load->consumed - load->consumed % AIO_ALIGNMENT;
}

/* --- memory ----------------------------------------------------------------------------------------------------- */

static void give_front(struct loader *loader, struct load *load)
{
    struct buffer *front = TAILQ_FIRST(&load->buffers);
    TAILQ_REMOVE(&load->buffers, front, link);
    pool_give(&loader->pool, front);
}

/* Give `load`, the first in line, its window: as many buffers as it may have and as there are. */
static void grant(struct loader *loader, struct load *load)
{
    uint64_t offset = window_start(load);

    while (offset < load->size && load->outstanding < loader->window) {
        struct buffer *buffer = pool_take(&loader->pool);
        if (!buffer)
            break;
        uint64_t left = load->size - offset;
        buffer->read.file = &load->file;
        buffer->read.offset = offset;
        buffer->read.length = left < POOL_BUFFER_SIZE ? (size_t)left : POOL_BUFFER_SIZE;
        TAILQ_INSERT_TAIL(&load->buffers, buffer, link);
        load->outstanding++;
        aio_start(&loader->aio, &buffer->read);
        offset += buffer->read.length;
    }
}

/* Take back all that the longest parked load holds. */
static void rob(struct loader *loader)
{
    struct load *victim = TAILQ_FIRST(&loader->parked);
    load_unpark(loader, victim);
    while (!TAILQ_EMPTY(&victim->buffers))
        give_front(loader, victim);
    victim->status = LOAD_EMPTY;
}

void loader_run(struct loader *loader)
{
    while (!TAILQ_EMPTY(&loader->waiting)) {
        if (loader->pool.available == 0 && !TAILQ_EMPTY(&loader->parked))
            rob(loader);
        if (loader->pool.available == 0)
            break;
        struct load *load = TAILQ_FIRST(&loader->waiting);
        TAILQ_REMOVE(&loader->waiting, load, link);
        grant(loader, load);
    }
    aio_submit(&loader->aio);
}

/* --- completions ------------------------------------------------------------------------------------------------ */

static struct load *load_of(struct aio_read *read)
{
    return (struct load *)((char *)read->file - offsetof(struct load, file));
}

static struct buffer *buffer_of(struct aio_read *read)
{
    return (struct buffer *)((char *)read - offsetof(struct buffer, read));
}

/* One read of `load` came back. */
static void settle(struct loader *loader, struct load *load)
{
    load->outstanding--;
    if (load->outstanding > 0)
        return;
    if (load->status == LOAD_COMING)
        load->status = LOAD_READY;
    TAILQ_INSERT_TAIL(&loader->finished, load, link);
}

static void take_done(struct loader *loader)
{
    struct aio_read *read;
    while ((read = aio_next_done(&loader->aio))) {
        struct load *load = load_of(read);
        bool cancelled = load->file.fd < 0;
        if (read->got < read->length)
            load->status = LOAD_FAILED;
        if (cancelled) {
            struct buffer *buffer = buffer_of(read);
            TAILQ_REMOVE(&load->buffers, buffer, link);
            pool_give(&loader->pool, buffer);
        }
        settle(loader, load);
    }
}

void loader_collect(struct loader *loader)
{
    aio_collect(&loader->aio);
}

void *loader_next_finished(struct loader *loader)
{
    /* Reads are taken here, not in loader_collect: one may also fail while it is submitted. */
    take_done(loader);
    struct load *load = TAILQ_FIRST(&loader->finished);
    if (!load)
        return NULL;
    TAILQ_REMOVE(&loader->finished, load, link);
    return load->owner;
}

bool loader_is_stuck(const struct loader *loader)
{
    bool could_grant = loader->pool.available > 0 || !TAILQ_EMPTY(&loader->parked);
    return aio_is_stuck(&loader->aio) || (could_grant && !TAILQ_EMPTY(&loader->waiting));
}

/* --- the owner's side ------------------------------------------------------------------------------------------- */

size_t load_front(const struct load *load, const char **bytes)
{
    const struct buffer *front = TAILQ_FIRST(&load->buffers);
    assert(load->status == LOAD_READY && front && "nothing is in memory");
    size_t skip = (size_t)(load->consumed - front->read.offset);
    *bytes = front->read.bytes + skip;
    return front->read.length - skip;
}

void load_consume(struct loader *loader, struct load *load, size_t count)
{
    const char *bytes;
    size_t left = load_front(load, &bytes);
    assert(count <= left && "more was sent than there was");

    load->consumed += count;
    if (count == left)
        give_front(loader, load);
    if (TAILQ_EMPTY(&load->buffers))
        load->status = LOAD_EMPTY;
}

void load_park(struct loader *loader, struct load *load)
{
    if (load->parked || TAILQ_EMPTY(&load->buffers))
        return;
    load->parked = true;
    TAILQ_INSERT_TAIL(&loader->parked, load, link);
}

void load_unpark(struct loader *loader, struct load *load)
{
    if (!load->parked)
        return;
    load->parked = false;
    TAILQ_REMOVE(&loader->parked, load, link);
}

bool load_cancel(struct loader *loader, struct load *load)
{
    struct buffer *buffer, *next;

    load_unpark(loader, load);
    if (load->status == LOAD_COMING && load->outstanding == 0)
        TAILQ_REMOVE(&loader->waiting, load, link);
    load->file.fd = -1;

    for (buffer = TAILQ_FIRST(&load->buffers); buffer; buffer = next) {
        next = TAILQ_NEXT(buffer, link);
        if (buffer->read.place == AIO_PENDING) {
            aio_withdraw(&loader->aio, &buffer->read);
            load->outstanding--;
        }
        if (buffer->read.place != AIO_IDLE)
            continue; /* the kernel may write into it until its completion is taken */
        TAILQ_REMOVE(&load->buffers, buffer, link);
        pool_give(&loader->pool, buffer);
    }
    load->status = LOAD_FAILED;
    return load->outstanding > 0;
}
