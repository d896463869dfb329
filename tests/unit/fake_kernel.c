/*
 * fake_kernel.c - descriptors, clients, files, epoll and AIO in memory; one handler for each call of the seam.
 *
 *   fake_sys.c --> answer() --> fails it, if it is the call that shall fail
 *                          \--> handlers[name]: the call as the kernel does it
 *
 * A call that a correct server never makes (a descriptor that is not open, a second registration) fails the test.
 * Memory is static: allocations that are counted and made to fail are the server's alone.
 */
#include "fake_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mman.h>

#include "alloc_faults.h"
#include "server.h"
#include "startup.h"
#include "unit.h"

#define RING_MAX 256

/* Block size of O_DIRECT reads. */
#define BLOCK 512

/* The wall clock stands still, so that the same answer is the same bytes: Tue, 14 Nov 2023 22:13:20 GMT. */
#define WALL_CLOCK 1700000000

enum kind { CLOSED, LISTENER, CLIENT, DOCUMENT, EPOLL, EVENT, OTHER };

struct object {
    enum kind kind;
    int index;       /* of the peer or the file */
    int flags;       /* as set by setfl */
    bool is_watched; /* by epoll, with `interest` and `data` */
    uint32_t interest;
    epoll_data_t data;
    bool said_nothing; /* an injected EAGAIN: it must not look ready at once */
};

/* A read that io_submit has accepted. The kernel copies what it is told. */
struct ring_entry {
    struct iocb iocb;
    struct iocb *its_iocb;
    int file;
    bool is_ready;
    long result;
};

struct fake_kernel kernel;

static struct object objects[KERNEL_DESCRIPTORS_MAX];
static struct ring_entry ring[RING_MAX];
static int ring_count;
static int ring_depth;
static uint64_t event_counter;
static int faulty = -1; /* the name of the call that fails, once it is known */

/* --- faults ----------------------------------------------------------------------------------------------------- */

const char *kernel_name(int name)
{
    return name == KERNEL_COMPLETION ? "completion" : fake_name((enum fake_name)name);
}

const char *kernel_describe_fault(void)
{
    static char description[128];
    snprintf(description, sizeof description, "call %u, %s, gives %ld %s", kernel.fault.nth,
             faulty < 0 ? "not reached" : kernel_name(faulty), kernel.fault.result,
             kernel.fault.for_ever ? "for ever" : "once");
    return description;
}

/* Count one more call of `name`; whether it shall fail. */
static bool strikes(int name)
{
    const struct kernel_fault *fault = &kernel.fault;

    cr_assert(lt(u32, kernel.calls, KERNEL_CALLS_MAX), "the server spins: %s, after the fault %s", kernel_name(name),
              kernel_describe_fault());
    kernel.log[++kernel.calls] = (unsigned char)name;
    kernel.calls_of[name]++;
    if (kernel.calls == fault->nth)
        faulty = name;
    return fault->nth &&
           (kernel.calls == fault->nth || (fault->for_ever && kernel.calls > fault->nth && name == faulty));
}

/* `call` is going to fail: what else that means in the world. */
static void note_failure(const struct fake_call *call)
{
    bool waits = kernel.fault.result == -EAGAIN;
    bool is_over_accept = call->name == CALL_accept4 && !waits && kernel.fault.result != -EINTR &&
                          kernel.fault.result != -EMFILE && kernel.fault.result != -ENFILE &&
                          kernel.fault.result != -ENOBUFS && kernel.fault.result != -ENOMEM;

    if (is_over_accept && kernel.accepted < kernel.peer_count)
        kernel.peers[kernel.accepted++].was_closed = true; /* that client is lost */
    if (waits && (call->name == CALL_recv || call->name == CALL_send || call->name == CALL_sendfile ||
                  call->name == CALL_accept4))
        objects[call->arguments[0]].said_nothing = true;
}

/* Let `call` move half of what it could. */
static void halve(struct fake_call *call)
{
    if (call->name == CALL_send || call->name == CALL_write)
        call->arguments[1] = (call->arguments[1] + 1) / 2;
    else if (call->name == CALL_sendfile)
        call->arguments[3] = (call->arguments[3] + 1) / 2;
    else
        call->arguments[1] = 1; /* of a receive's room, or of many reads or events, the first */
}

/* --- descriptors ------------------------------------------------------------------------------------------------ */

static long new_descriptor(enum kind kind, int index)
{
    int fd = 3;
    if (kernel.descriptors >= kernel.descriptors_max)
        return -EMFILE;
    while (objects[fd].kind != CLOSED)
        fd++;
    objects[fd] = (struct object){.kind = kind, .index = index};
    kernel.descriptors++;
    return fd;
}

static struct object *object_at(const struct fake_call *call, long fd, enum kind kind)
{
    cr_assert(fd >= 0 && fd < KERNEL_DESCRIPTORS_MAX && objects[fd].kind == kind,
              "%s of %ld, which is not such a descriptor", fake_name(call->name), fd);
    return &objects[fd];
}

static struct object *object(const struct fake_call *call, enum kind kind)
{
    return object_at(call, call->arguments[0], kind);
}

static struct kernel_peer *peer_of(const struct fake_call *call)
{
    return &kernel.peers[object(call, CLIENT)->index];
}

static long do_close(struct fake_call *call)
{
    long fd = call->arguments[0];
    cr_assert(fd >= 0 && fd < KERNEL_DESCRIPTORS_MAX && objects[fd].kind != CLOSED, "close of %ld, which is not open",
              fd);
    if (objects[fd].kind == CLIENT) {
        struct kernel_peer *peer = peer_of(call);
        peer->was_closed = true;
        peer->was_aborted = peer->sent < strlen(peer->input);
        peer->closed_at_ms = kernel.now_ms;
    }
    objects[fd].kind = CLOSED;
    kernel.descriptors--;
    return 0;
}

/* --- clients ---------------------------------------------------------------------------------------------------- */

/* `peer` gets `count` bytes of ours: the head, up to its empty line, then the body. */
static void deliver(struct kernel_peer *peer, const char *bytes, size_t count)
{
    size_t used = 0;
    while (used < count && !strstr(peer->head, "\r\n\r\n")) {
        cr_assert(lt(sz, peer->head_length, KERNEL_HEAD_MAX), "a head without an end");
        peer->head[peer->head_length++] = bytes[used++];
    }
    size_t left = count - used;
    if (fake_differs_at(bytes + used, peer->body_length, left) < left)
        peer->body_is_wrong = true;
    for (size_t i = 0; i < left && peer->body_length + i < sizeof peer->body; i++)
        peer->body[peer->body_length + i] = bytes[used + i];
    peer->body_length += left;
    peer->waiting += peer->buffer ? count : 0;
}

/* How many of `count` bytes find room, or a negative errno. */
static long room_for(const struct kernel_peer *peer, long count)
{
    if (peer->is_reset)
        return -EPIPE;
    if (peer->buffer == 0)
        return count;
    size_t room = peer->buffer - peer->waiting;
    if (room == 0)
        return -EAGAIN;
    return count < (long)room ? count : (long)room;
}

static long do_accept4(struct fake_call *call)
{
    object(call, LISTENER);
    if (kernel.accepted == kernel.peer_count)
        return -EAGAIN;
    long fd = new_descriptor(CLIENT, kernel.accepted);
    if (fd >= 0)
        kernel.accepted++;
    return fd;
}

static bool has_input(const struct kernel_peer *peer)
{
    return peer->input[peer->sent] != '\0';
}

static long do_recv(struct fake_call *call)
{
    struct kernel_peer *peer = peer_of(call);
    size_t count = strlen(peer->input + peer->sent);

    if (peer->is_reset)
        return -ECONNRESET;
    if (!has_input(peer))
        return peer->ends ? 0 : -EAGAIN;
    if (count > (size_t)call->arguments[1])
        count = (size_t)call->arguments[1];
    if (peer->piece && count > peer->piece)
        count = peer->piece;
    memcpy(call->out, peer->input + peer->sent, count);
    peer->sent += count;
    return (long)count;
}

static long do_send(struct fake_call *call)
{
    struct kernel_peer *peer = peer_of(call);
    long count = room_for(peer, call->arguments[1]);
    if (count > 0)
        deliver(peer, call->in, (size_t)count);
    return count;
}

static uint64_t bytes_left(int file, uint64_t offset)
{
    uint64_t end = kernel.files[file].size - kernel.files[file].shrunk;
    return offset < end ? end - offset : 0;
}

static long do_sendfile(struct fake_call *call)
{
    struct kernel_peer *peer = peer_of(call);
    off_t *offset = call->out;
    long count = (long)bytes_left(object_at(call, call->arguments[1], DOCUMENT)->index, (uint64_t)*offset);

    count = room_for(peer, count < call->arguments[3] ? count : call->arguments[3]);
    if (count > 0) {
        static char page[256 * 1024]; /* no call asks for more */
        cr_assert(le(sz, (size_t)count, sizeof page));
        fake_fill(page, (uint64_t)*offset, (size_t)count);
        deliver(peer, page, (size_t)count);
        *offset += count;
    }
    return count;
}

static long do_shutdown(struct fake_call *call)
{
    struct kernel_peer *peer = peer_of(call);
    if (peer->is_reset)
        return -ENOTCONN;
    peer->was_shut = true;
    if (!peer->stays)
        peer->ends = true;
    return 0;
}

static long do_unacknowledged(struct fake_call *call)
{
    return (long)peer_of(call)->waiting;
}

/* --- files ------------------------------------------------------------------------------------------------------ */

/* Only the last segment names a file: two files of one name would be one. */
static long do_openat(struct fake_call *call)
{
    object(call, OTHER);
    if (call->arguments[1] & O_DIRECTORY)
        return new_descriptor(OTHER, 0);
    for (int i = 0; i < KERNEL_FILES_MAX; i++)
        if (kernel.files[i].path && strcmp(strrchr(kernel.files[i].path, '/') + 1, call->path) == 0)
            return new_descriptor(DOCUMENT, i);
    return -ENOENT;
}

static long do_openat2(struct fake_call *call)
{
    object(call, OTHER);
    for (int i = 0; i < KERNEL_FILES_MAX; i++)
        if (kernel.files[i].path && strcmp(kernel.files[i].path, call->path) == 0)
            return new_descriptor(DOCUMENT, i);
    return -ENOENT;
}

static long do_fstat(struct fake_call *call)
{
    const struct kernel_file *file = &kernel.files[object(call, DOCUMENT)->index];
    *(struct stat *)call->out = (struct stat){.st_mode = S_IFREG | 0644, .st_size = (off_t)file->size};
    return 0;
}

static long do_setfl(struct fake_call *call)
{
    object(call, DOCUMENT)->flags = (int)call->arguments[1];
    return 0;
}

static long do_write(struct fake_call *call)
{
    object(call, OTHER);
    size_t count = (size_t)call->arguments[1];
    cr_assert(le(sz, script_written.length + count, sizeof script_written.bytes - 1));
    memcpy(script_written.bytes + script_written.length, call->in, count);
    script_written.length += count;
    script_written.bytes[script_written.length] = '\0';
    return (long)count;
}

/* --- AIO -------------------------------------------------------------------------------------------------------- */

/* What reading `entry` gives, now. */
static long read_result(const struct ring_entry *entry)
{
    const struct kernel_file *file = &kernel.files[entry->file];
    uint64_t left = bytes_left(entry->file, (uint64_t)entry->iocb.u.c.offset);
    bool is_direct = objects[entry->iocb.aio_fildes].flags & O_DIRECT;
    uint64_t alignment = (uint64_t)entry->iocb.u.c.offset | entry->iocb.u.c.nbytes | (uint64_t)entry->iocb.u.c.buf;

    if (entry->iocb.aio_rw_flags & RWF_NOWAIT && file->is_cold)
        return -EAGAIN;
    if (is_direct && alignment % BLOCK)
        return -EINVAL;
    return (long)(left < entry->iocb.u.c.nbytes ? left : entry->iocb.u.c.nbytes);
}

static void complete(struct ring_entry *entry)
{
    bool halves = kernel.fault.result == KERNEL_HALF;
    if (strikes(KERNEL_COMPLETION) && (!halves || entry->result > 0))
        entry->result = halves ? (entry->result + 1) / 2 : kernel.fault.result;
    if (entry->result > 0)
        fake_fill(entry->iocb.u.c.buf, (uint64_t)entry->iocb.u.c.offset, (size_t)entry->result);
    entry->is_ready = true;
    event_counter++;
}

/* The disk has had its time. */
static void complete_late_reads(void)
{
    for (int i = 0; i < ring_count; i++)
        if (!ring[i].is_ready && !kernel.files[ring[i].file].is_stuck)
            complete(&ring[i]);
}

static long accept_read(const struct fake_call *call, struct iocb *iocb)
{
    const struct object *document = object_at(call, iocb->aio_fildes, DOCUMENT);
    const struct kernel_file *file = &kernel.files[document->index];
    bool nowait = iocb->aio_rw_flags & RWF_NOWAIT;

    if (nowait && file->no_nowait)
        return -EOPNOTSUPP;
    if (ring_count == ring_depth)
        return -EAGAIN;
    struct ring_entry *entry = &ring[ring_count++];
    *entry = (struct ring_entry){.iocb = *iocb, .its_iocb = iocb, .file = document->index};
    kernel.reads_in_flight++;
    entry->result = read_result(entry);
    if (nowait || !file->is_cold || entry->result < 0)
        complete(entry);
    return 0;
}

static long do_io_submit(struct fake_call *call)
{
    struct iocb *const *iocbs = call->in;
    for (long i = 0; i < call->arguments[1]; i++) {
        long status = accept_read(call, iocbs[i]);
        if (status < 0)
            return i ? i : status;
    }
    return call->arguments[1];
}

static long do_io_getevents(struct fake_call *call)
{
    struct io_event *events = call->out;
    long count = 0;
    int kept = 0;

    for (int i = 0; i < ring_count; i++) {
        struct ring_entry *entry = &ring[i];
        if (entry->is_ready && count < call->arguments[1])
            events[count++] = (struct io_event){
                .data = entry->iocb.data, .obj = entry->its_iocb, .res = (unsigned long)entry->result};
        else
            ring[kept++] = *entry;
    }
    ring_count = kept;
    kernel.reads_in_flight = kept;
    return count;
}

static long do_io_setup(struct fake_call *call)
{
    ring_depth = (int)call->arguments[0] < RING_MAX ? (int)call->arguments[0] : RING_MAX;
    *(io_context_t *)call->out = FAKE_CONTEXT;
    return 0;
}

static long do_read(struct fake_call *call)
{
    object(call, EVENT);
    if (event_counter == 0)
        return -EAGAIN;
    memcpy(call->out, &event_counter, sizeof event_counter);
    event_counter = 0;
    return sizeof event_counter;
}

/* --- waiting ---------------------------------------------------------------------------------------------------- */

static long do_epoll_ctl(struct fake_call *call)
{
    const struct epoll_event *event = call->in;
    object(call, EPOLL);
    long fd = call->arguments[2];
    struct object *watched = &objects[fd];

    cr_assert(fd >= 0 && watched->kind != CLOSED, "epoll_ctl of %ld, which is not open", fd);
    bool adds = call->arguments[1] == EPOLL_CTL_ADD;
    cr_assert(not(eq(int, adds, watched->is_watched)), "epoll_ctl adds what is watched, or changes what is not");
    watched->is_watched = call->arguments[1] != EPOLL_CTL_DEL;
    watched->interest = event->events;
    watched->data = event->data;
    return 0;
}

/* Level-triggered readiness, as far as `from` is interested. */
static uint32_t readiness(const struct object *from)
{
    const struct kernel_peer *peer = &kernel.peers[from->index];
    uint32_t ready = 0;

    if (from->kind == EVENT && event_counter > 0)
        ready = EPOLLIN;
    if (from->kind == LISTENER && kernel.accepted < kernel.peer_count)
        ready = EPOLLIN;
    if (from->kind == CLIENT) {
        if (has_input(peer) || peer->ends)
            ready |= EPOLLIN;
        if (peer->waiting <= peer->buffer / 2)
            ready |= EPOLLOUT;
        if (peer->is_reset)
            ready |= EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP;
        if (peer->ends && peer->was_shut)
            ready |= EPOLLHUP;
    }
    return from->said_nothing ? 0 : ready & (from->interest | EPOLLERR | EPOLLHUP);
}

static long collect_ready(struct epoll_event *events, long max)
{
    long count = 0;
    for (int fd = 0; fd < KERNEL_DESCRIPTORS_MAX && count < max; fd++) {
        uint32_t ready = objects[fd].kind != CLOSED && objects[fd].is_watched ? readiness(&objects[fd]) : 0;
        if (ready)
            events[count++] = (struct epoll_event){.events = ready, .data = objects[fd].data};
    }
    return count;
}

/* Let the test change the world. Whether it did so. */
static bool world_changes(void)
{
    if (!kernel.when_idle || !kernel.when_idle())
        return false;
    cr_assert(lt(u32, ++kernel.changes, KERNEL_CALLS_MAX), "the test changes the world for ever");
    return true;
}

static long do_epoll_wait(struct fake_call *call)
{
    long timeout_ms = call->arguments[2];
    bool was_stopped = kernel.stop;
    long count;

    object(call, EPOLL);
    cr_assert(not(zero(long, timeout_ms)), "the server asks without waiting");
    for (int fd = 0; fd < KERNEL_DESCRIPTORS_MAX && !kernel.fault.for_ever; fd++)
        objects[fd].said_nothing = false;
    do {
        complete_late_reads();
        count = collect_ready(call->out, call->arguments[1]);
    } while (count == 0 && world_changes());

    if (count > 0)
        return count;
    if (timeout_ms < 0 || kernel.now_ms >= kernel.end_ms)
        kernel.stop = 1;
    if (kernel.stop && !was_stopped)
        return -EINTR; /* a signal */
    cr_assert(ge(i64, timeout_ms, 0), "the server waits for what will never come");
    kernel.now_ms += timeout_ms;
    return 0;
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

static long do_nothing(struct fake_call *call)
{
    (void)call;
    return 0;
}

static long do_open(struct fake_call *call)
{
    (void)call;
    return new_descriptor(OTHER, 0);
}

static long do_socket(struct fake_call *call)
{
    (void)call;
    return new_descriptor(LISTENER, 0);
}

static long do_epoll_create1(struct fake_call *call)
{
    (void)call;
    return new_descriptor(EPOLL, 0);
}

static long do_eventfd(struct fake_call *call)
{
    (void)call;
    return new_descriptor(EVENT, 0);
}

static long do_map_pages(struct fake_call *call)
{
    void *pages = mmap(NULL, (size_t)call->arguments[0], PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert(not(eq(ptr, pages, MAP_FAILED)));
    *(void **)call->out = pages;
    kernel.mappings++;
    return 0;
}

static long do_unmap_pages(struct fake_call *call)
{
    cr_assert(zero(int, munmap((void *)call->arguments[0], (size_t)call->arguments[1])));
    kernel.mappings--;
    return 0;
}

static long do_clock_gettime(struct fake_call *call)
{
    struct timespec *now = call->out;
    if (call->arguments[0] == CLOCK_REALTIME)
        *now = (struct timespec){.tv_sec = WALL_CLOCK};
    else
        *now = (struct timespec){.tv_sec = kernel.now_ms / 1000, .tv_nsec = kernel.now_ms % 1000 * 1000000};
    return 0;
}

static long do_getrlimit(struct fake_call *call)
{
    *(struct rlimit *)call->out = (struct rlimit){.rlim_cur = 1024, .rlim_max = 1024};
    return 0;
}

static long (*const handlers[FAKE_CALL_COUNT])(struct fake_call *call) = {
    [CALL_socket] = do_socket,
    [CALL_setsockopt] = do_nothing,
    [CALL_bind] = do_nothing,
    [CALL_listen] = do_nothing,
    [CALL_getsockname] = do_nothing,
    [CALL_accept4] = do_accept4,
    [CALL_shutdown] = do_shutdown,
    [CALL_unacknowledged] = do_unacknowledged,
    [CALL_recv] = do_recv,
    [CALL_send] = do_send,
    [CALL_sendfile] = do_sendfile,
    [CALL_read] = do_read,
    [CALL_write] = do_write,
    [CALL_open] = do_open,
    [CALL_openat] = do_openat,
    [CALL_openat2] = do_openat2,
    [CALL_fstat] = do_fstat,
    [CALL_setfl] = do_setfl,
    [CALL_close] = do_close,
    [CALL_epoll_create1] = do_epoll_create1,
    [CALL_epoll_ctl] = do_epoll_ctl,
    [CALL_epoll_wait] = do_epoll_wait,
    [CALL_eventfd] = do_eventfd,
    [CALL_io_setup] = do_io_setup,
    [CALL_io_destroy] = do_nothing,
    [CALL_io_submit] = do_io_submit,
    [CALL_io_getevents] = do_io_getevents,
    [CALL_map_pages] = do_map_pages,
    [CALL_drop_pages] = do_nothing,
    [CALL_unmap_pages] = do_unmap_pages,
    [CALL_clock_gettime] = do_clock_gettime,
    [CALL_getrlimit] = do_getrlimit,
    [CALL_setrlimit] = do_nothing,
};

static long answer(struct fake_call *call)
{
    if (!strikes((int)call->name))
        return handlers[call->name](call);
    if (kernel.fault.result == KERNEL_HALF) {
        halve(call);
        return handlers[call->name](call);
    }
    note_failure(call);
    /* These do what they are for even if they complain. */
    if (call->name == CALL_close || call->name == CALL_unmap_pages || call->name == CALL_io_destroy)
        handlers[call->name](call);
    return kernel.fault.result;
}

void kernel_start(void)
{
    memset(&kernel, 0, sizeof kernel);
    memset(objects, 0, sizeof objects);
    kernel.descriptors_max = 100;
    kernel.end_ms = 10000;
    ring_count = 0;
    event_counter = 0;
    faulty = -1;
    script_written.length = 0;
    script_written.bytes[0] = '\0';
    fake_kernel = answer;
}

struct kernel_peer *kernel_connect(const char *input)
{
    cr_assert(lt(int, kernel.peer_count, KERNEL_PEERS_MAX));
    struct kernel_peer *peer = &kernel.peers[kernel.peer_count++];
    *peer = (struct kernel_peer){.input = input};
    return peer;
}

void kernel_take(struct kernel_peer *peer, size_t count)
{
    peer->waiting -= count < peer->waiting ? count : peer->waiting;
}

bool kernel_got_whole(const struct kernel_peer *peer, uint64_t size)
{
    return strncmp(peer->head, "HTTP/1.1 200 ", strlen("HTTP/1.1 200 ")) == 0 && peer->body_length == size &&
           !peer->body_is_wrong;
}

bool kernel_serve(const struct options *options)
{
    static struct server server;
    char error[STARTUP_ERROR_SIZE];

    if (!startup_open(&server, options, error))
        return false;
    server_run(&server, &kernel.stop);
    startup_close(&server);
    return true;
}

const char *kernel_leftover(void)
{
    if (kernel.descriptors > 0)
        return "an open descriptor";
    if (kernel.reads_in_flight > 0)
        return "a read in flight";
    if (kernel.mappings > 0)
        return "a mapping";
    for (int i = 0; i < kernel.accepted; i++)
        if (!kernel.peers[i].was_closed)
            return "a connection";
    return "nothing";
}

void kernel_is_left_clean(void)
{
    cr_assert(eq(str, text(kernel_leftover()), text("nothing")));
    cr_assert(not(memory_leaked()));
}
