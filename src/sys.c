/*
 * sys.c - the seam as shipped: each function is one system call and the translation of its failure.
 *
 * Nothing here may decide anything; sys.h says why. The C library reports failure by -1 and errno, libaio and we by
 * the negative errno itself.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

/* -1 with errno becomes -errno; everything else stays. */
static ssize_t result(ssize_t value)
{
    return value == -1 ? -errno : value;
}

int sys_socket(int domain, int type, int protocol)
{
    return (int)result(socket(domain, type, protocol));
}

int sys_setsockopt(int fd, int level, int name, int value)
{
    return (int)result(setsockopt(fd, level, name, &value, sizeof value));
}

int sys_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return (int)result(bind(fd, address, length));
}

int sys_listen(int fd, int backlog)
{
    return (int)result(listen(fd, backlog));
}

int sys_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    return (int)result(getsockname(fd, address, length));
}

int sys_accept4(int fd, int flags)
{
    return (int)result(accept4(fd, NULL, NULL, flags));
}

int sys_shutdown(int fd, int how)
{
    return (int)result(shutdown(fd, how));
}

int sys_unacknowledged(int fd)
{
    int count;
    int status = (int)result(ioctl(fd, SIOCOUTQ, &count));
    return status < 0 ? status : count;
}

ssize_t sys_recv(int fd, void *buffer, size_t size, int flags)
{
    return result(recv(fd, buffer, size, flags));
}

ssize_t sys_send(int fd, const void *bytes, size_t count, int flags)
{
    return result(send(fd, bytes, count, flags));
}

ssize_t sys_sendfile(int out, int in, off_t *offset, size_t count)
{
    return result(sendfile(out, in, offset, count));
}

ssize_t sys_read(int fd, void *buffer, size_t size)
{
    return result(read(fd, buffer, size));
}

ssize_t sys_write(int fd, const void *bytes, size_t count)
{
    return result(write(fd, bytes, count));
}

int sys_open(const char *path, int flags, mode_t mode)
{
    return (int)result(open(path, flags, mode));
}

int sys_openat(int directory, const char *path, int flags)
{
    return (int)result(openat(directory, path, flags));
}

int sys_openat2(int directory, const char *path, const struct open_how *how)
{
    /* The C library has no wrapper for openat2(2). */
    return (int)result(syscall(SYS_openat2, directory, path, how, sizeof *how));
}

int sys_fstat(int fd, struct stat *status)
{
    return (int)result(fstat(fd, status));
}

int sys_setfl(int fd, int flags)
{
    return (int)result(fcntl(fd, F_SETFL, flags));
}

int sys_close(int fd)
{
    return (int)result(close(fd));
}

int sys_epoll_create1(int flags)
{
    return (int)result(epoll_create1(flags));
}

int sys_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    return (int)result(epoll_ctl(epoll, operation, fd, event));
}

int sys_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    return (int)result(epoll_wait(epoll, events, count, timeout_ms));
}

int sys_eventfd(unsigned initial, int flags)
{
    return (int)result(eventfd(initial, flags));
}

int sys_io_setup(int depth, io_context_t *context)
{
    return io_setup(depth, context);
}

int sys_io_destroy(io_context_t context)
{
    return io_destroy(context);
}

int sys_io_submit(io_context_t context, long count, struct iocb **iocbs)
{
    return io_submit(context, count, iocbs);
}

int sys_io_getevents(io_context_t context, long count, struct io_event *events)
{
    struct timespec at_once = {0};
    return io_getevents(context, 0, count, events, &at_once);
}

int sys_map_pages(size_t size, void **pages)
{
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return -errno;
    *pages = start;
    return 0;
}

int sys_drop_pages(void *pages, size_t size)
{
    return (int)result(madvise(pages, size, MADV_DONTNEED));
}

int sys_unmap_pages(void *pages, size_t size)
{
    return (int)result(munmap(pages, size));
}

int sys_clock_gettime(clockid_t clock, struct timespec *now)
{
    return (int)result(clock_gettime(clock, now));
}

int sys_getrlimit(int resource, struct rlimit *limit)
{
    return (int)result(getrlimit((__rlimit_resource_t)resource, limit));
}

int sys_setrlimit(int resource, const struct rlimit *limit)
{
    return (int)result(setrlimit((__rlimit_resource_t)resource, limit));
}
