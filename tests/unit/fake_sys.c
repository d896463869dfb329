/*
 * fake_sys.c - sys.h for tests: every call becomes one record, answered by the script or by a simulated kernel.
 *
 *   sys_recv(...) --> struct fake_call --> fake_call() --+--> script_answer: the next step, or a failure
 *                                                        +--> fake_kernel:   fake_kernel.c
 */
#include "fake_sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#define STEPS_MAX 512

static struct script_step steps[STEPS_MAX];
static int step_count;
static int step_next;
static bool allowed[FAKE_CALL_COUNT];

/* Every read that was accepted, in order: what script_completion.nth counts. */
static struct iocb *accepted[STEPS_MAX];
int script_accepted;

struct script_bytes script_sent;
struct script_bytes script_written;

long (*fake_kernel)(struct fake_call *call);

/* --- names, files ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *arguments; /* "fd, count, flags" */
} calls[FAKE_CALL_COUNT] = {
#define FAKE_CALL_ROW(name, arguments) {#name, arguments},
    FAKE_CALLS(FAKE_CALL_ROW)};

const char *fake_name(enum fake_name name)
{
    return calls[name].name;
}

/* How many arguments a call has. */
static int argument_count(enum fake_name name)
{
    int count = 1;
    for (const char *c = calls[name].arguments; *c; c++)
        count += *c == ',';
    return count;
}

/* The content of every file, over and over. A prime length: no page, buffer or window looks like its neighbour. */
#define PATTERN_SIZE 65521

static const char *pattern(void)
{
    static char bytes[PATTERN_SIZE];
    static bool is_made;

    for (uint32_t i = 0, noise = 1; !is_made && i < PATTERN_SIZE; i++) {
        noise = noise * 1664525 + 1013904223;
        bytes[i] = (char)(noise >> 24);
    }
    is_made = true;
    return bytes;
}

/* Bytes from `offset` on until the pattern starts again, at most `count`. */
static size_t run_length(uint64_t offset, size_t count)
{
    size_t run = PATTERN_SIZE - (size_t)(offset % PATTERN_SIZE);
    return run < count ? run : count;
}

char fake_byte(uint64_t offset)
{
    return pattern()[offset % PATTERN_SIZE];
}

void fake_fill(char *buffer, uint64_t offset, size_t count)
{
    for (size_t done = 0, run; done < count; done += run) {
        run = run_length(offset + done, count - done);
        memcpy(buffer + done, pattern() + (offset + done) % PATTERN_SIZE, run);
    }
}

size_t fake_differs_at(const char *buffer, uint64_t offset, size_t count)
{
    for (size_t done = 0, run; done < count; done += run) {
        run = run_length(offset + done, count - done);
        if (memcmp(buffer + done, pattern() + (offset + done) % PATTERN_SIZE, run) == 0)
            continue;
        while (buffer[done] == fake_byte(offset + done))
            done++;
        return done;
    }
    return count;
}

static void append(struct script_bytes *log, const void *bytes, size_t count)
{
    cr_assert(log->length + count <= sizeof log->bytes, "the fake keeps no more than %zu bytes", sizeof log->bytes);
    memcpy(log->bytes + log->length, bytes, count);
    log->length += count;
}

/* --- the script ------------------------------------------------------------------------------------------------- */

/* Write "send(fd=5, count=120, flags=any)" into `text`. */
static void describe(char *text, size_t size, enum fake_name name, const long *arguments, int given)
{
    const char *word = calls[name].arguments;
    size_t used = (size_t)snprintf(text, size, "%s(", calls[name].name);
    for (int i = 0; i < argument_count(name) && used < size; i++) {
        int length = (int)strcspn(word, ",");
        const char *comma = i ? ", " : "";
        if (i >= given || arguments[i] == ANY)
            used += (size_t)snprintf(text + used, size - used, "%s%.*s=any", comma, length, word);
        else
            used += (size_t)snprintf(text + used, size - used, "%s%.*s=%ld", comma, length, word, arguments[i]);
        word += length;
        word += strspn(word, ", ");
    }
    if (used < size)
        snprintf(text + used, size - used, ")");
}

/* A script that is not over fails its program even if nobody asks. By then Criterion has the test's verdict and heeds
 * no exit code any more: only a crash still turns its own exit code. */
static void look_at_exit(void)
{
    if (step_next < step_count) {
        fprintf(stderr, "%s:%d: a step of the script is left over\n", steps[step_next].file, steps[step_next].line);
        abort();
    }
}

void script_expect(struct script_step step)
{
    cr_assert(step_count < STEPS_MAX, "a script has at most %d steps", STEPS_MAX);
    cr_assert(step.count <= argument_count(step.name), "%s has the arguments: %s", calls[step.name].name,
              calls[step.name].arguments);
    if (step_count == 0)
        atexit(look_at_exit);
    steps[step_count++] = step;
}

void script_allow(enum fake_name name)
{
    allowed[name] = true;
}

void script_is_over(void)
{
    if (step_next == step_count)
        return;
    const struct script_step *step = &steps[step_next];
    char wanted[256];
    describe(wanted, sizeof wanted, step->name, step->arguments, step->count);
    int first = step_next;
    step_next = step_count;
    cr_fatal("step %d of %d was not reached: expected %s (%s:%d)", first + 1, step_count, wanted, step->file,
             step->line);
}

/* Fail the test: `call` is not what `step` (NULL: the end) expects, in `what` differs. */
static void refuse(const struct fake_call *call, const struct script_step *step, const char *what)
{
    char got[256], wanted[256];
    int number = step_next + 1;

    describe(got, sizeof got, call->name, call->arguments, argument_count(call->name));
    step_next = step_count;
    if (!step)
        cr_fatal("after the %d steps of the script: got %s, expected nothing", step_count, got);
    describe(wanted, sizeof wanted, step->name, step->arguments, step->count);
    cr_fatal("step %d of %d, the %s: got %s, expected %s (%s:%d)", number, step_count, what, got, wanted, step->file,
             step->line);
}

static void check_iocbs(const struct fake_call *call, const struct script_step *step)
{
    struct iocb *const *iocbs = call->in;
    for (int i = 0; i < SCRIPT_LIST_MAX && step->iocbs[i].size; i++) {
        struct script_iocb got = {0};
        if (i < call->arguments[1])
            got = (struct script_iocb){iocbs[i]->aio_fildes, iocbs[i]->u.c.offset, iocbs[i]->u.c.nbytes,
                                       (int)iocbs[i]->aio_rw_flags};
        const struct script_iocb *want = &step->iocbs[i];
        if (got.fd != want->fd || got.offset != want->offset || got.size != want->size ||
            got.rw_flags != want->rw_flags)
            cr_fatal("step %d, read %d: got fd=%d offset=%lld size=%lu rw_flags=%d, expected fd=%d offset=%lld "
                     "size=%lu rw_flags=%d (%s:%d)",
                     step_next + 1, i, got.fd, got.offset, got.size, got.rw_flags, want->fd, want->offset, want->size,
                     want->rw_flags, step->file, step->line);
    }
}

/* The step that expects `call`, or a failed test. */
static struct script_step *match(const struct fake_call *call)
{
    struct script_step *step = &steps[step_next];
    if (step_next == step_count)
        refuse(call, NULL, "end");
    if (step->name != call->name)
        refuse(call, step, "call");
    for (int i = 0; i < step->count; i++)
        if (step->arguments[i] != ANY && step->arguments[i] != call->arguments[i])
            refuse(call, step, "arguments");
    if (step->path && strcmp(step->path, call->path) != 0)
        cr_fatal("step %d, the path: got \"%s\", expected \"%s\" (%s:%d)", step_next + 1, call->path, step->path,
                 step->file, step->line);
    if (step->text &&
        (strlen(step->text) > (size_t)call->arguments[1] || memcmp(step->text, call->in, strlen(step->text)) != 0))
        cr_fatal("step %d, the bytes: got \"%.*s\", expected \"%s\" (%s:%d)", step_next + 1, (int)call->arguments[1],
                 (const char *)call->in, step->text, step->file, step->line);
    if (call->name == CALL_epoll_ctl && step->source) {
        const struct epoll_event *event = call->in;
        cr_assert(eq(ptr, event->data.ptr, step->source), "step %d, the source of an event", step_next + 1);
    }
    if (call->name == CALL_io_submit)
        check_iocbs(call, step);
    step_next++;
    return step;
}

static void give_completions(struct io_event *events, const struct script_step *step)
{
    for (long i = 0; i < step->result; i++) {
        const struct script_completion *completion = &step->completions[i];
        cr_assert(completion->nth < script_accepted, "read %d was not accepted yet", completion->nth);
        struct iocb *iocb = accepted[completion->nth];
        if (completion->result > 0)
            fake_fill(iocb->u.c.buf, (uint64_t)iocb->u.c.offset, (size_t)completion->result);
        events[i] = (struct io_event){.data = iocb->data, .obj = iocb, .res = (unsigned long)completion->result};
    }
}

static void give_port(const struct fake_call *call, uint16_t port)
{
    struct sockaddr_in *address = call->out; /* sin_port and sin6_port are at the same place */
    address->sin_port = htons(port);
}

/* Fill what a successful `call` fills. */
static void give(const struct fake_call *call, const struct script_step *step)
{
    size_t count = step->result > 0 ? (size_t)step->result : 0;

    switch ((int)call->name) {
    case CALL_recv:
    case CALL_read:
        if (step->bytes)
            memcpy(call->out, step->bytes, count);
        break;
    case CALL_send:
        append(&script_sent, call->in, count);
        break;
    case CALL_write:
        append(&script_written, call->in, count);
        break;
    case CALL_sendfile:
        *(off_t *)call->out += step->result;
        break;
    case CALL_getsockname:
        give_port(call, step->port);
        break;
    case CALL_fstat:
        *(struct stat *)call->out = step->status;
        break;
    case CALL_clock_gettime:
        *(struct timespec *)call->out = step->time;
        break;
    case CALL_getrlimit:
        *(struct rlimit *)call->out = step->limit;
        break;
    case CALL_map_pages:
        *(void **)call->out = step->pages;
        break;
    case CALL_epoll_wait:
        memcpy(call->out, step->events, count * sizeof step->events[0]);
        break;
    case CALL_io_setup:
        *(io_context_t *)call->out = FAKE_CONTEXT;
        break;
    case CALL_io_submit:
        for (size_t i = 0; i < count; i++)
            accepted[script_accepted++] = ((struct iocb *const *)call->in)[i];
        break;
    case CALL_io_getevents:
        give_completions(call->out, step);
        break;
    default:
        break;
    }
}

static long script_answer(struct fake_call *call)
{
    struct script_step free_of_charge = {.name = call->name};
    struct script_step *step = &free_of_charge;
    bool scripted = step_next < step_count && steps[step_next].name == call->name;
    bool moves_out = call->name == CALL_send || call->name == CALL_write || call->name == CALL_sendfile;

    if (moves_out)
        free_of_charge.result = ALL;
    if (scripted || !allowed[call->name])
        step = match(call);
    if (moves_out && step->result == ALL)
        step->result = call->arguments[call->name == CALL_sendfile ? 3 : 1];
    if (step->result >= 0)
        give(call, step);
    return step->result;
}

/* --- the seam --------------------------------------------------------------------------------------------------- */

static long fake_call(struct fake_call call)
{
    return fake_kernel ? fake_kernel(&call) : script_answer(&call);
}

#define CALL(name_, ...) fake_call((struct fake_call){.name = CALL_##name_, .arguments = {__VA_ARGS__}})
#define CALL_IN(name_, in_, ...)                                                                                       \
    fake_call((struct fake_call){.name = CALL_##name_, .in = (in_), .arguments = {__VA_ARGS__}})
#define CALL_OUT(name_, out_, ...)                                                                                     \
    fake_call((struct fake_call){.name = CALL_##name_, .out = (out_), .arguments = {__VA_ARGS__}})

int sys_socket(int domain, int type, int protocol)
{
    return (int)CALL(socket, domain, type, protocol);
}

int sys_setsockopt(int fd, int level, int name, int value)
{
    return (int)CALL(setsockopt, fd, level, name, value);
}

int sys_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    const struct sockaddr_in *v4 = (const void *)address; /* sin_port and sin6_port are at the same place */
    size_t whole = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    cr_assert(eq(sz, length, whole), "the length of an address of family %d", address->sa_family);
    return (int)CALL_IN(bind, address, fd, address->sa_family, ntohs(v4->sin_port));
}

int sys_listen(int fd, int backlog)
{
    return (int)CALL(listen, fd, backlog);
}

int sys_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    cr_assert(ge(sz, *length, sizeof(struct sockaddr_in)), "room for an address");
    return (int)CALL_OUT(getsockname, address, fd);
}

int sys_accept4(int fd, int flags)
{
    return (int)CALL(accept4, fd, flags);
}

int sys_shutdown(int fd, int how)
{
    return (int)CALL(shutdown, fd, how);
}

int sys_unacknowledged(int fd)
{
    return (int)CALL(unacknowledged, fd);
}

ssize_t sys_recv(int fd, void *buffer, size_t size, int flags)
{
    return CALL_OUT(recv, buffer, fd, (long)size, flags);
}

ssize_t sys_send(int fd, const void *bytes, size_t count, int flags)
{
    return CALL_IN(send, bytes, fd, (long)count, flags);
}

ssize_t sys_sendfile(int out, int in, off_t *offset, size_t count)
{
    return CALL_OUT(sendfile, offset, out, in, *offset, (long)count);
}

ssize_t sys_read(int fd, void *buffer, size_t size)
{
    return CALL_OUT(read, buffer, fd, (long)size);
}

ssize_t sys_write(int fd, const void *bytes, size_t count)
{
    return CALL_IN(write, bytes, fd, (long)count);
}

int sys_open(const char *path, int flags, mode_t mode)
{
    return (int)fake_call((struct fake_call){.name = CALL_open, .path = path, .arguments = {flags, mode}});
}

int sys_openat(int directory, const char *path, int flags)
{
    return (int)fake_call((struct fake_call){.name = CALL_openat, .path = path, .arguments = {directory, flags}});
}

int sys_openat2(int directory, const char *path, const struct open_how *how)
{
    return (int)fake_call((struct fake_call){
        .name = CALL_openat2, .path = path, .arguments = {directory, (long)how->flags, (long)how->resolve}});
}

int sys_fstat(int fd, struct stat *status)
{
    return (int)CALL_OUT(fstat, status, fd);
}

int sys_setfl(int fd, int flags)
{
    return (int)CALL(setfl, fd, flags);
}

int sys_close(int fd)
{
    return (int)CALL(close, fd);
}

int sys_epoll_create1(int flags)
{
    return (int)CALL(epoll_create1, flags);
}

int sys_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    return (int)CALL_IN(epoll_ctl, event, epoll, operation, fd, (long)event->events);
}

int sys_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    return (int)CALL_OUT(epoll_wait, events, epoll, count, timeout_ms);
}

int sys_eventfd(unsigned initial, int flags)
{
    return (int)CALL(eventfd, (long)initial, flags);
}

int sys_io_setup(int depth, io_context_t *context)
{
    return (int)CALL_OUT(io_setup, context, depth);
}

int sys_io_destroy(io_context_t context)
{
    return (int)CALL(io_destroy, (long)context);
}

int sys_io_submit(io_context_t context, long count, struct iocb **iocbs)
{
    return (int)CALL_IN(io_submit, iocbs, (long)context, count);
}

int sys_io_getevents(io_context_t context, long count, struct io_event *events)
{
    return (int)CALL_OUT(io_getevents, events, (long)context, count);
}

int sys_map_pages(size_t size, void **pages)
{
    return (int)CALL_OUT(map_pages, pages, (long)size);
}

int sys_drop_pages(void *pages, size_t size)
{
    return (int)CALL_OUT(drop_pages, pages, (long)pages, (long)size);
}

int sys_unmap_pages(void *pages, size_t size)
{
    return (int)CALL_OUT(unmap_pages, pages, (long)pages, (long)size);
}

int sys_clock_gettime(clockid_t clock, struct timespec *now)
{
    return (int)CALL_OUT(clock_gettime, now, clock);
}

int sys_getrlimit(int resource, struct rlimit *limit)
{
    return (int)CALL_OUT(getrlimit, limit, resource);
}

int sys_setrlimit(int resource, const struct rlimit *limit)
{
    return (int)CALL_IN(setrlimit, limit, resource, (long)limit->rlim_cur);
}
