/*
 * aio.c - libaio driven as the kernel means it.
 *
 *   aio_start          aio_submit                     aio_collect               aio_next_done
 *   ---------> pending ----------> the kernel's ring ------------------> done ---------------->
 *                 ^                                         |
 *                 +------- short, or refused this way: -----+
 *                          the rest, or the next way
 *
 * What is easy to get wrong here (io_submit(2), io_getevents(2), libaio's io_getevents):
 *   - failure is the return value, errno is not set;
 *   - io_submit may accept fewer than it was given, or none: the rest is still ours;
 *   - -EAGAIN from io_submit is cured only by collecting, never by trying again at once;
 *   - -EINVAL, -EBADF and the like are about the FIRST of those given;
 *   - buffered reads complete inside io_submit, so a completion may wait before anybody has slept;
 *   - an event's res is a signed count or a negative errno in an unsigned field;
 *   - a read cannot be cancelled: io_cancel(2) never works for files.
 */
#include "aio.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/eventfd.h>

#include "sys.h"

/* Reads that the kernel may hold at once. Enough for a disk's queue; fs.aio-max-nr is shared by the whole machine. */
#define AIO_DEPTH 128

/* Reads given to the kernel in one turn of the loop. Hot ones are copied inside io_submit at some 30 us each, so this
 * bounds how long a turn can take; a completion starts the next turn. */
#define AIO_TURN_MAX 16

/* Completions asked for at a time. */
#define AIO_EVENTS_MAX 64

int aio_init(struct aio *aio)
{
    *aio = (struct aio){.event_fd = -1};
    STAILQ_INIT(&aio->pending);
    STAILQ_INIT(&aio->done);

    int status = sys_io_setup(AIO_DEPTH, &aio->context);
    if (status < 0)
        return status;
    aio->event_fd = sys_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (aio->event_fd < 0) {
        sys_io_destroy(aio->context);
        return aio->event_fd;
    }
    return 0;
}

void aio_destroy(struct aio *aio)
{
    sys_io_destroy(aio->context);
    sys_close(aio->event_fd);
}

void aio_file_init(struct aio_file *file, int fd)
{
    *file = (struct aio_file){.fd = fd, .first = AIO_NOWAIT, .cold = AIO_DIRECT};
}

static void enqueue(struct aio *aio, struct aio_read *read, enum aio_how how)
{
    read->how = how;
    read->place = AIO_PENDING;
    STAILQ_INSERT_TAIL(&aio->pending, read, link);
}

void aio_start(struct aio *aio, struct aio_read *read)
{
    assert(read->offset % AIO_ALIGNMENT == 0 && read->length > 0 && "a read that O_DIRECT would refuse");
    assert(read->place == AIO_IDLE && "started twice");
    read->got = 0;
    enqueue(aio, read, read->file->first);
}

void aio_withdraw(struct aio *aio, struct aio_read *read)
{
    assert(read->place == AIO_PENDING && "only what is still queued can be withdrawn");
    read->place = AIO_IDLE;
    STAILQ_REMOVE(&aio->pending, read, aio_read, link);
}

static void finish(struct aio *aio, struct aio_read *read)
{
    read->place = AIO_DONE;
    STAILQ_INSERT_TAIL(&aio->done, read, link);
}

/* `read` was refused with `error` in the way it was tried. Queue it for the next way, and let the file's other pieces
 * profit from what this one learned; or finish it as failed. */
static void try_next_way(struct aio *aio, struct aio_read *read, int error)
{
    struct aio_file *file = read->file;
    bool other_way_helps = error == -EAGAIN || error == -EINVAL || error == -EOPNOTSUPP;

    if (file->fd < 0 || read->how == AIO_PLAIN || !other_way_helps) {
        finish(aio, read);
    } else if (read->how == AIO_DIRECT) {
        file->cold = AIO_PLAIN;
        enqueue(aio, read, AIO_PLAIN);
    } else if (error == -EAGAIN) {
        enqueue(aio, read, file->cold);
    } else {
        /* The file system does not know RWF_NOWAIT; tmpfs is one, and its O_DIRECT is no better than plain. */
        file->first = AIO_PLAIN;
        enqueue(aio, read, AIO_PLAIN);
    }
}

/* --- submitting ------------------------------------------------------------------------------------------------- */

/* Describe to the kernel what is left of `read`. */
static void prepare(const struct aio *aio, struct aio_read *read)
{
    size_t end = read->length;
    read->from = read->got;
    if (read->how == AIO_DIRECT) {
        read->from -= read->from % AIO_ALIGNMENT;
        end = (end + AIO_ALIGNMENT - 1) / AIO_ALIGNMENT * AIO_ALIGNMENT;
    }
    io_prep_pread(&read->iocb, read->file->fd, read->bytes + read->from, end - read->from,
                  (long long)read->offset + (long long)read->from);
    io_set_eventfd(&read->iocb, aio->event_fd);
    read->iocb.aio_rw_flags = read->how == AIO_NOWAIT ? RWF_NOWAIT : 0;
    read->iocb.data = read;
}

/* Fill `iocbs` with the longest run of pending reads that one call can take: at most `room`, all DIRECT of one file,
 * or none DIRECT. */
static int gather(const struct aio *aio, unsigned room, struct iocb *iocbs[])
{
    const struct aio_read *head = STAILQ_FIRST(&aio->pending);
    unsigned count = 0;
    struct aio_read *read;

    STAILQ_FOREACH (read, &aio->pending, link) {
        bool alike =
            head->how == AIO_DIRECT ? read->how == AIO_DIRECT && read->file == head->file : read->how != AIO_DIRECT;
        if (count == room || !alike)
            break;
        prepare(aio, read);
        iocbs[count++] = &read->iocb;
    }
    return (int)count;
}

/* One io_submit. O_DIRECT is a flag of the open file, looked at when a read is submitted: it is set around the call,
 * which spares a second descriptor for each cold file. */
static int submit_run(struct aio *aio, int count, struct iocb *iocbs[])
{
    const struct aio_read *head = STAILQ_FIRST(&aio->pending);
    if (head->how != AIO_DIRECT)
        return sys_io_submit(aio->context, count, iocbs);

    int status = sys_setfl(head->file->fd, O_NONBLOCK | O_DIRECT);
    if (status < 0)
        return status;
    status = sys_io_submit(aio->context, count, iocbs);
    sys_setfl(head->file->fd, O_NONBLOCK);
    return status;
}

static void mark_accepted(struct aio *aio, int accepted)
{
    aio->in_flight += (unsigned)accepted;
    for (int i = 0; i < accepted; i++) {
        STAILQ_FIRST(&aio->pending)->place = AIO_IN_FLIGHT;
        STAILQ_REMOVE_HEAD(&aio->pending, link);
    }
}

void aio_submit(struct aio *aio)
{
    struct iocb *iocbs[AIO_TURN_MAX];
    unsigned turn = AIO_TURN_MAX;

    while (turn > 0 && aio->in_flight < AIO_DEPTH && !STAILQ_EMPTY(&aio->pending)) {
        unsigned free_slots = AIO_DEPTH - aio->in_flight;
        int count = gather(aio, turn < free_slots ? turn : free_slots, iocbs);
        int status = submit_run(aio, count, iocbs);

        if (status == 0 || status == -EAGAIN)
            return; /* the ring is full: a completion will bring us back */
        if (status > 0) {
            mark_accepted(aio, status);
            turn -= (unsigned)status;
        } else if (status != -EINTR) {
            struct aio_read *refused = STAILQ_FIRST(&aio->pending);
            STAILQ_REMOVE_HEAD(&aio->pending, link);
            try_next_way(aio, refused, status);
        }
    }
}

/* --- completing ------------------------------------------------------------------------------------------------- */

/* The kernel is through with `read`: it moved `result` bytes, or failed with a negative errno. */
static void complete(struct aio *aio, struct aio_read *read, long result)
{
    assert(read->place == AIO_IN_FLIGHT && aio->in_flight > 0 && "a completion nobody waits for");
    aio->in_flight--;

    if (result == -EINTR && read->file->fd >= 0) {
        enqueue(aio, read, read->how);
        return;
    }
    if (result < 0) {
        try_next_way(aio, read, (int)result);
        return;
    }
    size_t reached = read->from + (size_t)result;
    size_t got = reached < read->length ? reached : read->length; /* DIRECT asks for whole blocks */
    bool progress = got > read->got;
    read->got = progress ? got : read->got;

    /* No progress before the end means that the file shrank: asking again would spin. */
    if (read->got < read->length && progress && read->file->fd >= 0)
        enqueue(aio, read, read->file->first);
    else
        finish(aio, read);
}

void aio_collect(struct aio *aio)
{
    uint64_t counter;
    struct io_event events[AIO_EVENTS_MAX];
    int count;

    /* First the eventfd, then the ring until it is empty: the other way round a completion in between is lost. The
     * counter is not a number of events to expect: one call may return fewer, another reap may have had them. */
    (void)sys_read(aio->event_fd, &counter, sizeof counter);
    do {
        count = sys_io_getevents(aio->context, AIO_EVENTS_MAX, events);
        for (int i = 0; i < count; i++)
            complete(aio, events[i].data, (long)events[i].res);
    } while (count > 0 || count == -EINTR);
}

void aio_wake(const struct aio *aio)
{
    uint64_t one = 1;
    (void)sys_write(aio->event_fd, &one, sizeof one);
}

struct aio_read *aio_next_done(struct aio *aio)
{
    struct aio_read *read = STAILQ_FIRST(&aio->done);
    if (!read)
        return NULL;
    STAILQ_REMOVE_HEAD(&aio->done, link);
    read->place = AIO_IDLE;
    return read;
}

bool aio_is_stuck(const struct aio *aio)
{
    return !STAILQ_EMPTY(&aio->pending) && aio->in_flight == 0;
}
