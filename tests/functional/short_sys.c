/*
 * short_sys.c - stands between the server and its seam, and cuts every result short that may be short.
 *
 * Linked with --wrap=sys_recv and so on (ld(1)): the names are our own, so no header can rename them past the wrapper
 * as it could with the C library's. Nothing is faked: fewer bytes are asked for, and fewer are moved.
 *
 *   recv           one to seven bytes
 *   send           half of what was asked for
 *   sendfile       half of it, not on a page's edge
 *   io_getevents   one event at a time; a read of more than a block lost its second half
 */
#include "sys.h"

ssize_t __real_sys_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_sys_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __real_sys_send(int fd, const void *bytes, size_t count, int flags);
ssize_t __wrap_sys_send(int fd, const void *bytes, size_t count, int flags);
ssize_t __real_sys_sendfile(int out, int in, off_t *offset, size_t count);
ssize_t __wrap_sys_sendfile(int out, int in, off_t *offset, size_t count);
int __real_sys_io_getevents(io_context_t context, long count, struct io_event *events);
int __wrap_sys_io_getevents(io_context_t context, long count, struct io_event *events);

static size_t half(size_t count)
{
    return count > 1 ? count / 2 : count;
}

ssize_t __wrap_sys_recv(int fd, void *buffer, size_t size, int flags)
{
    static size_t turn;
    size_t least = 1 + turn++ % 7;
    return __real_sys_recv(fd, buffer, size < least ? size : least, flags);
}

ssize_t __wrap_sys_send(int fd, const void *bytes, size_t count, int flags)
{
    return __real_sys_send(fd, bytes, half(count), flags);
}

ssize_t __wrap_sys_sendfile(int out, int in, off_t *offset, size_t count)
{
    return __real_sys_sendfile(out, in, offset, half(count));
}

int __wrap_sys_io_getevents(io_context_t context, long count, struct io_event *events)
{
    (void)count;
    int got = __real_sys_io_getevents(context, 1, events);
    long bytes = got == 1 ? (long)events[0].res : 0;
    /* What is cut off is read again. A block at least must stay: O_DIRECT goes on at a block's edge. */
    if (bytes > 4096)
        events[0].res = (unsigned long)(bytes / 2 < 4096 ? 4096 : bytes / 2);
    return got;
}
