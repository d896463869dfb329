/*
 * faults.c - the words for faults, and arithmetic on them. No system call is made here.
 */
#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

static const char *const names[] = {
    [CALLS_RECEIVE] = "receive", [CALLS_SEND] = "send",           [CALLS_SENDFILE] = "sendfile",
    [CALLS_ACCEPT] = "accept",   [CALLS_SUBMIT] = "submit",       [CALLS_WAIT] = "wait",
    [CALLS_AIO] = "aio",         [CALLS_GETEVENTS] = "getevents", [CALLS_SETUP] = "setup",
};

static const char *const shares[] = {[SHARE_ALL] = "all", [SHARE_HALF] = "half", [SHARE_ALL_BUT_ONE] = "all-but-one"};

/* The index of `word` in `table`, or -1. */
static int look_up(const char *word, const char *const *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, table[i]) == 0)
            return (int)i;
    return -1;
}

/* Which calls a fault of this kind is about, or -1; only some kinds name them. */
static int find_calls(enum fault_kind kind, const char *name)
{
    if (kind == FAULT_HOLD)
        return CALLS_AIO;
    return kind == FAULT_CONTEXTS ? CALLS_SETUP : look_up(name, names, sizeof names / sizeof *names);
}

static bool read_fault(struct fault *fault, const char *word)
{
    char calls[16] = "", share[16] = "all";
    int end = 0;

    *fault = (struct fault){.every = 1};
    if (sscanf(word, "cut:%15[a-z]:%zu:%15[a-z-]:%u:%u:%u%n", calls, &fault->most, share, &fault->first, &fault->every,
               &fault->connection, &end) == 6)
        fault->kind = FAULT_CUT;
    else if (sscanf(word, "refuse:%15[a-z]:%d:%u:%u:%u%n", calls, &fault->error, &fault->first, &fault->every,
                    &fault->connection, &end) == 5)
        fault->kind = FAULT_REFUSE;
    else if (sscanf(word, "hold:%u%n", &fault->first, &end) == 1)
        fault->kind = FAULT_HOLD;
    else if (sscanf(word, "contexts:%zu%n", &fault->most, &end) == 1)
        fault->kind = FAULT_CONTEXTS;
    int found = find_calls(fault->kind, calls);
    int part = look_up(share, shares, sizeof shares / sizeof *shares);
    if (end == 0 || word[end] != '\0' || found < 0 || part < 0)
        return false;
    fault->calls = (enum calls)found;
    fault->share = (enum share)part;
    return true;
}

bool faults_read(struct faults *faults, size_t count, char *const words[])
{
    if (count > FAULTS_MAX)
        return false;
    faults->count = count;
    for (size_t i = 0; i < count; i++)
        if (!read_fault(&faults->list[i], words[i]))
            return false;
    return true;
}

enum calls faults_calls(long number)
{
    switch (number) {
    case SYS_read:
    case SYS_readv:
    case SYS_recvfrom:
    case SYS_recvmsg:
        return CALLS_RECEIVE;
    case SYS_write:
    case SYS_writev:
    case SYS_sendto:
    case SYS_sendmsg:
        return CALLS_SEND;
    case SYS_sendfile:
        return CALLS_SENDFILE;
    case SYS_accept:
    case SYS_accept4:
        return CALLS_ACCEPT;
    case SYS_io_submit:
        return CALLS_SUBMIT;
#ifdef SYS_epoll_wait /* newer architectures have epoll_pwait alone */
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
        return CALLS_WAIT;
    case SYS_io_getevents:
    case SYS_io_pgetevents:
        return CALLS_GETEVENTS;
    case SYS_io_setup:
        return CALLS_SETUP;
    case SYS_io_destroy:
        return CALLS_DESTROY;
    default:
        return CALLS_OTHER;
    }
}

bool faults_take_reads(const struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        if (faults->list[i].calls == CALLS_AIO ||
            (faults->list[i].kind == FAULT_CUT && faults->list[i].calls == CALLS_SUBMIT))
            return true;
    return false;
}

size_t faults_contexts(const struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        if (faults->list[i].kind == FAULT_CONTEXTS)
            return faults->list[i].most;
    return SIZE_MAX;
}

bool faults_concern(const struct faults *faults, long number)
{
    enum calls calls = faults_calls(number);

    if (faults_take_reads(faults) && (calls == CALLS_SUBMIT || calls == CALLS_GETEVENTS || calls == CALLS_DESTROY))
        return true;
    for (size_t i = 0; i < faults->count; i++)
        if (calls != CALLS_OTHER && faults->list[i].calls == calls)
            return true;
    if (calls == CALLS_DESTROY)
        return faults_contexts(faults) < SIZE_MAX;
    return false;
}

/* Count one call; whether it is one of those to hit. */
static bool is_due(struct fault *fault)
{
    unsigned long number = ++fault->seen;

    if (number <= fault->first || !fault->every)
        return number == fault->first;
    return (number - fault->first) % fault->every == 0;
}

/* Whether the fault is about this call. */
static bool concerns(const struct fault *fault, enum calls calls, unsigned connection, bool blocks)
{
    if (fault->kind == FAULT_REFUSE && fault->error == EAGAIN && blocks)
        return false;
    return fault->calls == calls && (!fault->connection || fault->connection == connection);
}

struct due faults_due(struct faults *faults, enum calls calls, unsigned connection, bool blocks)
{
    struct due due = {.known = true};

    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = &faults->list[i];
        if (!concerns(fault, calls, connection, blocks) || !is_due(fault))
            continue;
        if (fault->kind == FAULT_CUT)
            due.cuts |= UINT32_C(1) << i;
        else if (fault->kind == FAULT_HOLD)
            due.hold = fault;
        else if (fault->kind == FAULT_REFUSE && !due.refusal)
            due.refusal = fault;
    }
    return due;
}

static size_t cut_by(const struct fault *fault, size_t size)
{
    if (fault->share == SHARE_HALF)
        size = (size + 1) / 2;
    else if (fault->share == SHARE_ALL_BUT_ONE && size > 1)
        size--;
    return fault->most && size > fault->most ? fault->most : size;
}

size_t faults_cut(const struct faults *faults, uint32_t cuts, size_t size)
{
    size_t least = size;

    for (size_t i = 0; i < faults->count; i++) {
        size_t part = cuts >> i & 1 ? cut_by(&faults->list[i], size) : size;
        least = part < least ? part : least;
    }
    return least;
}

void faults_hit(struct faults *faults, uint32_t cuts, size_t size)
{
    size_t least = faults_cut(faults, cuts, size);

    for (size_t i = 0; i < faults->count; i++)
        if (least < size && cuts >> i & 1 && cut_by(&faults->list[i], size) == least)
            faults->list[i].hits++;
}
