/*
 * startup.c - opens what the server needs, in order, and closes it in reverse.
 *
 * Unwinding goes by labels named after what they undo. Every failure is one line that names the thing and the reason.
 */
#include "startup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "sys.h"

/* How long a closed connection is read away without the client taking any more of its answer. A client on the other
 * side of the earth needs a second to see our FIN. */
#define LINGER_MS 2000

/* Descriptors that are not connections: standard ones, poller, listener, AIO, root, trace, and some to spare. */
#define RESERVED_DESCRIPTORS 16

/* As many connections as can have a document open each, so that an accepted one can be served. */
static size_t connections_by_descriptors(void)
{
    struct rlimit limit;
    if (sys_getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= RESERVED_DESCRIPTORS + 2)
        return 1;
    return (limit.rlim_cur - RESERVED_DESCRIPTORS) / 2;
}

static void init_lists(struct server *server, const struct options *options)
{
    memset(server, 0, sizeof *server);
    server->listener.fd = -1;
    server->trace.fd = -1;
    server->accept_batch = 1;
    server->max_connections = options->max_connections ? options->max_connections : connections_by_descriptors();
    server->shared = (struct conn_shared){.root = -1,
                                          .loader = &server->loader,
                                          .trace = &server->trace,
                                          .receive_buffer = server->receive_buffer,
                                          .receive_size = sizeof server->receive_buffer};
    TAILQ_INIT(&server->open);
    TAILQ_INIT(&server->orphans);
    TAILQ_INIT(&server->doomed);
    deadline_line_init(&server->clocks[CLOCK_NONE], 0);
    deadline_line_init(&server->clocks[CLOCK_HEAD], options->head_timeout_ms);
    deadline_line_init(&server->clocks[CLOCK_SEND], options->send_timeout_ms);
    deadline_line_init(&server->clocks[CLOCK_LINGER], LINGER_MS);
}

static int open_root(struct server *server, const char *path)
{
    server->shared.root = sys_open(path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    return server->shared.root < 0 ? server->shared.root : 0;
}

/* The poller, with the two sources that are always there. */
static int open_poller(struct server *server)
{
    int status = poller_open(&server->poller);
    if (status < 0)
        return status;
    status = poller_add(&server->poller, server->listener.fd, POLLER_READABLE, &server->listener);
    if (status == 0)
        status = poller_add(&server->poller, server->loader.aio.event_fd, POLLER_READABLE, &server->loader);
    server->listening = status == 0;
    if (status < 0)
        poller_close(&server->poller);
    return status;
}

/* "cannot open the document root x: No such file or directory", and perhaps a hint. */
static void explain(char error[STARTUP_ERROR_SIZE], const char *what, const char *which, int status, const char *hint)
{
    snprintf(error, STARTUP_ERROR_SIZE, "cannot %s%.300s: %s%s", what, which, strerror(-status), hint);
}

bool startup_open(struct server *server, const struct options *options, char error[STARTUP_ERROR_SIZE])
{
    char port[8];
    int status;

    init_lists(server, options);
    if ((status = open_root(server, options->root)) < 0) {
        explain(error, "open the document root ", options->root, status, "");
        return false;
    }
    if ((status = trace_open(&server->trace, options->trace)) < 0) {
        explain(error, "write the trace ", options->trace, status, "");
        goto close_root;
    }
    if ((status = loader_init(&server->loader, options->window, options->dynamic_memory)) < 0) {
        const char *hint = status == -EAGAIN ? " (is all of fs.aio-max-nr in use?)" : "";
        explain(error, "set up asynchronous reads", "", status, hint);
        goto close_trace;
    }
    if ((status = listener_open(&server->listener, options->address, options->port)) < 0) {
        snprintf(port, sizeof port, "%u", (unsigned)options->port);
        explain(error, "listen on port ", port, status, status == -EINVAL ? " (is the address numeric?)" : "");
        goto destroy_loader;
    }
    if ((status = open_poller(server)) < 0) {
        explain(error, "watch the listener", "", status, "");
        goto close_listener;
    }
    return true;

close_listener:
    listener_close(&server->listener);
destroy_loader:
    loader_destroy(&server->loader);
close_trace:
    trace_close(&server->trace);
close_root:
    sys_close(server->shared.root);
    return false;
}

void startup_close(struct server *server)
{
    assert(TAILQ_EMPTY(&server->open) && TAILQ_EMPTY(&server->orphans) && "connections outlive the server");
    poller_close(&server->poller);
    listener_close(&server->listener);
    loader_destroy(&server->loader);
    trace_close(&server->trace);
    sys_close(server->shared.root);
}
