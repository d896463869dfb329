/* No server: asks Linux AIO for all sorts of reads, good and bad, and prints what it answers. Without a library, as the
 * answers of the calls themselves are wanted. What it prints must be the same whoever stands behind the calls.
 *
 * With an argument `wait` it prints instead how calls behave that wait for a read that does not come. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static aio_context_t context;
static _Alignas(4096) char buffer[1 << 16];

static long result(long value)
{
    return value < 0 ? -errno : value;
}

static long submit(long count, struct iocb *blocks[])
{
    return result(syscall(SYS_io_submit, context, count, blocks));
}

static long take(long least, long most, struct io_event *events, struct timespec *timeout)
{
    return result(syscall(SYS_io_getevents, context, least, most, events, timeout));
}

static struct iocb block(int fd, void *to, size_t size, long long offset)
{
    return (struct iocb){.aio_data = 7,
                         .aio_lio_opcode = IOCB_CMD_PREAD,
                         .aio_fildes = (unsigned)fd,
                         .aio_buf = (uintptr_t)to,
                         .aio_nbytes = size,
                         .aio_offset = offset};
}

/* Submit one block, take its event if there is one, and print both. */
static void show(const char *what, struct iocb one)
{
    struct iocb *list[] = {&one};
    struct io_event event = {0};
    long submitted = submit(1, list);
    long taken = submitted == 1 ? take(1, 1, &event, NULL) : 0;
    printf("%s: submit %ld, taken %ld", what, submitted, taken);
    if (taken == 1)
        printf(", data %lld, result %lld, own %d", (long long)event.data, (long long)event.res,
               event.obj == (uintptr_t)&one);
    printf("\n");
}

static void show_counted(int file)
{
    int counter = eventfd(0, EFD_NONBLOCK);
    struct iocb blocks[3], *list[3];
    struct io_event events[3];
    uint64_t count = 0;

    for (int i = 0; i < 3; i++) {
        blocks[i] = block(file, buffer + i * 100, 100, i * 100);
        blocks[i].aio_flags = IOCB_FLAG_RESFD;
        blocks[i].aio_resfd = (unsigned)counter;
        list[i] = &blocks[i];
    }
    blocks[1].aio_fildes = 999;
    printf("three, the second bad: %ld\n", submit(3, list));
    printf("from the bad one on: %ld\n", submit(2, list + 1));
    printf("the third: %ld\n", submit(1, list + 2));
    printf("read of the counter: %zd, ", read(counter, &count, sizeof count));
    printf("%llu\n", (unsigned long long)count);
    printf("taken with room for one: %ld\n", take(1, 1, events, NULL));
    printf("the rest: %ld\n", take(1, 3, events, NULL));
    printf("more: %ld\n", take(0, 3, events, &(struct timespec){0}));
    printf("the bytes: %.5s %.5s\n", buffer, buffer + 200);
}

static void show_waits(int file)
{
    struct iocb one = block(file, buffer, 100, 0), *list[] = {&one};
    struct io_event event;
    struct timespec from, to, tenth = {.tv_nsec = 100000000};

    printf("submit %ld\n", submit(1, list));
    printf("no time: %ld\n", take(1, 1, &event, &(struct timespec){0}));
    clock_gettime(CLOCK_MONOTONIC, &from);
    long taken = take(1, 1, &event, &tenth);
    clock_gettime(CLOCK_MONOTONIC, &to);
    long long waited = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
    printf("a tenth of a second: %ld, waited %d\n", taken, waited >= tenth.tv_nsec);
    fflush(stdout);
    printf("for ever: %ld, ", take(1, 1, &event, NULL));
    printf("result %lld\n", (long long)event.res);
    printf("submit %ld\n", submit(1, list));
    fflush(stdout);
    printf("destroyed: %ld, byte %c\n", result(syscall(SYS_io_destroy, context)), buffer[0]);
}

int main(int count, char *words[])
{
    int file = open("static/f", O_RDONLY), folder = open(".", O_RDONLY);
    struct iovec parts[] = {{buffer, 3}, {buffer, 0}, {buffer + 50, 4}};
    struct iocb one;

    if (file < 0 || syscall(SYS_io_setup, 8, &context) != 0)
        return 1;
    if (count > 1) {
        (void)words;
        show_waits(file);
        return 0;
    }
    show("whole", block(file, buffer, sizeof buffer, 0));
    show("nothing", block(file, buffer, 0, 0));
    show("beyond the end", block(file, buffer, 10, 1 << 20));
    show("negative offset", block(file, buffer, 10, -1));
    show("bad buffer", block(file, (void *)8, 10, 0));
    show("bad descriptor", block(999, buffer, 10, 0));
    show("folder", block(folder, buffer, 10, 0));
    show("write only", block(open("/tmp/w", O_WRONLY | O_CREAT, 0600), buffer, 10, 0));
    show("proc", block(open("/proc/self/stat", O_RDONLY), buffer, 10, 0));
    one = block(file, parts, 3, 2);
    one.aio_lio_opcode = IOCB_CMD_PREADV;
    show("pieces", one);
    printf("the pieces: %.3s %.4s\n", buffer, buffer + 50);
    one.aio_nbytes = 0;
    show("no pieces", one);
    one.aio_nbytes = 2000;
    show("too many pieces", one);
    one = block(file, parts, 3, 0);
    one.aio_flags = IOCB_FLAG_RESFD;
    one.aio_resfd = (unsigned)file;
    show("counted by no eventfd", one);
    show_counted(file);
    printf("no block: %ld\n", submit(0, NULL));
    printf("less than none: %ld\n", submit(-1, NULL));
    printf("bad list: %ld\n", result(syscall(SYS_io_submit, context, 1L, 8L)));
    printf("more at least than at most: %ld\n", take(2, 1, NULL, NULL));
    printf("less than none: %ld\n", take(0, -1, NULL, NULL));
    aio_context_t good = context;
    context = 4096;
    printf("bad context: %ld %ld\n", submit(0, NULL), take(0, 0, NULL, NULL));
    context = good;
    printf("destroyed: %ld\n", result(syscall(SYS_io_destroy, context)));
    return 0;
}
