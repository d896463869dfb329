/*
 * target.h - a process under the warden: its call that waits for an answer, its memory, its descriptors.
 *
 * Nothing that is read here can be believed to stay: other threads of the process go on. A fault needs no more.
 */
#ifndef BOX_TARGET_H
#define BOX_TARGET_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* One system call that the filter referred to the warden (seccomp_unotify(2)). */
struct call {
    uint64_t id;
    pid_t thread;
    pid_t process; /* its thread group, as this machine numbers it */
    long number;
    uint64_t arguments[6];
};

/* What becomes of a call. */
enum answer_kind {
    ANSWER_RUN,   /* the kernel runs it as it is */
    ANSWER_VALUE, /* it returns `value`, or fails where that is a negative errno */
    ANSWER_WAIT,  /* it waits: for `events` on `fd`, which belongs to the answer, or (-1) for the queue of reads */
};

struct answer {
    enum answer_kind kind;
    int64_t value;
    int fd;
    short events;
    int64_t timeout_ns; /* -1: for ever */
};

struct answer answer_run(void);
struct answer answer_value(int64_t value);
struct answer answer_wait(int fd, short events, int64_t timeout_ns);

/* The lowest number of the warden's own descriptors: numbers below it can be made to mean what they mean there. */
extern int target_numbers_end;

/* Give a descriptor of ours that stays open for longer than a call a number that no target uses. -1 if it cannot. */
int target_keep(int fd);

/* Whether the machine has ever refused us a process: then what we said of its calls means nothing (ptrace(2)). */
bool target_refused(void);

/* Copy `size` bytes from or to the memory of `process`. False if not all of it is there. */
bool target_read(pid_t process, uint64_t address, void *bytes, size_t size);
bool target_write(pid_t process, uint64_t address, const void *bytes, size_t size);

/* The same with `count` pieces of its memory; copies as much as both sides have room for. Bytes, or -1. */
ssize_t target_gather(pid_t process, const struct iovec *pieces, size_t count, void *bytes, size_t size);
ssize_t target_scatter(pid_t process, const struct iovec *pieces, size_t count, const void *bytes, size_t size);

/* The thread group of a thread, or 0 when it is gone. */
pid_t target_process(pid_t thread);

/* A duplicate of its descriptor `fd`, the caller's to close soon: while it is open, a close there tells nobody.
 * Negative errno. */
int target_descriptor(pid_t process, int fd);

/* The signal that the kernel sends with EPIPE. */
void target_break_pipe(pid_t process);

/* Make epoll report again what is ready on its descriptor `fd`: an edge-triggered design was just told that nothing
 * is, and would wait for the next edge for ever. `file` is our duplicate of it. */
void target_ready_again(pid_t process, int fd, int file);

#endif
