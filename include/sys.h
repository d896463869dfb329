/*
 * sys.h - the seam: every system call that the server makes, one thin function each.
 *
 * Same name as the call with sys_ in front and only the arguments that we use. Each returns a count, a descriptor or 0
 * on success and a NEGATIVE ERRNO on failure, as libaio does by itself; errno is looked at nowhere else. There is no
 * policy behind these functions: no retry, no logging, no loop. EINTR comes through, so that a test can send it.
 *
 * Two objects implement this header. sys.c asks the kernel; tests/unit/fake_sys.c plays a script. Which one a program
 * gets is decided when it is linked, so there is no pointer in a reader's way and nothing to intercept by name.
 */
#ifndef AWS_SYS_H
#define AWS_SYS_H

#include <libaio.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* Sockets: socket(2), setsockopt(2) with an int value, bind(2), listen(2), getsockname(2), accept4(2), shutdown(2). */
int sys_socket(int domain, int type, int protocol);
int sys_setsockopt(int fd, int level, int name, int value);
int sys_bind(int fd, const struct sockaddr *address, socklen_t length);
int sys_listen(int fd, int backlog);
int sys_getsockname(int fd, struct sockaddr *address, socklen_t *length);
int sys_accept4(int fd, int flags);
int sys_shutdown(int fd, int how);

/* Bytes sent that the peer has not acknowledged: SIOCOUTQ of tcp(7). */
int sys_unacknowledged(int fd);

/* Bytes: recv(2), send(2), sendfile(2), read(2), write(2). sendfile moves *offset by what it sent. */
ssize_t sys_recv(int fd, void *buffer, size_t size, int flags);
ssize_t sys_send(int fd, const void *bytes, size_t count, int flags);
ssize_t sys_sendfile(int out, int in, off_t *offset, size_t count);
ssize_t sys_read(int fd, void *buffer, size_t size);
ssize_t sys_write(int fd, const void *bytes, size_t count);

/* Files: open(2), openat(2) without a mode, openat2(2), fstat(2), F_SETFL of fcntl(2), close(2). */
int sys_open(const char *path, int flags, mode_t mode);
int sys_openat(int directory, const char *path, int flags);
int sys_openat2(int directory, const char *path, const struct open_how *how);
int sys_fstat(int fd, struct stat *status);
int sys_setfl(int fd, int flags);
int sys_close(int fd);

/* Waiting: epoll_create1(2), epoll_ctl(2), epoll_wait(2), eventfd(2). timeout_ms -1 waits for ever. */
int sys_epoll_create1(int flags);
int sys_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int sys_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);
int sys_eventfd(unsigned initial, int flags);

/* Linux AIO: io_setup(2), io_destroy(2), io_submit(2), io_getevents(2) with a zero timeout, so that it never waits. */
int sys_io_setup(int depth, io_context_t *context);
int sys_io_destroy(io_context_t context);
int sys_io_submit(io_context_t context, long count, struct iocb **iocbs);
int sys_io_getevents(io_context_t context, long count, struct io_event *events);

/* Memory: mmap(2) of private anonymous pages without reserve, MADV_DONTNEED of madvise(2), munmap(2). */
int sys_map_pages(size_t size, void **pages);
int sys_drop_pages(void *pages, size_t size);
int sys_unmap_pages(void *pages, size_t size);

/* Clocks and limits: clock_gettime(2), getrlimit(2), setrlimit(2). */
int sys_clock_gettime(clockid_t clock, struct timespec *now);
int sys_getrlimit(int resource, struct rlimit *limit);
int sys_setrlimit(int resource, const struct rlimit *limit);

#endif
