/*
 * read.h - one read that io_submit(2) was asked for: checked as the kernel checks it, and run in its place.
 */
#ifndef BOX_READ_H
#define BOX_READ_H

#include <sys/queue.h>

#include "faults.h"
#include "target.h"

struct read {
    TAILQ_ENTRY(read) link; /* for who keeps it */
    pid_t process;
    uint64_t context, block, data;
    int file, eventfd; /* ours; -1: none wanted */
    int flags;         /* RWF_NOWAIT and its like */
    uint32_t cuts;     /* that are due for it: for who keeps it to say */
    off_t offset;
    size_t size;
    size_t count;
    struct iovec pieces[]; /* the target's buffer */
};

/* Make a read of the control block at `address`. 0, or an errno as io_submit(2) gives it; READ_IS_NONE: the block asks
 * for something else than to read a file. */
#define READ_IS_NONE (-1)
int read_make(const struct call *call, uint64_t address, struct read **made);

/* Move what is to be moved into the target's buffer. Returns what the event is to say: bytes or a negative errno. */
int64_t read_perform(const struct read *read, struct faults *faults);

void read_destroy(struct read *read);

#endif
