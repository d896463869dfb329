/*
 * queue.c - see queue.h.
 */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RING_MAGIC 0xa10a10a1U
#define RING_EVENTS_MAX (1U << 20)
#define HELD_MAX 4096   /* reads under way at once: more than a server has, and few enough descriptors */
#define CHUNK (1 << 20) /* bytes read at a time, a multiple of every block's size */
#define PAGE 4096
#define NS_PER_S 1000000000LL

/* The head of the ring; linux/aio_abi.h does not tell it. struct io_event follow. */
struct ring {
    uint32_t id, count, head, tail, magic, compat, incompat, header_length;
};

struct pending {
    TAILQ_ENTRY(pending) link;
    pid_t process;
    uint64_t context, block, data;
    int file, eventfd; /* ours; -1: none wanted */
    int flags;         /* RWF_NOWAIT and its like */
    off_t offset;
    size_t size;
    size_t count;
    struct iovec pieces[]; /* the target's buffer */
};

static TAILQ_HEAD(pending_list, pending) held = TAILQ_HEAD_INITIALIZER(held);
static unsigned long held_count;
static bool changed, unfit, released;

bool queue_changed(void)
{
    bool was = changed;
    changed = false;
    return was;
}

bool queue_unfit(void)
{
    return unfit;
}

static bool read_ring(pid_t process, uint64_t context, struct ring *ring)
{
    return target_read(process, context, ring, sizeof *ring) && ring->magic == RING_MAGIC && ring->count > 1 &&
           ring->count <= RING_EVENTS_MAX && ring->head < ring->count && ring->tail < ring->count &&
           ring->header_length == sizeof *ring;
}

static uint32_t events_in(const struct ring *ring)
{
    return (ring->tail + ring->count - ring->head) % ring->count;
}

/* Put an event in the ring: first it, then the tail that shows it. */
static void push(const struct pending *read, int64_t result)
{
    struct io_event event = {.data = read->data, .obj = read->block, .res = result};
    struct ring ring;

    if (!read_ring(read->process, read->context, &ring) || events_in(&ring) == ring.count - 1)
        return;
    uint32_t next = (ring.tail + 1) % ring.count;
    if (target_write(read->process, read->context + sizeof ring + ring.tail * sizeof event, &event, sizeof event))
        target_write(read->process, read->context + offsetof(struct ring, tail), &next, sizeof next);
}

/* A buffer of ours as far from a page's edge as the target's: O_DIRECT looks at that. CHUNK bytes. */
static char *buffer_like(uint64_t address)
{
    static char *memory;
    if (!memory && !(memory = aligned_alloc(PAGE, CHUNK + PAGE)))
        abort();
    return memory + address % PAGE;
}

/* How many bytes of a read that could bring `size` the cut lets through. */
static size_t cut_read(struct fault *cut, int file, size_t size)
{
    size_t part = fault_cut(cut, size);
    if (fcntl(file, F_GETFL) & O_DIRECT) { /* whoever reads by blocks goes on at a block's edge: so the kernel stops */
        part -= part % PAGE;
        part = part ? part : size < PAGE ? size : PAGE;
    }
    cut->hits += part < size;
    return part;
}

/* Move up to `size` bytes of the file into the target's buffer. Returns what the event is to say. */
static int64_t move(const struct pending *read, size_t size)
{
    size_t done = 0, piece = 0, inside = 0;

    while (done < size && piece < read->count) {
        struct iovec to = read->pieces[piece];
        if (to.iov_len == inside) {
            piece++;
            inside = 0;
            continue;
        }
        to.iov_base = (char *)to.iov_base + inside;
        to.iov_len -= inside;
        size_t want = to.iov_len < CHUNK ? to.iov_len : CHUNK;
        want = want < size - done ? want : size - done;
        char *buffer = buffer_like((uint64_t)(uintptr_t)to.iov_base);
        ssize_t got = preadv2(read->file, &(struct iovec){buffer, want}, 1, read->offset + (off_t)done, read->flags);
        if (got < 0 && done == 0)
            return -errno;
        if (got <= 0)
            break;
        if (target_scatter(read->process, &to, 1, buffer, (size_t)got) != got)
            return done ? (int64_t)done : -EFAULT;
        done += (size_t)got;
        inside += (size_t)got;
        if ((size_t)got < want)
            break;
    }
    return (int64_t)done;
}

static int64_t perform(const struct pending *read, struct faults *faults)
{
    struct fault *cut = faults_find(faults, FAULT_CUT, CALLS_AIO);
    struct stat about;
    size_t size = read->size;

    if (cut && size && fstat(read->file, &about) == 0 && about.st_size > read->offset) {
        size_t rest = (size_t)(about.st_size - read->offset);
        size_t could = size < rest ? size : rest;
        size_t part = cut_read(cut, read->file, could);
        size = part < could ? part : size; /* uncut, an O_DIRECT read of the last block keeps its whole length */
    }
    return move(read, size);
}

static void forget(struct pending *read)
{
    if (read->file >= 0)
        close(read->file);
    if (read->eventfd >= 0)
        close(read->eventfd);
    free(read);
}

static void complete(struct pending *read, int64_t result)
{
    push(read, result);
    if (read->eventfd >= 0)
        (void)!write(read->eventfd, &(uint64_t){1}, sizeof(uint64_t));
    forget(read);
    changed = true;
}

static void drop_held(struct pending *read)
{
    TAILQ_REMOVE(&held, read, link);
    held_count--;
}

/* Make a read of a control block, its pieces filled in. NULL: `*error` says why, or 0 that the block is not for us. */
static struct pending *make_read(const struct call *call, const struct iocb *block, int *error)
{
    bool vectored = block->aio_lio_opcode == IOCB_CMD_PREADV;
    size_t count = vectored ? block->aio_nbytes : 1;

    *error = EINVAL;
    if (count > IOV_MAX)
        return NULL;
    struct pending *read = calloc(1, sizeof *read + count * sizeof *read->pieces);
    *error = EAGAIN;
    if (!read)
        return NULL;
    *read = (struct pending){.process = call->process,
                             .context = call->arguments[0],
                             .data = block->aio_data,
                             .file = -1,
                             .eventfd = -1,
                             .flags = block->aio_rw_flags,
                             .offset = block->aio_offset,
                             .count = count};
    read->pieces[0] = (struct iovec){(void *)(uintptr_t)block->aio_buf, block->aio_nbytes};
    *error = EFAULT;
    if (vectored && !target_read(call->process, block->aio_buf, read->pieces, count * sizeof *read->pieces)) {
        forget(read);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        read->size += read->pieces[i].iov_len;
    *error = 0;
    return read;
}

static bool is_eventfd(int fd)
{
    char path[64], place[32] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    (void)!readlink(path, place, sizeof place - 1);
    return strcmp(place, "anon_inode:[eventfd]") == 0;
}

/* Whether the kernel would accept a read of this file, at this place, with these flags: it is asked, by a read of
 * nothing in a queue of our own. 0 or an errno. */
static int try_out(const struct pending *read)
{
    static aio_context_t own;
    struct iocb nothing = {.aio_lio_opcode = IOCB_CMD_PREAD,
                           .aio_fildes = (unsigned)read->file,
                           .aio_offset = read->offset,
                           .aio_rw_flags = read->flags};
    struct iocb *list[] = {&nothing};
    struct io_event event;

    if (!own && syscall(SYS_io_setup, 1, &own) != 0)
        return 0; /* the machine's queues are used up: then the read itself will tell */
    if (syscall(SYS_io_submit, own, 1, list) != 1)
        return errno;
    syscall(SYS_io_getevents, own, 1, 1, &event, NULL);
    return 0;
}

/* Give the read the descriptors it needs. 0, or an errno as io_submit(2) gives it; -1: it is none of a file. */
static int open_read(struct pending *read, const struct iocb *block)
{
    struct stat about;

    read->file = target_keep(target_descriptor(read->process, (int)block->aio_fildes));
    if (read->file < 0)
        return EBADF;
    if (fstat(read->file, &about) != 0 || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode))) {
        unfit = true;
        return -1;
    }
    if (block->aio_flags & IOCB_FLAG_RESFD) {
        read->eventfd = target_keep(target_descriptor(read->process, (int)block->aio_resfd));
        if (read->eventfd < 0)
            return EBADF;
        if (!is_eventfd(read->eventfd))
            return EINVAL;
    }
    return try_out(read);
}

/* Take one control block over. 0, an errno as io_submit(2) gives it, or -1: the kernel is to have it. */
static int take(const struct call *call, uint64_t address, struct faults *faults)
{
    struct fault *hold = released ? NULL : faults_find(faults, FAULT_HOLD, CALLS_AIO);
    struct iocb block;
    int error;

    if (!target_read(call->process, address, &block, sizeof block))
        return EFAULT;
    if (block.aio_lio_opcode != IOCB_CMD_PREAD && block.aio_lio_opcode != IOCB_CMD_PREADV) {
        unfit = true;
        return -1;
    }
    struct pending *read = make_read(call, &block, &error);
    if (!read)
        return error;
    read->block = address;
    error = open_read(read, &block);
    if (error) {
        forget(read);
        return error;
    }
    target_write(call->process, address + offsetof(struct iocb, aio_key), &(uint32_t){0}, sizeof(uint32_t));
    if (hold && !(read->flags & RWF_NOWAIT)) {
        TAILQ_INSERT_TAIL(&held, read, link);
        held_count++;
        hold->hits++;
        return 0;
    }
    /* A disk that keeps everybody waiting has nothing for who does not want to wait. */
    complete(read, hold ? -EAGAIN : perform(read, faults));
    return 0;
}

static unsigned long held_of(const struct call *call)
{
    const struct pending *read;
    unsigned long count = 0;

    TAILQ_FOREACH (read, &held, link)
        count += read->process == call->process && read->context == call->arguments[0];
    return count;
}

struct answer queue_submit(const struct call *call, struct faults *faults)
{
    struct fault *cut = faults_find(faults, FAULT_CUT, CALLS_SUBMIT);
    long count = (long)call->arguments[1];
    struct ring ring;
    uint64_t block;

    if (count <= 0 || !read_ring(call->process, call->arguments[0], &ring))
        return answer_run();
    if (cut && fault_cut(cut, (size_t)count) < (size_t)count) {
        count = (long)fault_cut(cut, (size_t)count);
        cut->hits++;
    }
    for (long i = 0; i < count; i++) {
        int error = EFAULT;
        if (!read_ring(call->process, call->arguments[0], &ring) || held_count >= HELD_MAX ||
            held_of(call) + events_in(&ring) >= ring.count - 1)
            error = EAGAIN;
        else if (target_read(call->process, call->arguments[2] + (uint64_t)i * sizeof block, &block, sizeof block))
            error = take(call, block, faults);
        if (error < 0 && i == 0)
            return answer_run();
        if (error)
            return answer_value(i ? i : -error);
    }
    return answer_value(count);
}

/* Copy `count` events from the ring to where the call wants them. */
static struct answer hand_over(const struct call *call, const struct ring *ring, uint32_t count)
{
    struct io_event event;
    uint64_t to = call->arguments[3];
    uint32_t head = ring->head;

    for (uint32_t i = 0; i < count; i++, head = (head + 1) % ring->count, to += sizeof event) {
        uint64_t from = call->arguments[0] + sizeof *ring + head * sizeof event;
        if (!target_read(call->process, from, &event, sizeof event) ||
            !target_write(call->process, to, &event, sizeof event))
            return answer_value(-EFAULT);
    }
    target_write(call->process, call->arguments[0] + offsetof(struct ring, head), &head, sizeof head);
    return answer_value(count);
}

struct answer queue_take(const struct call *call, bool expired)
{
    long least = (long)call->arguments[1], most = (long)call->arguments[2];
    struct timespec timeout = {.tv_sec = -1};
    struct ring ring;

    if (least < 0 || most < least || !read_ring(call->process, call->arguments[0], &ring))
        return answer_run();
    if (call->arguments[4] && !target_read(call->process, call->arguments[4], &timeout, sizeof timeout))
        return answer_value(-EFAULT);
    uint32_t there = events_in(&ring);
    if (there < least && !expired && (timeout.tv_sec || timeout.tv_nsec)) {
        bool bounded = timeout.tv_sec >= 0 && timeout.tv_sec < LLONG_MAX / NS_PER_S - 1;
        return answer_wait(-1, 0, bounded ? timeout.tv_sec * NS_PER_S + timeout.tv_nsec : -1);
    }
    return hand_over(call, &ring, there < most ? there : (uint32_t)most);
}

struct answer queue_destroy(const struct call *call)
{
    return held_of(call) ? answer_wait(-1, 0, -1) : answer_run();
}

void queue_release(struct faults *faults, unsigned long count, bool all, int error, bool last_first)
{
    struct pending *read;

    for (; (all || count) && (read = last_first ? TAILQ_LAST(&held, pending_list) : TAILQ_FIRST(&held));
         count -= !all) {
        drop_held(read);
        complete(read, error ? -error : perform(read, faults));
    }
    released |= all;
}

unsigned long queue_held(void)
{
    struct pending *read = TAILQ_FIRST(&held), *next;

    for (; read; read = next) {
        struct ring ring;
        next = TAILQ_NEXT(read, link);
        if (!target_read(read->process, read->context, &ring, sizeof ring)) {
            drop_held(read);
            forget(read);
        }
    }
    return held_count;
}
