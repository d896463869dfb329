/*
 * trace.h - one line for each change of a connection's state, for --trace.
 *
 *   12.000345 conn=7 fd=9 CONN_READING -> CONN_WREADY
 *
 * Seconds on the monotonic clock, the connection's number since the start (from 1), its descriptor, the edge. The first
 * line of a connection comes from "new".
 */
#ifndef AWS_TRACE_H
#define AWS_TRACE_H

#include <stdint.h>

struct trace {
    int fd; /* -1: no trace is wanted */
};

/* Start a trace in the file `path`, which is made or emptied; NULL for none. 0 or a negative errno (open(2)). */
int trace_open(struct trace *trace, const char *path);

void trace_close(struct trace *trace);

/* Write one line. A trace that cannot be written does not stop the server: the line is lost. */
void trace_edge(const struct trace *trace, uint64_t number, int fd, const char *from, const char *to);

#endif
