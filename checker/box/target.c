/*
 * target.c - reaching into another process: process_vm_readv(2), pidfd_getfd(2), proc(5).
 */
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POLLERS_MAX 64 /* epoll instances of one process that are looked through: one for each of its threads */

int target_numbers_end;

static bool refused;

bool target_refused(void)
{
    return refused;
}

/* What a call on another process returned, which is seen on its way. */
static long seen(long result)
{
    refused |= result < 0 && errno == EPERM;
    return result;
}

int target_keep(int fd)
{
    int kept = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, target_numbers_end);
    if (fd >= 0)
        close(fd);
    return kept;
}

struct answer answer_run(void)
{
    return (struct answer){.kind = ANSWER_RUN, .fd = -1};
}

struct answer answer_value(int64_t value)
{
    return (struct answer){.kind = ANSWER_VALUE, .value = value, .fd = -1};
}

struct answer answer_wait(int fd, short events, int64_t timeout_ns)
{
    return (struct answer){.kind = ANSWER_WAIT, .fd = fd, .events = events, .timeout_ns = timeout_ns};
}

ssize_t target_gather(pid_t process, const struct iovec *pieces, size_t count, void *bytes, size_t size)
{
    return seen(process_vm_readv(process, &(struct iovec){bytes, size}, 1, pieces, count, 0));
}

ssize_t target_scatter(pid_t process, const struct iovec *pieces, size_t count, const void *bytes, size_t size)
{
    struct iovec local = {.iov_len = size};

    memcpy(&local.iov_base, &bytes, sizeof bytes); /* iovec(3) serves both ways and has no const */
    return seen(process_vm_writev(process, &local, 1, pieces, count, 0));
}

/* A piece of the other process' memory: an address there is no pointer here. */
static struct iovec piece(uint64_t address, size_t size)
{
    return (struct iovec){(void *)(uintptr_t)address, size};
}

bool target_read(pid_t process, uint64_t address, void *bytes, size_t size)
{
    struct iovec remote = piece(address, size);
    return target_gather(process, &remote, 1, bytes, size) == (ssize_t)size;
}

bool target_write(pid_t process, uint64_t address, const void *bytes, size_t size)
{
    struct iovec remote = piece(address, size);
    return target_scatter(process, &remote, 1, bytes, size) == (ssize_t)size;
}

pid_t target_process(pid_t thread)
{
    char path[64], line[128];
    int process = 0;

    snprintf(path, sizeof path, "/proc/%d/status", thread);
    FILE *status = fopen(path, "re");
    if (!status)
        return 0;
    while (!process && fgets(line, sizeof line, status))
        if (sscanf(line, "Tgid: %d", &process) != 1)
            process = 0;
    fclose(status);
    return process;
}

/* A pidfd of the process; one is kept, as mostly the same process calls again. It never means another process. */
static int handle_of(pid_t process)
{
    static int handle = -1;
    static pid_t owner;

    if (handle >= 0 && (owner != process || poll(&(struct pollfd){.fd = handle, .events = POLLIN}, 1, 0) != 0)) {
        close(handle);
        handle = -1;
    }
    if (handle < 0) {
        int low = (int)syscall(SYS_pidfd_open, process, 0);
        if (low < 0)
            return -errno;
        handle = target_keep(low);
        owner = process;
    }
    return handle;
}

int target_descriptor(pid_t process, int fd)
{
    int handle = handle_of(process);
    if (handle < 0)
        return handle;
    int copy = (int)seen(syscall(SYS_pidfd_getfd, handle, fd, 0));
    return copy < 0 ? -errno : copy;
}

void target_break_pipe(pid_t process)
{
    int handle = handle_of(process);
    if (handle >= 0)
        syscall(SYS_pidfd_send_signal, handle, SIGPIPE, NULL, 0);
}

/* Tell the epoll instance behind its descriptor `poller` the same interest in `fd` once more: epoll then looks at what
 * is ready (epoll_ctl(2), EPOLL_CTL_MOD). */
static void modify_again(pid_t process, int poller, int fd, int file, struct epoll_event interest)
{
    int instance = target_descriptor(process, poller);
    if (instance < 0)
        return;
    /* epoll knows a registration by file and number: ours must have the same number. */
    if (fd == instance) {
        int other = dup(instance);
        close(instance);
        instance = other;
    }
    if (fd == file) {
        epoll_ctl(instance, EPOLL_CTL_MOD, fd, &interest);
    } else if (dup2(file, fd) == fd) {
        epoll_ctl(instance, EPOLL_CTL_MOD, fd, &interest);
        close(fd);
    }
    close(instance);
}

/* What the epoll instance behind `poller` was asked about `fd`. False where it need not be told again: without EPOLLET
 * readiness is reported anyway, with EPOLLONESHOT it is the server that asks again. EPOLLEXCLUSIVE cannot be changed.
 */
static bool find_interest(pid_t process, int poller, int fd, struct epoll_event *interest)
{
    char path[64], line[256];
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", process, poller);
    FILE *registrations = fopen(path, "re");
    if (!registrations)
        return false;
    while (!found && fgets(line, sizeof line, registrations)) {
        unsigned events;
        unsigned long long data;
        int number;
        if (sscanf(line, "tfd: %d events: %x data: %llx", &number, &events, &data) != 3 || number != fd)
            continue;
        *interest = (struct epoll_event){events, {.u64 = data}};
        found = (events & EPOLLET) && !(events & (EPOLLONESHOT | EPOLLEXCLUSIVE));
    }
    fclose(registrations);
    return found;
}

/* The numbers of its descriptors of epoll instances, at most `size`. Returns how many. */
static size_t find_pollers(pid_t process, int pollers[], size_t size)
{
    char path[64], place[64];
    size_t count = 0;

    snprintf(path, sizeof path, "/proc/%d/fd", process);
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (struct dirent *entry; count < size && (entry = readdir(folder));) {
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, place, sizeof place - 1);
        place[length < 0 ? 0 : length] = '\0';
        if (strcmp(place, "anon_inode:[eventpoll]") == 0)
            pollers[count++] = atoi(entry->d_name);
    }
    closedir(folder);
    return count;
}

void target_ready_again(pid_t process, int fd, int file)
{
    int pollers[POLLERS_MAX];
    size_t count = fd < target_numbers_end ? find_pollers(process, pollers, POLLERS_MAX) : 0;
    struct epoll_event interest;

    for (size_t i = 0; i < count; i++)
        if (find_interest(process, pollers[i], fd, &interest))
            modify_again(process, pollers[i], fd, file, interest);
}
