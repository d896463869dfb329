/*
 * aio.h - single reads of files by Linux AIO that hold the loop up as little as the kernel allows.
 *
 * One io context and one eventfd for the whole process: io_destroy(2) takes some 30 ms each time, so a context per
 * connection would cap the server at 30 dynamic files a second. The context is made at the start and destroyed at the
 * end, never in between.
 *
 * A read is given to aio_start and comes back, whole or failed, from aio_next_done. Short results, refusals and the
 * choice of how to read are settled in here.
 */
#ifndef AWS_AIO_H
#define AWS_AIO_H

#include <libaio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Offsets and buffers of reads are multiples of this. O_DIRECT needs the device's block size, 512 or 4096. */
#define AIO_ALIGNMENT 4096

/*
 * How a piece is read, in the order of trying.
 *   NOWAIT  buffered, RWF_NOWAIT: copies what the page cache holds, says -EAGAIN where it would have to wait
 *   DIRECT  O_DIRECT: truly asynchronous, past the page cache
 *   PLAIN   buffered: io_submit(2) itself waits for the disk; only where the file system refuses both others
 */
enum aio_how { AIO_NOWAIT, AIO_DIRECT, AIO_PLAIN };

/* An open file and what was learned about reading it. */
struct aio_file {
    int fd;             /* -1: closed; reads in flight still complete, but are not continued */
    enum aio_how first; /* how a piece is tried first */
    enum aio_how cold;  /* how it is read when the page cache does not hold it */
};

/* Whose a read is. */
enum aio_place {
    AIO_IDLE,      /* its owner's */
    AIO_PENDING,   /* queued here */
    AIO_IN_FLIGHT, /* the kernel's: its bytes must not be touched, nor the struct freed */
    AIO_DONE,      /* finished, waits for aio_next_done */
};

struct aio_read {
    struct iocb iocb;
    struct aio_file *file;
    char *bytes;     /* room for `length` rounded up to AIO_ALIGNMENT, aligned to it */
    uint64_t offset; /* in the file, a multiple of AIO_ALIGNMENT */
    size_t length;   /* bytes wanted */
    size_t got;      /* bytes read so far; equal to length when done well */
    size_t from;     /* where in `bytes` the current submission starts */
    enum aio_how how;
    enum aio_place place;
    STAILQ_ENTRY(aio_read) link;
};

STAILQ_HEAD(aio_queue, aio_read);

struct aio {
    io_context_t context;
    int event_fd; /* readable when completions wait to be collected */
    unsigned in_flight;
    struct aio_queue pending; /* not yet accepted by the kernel, oldest first */
    struct aio_queue done;    /* finished, not yet taken by aio_next_done */
};

/* Set up the context and the eventfd. Returns 0 or a negative errno: -EAGAIN when fs.aio-max-nr is used up
 * (io_setup(2)). On failure `aio` holds nothing. */
int aio_init(struct aio *aio);

/* Release both. Waits for reads in flight; for the end of the process only. */
void aio_destroy(struct aio *aio);

/* What a newly opened file is presumed to allow. */
void aio_file_init(struct aio_file *file, int fd);

/* Queue `read`, whose file, bytes, offset and length are set. It is the engine's until aio_next_done returns it or
 * aio_withdraw gives it back. */
void aio_start(struct aio *aio, struct aio_read *read);

/* Take an AIO_PENDING `read` out of the queue: it is its owner's again and will not come back. */
void aio_withdraw(struct aio *aio, struct aio_read *read);

/* Submit what is pending, a bounded amount a call: once at the end of a turn of the loop. */
void aio_submit(struct aio *aio);

/* Collect every completion that is there; for when event_fd is readable. Never waits. */
void aio_collect(struct aio *aio);

/* Make event_fd readable although nothing was read. A signal handler may call it. */
void aio_wake(const struct aio *aio);

/* The next finished read, or NULL. It failed if got < length: an error, or the file ended early. */
struct aio_read *aio_next_done(struct aio *aio);

/* Whether reads are pending that no completion will wake us for: the loop must come back by a timer. */
bool aio_is_stuck(const struct aio *aio);

#endif
