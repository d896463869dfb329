/*
 * queue.c - see queue.h.
 */
#include "queue.h"

#include <errno.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <time.h>
#include <unistd.h>

#include "read.h"

#define RING_MAGIC 0xa10a10a1U
#define RING_EVENTS_MAX (1U << 20)
#define HELD_MAX 4096 /* reads under way at once: more than a server has, and few enough descriptors */
#define NS_PER_S 1000000000LL

/* The head of the ring; linux/aio_abi.h does not tell it. struct io_event follow. */
struct ring {
    uint32_t id, count, head, tail, magic, compat, incompat, header_length;
};

static TAILQ_HEAD(read_list, read) held = TAILQ_HEAD_INITIALIZER(held);
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
static void push(const struct read *read, int64_t result)
{
    struct io_event event = {.data = read->data, .obj = read->block, .res = result};
    struct ring ring;

    if (!read_ring(read->process, read->context, &ring) || events_in(&ring) == ring.count - 1)
        return;
    uint32_t next = (ring.tail + 1) % ring.count;
    if (target_write(read->process, read->context + sizeof ring + ring.tail * sizeof event, &event, sizeof event))
        target_write(read->process, read->context + offsetof(struct ring, tail), &next, sizeof next);
}

static void complete(struct read *read, int64_t result)
{
    push(read, result);
    if (read->eventfd >= 0)
        (void)!write(read->eventfd, &(uint64_t){1}, sizeof(uint64_t));
    read_destroy(read);
    changed = true;
}

static void drop_held(struct read *read)
{
    TAILQ_REMOVE(&held, read, link);
    held_count--;
}

/* Take one control block over. 0, an errno as io_submit(2) gives it, or READ_IS_NONE: the kernel is to have it. */
static int take(const struct call *call, uint64_t address, struct faults *faults)
{
    struct read *read;
    int error = read_make(call, address, &read);

    unfit |= error == READ_IS_NONE;
    if (error)
        return error;
    struct due due = faults_due(faults, CALLS_AIO, 0, false);
    struct fault *hold = released ? NULL : due.hold;
    read->cuts = due.cuts;
    if (hold && !(read->flags & RWF_NOWAIT)) {
        TAILQ_INSERT_TAIL(&held, read, link);
        held_count++;
        hold->hits++;
        return 0;
    }
    /* A disk that keeps everybody waiting has nothing for who does not want to wait. */
    complete(read, hold ? -EAGAIN : read_perform(read, faults));
    return 0;
}

static unsigned long held_of(const struct call *call)
{
    const struct read *read;
    unsigned long count = 0;

    TAILQ_FOREACH (read, &held, link)
        count += read->process == call->process && read->context == call->arguments[0];
    return count;
}

struct answer queue_submit(const struct call *call, struct faults *faults, uint32_t cuts)
{
    long count = (long)call->arguments[1];
    struct ring ring;
    uint64_t block;

    if (count <= 0 || !read_ring(call->process, call->arguments[0], &ring))
        return answer_run();
    faults_hit(faults, cuts, (size_t)count);
    count = (long)faults_cut(faults, cuts, (size_t)count);
    for (long i = 0; i < count; i++) {
        int error = EFAULT;
        if (!read_ring(call->process, call->arguments[0], &ring) || held_count >= HELD_MAX ||
            held_of(call) + events_in(&ring) >= ring.count - 1)
            error = EAGAIN;
        else if (target_read(call->process, call->arguments[2] + (uint64_t)i * sizeof block, &block, sizeof block))
            error = take(call, block, faults);
        if (error == READ_IS_NONE && i == 0)
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
    struct read *read;

    for (; (all || count) && (read = last_first ? TAILQ_LAST(&held, read_list) : TAILQ_FIRST(&held)); count -= !all) {
        drop_held(read);
        complete(read, error ? -error : read_perform(read, faults));
    }
    released |= all;
}

unsigned long queue_held(void)
{
    struct read *read = TAILQ_FIRST(&held), *next;

    for (; read; read = next) {
        struct ring ring;
        next = TAILQ_NEXT(read, link);
        if (!target_read(read->process, read->context, &ring, sizeof ring)) {
            drop_held(read);
            read_destroy(read);
        }
    }
    return held_count;
}
