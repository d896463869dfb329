/*
 * test_trace.c - the lines of --trace, and a trace that cannot be written.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "fake_sys.h"
#include "unit.h"

#define FD 5

Test(trace, no_file_means_no_call_at_all)
{
    struct trace trace;
    cr_assert(eq(int, trace_open(&trace, NULL), 0));
    cr_assert(eq(int, trace.fd, -1));
    trace_edge(&trace, 1, 9, "CONN_INIT", "CONN_CLOSED");
    trace_close(&trace);
    script_is_over();
}

Test(trace, its_file_is_made_or_emptied_and_closed_once)
{
    struct trace trace;
    expect(open, WITH(O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0644), .path = "some/file", .result = FD);
    cr_assert(eq(int, trace_open(&trace, "some/file"), 0));
    cr_assert(eq(int, trace.fd, FD));

    expect(close, WITH(FD));
    trace_close(&trace);
    trace_close(&trace);
    cr_assert(eq(int, trace.fd, -1));
    script_is_over();
}

Test(trace, a_file_that_cannot_be_made_leaves_no_trace)
{
    struct trace trace = {.fd = FD};
    expect(open, .result = -EACCES);
    cr_assert(eq(int, trace_open(&trace, "some/file"), -EACCES));
    cr_assert(eq(int, trace.fd, -1));
    script_is_over();
}

Test(trace, a_line_has_the_time_the_connection_and_the_edge)
{
    const struct trace trace = {.fd = FD};
    expect(clock_gettime, WITH(CLOCK_MONOTONIC), .time = {.tv_sec = 12, .tv_nsec = 345999});
    expect(write, WITH(FD), .result = ALL);
    trace_edge(&trace, 7, 9, "CONN_READING", "CONN_WREADY");
    script_is_over();
    cr_assert(eq(str, script_written.bytes, text("12.000345 conn=7 fd=9 CONN_READING -> CONN_WREADY\n")));
}

Test(trace, the_longest_line_is_whole)
{
    const struct trace trace = {.fd = FD};
    expect(clock_gettime, .time = {.tv_sec = LONG_MAX, .tv_nsec = 999999999});
    expect(write, WITH(FD), .result = ALL);
    trace_edge(&trace, UINT64_MAX, INT_MAX, "CONN_READING_ASYNC", "CONN_READING_ASYNC");
    script_is_over();
    cr_assert(eq(str, script_written.bytes,
                 text("9223372036854775807.999999 conn=18446744073709551615 fd=2147483647 CONN_READING_ASYNC -> "
                      "CONN_READING_ASYNC\n")));
}

Test(trace, a_line_that_cannot_be_written_is_lost_and_not_tried_again)
{
    const struct trace trace = {.fd = FD};
    const long results[] = {-ENOSPC, -EINTR, -EAGAIN, 0, 3};
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        expect(clock_gettime);
        expect(write, WITH(FD), .result = results[i]);
        trace_edge(&trace, 1, 9, "CONN_SENDING", "CONN_CLOSED");
        script_is_over();
    }
}

/* Leave something below the stack pointer, where the next function has its variables. */
static void soil_the_stack(void)
{
    volatile char soil[4096];
    for (size_t i = 0; i < sizeof soil; i++)
        soil[i] = 0x55;
}

Test(trace, without_a_clock_the_time_is_0)
{
    const struct trace trace = {.fd = FD};
    expect(clock_gettime, .result = -EINVAL);
    expect(write, .text = "0.000000 conn=1 fd=9 ", .result = ALL);
    soil_the_stack();
    trace_edge(&trace, 1, 9, "CONN_SENDING", "CONN_CLOSED");
    script_is_over();
}
