/*
 * warden.c - stands outside of the box and answers the calls that its filter refers to us, one after another.
 *
 *   warden CONTROL GATE FAULT…
 *
 *     the checker  <-- CONTROL -->  the warden  <-- the filter's listener --  the server in the box
 *
 * GATE brings the listener (enter.c). On CONTROL, one packet each way: "ready" or "trouble: …" at first, then for each
 *     report                           "HELD FIT HITS…": how many reads are held; "fit", or "unfit", as the target uses
 *                                      its queue for other than reads, or "refused", as the machine does not let us
 *                                      reach the target; and of each FAULT but contexts how many calls it has hit
 *     release COUNT ERROR LAST_FIRST   complete COUNT of the reads held, -1: all and all to come; the same answer
 *
 * Ends when the checker closes CONTROL or is gone. Without a warden the kernel answers ENOSYS in its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "contexts.h"
#include "faults.h"
#include "queue.h"
#include "target.h"
#include "transfer.h"

#define WAITING_MAX 512 /* calls that wait at once: threads of the target. One more is left to the kernel. */
#define LOOK_MS 50      /* how often waiting calls are looked at that may have ended by a deadly signal */
/* Descriptors that a target has in a check with faults; the kernel's table of ours grows with the highest number. */
#define NUMBERS_MAX (1 << 14)
#define NS_PER_MS 1000000LL

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* headers older than Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif

struct waiting {
    struct call call;
    struct due due;
    int fd; /* -1: waits for the queue */
    short events;
    int64_t deadline_ns; /* -1: none */
};

static struct faults faults;
static struct waiting waiting[WAITING_MAX];
static size_t waiting_count;
static int listener;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

static void reply(const struct call *call, struct answer answer)
{
    struct seccomp_notif_resp response = {.id = call->id};

    if (answer.kind == ANSWER_RUN)
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    else if (answer.value < 0)
        response.error = (int)answer.value;
    else
        response.val = answer.value;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response); /* fails where the thread was killed meanwhile */
}

/* What is to become of a call. `due` is filled in when it is first asked about; `expired`: it has waited as long as it
 * wanted to. */
static struct answer decide(const struct call *call, struct due *due, bool expired)
{
    enum calls calls = faults_calls(call->number);
    struct answer answer;

    switch (calls) {
    case CALLS_RECEIVE:
    case CALLS_SEND:
    case CALLS_SENDFILE:
        return transfer(call, &faults, due);
    case CALLS_ACCEPT:
        return transfer_accept(call, &faults);
    case CALLS_DESTROY:
        answer = queue_destroy(call);
        if (faults_contexts(&faults) < SIZE_MAX && answer.kind == ANSWER_RUN)
            contexts_destroy(call);
        return answer;
    case CALLS_SETUP:
    case CALLS_SUBMIT:
    case CALLS_GETEVENTS:
    case CALLS_WAIT:
    case CALLS_AIO:
    case CALLS_OTHER:
        break;
    }
    if (!due->known)
        *due = faults_due(&faults, calls, 0, false);
    if (due->refusal) {
        due->refusal->hits++;
        return answer_value(-due->refusal->error);
    }
    if (calls == CALLS_SETUP)
        return contexts_setup(call, faults_contexts(&faults));
    if (calls == CALLS_SUBMIT && faults_take_reads(&faults))
        return queue_submit(call, &faults, due->cuts);
    if (calls == CALLS_GETEVENTS && faults_take_reads(&faults))
        return queue_take(call, expired);
    return answer_run();
}

/* Decide on a call, or put it among those that wait until `deadline_ns` (0: what the answer says). */
static void settle(const struct call *call, struct due due, bool expired, int64_t deadline_ns)
{
    struct answer answer = decide(call, &due, expired);
    bool waits = answer.kind == ANSWER_WAIT && waiting_count < WAITING_MAX;

    if (!waits) {
        if (answer.fd >= 0)
            close(answer.fd);
        reply(call, answer.kind == ANSWER_WAIT ? answer_run() : answer);
        return;
    }
    if (!deadline_ns)
        deadline_ns = answer.timeout_ns < 0 ? -1 : now_ns() + answer.timeout_ns;
    waiting[waiting_count++] = (struct waiting){*call, due, answer.fd, answer.events, deadline_ns};
}

static void take_call(void)
{
    struct seccomp_notif notice = {0};

    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0)
        return; /* killed meanwhile */
    struct call call = {.id = notice.id,
                        .thread = (pid_t)notice.pid,
                        .number = notice.data.nr,
                        .process = target_process((pid_t)notice.pid)};
    for (size_t i = 0; i < 6; i++)
        call.arguments[i] = notice.data.args[i];
    /* Still there: so it was its process that was found by the thread's number. */
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call.id) == 0)
        settle(&call, (struct due){0}, false, 0);
}

/* Look again at the calls that wait: at those for which `ready` says so, and at those that are over. */
static void look_again(const struct pollfd *polled, bool queue_moved)
{
    int64_t now = now_ns();
    size_t count = waiting_count;
    static struct waiting before[WAITING_MAX];

    memcpy(before, waiting, count * sizeof *before);
    waiting_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct waiting *one = &before[i];
        bool expired = one->deadline_ns >= 0 && now >= one->deadline_ns;
        bool gone = ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &one->call.id) != 0;
        bool ready = one->fd >= 0 ? polled[i].revents != 0 : queue_moved || expired;
        if (!gone && !ready) {
            waiting[waiting_count++] = *one;
            continue;
        }
        if (one->fd >= 0)
            close(one->fd);
        if (!gone)
            settle(&one->call, one->due, expired, one->deadline_ns);
    }
}

/* Tell the checker what came of the faults so far; false when it is gone. */
static bool report(int control)
{
    char text[64 + FAULTS_MAX * 21];   /* 21: a space and 64 bits */
    unsigned long held = queue_held(); /* first: it reaches the target, and may be refused */
    const char *fit = target_refused() ? "refused" : queue_unfit() ? "unfit" : "fit";
    int size = snprintf(text, sizeof text, "%lu %s", held, fit);

    for (size_t i = 0; i < faults.count; i++)
        if (faults.list[i].kind != FAULT_CONTEXTS)
            size += snprintf(text + size, sizeof text - (size_t)size, " %lu", faults.list[i].hits);
    return send(control, text, (size_t)size, MSG_NOSIGNAL) == size;
}

/* What the checker asks for; false when it is gone. */
static bool obey(int control)
{
    char text[128] = "";
    long count;
    int error, last_first;

    if (recv(control, text, sizeof text - 1, 0) <= 0)
        return false;
    if (sscanf(text, "release %ld %d %d", &count, &error, &last_first) == 3)
        queue_release(&faults, count < 0 ? 0 : (unsigned long)count, count < 0, error, last_first != 0);
    return report(control);
}

/* How long nothing but a descriptor can bring news: until the first deadline of a call that waits, -1: for ever. */
static int64_t quiet_ns(void)
{
    int64_t wait_ns = waiting_count ? LOOK_MS * NS_PER_MS : -1, now = now_ns();

    for (size_t i = 0; i < waiting_count; i++) {
        int64_t left = waiting[i].deadline_ns - now;
        if (waiting[i].deadline_ns >= 0 && left < wait_ns)
            wait_ns = left > 0 ? left : 0;
    }
    return wait_ns;
}

/* Until the checker is gone. */
static void serve(int control)
{
    static struct pollfd polled[2 + WAITING_MAX];

    for (;;) {
        bool moved = queue_changed();
        int64_t wait_ns = moved ? 0 : quiet_ns();
        struct timespec wait = {.tv_nsec = wait_ns};

        polled[0] = (struct pollfd){.fd = control, .events = POLLIN};
        polled[1] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (size_t i = 0; i < waiting_count; i++)
            polled[2 + i] = (struct pollfd){.fd = waiting[i].fd, .events = waiting[i].events};
        if (ppoll(polled, 2 + waiting_count, wait_ns < 0 ? NULL : &wait, NULL) < 0)
            return;
        if (polled[0].revents && !obey(control))
            return;
        look_again(polled + 2, queue_changed() || moved);
        if (polled[1].revents & POLLIN) {
            take_call();
        } else if (polled[1].revents) { /* all that the filter held for have ended: no more calls, but questions */
            close(listener);
            listener = -1;
        }
    }
}

/* The listener that comes through the gate; -1 when the gate is closed instead, or the checker has gone. */
static int receive_listener(int gate, int control)
{
    struct pollfd polled[] = {{.fd = gate, .events = POLLIN}, {.fd = control}};
    char word;
    struct iovec text = {&word, 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } rights;
    struct msghdr message = {
        .msg_iov = &text, .msg_iovlen = 1, .msg_control = rights.room, .msg_controllen = sizeof rights.room};
    int received = -1;

    if (poll(polled, 2, -1) < 0 || polled[1].revents)
        return -1;
    if (recvmsg(gate, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message) &&
        rights.header.cmsg_type == SCM_RIGHTS)
        memcpy(&received, CMSG_DATA(&rights.header), sizeof received);
    return received;
}

int main(int count, char *words[])
{
    struct rlimit limit;

    if (count < 3 || !faults_read(&faults, (size_t)(count - 3), words + 3))
        return 2;
    signal(SIGPIPE, SIG_IGN); /* what the target does to a broken connection must not end us */
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    target_numbers_end = (int)(limit.rlim_max / 2 < NUMBERS_MAX ? limit.rlim_max / 2 : NUMBERS_MAX);
    int control = target_keep(atoi(words[1])), gate = target_keep(atoi(words[2]));
    listener = target_keep(receive_listener(gate, control));
    close(gate);
    const char *word = listener < 0 ? "trouble: the box was not entered" : "ready";
    if (send(control, word, strlen(word), MSG_NOSIGNAL) >= 0 && listener >= 0) {
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
        serve(control);
    }
    /* The checker has gone, perhaps by a SIGKILL, and bwrap ends with it; but not one half of bwrap that still waits
     * for the other half when that has just ended. They are of our process group, like us. */
    if (getpgrp() == getpid())
        kill(0, SIGKILL);
    return 0;
}
