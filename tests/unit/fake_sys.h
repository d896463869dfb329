/*
 * fake_sys.h - the seam of sys.h, answered by a test.
 *
 * A test writes down the calls that it expects, in order, with the arguments that matter and what each call gives:
 *
 *     expect(recv, WITH(FD), GIVES("GET /static/a HTTP/1.1\r\n\r\n"));
 *     expect(openat2, WITH(ROOT), .path = "static/a", .result = FILE_FD);
 *     expect(fstat, WITH(FILE_FD), .status = {.st_mode = S_IFREG | 0644, .st_size = 5});
 *     expect(send, WITH(FD, ANY, MSG_MORE | MSG_NOSIGNAL), .result = -EAGAIN);
 *     ... run the module ...
 *     script_is_over();
 *
 * A call that is not the next one of the script fails the test with a sentence that names the step, where it was
 * written, the call and both sides' arguments; so does a step that is left over (if script_is_over is forgotten, the
 * test's process aborts at its end). Each Criterion test is a process of its own: every script starts empty.
 *
 * fake_kernel.h puts a small simulated kernel in the script's place.
 */
#ifndef AWS_FAKE_SYS_H
#define AWS_FAKE_SYS_H

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "sys.h"

/*
 * The calls, with the arguments that a script can name, in their order. Those at the end may be left out, ANY stands
 * for one in the middle. What a pointer points to is named by a field of struct script_step.
 */
#define FAKE_CALLS(X)                                                                                                  \
    X(socket, "domain, type, protocol")                                                                                \
    X(setsockopt, "fd, level, name, value")                                                                            \
    X(bind, "fd, family, port")                                                                                        \
    X(listen, "fd, backlog")                                                                                           \
    X(getsockname, "fd")                                                                                               \
    X(accept4, "fd, flags")                                                                                            \
    X(shutdown, "fd, how")                                                                                             \
    X(unacknowledged, "fd")                                                                                            \
    X(recv, "fd, size, flags")                                                                                         \
    X(send, "fd, count, flags")                                                                                        \
    X(sendfile, "out, in, offset, count")                                                                              \
    X(read, "fd, size")                                                                                                \
    X(write, "fd, count")                                                                                              \
    X(open, "flags, mode")                                                                                             \
    X(openat, "directory, flags")                                                                                      \
    X(openat2, "directory, flags, resolve")                                                                            \
    X(fstat, "fd")                                                                                                     \
    X(setfl, "fd, flags")                                                                                              \
    X(close, "fd")                                                                                                     \
    X(epoll_create1, "flags")                                                                                          \
    X(epoll_ctl, "epoll, operation, fd, events")                                                                       \
    X(epoll_wait, "epoll, count, timeout_ms")                                                                          \
    X(eventfd, "initial, flags")                                                                                       \
    X(io_setup, "depth")                                                                                               \
    X(io_destroy, "context")                                                                                           \
    X(io_submit, "context, count")                                                                                     \
    X(io_getevents, "context, count")                                                                                  \
    X(map_pages, "size")                                                                                               \
    X(drop_pages, "address, size")                                                                                     \
    X(unmap_pages, "address, size")                                                                                    \
    X(clock_gettime, "clock")                                                                                          \
    X(getrlimit, "resource")                                                                                           \
    X(setrlimit, "resource, soft limit")

#define FAKE_CALL_NUMBER(name, arguments) CALL_##name,
enum fake_name { FAKE_CALLS(FAKE_CALL_NUMBER) FAKE_CALL_COUNT };

/* An argument that does not matter. */
#define ANY LONG_MIN

/* As result of send, write and sendfile: all that it was given. */
#define ALL LONG_MAX

/* What sys_io_setup gives. */
#define FAKE_CONTEXT ((io_context_t)0x10)

/* The most reads or events that one step names. */
#define SCRIPT_LIST_MAX 16

/* A read as io_submit is given it; all zero: any. */
struct script_iocb {
    int fd;
    long long offset;
    unsigned long size;
    int rw_flags;
};

/* A completion as io_getevents gives it: of the `nth` read accepted since the start of the script, from 0. What
 * `result` says was read is put into the read's buffer: fake_byte of its offset in the file. */
struct script_completion {
    int nth;
    long result;
};

struct script_step {
    /* What is expected: set by the macro. */
    enum fake_name name;
    const char *file;
    int line;
    int count; /* of arguments */
    long arguments[4];

    const char *path;                          /* open, openat, openat2; NULL: any */
    const char *text;                          /* send, write: the bytes at the front of what is sent; NULL: any */
    void *source;                              /* epoll_ctl: its data; NULL: any */
    struct script_iocb iocbs[SCRIPT_LIST_MAX]; /* io_submit */

    /* What the call gives. */
    long result;
    const char *bytes;                          /* recv, read: `result` of them; NULL leaves the buffer alone */
    struct stat status;                         /* fstat */
    struct timespec time;                       /* clock_gettime */
    struct rlimit limit;                        /* getrlimit */
    uint16_t port;                              /* getsockname */
    void *pages;                                /* map_pages */
    struct epoll_event events[SCRIPT_LIST_MAX]; /* epoll_wait: `result` of them */
    struct script_completion completions[SCRIPT_LIST_MAX]; /* io_getevents: `result` of them */
};

/* Append a step to the script: expect(call, WITH(arguments), .field = value...). */
#define expect(call, ...)                                                                                              \
    script_expect((struct script_step){.name = CALL_##call, .file = __FILE__, .line = __LINE__, __VA_ARGS__})
#define WITH(...) .count = (int)(sizeof((long[]){__VA_ARGS__}) / sizeof(long)), .arguments = {__VA_ARGS__}
#define GIVES(text_) .bytes = (text_), .result = (long)strlen(text_)
void script_expect(struct script_step step);

/* A common phrase: completions are collected. The eventfd is read, then `count` completions, {which read, its result}
 * each, then no more. */
#define expect_completions(event_fd, count_, ...)                                                                      \
    do {                                                                                                               \
        expect(read, WITH((event_fd), sizeof(uint64_t)), .result = sizeof(uint64_t));                                  \
        expect(io_getevents, WITH((long)FAKE_CONTEXT), .completions = {__VA_ARGS__}, .result = (count_));              \
        expect(io_getevents, WITH((long)FAKE_CONTEXT), .result = 0);                                                   \
    } while (0)

/* From now on `call` may come at any time and any number of times beside the script: it succeeds, moves all that it is
 * given and gives zeros. */
#define allow(call) script_allow(CALL_##call)
void script_allow(enum fake_name name);

/* Fail the test if a step of the script was not reached. */
void script_is_over(void);

/* Bytes that went out, in order, whatever the descriptor. */
struct script_bytes {
    char bytes[2 << 20];
    size_t length;
};
extern struct script_bytes script_sent;    /* by send */
extern struct script_bytes script_written; /* by write */

/* Reads accepted by io_submit since the start of the script. */
extern int script_accepted;

/* The byte at `offset` of every file in the fake world, and a buffer filled with those from `offset` on. */
char fake_byte(uint64_t offset);
void fake_fill(char *buffer, uint64_t offset, size_t count);

/* Where the first of `count` bytes of `buffer` is that is not the file's at `offset` on; `count` if all are. */
size_t fake_differs_at(const char *buffer, uint64_t offset, size_t count);

/* --- for fake_kernel.c ------------------------------------------------------------------------------------------ */

/* One call as it comes through the seam. */
struct fake_call {
    enum fake_name name;
    long arguments[4]; /* in the order of FAKE_CALLS */
    const char *path;
    const void *in; /* bytes to send, iocbs, an epoll_event or an address */
    void *out;      /* what the call fills; sendfile: its offset */
};

/* Who answers instead of the script, or NULL. */
extern long (*fake_kernel)(struct fake_call *call);

/* The name of a call, as in sys.h without sys_. */
const char *fake_name(enum fake_name name);

#endif
