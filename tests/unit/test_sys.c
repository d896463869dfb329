/*
 * test_sys.c - the seam as shipped, on the real kernel: each function once well and once failing.
 *
 * What is proven is the promise of sys.h: a count, a descriptor or 0, or a negative errno; and that each argument gets
 * where it belongs. This program alone is linked with sys.c.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

#define NO_FD (-1)

/* A file of the bytes 0, 1, 2, ... of which nobody knows the name. */
static int make_file(size_t size)
{
    int fd = memfd_create("test_sys", MFD_CLOEXEC);
    cr_assert(ge(int, fd, 0));
    for (size_t i = 0; i < size; i++) {
        char byte = (char)i;
        cr_assert(eq(long, write(fd, &byte, 1), 1));
    }
    return fd;
}

/* --- sockets ---------------------------------------------------------------------------------------------------- */

Test(sys, a_listener_is_made_named_and_accepted_from)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;

    int listener = sys_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert(ge(int, listener, 0));
    cr_assert(eq(int, sys_setsockopt(listener, SOL_SOCKET, SO_PASSCRED, 1), 0));
    int set = 0;
    socklen_t set_size = sizeof set;
    getsockopt(listener, SOL_SOCKET, SO_PASSCRED, &set, &set_size);
    cr_assert(eq(int, set, 1));
    /* An address of the family alone: the kernel chooses a free abstract name (unix(7), autobind). */
    cr_assert(eq(int, sys_bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0));
    cr_assert(eq(int, sys_getsockname(listener, (struct sockaddr *)&address, &length), 0));
    cr_assert(gt(u32, length, sizeof(sa_family_t)));
    cr_assert(eq(int, sys_listen(listener, 1), 0));
    cr_assert(eq(int, sys_accept4(listener, 0), -EAGAIN), "nobody is there");

    int client = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(eq(int, connect(client, (struct sockaddr *)&address, length), 0));
    int accepted = sys_accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC);
    cr_assert(ge(int, accepted, 0));
    cr_assert(eq(int, fcntl(accepted, F_GETFL) & O_NONBLOCK, O_NONBLOCK));
    cr_assert(eq(int, fcntl(accepted, F_GETFD), FD_CLOEXEC));

    cr_assert(eq(int, sys_shutdown(accepted, SHUT_WR), 0));
    char byte;
    cr_assert(eq(long, sys_recv(client, &byte, 1, 0), 0), "the end that shutdown sends");
    cr_assert(eq(int, sys_close(client), 0));
    cr_assert(eq(int, sys_close(accepted), 0));
    cr_assert(eq(int, sys_close(listener), 0));
}

Test(sys, calls_on_sockets_fail_with_a_negative_errno)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;
    int pair[2];

    cr_assert(eq(int, sys_socket(AF_UNIX, -1, 0), -EINVAL));
    cr_assert(eq(int, sys_setsockopt(NO_FD, SOL_SOCKET, SO_REUSEADDR, 1), -EBADF));
    cr_assert(eq(int, sys_bind(NO_FD, (struct sockaddr *)&address, length), -EBADF));
    cr_assert(eq(int, sys_listen(NO_FD, 1), -EBADF));
    cr_assert(eq(int, sys_getsockname(NO_FD, (struct sockaddr *)&address, &length), -EBADF));
    cr_assert(eq(int, sys_shutdown(NO_FD, SHUT_WR), -EBADF));
    cr_assert(eq(int, sys_unacknowledged(NO_FD), -EBADF));
    cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM, 0, pair)));
    cr_assert(eq(int, sys_accept4(pair[0], 0), -EINVAL));
}

Test(sys, bytes_go_through_a_socket)
{
    int pair[2];
    char got[8] = "";

    cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM, 0, pair)));
    cr_assert(eq(int, sys_unacknowledged(pair[0]), 0));
    cr_assert(eq(long, sys_send(pair[0], "four", 4, MSG_NOSIGNAL), 4));
    cr_assert(gt(int, sys_unacknowledged(pair[0]), 0), "nobody has read them");
    cr_assert(eq(long, sys_recv(pair[1], got, sizeof got, MSG_PEEK), 4), "the flags are handed on");
    cr_assert(eq(long, sys_recv(pair[1], got, 3, 0), 3));
    cr_assert(eq(long, sys_recv(pair[1], got + 3, 5, 0), 1));
    cr_assert(eq(str, got, text("four")));
    cr_assert(eq(int, sys_unacknowledged(pair[0]), 0));

    cr_assert(eq(long, sys_recv(pair[1], got, 1, MSG_DONTWAIT), -EAGAIN));
    cr_assert(zero(int, sys_close(pair[1])));
    cr_assert(eq(long, sys_send(pair[0], "x", 1, MSG_NOSIGNAL), -EPIPE));
}

Test(sys, sendfile_moves_its_offset_by_what_it_sent)
{
    int pair[2];
    char got[16];
    off_t offset = 3;
    int file = make_file(10);

    cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM, 0, pair)));
    cr_assert(eq(long, sys_sendfile(pair[0], file, &offset, 4), 4));
    cr_assert(eq(i64, offset, 7));
    cr_assert(eq(long, sys_recv(pair[1], got, sizeof got, 0), 4));
    cr_assert(eq(int, got[0], 3));
    cr_assert(eq(int, got[3], 6));
    cr_assert(eq(long, sys_sendfile(pair[0], file, &offset, 100), 3), "up to its end");
    cr_assert(eq(long, sys_sendfile(pair[0], file, &offset, 100), 0));
    cr_assert(eq(long, sys_sendfile(pair[0], NO_FD, &offset, 1), -EBADF));
    cr_assert(eq(i64, offset, 10));
}

/* --- files ------------------------------------------------------------------------------------------------------ */

Test(sys, read_and_write)
{
    int ends[2];
    char got[8];

    cr_assert(zero(int, pipe(ends)));
    cr_assert(eq(long, sys_write(ends[1], "abc", 3), 3));
    cr_assert(eq(long, sys_read(ends[0], got, sizeof got), 3));
    cr_assert(zero(int, memcmp(got, "abc", 3)));
    cr_assert(eq(int, sys_setfl(ends[0], O_NONBLOCK), 0));
    cr_assert(eq(long, sys_read(ends[0], got, 1), -EAGAIN), "it does not wait any more");

    cr_assert(eq(long, sys_read(NO_FD, got, 1), -EBADF));
    cr_assert(eq(long, sys_write(NO_FD, got, 1), -EBADF));
    cr_assert(eq(int, sys_setfl(NO_FD, 0), -EBADF));
    cr_assert(eq(int, sys_close(NO_FD), -EBADF));
}

Test(sys, files_are_opened_and_described)
{
    char path[] = "/tmp/test_sys.XXXXXX";
    const struct open_how beneath = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
    struct stat status;

    cr_assert(not(zero(ptr, mkdtemp(path))));
    int directory = sys_open(path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    cr_assert(ge(int, directory, 0));
    int made = openat(directory, "file", O_WRONLY | O_CREAT | O_EXCL, 0600);
    cr_assert(eq(long, sys_write(made, "12345", 5), 5));

    int opened = sys_openat(directory, "file", O_RDONLY);
    int beneath_it = sys_openat2(directory, "file", &beneath);
    int missing = sys_openat(directory, "missing", O_RDONLY);
    int missing_beneath = sys_openat2(directory, "missing", &beneath);
    int outside = sys_openat2(directory, "../file", &beneath);
    int nowhere = sys_open("/missing/missing", O_RDONLY, 0);
    int described = sys_fstat(opened, &status);
    unlinkat(directory, "file", 0);
    rmdir(path);

    cr_assert(ge(int, opened, 0));
    cr_assert(ge(int, beneath_it, 0));
    cr_assert(eq(int, fcntl(beneath_it, F_GETFD), FD_CLOEXEC));
    cr_assert(eq(int, missing, -ENOENT));
    cr_assert(eq(int, missing_beneath, -ENOENT));
    cr_assert(eq(int, outside, -EXDEV));
    cr_assert(eq(int, nowhere, -ENOENT));
    cr_assert(eq(int, described, 0));
    cr_assert(eq(i64, status.st_size, 5));
    cr_assert(eq(int, sys_fstat(NO_FD, &status), -EBADF));
}

Test(sys, a_file_that_open_makes_gets_its_mode)
{
    char directory[] = "/tmp/test_sys.XXXXXX";
    char path[64];
    struct stat status;

    cr_assert(not(zero(ptr, mkdtemp(directory))));
    snprintf(path, sizeof path, "%s/made", directory);
    umask(0);
    int fd = sys_open(path, O_WRONLY | O_CREAT, 0640);
    int described = sys_fstat(fd, &status);
    unlink(path);
    rmdir(directory);
    cr_assert(eq(int, described, 0));
    cr_assert(eq(u32, status.st_mode & 0777, 0640));
}

/* --- waiting ---------------------------------------------------------------------------------------------------- */

Test(sys, epoll_tells_what_is_ready)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 4711}, got = {0};
    uint64_t value = 0;

    int epoll = sys_epoll_create1(EPOLL_CLOEXEC);
    int event = sys_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    cr_assert(ge(int, epoll, 0));
    cr_assert(ge(int, event, 0));
    cr_assert(eq(int, fcntl(epoll, F_GETFD), FD_CLOEXEC));
    cr_assert(eq(int, sys_epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted), 0));
    cr_assert(eq(int, sys_epoll_wait(epoll, &got, 1, 0), 0), "nothing, at once");
    value = 5;
    cr_assert(eq(long, sys_write(event, &value, sizeof value), (long)sizeof value));
    cr_assert(eq(int, sys_epoll_wait(epoll, &got, 1, -1), 1));
    cr_assert(eq(u64, got.data.u64, 4711));
    cr_assert(eq(u32, got.events, EPOLLIN));
    cr_assert(eq(long, sys_read(event, &value, sizeof value), (long)sizeof value));
    cr_assert(eq(u64, value, 5));

    cr_assert(eq(int, sys_epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted), -EEXIST));
    cr_assert(eq(int, sys_epoll_wait(epoll, &got, 0, 0), -EINVAL));
    cr_assert(eq(int, sys_epoll_create1(-1), -EINVAL));
    cr_assert(eq(int, sys_eventfd(0, -1), -EINVAL));
}

static void do_nothing(int signal)
{
    (void)signal;
}

Test(sys, a_signal_ends_a_wait)
{
    const struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART}; /* epoll_wait never is */
    const struct itimerval again_and_again = {{.tv_usec = 1000}, {.tv_usec = 1000}};    /* one may come too early */
    struct epoll_event got;

    int epoll = sys_epoll_create1(0);
    cr_assert(zero(int, sigaction(SIGALRM, &action, NULL)));
    cr_assert(zero(int, setitimer(ITIMER_REAL, &again_and_again, NULL)));
    cr_assert(eq(int, sys_epoll_wait(epoll, &got, 1, -1), -EINTR));
}

/* --- AIO -------------------------------------------------------------------------------------------------------- */

Test(sys, a_read_by_aio)
{
    io_context_t context = NULL;
    struct io_event events[2];
    struct iocb iocb, *iocbs[] = {&iocb};
    char got[8] = "";
    uint64_t counter;
    int file = make_file(10);
    int event = sys_eventfd(0, EFD_CLOEXEC);

    cr_assert(eq(int, sys_io_setup(4, &context), 0));
    cr_assert(eq(int, sys_io_getevents(context, 2, events), 0), "nothing is there: it does not wait");
    io_prep_pread(&iocb, file, got, 4, 3);
    io_set_eventfd(&iocb, event);
    iocb.data = got;
    cr_assert(eq(int, sys_io_submit(context, 1, iocbs), 1));
    cr_assert(eq(long, sys_read(event, &counter, sizeof counter), (long)sizeof counter), "waits for the completion");
    cr_assert(eq(int, sys_io_getevents(context, 2, events), 1));
    cr_assert(eq(ptr, events[0].data, got));
    cr_assert(eq(ptr, events[0].obj, &iocb));
    cr_assert(eq(u64, events[0].res, 4));
    cr_assert(eq(int, got[0], 3));
    cr_assert(eq(int, got[3], 6));

    io_prep_pread(&iocb, NO_FD, got, 1, 0);
    cr_assert(eq(int, sys_io_submit(context, 1, iocbs), -EBADF));
    cr_assert(eq(int, sys_io_destroy(context), 0));
    cr_assert(eq(int, sys_io_destroy(NULL), -EINVAL));
    cr_assert(eq(int, sys_io_getevents(NULL, 1, events), -EINVAL));
    context = NULL;
    cr_assert(eq(int, sys_io_setup(-1, &context), -EINVAL));
}

/* --- memory, clocks, limits ------------------------------------------------------------------------------------- */

Test(sys, pages_come_empty_are_emptied_and_go)
{
    const size_t size = 8192;
    void *pages = NULL;

    cr_assert(eq(int, sys_map_pages(size, &pages), 0));
    char *bytes = pages;
    cr_assert(eq(int, bytes[size - 1], 0));
    memset(bytes, 7, size);
    cr_assert(eq(int, sys_drop_pages(bytes, 4096), 0));
    cr_assert(eq(int, bytes[0], 0), "the first page is gone");
    cr_assert(eq(int, bytes[4096], 7), "the second is not");
    cr_assert(eq(int, sys_drop_pages(bytes + 1, 4096), -EINVAL));
    cr_assert(eq(int, sys_unmap_pages(bytes + 1, 4096), -EINVAL));
    cr_assert(eq(int, sys_unmap_pages(pages, size), 0));
    cr_assert(eq(int, sys_drop_pages(pages, size), -ENOMEM), "nothing is mapped there any more");
    cr_assert(eq(int, sys_map_pages(0, &pages), -EINVAL));
}

Test(sys, clocks_and_limits)
{
    struct timespec first, second;
    struct rlimit limit, again, wrong = {.rlim_cur = 2, .rlim_max = 1};

    cr_assert(eq(int, sys_clock_gettime(CLOCK_MONOTONIC, &first), 0));
    cr_assert(eq(int, sys_clock_gettime(CLOCK_MONOTONIC, &second), 0));
    cr_assert(ge(i64, second.tv_sec * 1000000000 + second.tv_nsec, first.tv_sec * 1000000000 + first.tv_nsec));
    cr_assert(eq(int, sys_clock_gettime(-1, &first), -EINVAL));

    cr_assert(eq(int, sys_getrlimit(RLIMIT_NOFILE, &limit), 0));
    limit.rlim_cur -= 1;
    cr_assert(eq(int, sys_setrlimit(RLIMIT_NOFILE, &limit), 0));
    cr_assert(eq(int, sys_getrlimit(RLIMIT_NOFILE, &again), 0));
    cr_assert(eq(u64, again.rlim_cur, limit.rlim_cur));
    cr_assert(eq(int, sys_getrlimit(-1, &limit), -EINVAL));
    cr_assert(eq(int, sys_setrlimit(RLIMIT_NOFILE, &wrong), -EINVAL));
}
