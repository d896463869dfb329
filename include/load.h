/*
 * load.h - a dynamic file on its way into memory: a list of buffers, window by window.
 *
 * A load asks for a window of its file, the loader finds buffers and reads them, the owner sends what was read and
 * consumes it. The loader is shared by all connections and sees to it that all progress although memory is bounded:
 *   - a window takes as many buffers as there are, at least one;
 *   - a load that finds none waits in line;
 *   - while somebody waits, loads whose owners wait for a slow client (they are PARKED) give back what they hold, the
 *     longest parked first; it is read again when that client takes more.
 */
#ifndef AWS_LOAD_H
#define AWS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "aio.h"
#include "pool.h"

enum load_status {
    LOAD_EMPTY,  /* holds nothing: ask for a window, unless all was consumed */
    LOAD_COMING, /* in line, or being read */
    LOAD_READY,  /* the window is in memory, some of it not yet consumed */
    LOAD_FAILED, /* a read failed, or the file ended early */
};

struct load {
    struct aio_file file;
    struct buffer_list buffers; /* the window, in the order of the file */
    uint64_t size;              /* of the file, in bytes */
    uint64_t consumed;          /* bytes of the file that the owner is through with */
    unsigned outstanding;       /* reads of the window that are not done */
    enum load_status status;
    bool parked;
    void *owner;
    TAILQ_ENTRY(load) link; /* in the loader's line, among the parked, or among the finished */
};

TAILQ_HEAD(load_list, load);

struct loader {
    struct aio aio;
    struct pool pool;
    size_t window;             /* buffers that one load may hold */
    struct load_list waiting;  /* asked for a window, got no buffer yet; oldest first */
    struct load_list parked;   /* may be robbed; longest parked first */
    struct load_list finished; /* no read outstanding any more; the owner has not been told */
};

/* Set up for windows of `window` bytes and `memory` bytes in all, each rounded down to buffers, at least one. Returns
 * 0 or a negative errno as aio_init and pool_init do. */
int loader_init(struct loader *loader, size_t window, size_t memory);

/* Every load must have been destroyed. */
void loader_destroy(struct loader *loader);

/* Hand out buffers to those in line and submit reads: once at the end of each turn of the loop. */
void loader_run(struct loader *loader);

/* Take in what the kernel has read: when loader->aio.event_fd is readable. */
void loader_collect(struct loader *loader);

/* The owner of the next load of which no read is outstanding any more, or NULL: it became READY or FAILED, or it was
 * cancelled and can now be freed. Call it until it returns NULL before any other load is cancelled. */
void *loader_next_finished(struct loader *loader);

/* Whether the loader needs another turn soon although no event may come. */
bool loader_is_stuck(const struct loader *loader);

/* Start at the beginning of the open file `fd` of `size` bytes. The load does not own `fd`. */
void load_init(struct load *load, int fd, uint64_t size, void *owner);

/* Ask for the next window. Only when EMPTY and not all is consumed. */
void load_request(struct loader *loader, struct load *load);

/* The bytes to send next: their number, at least 1, and in *bytes where they are, until the end of this turn. Only when
 * READY. */
size_t load_front(const struct load *load, const char **bytes);

/* The owner is through with the first `count` bytes of the front. */
void load_consume(struct loader *loader, struct load *load, size_t count);

/* The owner now waits for its client (or no longer does): what the load holds may be taken back. The owner must look
 * at the status again before it goes on. */
void load_park(struct loader *loader, struct load *load);
void load_unpark(struct loader *loader, struct load *load);

/* The owner is going: release what can be released. The owner closes the file itself, afterwards. Returns true if
 * reads are in flight: then `load` must live until loader_next_finished returns its owner. */
bool load_cancel(struct loader *loader, struct load *load);

#endif
