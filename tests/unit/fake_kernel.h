/*
 * fake_kernel.h - a small simulated kernel behind the seam: clients, files, epoll, AIO and a clock, in memory.
 *
 * Just enough for whole exchanges of a whole server, and for one of its calls to fail: see test_server.c and
 * test_sweep.c. Everything happens in an order that depends on nothing but the test.
 *
 * Time stands still but while the server waits and nobody is ready: then `when_idle` may change the world; if it does
 * not, the clock moves to the end of the wait. When the server would wait for ever, or `end_ms` has come, it is asked
 * to stop. A server that makes KERNEL_CALLS_MAX calls is spinning: the test fails.
 */
#ifndef AWS_FAKE_KERNEL_H
#define AWS_FAKE_KERNEL_H

#include <signal.h>
#include <stdbool.h>

#include "fake_sys.h"
#include "options.h"

#define KERNEL_CALLS_MAX 10000
#define KERNEL_PEERS_MAX 200
#define KERNEL_DESCRIPTORS_MAX 512
#define KERNEL_FILES_MAX 4
#define KERNEL_HEAD_MAX 512

/* A client. The first few fields are the test's to set, also while the server runs. */
struct kernel_peer {
    const char *input; /* what it sends, NUL-terminated */
    size_t piece;      /* the most that one receive gives; 0: all */
    size_t buffer;     /* bytes of ours that wait for it, at most; 0: it takes all at once */
    bool ends;         /* it shuts its side after its input */
    bool stays;        /* it does not end when we do */
    bool is_reset;     /* it is gone altogether */

    /* The kernel's books. */
    size_t sent;      /* of its input */
    size_t waiting;   /* bytes of ours that it has not taken */
    bool was_shut;    /* we have shut our side */
    bool was_aborted; /* that sent RST: some of its input was not read */
    bool was_closed;  /* we have closed the connection */
    int64_t closed_at_ms;
    char head[KERNEL_HEAD_MAX + 1]; /* the first bytes that it got, up to the end of the head */
    size_t head_length;
    char body[64]; /* the first bytes after it */
    uint64_t body_length;
    bool body_is_wrong; /* some byte of it is not the file's */
};

/* A file below the root. */
struct kernel_file {
    const char *path;
    uint64_t size;   /* as fstat says */
    uint64_t shrunk; /* bytes that it has lost since */
    bool is_cold;    /* not in the page cache: O_DIRECT reads complete a wait later */
    bool is_stuck;   /* its O_DIRECT reads do not complete while this is set */
    bool no_nowait;  /* refuses RWF_NOWAIT, as tmpfs does */
};

/* Which call fails, and how. Completions of AIO reads count as calls, too. */
struct kernel_fault {
    unsigned nth;  /* the call that fails, from 1, of all calls; 0: none */
    bool for_ever; /* and so do all later ones of its name */
    long result;   /* a negative errno or 0; or KERNEL_HALF */
};

/* The call moves only half of what it could, at least one. */
#define KERNEL_HALF 1

/* The name of a completion among those of calls. */
#define KERNEL_COMPLETION FAKE_CALL_COUNT

struct fake_kernel {
    struct kernel_peer peers[KERNEL_PEERS_MAX]; /* in the order in which they come */
    int peer_count;
    struct kernel_file files[KERNEL_FILES_MAX];
    int descriptors_max; /* open at once; more give EMFILE. At most KERNEL_DESCRIPTORS_MAX - 3 */
    int64_t end_ms;      /* when the server is asked to stop at the latest */
    volatile sig_atomic_t stop;
    bool (*when_idle)(void); /* NULL, or: change the world; false: nothing was changed. Setting `stop` is a signal. */
    struct kernel_fault fault;

    /* The books. */
    int64_t now_ms;
    unsigned calls;
    unsigned changes;                        /* by when_idle */
    unsigned calls_of[FAKE_CALL_COUNT + 1];  /* by name */
    unsigned char log[KERNEL_CALLS_MAX + 1]; /* log[n]: the name of the nth call */
    int accepted;                            /* peers */
    int descriptors;                         /* open now */
    int reads_in_flight;                     /* accepted by io_submit, not yet collected */
    int mappings;
};

extern struct fake_kernel kernel;

/* Put the kernel behind the seam, with nothing in it: descriptors_max 100, end_ms 10000. */
void kernel_start(void);

/* One more client comes, who sends `input`. */
struct kernel_peer *kernel_connect(const char *input);

/* `peer` takes `count` of the bytes that wait for it. */
void kernel_take(struct kernel_peer *peer, size_t count);

/* Whether `peer` got status 200 and a whole file of `size` bytes, each of them right. */
bool kernel_got_whole(const struct kernel_peer *peer, uint64_t size);

/* Bring a server up by `options`, let it serve until it is asked to stop, and take it down. False: it did not start. */
bool kernel_serve(const struct options *options);

/* The name of a call, or "completion"; what kernel.fault is about, in words. */
const char *kernel_name(int name);
const char *kernel_describe_fault(void);

/* What is left after kernel_serve: "nothing", or the first thing that should not be. */
const char *kernel_leftover(void);

/* Fail the test unless no descriptor, read, mapping, connection or memory is left. */
void kernel_is_left_clean(void);

#endif
