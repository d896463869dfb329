/* Included before a server's first line: its calls go to the kernel without the C library's functions. */
#ifndef RAW_H
#define RAW_H

#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define recv(...) syscall(SYS_recvfrom, __VA_ARGS__, NULL, NULL)
#define send(...) syscall(SYS_sendto, __VA_ARGS__, NULL, 0)
#define sendfile(...) syscall(SYS_sendfile, __VA_ARGS__)
#define accept4(...) (int)syscall(SYS_accept4, __VA_ARGS__)
#define epoll_pwait(...) syscall(SYS_epoll_pwait, __VA_ARGS__, 8)

#endif
