/*
 * read.c - see read.h.
 */
#include "read.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK (1 << 20) /* bytes read at a time, a multiple of every block's size */
#define PAGE 4096

void read_destroy(struct read *read)
{
    if (read->file >= 0)
        close(read->file);
    if (read->eventfd >= 0)
        close(read->eventfd);
    free(read);
}

/* A read by its control block, its pieces filled in. NULL: `*error` says why. */
static struct read *describe(const struct call *call, const struct iocb *block, int *error)
{
    bool vectored = block->aio_lio_opcode == IOCB_CMD_PREADV;
    size_t count = vectored ? block->aio_nbytes : 1;

    *error = EINVAL;
    if (count > IOV_MAX)
        return NULL;
    *error = EAGAIN;
    struct read *read = calloc(1, sizeof *read + (count + 1) * sizeof *read->pieces);
    if (!read)
        return NULL;
    *read = (struct read){.process = call->process,
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
        read_destroy(read);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        read->size += read->pieces[i].iov_len;
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
static int try_out(const struct read *read)
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

/* Give the read the descriptors it needs. 0, or an errno as io_submit(2) gives it; READ_IS_NONE. */
static int open_files(struct read *read, const struct iocb *block)
{
    struct stat about;

    read->file = target_keep(target_descriptor(read->process, (int)block->aio_fildes));
    if (read->file < 0)
        return EBADF;
    if (fstat(read->file, &about) != 0 || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)))
        return READ_IS_NONE;
    if (block->aio_flags & IOCB_FLAG_RESFD) {
        read->eventfd = target_keep(target_descriptor(read->process, (int)block->aio_resfd));
        if (read->eventfd < 0)
            return EBADF;
        if (!is_eventfd(read->eventfd))
            return EINVAL;
    }
    return try_out(read);
}

int read_make(const struct call *call, uint64_t address, struct read **made)
{
    struct iocb block;
    int error;

    if (!target_read(call->process, address, &block, sizeof block))
        return EFAULT;
    if (block.aio_lio_opcode != IOCB_CMD_PREAD && block.aio_lio_opcode != IOCB_CMD_PREADV)
        return READ_IS_NONE;
    struct read *read = describe(call, &block, &error);
    if (!read)
        return error;
    read->block = address;
    error = open_files(read, &block);
    if (error) {
        read_destroy(read);
        return error;
    }
    target_write(call->process, address + offsetof(struct iocb, aio_key), &(uint32_t){0}, sizeof(uint32_t));
    *made = read;
    return 0;
}

/* A buffer of ours as far from a page's edge as the target's: O_DIRECT looks at that. CHUNK bytes. */
static char *buffer_like(uint64_t address)
{
    static char *memory;
    if (!memory && !(memory = aligned_alloc(PAGE, CHUNK + PAGE)))
        abort();
    return memory + address % PAGE;
}

/* How many bytes of a read that could bring `size` its cuts let through. */
static size_t cut_read(const struct read *read, struct faults *faults, size_t size)
{
    size_t part = faults_cut(faults, read->cuts, size);
    if (fcntl(read->file, F_GETFL) & O_DIRECT) {
        /* Whoever reads by blocks goes on at a block's edge: so the kernel stops there. */
        part -= part % PAGE;
        part = part ? part : size < PAGE ? size : PAGE;
    }
    if (part < size)
        faults_hit(faults, read->cuts, size);
    return part;
}

static size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Move up to `size` bytes of the file into the target's buffer. Returns what the event is to say. */
static int64_t move(const struct read *read, size_t size)
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
        size_t want = smaller(smaller(to.iov_len, CHUNK), size - done);
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

int64_t read_perform(const struct read *read, struct faults *faults)
{
    struct stat about;
    size_t size = read->size;

    if (read->cuts && size && fstat(read->file, &about) == 0 && about.st_size > read->offset) {
        size_t rest = (size_t)(about.st_size - read->offset);
        size_t could = size < rest ? size : rest;
        size_t part = cut_read(read, faults, could);
        size = part < could ? part : size; /* uncut, an O_DIRECT read of the last block keeps its whole length */
    }
    return move(read, size);
}
