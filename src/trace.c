/*
 * trace.c - formats a line and writes it at once, so that a trace is whole whatever happens next.
 */
#include "trace.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "sys.h"

int trace_open(struct trace *trace, const char *path)
{
    trace->fd = -1;
    if (!path)
        return 0;
    int fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd < 0)
        return fd;
    trace->fd = fd;
    return 0;
}

void trace_close(struct trace *trace)
{
    if (trace->fd >= 0)
        sys_close(trace->fd);
    trace->fd = -1;
}

void trace_edge(const struct trace *trace, uint64_t number, int fd, const char *from, const char *to)
{
    char line[160];
    struct timespec now = {0};

    if (trace->fd < 0)
        return;
    sys_clock_gettime(CLOCK_MONOTONIC, &now);
    int length = snprintf(line, sizeof line, "%lld.%06ld conn=%" PRIu64 " fd=%d %s -> %s\n", (long long)now.tv_sec,
                          now.tv_nsec / 1000, number, fd, from, to);
    (void)sys_write(trace->fd, line, (size_t)length);
}
