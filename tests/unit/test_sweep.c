/*
 * test_sweep.c - every system call of a whole exchange fails once, in every way in which it may.
 *
 * A client is served, slowly; when it is gone a second one comes. The calls of that run are counted. Then it is run
 * again for each of these calls and each result that such a call may give, once, and from then on for ever. Whatever
 * happens: no crash, no spinning, nothing left open, in flight or allocated, and no wrong byte: what a client got is
 * the beginning of a right answer. If the fault is one that the server must cope with, both got all of it; after any
 * other one that struck once, one of them did.
 *
 * The method is that of sqlite's I/O error tests.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "alloc_faults.h"
#include "fake_kernel.h"
#include "pool.h"
#include "unit.h"

#define SIZE ((uint64_t)3 * POOL_BUFFER_SIZE + 5000) /* 389 KiB: four windows of one buffer */

/* What the server must make of a fault that strikes once. */
enum demand {
    COPE, /* nobody notices */
    END,  /* the connection may end, be refused, or get a 404 */
};

/* Results that no manual page lets a call give for ever, or that would not let a kernel make progress. */
enum { ONCE_ONLY = 1 };

static const struct {
    int name;
    long result;
    enum demand demand;
    int flags;
} faults[] = {
    /* Starting: the server may say that it cannot start. */
    {CALL_getrlimit, -EPERM, COPE, 0},
    {CALL_open, -ENOENT, END, 0},
    {CALL_open, -EMFILE, END, 0},
    {CALL_map_pages, -ENOMEM, END, 0},
    {CALL_io_setup, -EAGAIN, END, 0},
    {CALL_io_setup, -ENOMEM, END, 0},
    {CALL_eventfd, -EMFILE, END, 0},
    {CALL_socket, -EMFILE, END, 0},
    {CALL_setsockopt, -ENOMEM, END, 0},
    {CALL_bind, -EADDRINUSE, END, 0},
    {CALL_listen, -EADDRINUSE, END, 0},
    {CALL_getsockname, -ENOBUFS, END, 0},
    {CALL_epoll_create1, -EMFILE, END, 0},
    {CALL_epoll_ctl, -ENOMEM, END, 0},
    {CALL_epoll_ctl, -ENOSPC, END, 0},

    {CALL_epoll_wait, -EINTR, COPE, ONCE_ONLY},
    {CALL_epoll_wait, 0, COPE, ONCE_ONLY},
    {CALL_epoll_wait, KERNEL_HALF, COPE, 0},

    {CALL_accept4, -EAGAIN, COPE, 0},
    {CALL_accept4, -EINTR, COPE, ONCE_ONLY},
    {CALL_accept4, -EMFILE, COPE, 0},
    {CALL_accept4, -ENFILE, COPE, 0},
    {CALL_accept4, -ENOBUFS, COPE, 0},
    {CALL_accept4, -ENOMEM, COPE, 0},
    {CALL_accept4, -ECONNABORTED, END, 0},
    {CALL_accept4, -EPROTO, END, 0},
    {CALL_accept4, -ENETDOWN, END, 0},

    {CALL_recv, KERNEL_HALF, COPE, 0},
    {CALL_recv, -EAGAIN, COPE, 0},
    {CALL_recv, -EINTR, COPE, ONCE_ONLY},
    {CALL_recv, 0, END, 0},
    {CALL_recv, -ECONNRESET, END, 0},
    {CALL_recv, -ETIMEDOUT, END, 0},
    {CALL_recv, -ENOMEM, END, 0},

    {CALL_send, KERNEL_HALF, COPE, 0},
    {CALL_send, -EAGAIN, COPE, 0},
    {CALL_send, -EINTR, COPE, ONCE_ONLY},
    {CALL_send, -EPIPE, END, 0},
    {CALL_send, -ECONNRESET, END, 0},
    {CALL_send, -ENOBUFS, END, 0},

    {CALL_sendfile, KERNEL_HALF, COPE, 0},
    {CALL_sendfile, -EAGAIN, COPE, 0},
    {CALL_sendfile, -EINTR, COPE, ONCE_ONLY},
    {CALL_sendfile, 0, END, 0},
    {CALL_sendfile, -EPIPE, END, 0},
    {CALL_sendfile, -EIO, END, 0},
    {CALL_sendfile, -ENOMEM, END, 0},

    {CALL_unacknowledged, -EINVAL, COPE, 0},
    {CALL_shutdown, -ENOTCONN, COPE, 0},
    {CALL_close, -EIO, COPE, 0},
    {CALL_close, -EINTR, COPE, 0},

    {CALL_openat2, -EINTR, COPE, ONCE_ONLY},
    {CALL_openat2, -EAGAIN, COPE, 0},
    {CALL_openat2, -ENOSYS, COPE, 0},
    {CALL_openat2, -ENOENT, END, 0},
    {CALL_openat2, -EACCES, END, 0},
    {CALL_openat2, -EMFILE, END, 0},
    {CALL_openat2, -ENOMEM, END, 0},
    {CALL_fstat, -EIO, END, 0},
    {CALL_fstat, -ENOMEM, END, 0},
    {CALL_setfl, -EINVAL, END, 0}, /* O_DIRECT may stay set, and then the file's tail cannot be read */
    {CALL_setfl, -EPERM, END, 0},

    {CALL_io_submit, KERNEL_HALF, COPE, 0},
    {CALL_io_submit, 0, COPE, 0},
    {CALL_io_submit, -EAGAIN, COPE, 0},
    {CALL_io_submit, -EINTR, COPE, ONCE_ONLY},
    {CALL_io_submit, -EBADF, END, 0},
    {CALL_io_submit, -EINVAL, END, 0}, /* no more, if it was submitted plainly */
    {CALL_io_submit, -EOPNOTSUPP, END, 0},
    {CALL_io_submit, -EIO, END, 0},
    {CALL_io_getevents, KERNEL_HALF, COPE, 0},
    {CALL_io_getevents, -EINTR, COPE, ONCE_ONLY},
    {CALL_read, -EINTR, COPE, ONCE_ONLY},
    {CALL_read, -EAGAIN, COPE, ONCE_ONLY},

    {KERNEL_COMPLETION, KERNEL_HALF, COPE, ONCE_ONLY},
    {KERNEL_COMPLETION, -EINTR, COPE, ONCE_ONLY},
    {KERNEL_COMPLETION, 0, END, 0},
    {KERNEL_COMPLETION, -EAGAIN, END, 0}, /* no more, if it was read plainly */
    {KERNEL_COMPLETION, -EINVAL, END, 0},
    {KERNEL_COMPLETION, -EOPNOTSUPP, END, 0},
    {KERNEL_COMPLETION, -EIO, END, 0},

    {CALL_write, KERNEL_HALF, COPE, 0},
    {CALL_write, -EAGAIN, COPE, 0},
    {CALL_write, -ENOSPC, COPE, 0},
    {CALL_io_destroy, -EINVAL, COPE, 0},
    {CALL_unmap_pages, -EINVAL, COPE, 0},
};
#define FAULTS (sizeof faults / sizeof faults[0])

static const struct options options = {.address = "127.0.0.1",
                                       .root = "root",
                                       .trace = "trace",
                                       .window = POOL_BUFFER_SIZE,
                                       .dynamic_memory = 2 * POOL_BUFFER_SIZE,
                                       .head_timeout_ms = 500,
                                       .send_timeout_ms = 1000};

/* The run without faults. */
static unsigned golden_calls;
static unsigned char golden_log[KERNEL_CALLS_MAX + 1];
static struct kernel_peer golden; /* what its first client got */
static struct kernel_peer golden_404;
static long golden_alive; /* allocations that were there before and after it */

static bool clients_go_on(void)
{
    struct kernel_peer *first = &kernel.peers[0];
    if (first->waiting > 0) {
        kernel_take(first, first->waiting);
        return true;
    }
    if (!first->was_closed || kernel.peer_count == 2)
        return false;
    kernel_connect(first->input);
    return true;
}

/* Serve `request` for `file` under `fault`. Whether the server started. */
static bool run(const char *request, struct kernel_file file, struct kernel_fault fault)
{
    kernel_start();
    kernel.end_ms = 5000;
    kernel.when_idle = clients_go_on;
    kernel.files[0] = file;
    kernel.fault = fault;
    struct kernel_peer *first = kernel_connect(request);
    first->piece = 30;
    first->buffer = 100000;
    return kernel_serve(&options);
}

/* A crash must say what it was that could not be coped with. */
static void tell_fault(int signal)
{
    const char *description = kernel_describe_fault();
    (void)signal;
    (void)!write(STDERR_FILENO, description, strlen(description));
    _exit(EXIT_FAILURE);
}

/* Whether all that `peer` got is the beginning of `right`. */
static bool is_beginning_of(const struct kernel_peer *peer, const struct kernel_peer *right)
{
    uint64_t body = peer->body_length < sizeof peer->body ? peer->body_length : sizeof peer->body;
    return memcmp(peer->head, right->head, peer->head_length) == 0 && peer->body_length <= right->body_length &&
           memcmp(peer->body, right->body, body) == 0 && (right == &golden_404 || !peer->body_is_wrong);
}

/* What must hold after any run. */
static void assert_sound(const char *request)
{
    cr_assert(eq(str, text(kernel_leftover()), text("nothing")), "%s: %s", request, kernel_describe_fault());
    cr_assert(eq(long, allocations_alive(), golden_alive), "%s: %s", request, kernel_describe_fault());
    for (int i = 0; i < kernel.peer_count; i++)
        cr_assert(is_beginning_of(&kernel.peers[i], &golden) || is_beginning_of(&kernel.peers[i], &golden_404),
                  "%s, client %d: %s", request, i + 1, kernel_describe_fault());
}

/* How many of the two clients got all. */
static int served(void)
{
    return kernel_got_whole(&kernel.peers[0], SIZE) + kernel_got_whole(&kernel.peers[1], SIZE);
}

static void run_golden(const char *request, struct kernel_file file)
{
    const struct kernel_fault none = {0};

    cr_assert(run("GET /nothing HTTP/1.1\r\n\r\n", file, none));
    golden_404 = kernel.peers[0];
    golden_alive = allocations_alive();
    fail_allocation(0, false);
    cr_assert(run(request, file, none));
    cr_assert(eq(int, served(), 2));
    golden = kernel.peers[0];
    golden_calls = kernel.calls;
    memcpy(golden_log, kernel.log, sizeof golden_log);
    assert_sound(request);
}

static void sweep_one(const char *request, struct kernel_file file, unsigned nth, size_t row)
{
    bool started = run(request, file, (struct kernel_fault){.nth = nth, .result = faults[row].result});
    cr_assert(eq(int, kernel.log[nth], golden_log[nth]), "the run is another one before the fault");
    assert_sound(request);
    if (faults[row].demand == COPE)
        cr_assert(eq(int, served(), 2), "%s: %s", request, kernel_describe_fault());
    else if (started)
        cr_assert(ge(int, served(), 1), "%s: %s", request, kernel_describe_fault());
    else
        cr_assert(zero(int, kernel.accepted), "%s: %s", request, kernel_describe_fault());

    if (faults[row].flags & ONCE_ONLY)
        return;
    run(request, file, (struct kernel_fault){.nth = nth, .result = faults[row].result, .for_ever = true});
    assert_sound(request);
}

/* Each row of the table must have been used in some sweep. */
static bool row_used[FAULTS];

static void sweep_calls(const char *request, struct kernel_file file)
{
    run_golden(request, file);
    for (unsigned nth = 1; nth <= golden_calls; nth++) {
        bool can_fail = golden_log[nth] == CALL_clock_gettime; /* which cannot, with the clocks that we ask */
        for (size_t row = 0; row < FAULTS; row++) {
            if (faults[row].name != golden_log[nth])
                continue;
            can_fail = row_used[row] = true;
            sweep_one(request, file, nth, row);
        }
        cr_assert(can_fail, "the table does not say how %s may fail", kernel_name(golden_log[nth]));
    }
}

static void sweep_allocations(const char *request, struct kernel_file file)
{
    run_golden(request, file);
    unsigned count = allocations_seen();
    cr_assert(ge(u32, count, 4), "the pool, a connection, its target, its head");
    for (unsigned nth = 1; nth <= count; nth++) {
        for (int for_ever = 0; for_ever < 2; for_ever++) {
            fail_allocation(nth, for_ever);
            bool started = run(request, file, (struct kernel_fault){0});
            fail_allocation(0, false);
            assert_sound(request);
            if (started && !for_ever)
                cr_assert(ge(int, served(), 1), "allocation %u fails", nth);
        }
    }
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static const struct {
    const char *request;
    struct kernel_file file;
} exchanges[] = {
    {GET("/static/a"), {.path = "static/a", .size = SIZE}},
    {GET("/dynamic/a"), {.path = "dynamic/a", .size = SIZE, .is_cold = true}},
    {GET("/dynamic/a"), {.path = "dynamic/a", .size = SIZE, .no_nowait = true}}, /* as on tmpfs */
};
#define EXCHANGES (sizeof exchanges / sizeof exchanges[0])

Test(sweep, any_system_call_may_fail_in_any_way)
{
    signal(SIGABRT, tell_fault);
    signal(SIGSEGV, tell_fault);
    for (size_t i = 0; i < EXCHANGES; i++)
        sweep_calls(exchanges[i].request, exchanges[i].file);
    for (size_t row = 0; row < FAULTS; row++)
        cr_assert(row_used[row], "no exchange has a call of %s", kernel_name(faults[row].name));
    cr_assert(not(memory_leaked()));
}

Test(sweep, any_allocation_may_fail)
{
    signal(SIGABRT, tell_fault);
    signal(SIGSEGV, tell_fault);
    for (size_t i = 0; i < EXCHANGES; i++)
        sweep_allocations(exchanges[i].request, exchanges[i].file);
    cr_assert(not(memory_leaked()));
}
