/*
 * test_startup.c - each step of the start fails in turn: what is said, and that nothing is left open.
 */
#include "startup.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>

#include "alloc_faults.h"
#include "fake_sys.h"
#include "unit.h"

enum { ROOT = 3, TRACE, EVENT, LISTENER, POLLER };

static struct server server;
static char error[STARTUP_ERROR_SIZE];
static char pages[POOL_BUFFER_SIZE];

/* One buffer is all the memory; the number of connections is set, so that no limit is asked for. */
static const struct options small = {
    .address = "127.0.0.1",
    .root = "some/root",
    .trace = "some/trace",
    .port = 8888,
    .window = POOL_BUFFER_SIZE,
    .dynamic_memory = POOL_BUFFER_SIZE,
    .max_connections = 10,
    .head_timeout_ms = 1111,
    .send_timeout_ms = 2222,
};

/* The steps of the start that can fail, in their order. */
enum step {
    STEP_ROOT,
    STEP_TRACE,
    STEP_MEMORY,
    STEP_AIO,
    STEP_EVENT,
    STEP_SOCKET,
    STEP_REUSE,
    STEP_BIND,
    STEP_LISTEN,
    STEP_NAME,
    STEP_POLLER,
    STEP_WATCH_LISTENER,
    STEP_WATCH_READS,
    STEPS,
};

/* The calls of a start up to the step `last`, which gives `result`; STEPS: all of it, and well. */
static void expect_start(enum step last, long result)
{
#define STEP(number, good, call, ...)                                                                                  \
    if (last >= (number))                                                                                              \
    expect(call, __VA_ARGS__, .result = last == (number) ? result : (good))

    STEP(STEP_ROOT, ROOT, open, WITH(O_PATH | O_DIRECTORY | O_CLOEXEC), .path = "some/root");
    STEP(STEP_TRACE, TRACE, open, .path = "some/trace");
    STEP(STEP_MEMORY, 0, map_pages, WITH(POOL_BUFFER_SIZE), .pages = pages);
    STEP(STEP_AIO, 0, io_setup, WITH(ANY));
    STEP(STEP_EVENT, EVENT, eventfd, WITH(0));
    STEP(STEP_SOCKET, LISTENER, socket, WITH(AF_INET));
    STEP(STEP_REUSE, 0, setsockopt, WITH(LISTENER));
    STEP(STEP_BIND, 0, bind, WITH(LISTENER, AF_INET, 8888));
    STEP(STEP_LISTEN, 0, listen, WITH(LISTENER));
    STEP(STEP_NAME, 0, getsockname, WITH(LISTENER), .port = 8888);
    STEP(STEP_POLLER, POLLER, epoll_create1, WITH(EPOLL_CLOEXEC));
    STEP(STEP_WATCH_LISTENER, 0, epoll_ctl, WITH(POLLER, EPOLL_CTL_ADD, LISTENER, EPOLLIN), .source = &server.listener);
    STEP(STEP_WATCH_READS, 0, epoll_ctl, WITH(POLLER, EPOLL_CTL_ADD, EVENT, EPOLLIN), .source = &server.loader);
}

/* What is undone of all that was done before the step `last`. */
static void expect_undone(enum step last)
{
    if (last > STEP_POLLER)
        expect(close, WITH(POLLER));
    if (last > STEP_SOCKET)
        expect(close, WITH(LISTENER));
    if (last > STEP_AIO)
        expect(io_destroy, WITH((long)FAKE_CONTEXT));
    if (last > STEP_EVENT)
        expect(close, WITH(EVENT));
    if (last > STEP_MEMORY)
        expect(unmap_pages, WITH((long)pages, POOL_BUFFER_SIZE));
    if (last > STEP_TRACE)
        expect(close, WITH(TRACE));
    if (last > STEP_ROOT)
        expect(close, WITH(ROOT));
}

static void start(const struct options *options)
{
    cr_assert(eq(int, startup_open(&server, options, error), true), "%s", error);
}

static void stop(void)
{
    expect_undone(STEPS);
    startup_close(&server);
    script_is_over();
    cr_assert(not(memory_leaked()));
}

Test(startup, everything_is_opened_in_order_and_closed_in_reverse)
{
    expect_start(STEPS, 0);
    start(&small);
    cr_assert(eq(u16, server.listener.port, 8888));
    cr_assert(eq(int, server.shared.root, ROOT));
    cr_assert(eq(int, server.trace.fd, TRACE));
    cr_assert(eq(int, server.listening, true));
    stop();
}

Test(startup, options_reach_those_that_they_are_for)
{
    expect_start(STEPS, 0);
    start(&small);
    cr_expect(eq(sz, server.max_connections, 10));
    cr_expect(eq(sz, server.loader.window, 1));
    cr_expect(eq(sz, server.loader.pool.count, 1));
    cr_expect(eq(i64, server.clocks[CLOCK_HEAD].duration_ms, 1111));
    cr_expect(eq(i64, server.clocks[CLOCK_SEND].duration_ms, 2222));
    cr_expect(eq(i64, server.clocks[CLOCK_LINGER].duration_ms, 2000));
    cr_expect(eq(ptr, server.shared.loader, &server.loader));
    cr_expect(eq(ptr, server.shared.trace, &server.trace));
    cr_expect(eq(ptr, server.shared.receive_buffer, server.receive_buffer));
    cr_expect(eq(sz, server.shared.receive_size, sizeof server.receive_buffer));
    stop();
}

Test(startup, without_a_trace_there_is_one_file_less)
{
    struct options options = small;
    options.trace = NULL;
    options.root = "other";
    expect(open, .path = "other", .result = ROOT);
    expect(map_pages, .pages = pages);
    expect(io_setup, .result = -ENOSYS);
    expect(unmap_pages);
    expect(close, WITH(ROOT));
    cr_assert(eq(int, startup_open(&server, &options, error), false));
    script_is_over();
}

Test(startup, whichever_step_fails_one_line_says_so_and_nothing_is_left_open)
{
    const struct {
        int error;
        const char *said;
    } rows[STEPS] = {
        [STEP_ROOT] = {ENOENT, "cannot open the document root some/root: No such file or directory"},
        [STEP_TRACE] = {EACCES, "cannot write the trace some/trace: Permission denied"},
        [STEP_MEMORY] = {ENOMEM, "cannot set up asynchronous reads: Cannot allocate memory"},
        [STEP_AIO] = {EAGAIN, "cannot set up asynchronous reads: Resource temporarily unavailable"
                              " (is all of fs.aio-max-nr in use?)"},
        [STEP_EVENT] = {EMFILE, "cannot set up asynchronous reads: Too many open files"},
        [STEP_SOCKET] = {EMFILE, "cannot listen on port 8888: Too many open files"},
        [STEP_REUSE] = {ENOPROTOOPT, "cannot listen on port 8888: Protocol not available"},
        [STEP_BIND] = {EADDRINUSE, "cannot listen on port 8888: Address already in use"},
        [STEP_LISTEN] = {EADDRINUSE, "cannot listen on port 8888: Address already in use"},
        [STEP_NAME] = {ENOBUFS, "cannot listen on port 8888: No buffer space available"},
        [STEP_POLLER] = {EMFILE, "cannot watch the listener: Too many open files"},
        [STEP_WATCH_LISTENER] = {ENOSPC, "cannot watch the listener: No space left on device"},
        [STEP_WATCH_READS] = {ENOSPC, "cannot watch the listener: No space left on device"},
    };
    for (enum step last = 0; last < STEPS; last++) {
        expect_start(last, -rows[last].error);
        expect_undone(last);
        cr_assert(eq(int, startup_open(&server, &small, error), false), "step %d", (int)last);
        cr_assert(eq(str, error, text(rows[last].said)), "step %d", (int)last);
        script_is_over();
    }
    cr_assert(not(memory_leaked()));
}

Test(startup, no_memory_for_the_list_of_buffers_is_told_like_no_pages)
{
    expect_start(STEP_MEMORY, 0);
    expect(unmap_pages, WITH((long)pages, POOL_BUFFER_SIZE));
    expect_undone(STEP_MEMORY);
    fail_next_allocation();
    cr_assert(eq(int, startup_open(&server, &small, error), false));
    cr_assert(eq(str, error, text("cannot set up asynchronous reads: Cannot allocate memory")));
    script_is_over();
}

Test(startup, an_address_that_is_not_numeric_is_guessed_at)
{
    struct options options = small;
    options.address = "localhost";
    expect_start(STEP_EVENT, EVENT);
    expect_undone(STEP_SOCKET);
    cr_assert(eq(int, startup_open(&server, &options, error), false));
    cr_assert(eq(str, error, text("cannot listen on port 8888: Invalid argument (is the address numeric?)")));
    script_is_over();
}

Test(startup, an_endless_path_is_cut_so_that_the_reason_is_seen)
{
    static char path[4001];
    struct options options = small;
    memset(path, 'p', sizeof path - 1);
    options.root = path;
    expect(open, .path = path, .result = -ENAMETOOLONG);
    cr_assert(eq(int, startup_open(&server, &options, error), false));
    cr_assert(eq(str, strchr(error, ':'), text(": File name too long")));
    script_is_over();
}

Test(startup, the_number_of_connections_follows_the_limit_of_descriptors)
{
    const struct {
        long result;
        rlim_t limit;
        size_t connections;
    } rows[] = {
        {0, 1024, 504},
        {0, 1 << 20, 524280},
        {0, RLIM_INFINITY, (RLIM_INFINITY - 16) / 2},
        {0, 20, 2},
        {0, 19, 1}, /* so few that hardly one can be served */
        {0, 18, 1},
        {0, 0, 1},
        {-EPERM, 1024, 1},
    };
    struct options options = small;
    options.max_connections = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect(getrlimit, WITH(RLIMIT_NOFILE), .limit = {.rlim_cur = rows[i].limit, .rlim_max = RLIM_INFINITY},
               .result = rows[i].result);
        expect_start(STEPS, 0);
        start(&options);
        cr_expect(eq(sz, server.max_connections, rows[i].connections), "row %zu", i);
        stop();
    }
}

Test(startup, a_server_with_connections_must_not_be_closed, .signal = SIGABRT)
{
    expect_start(STEPS, 0);
    start(&small);
    allow(clock_gettime);
    allow(write);
    TAILQ_INSERT_TAIL(&server.open, conn_create(9, 1, &server.shared), link);
    startup_close(&server);
}
