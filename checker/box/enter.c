/*
 * enter.c - the last step into the box: sets the command's bounds from inside, and becomes the command.
 *
 *   enter GATE [BOUND…] [FAULT…] -- COMMAND [ARGUMENT…]
 *
 * The bounds are those of bounds.h. Then a seccomp filter (seccomp(2)) is installed that holds for the command and all
 * that it starts:
 *   - calls by another architecture's numbers (int $0x80, x32) end the process: no filter and no tracer knows them;
 *   - io_uring is not there (ENOSYS): its reads and sends are no system calls, nobody outside would see them;
 *   - the calls that a FAULT is about are referred to the warden, who stays outside.
 *
 * When all is in force, one byte leaves the box through the socket GATE, and the warden's end of the filter with it, if
 * there is one. Nothing of ours is open any more when the command begins.
 *
 * Linked statically: it runs where no library can be counted on. Exit codes of its own: 126 could not set the bounds,
 * 127 could not run the command; the reason is on standard error.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bounds.h"
#include "faults.h"

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the filter knows no system call numbers of this architecture"
#endif

#define NUMBERS_END 1024 /* above all system calls' numbers of today; x32 begins at 1 << 30 */

static _Noreturn void give_up(int code, const char *what)
{
    dprintf(STDERR_FILENO, "enter: %s: %s\n", what, strerror(errno));
    exit(code);
}

static void append(struct sock_fprog *program, struct sock_filter step)
{
    program->filter[program->len++] = step;
}

/* If the number loaded is `number`: end with `action`. */
static void append_action(struct sock_fprog *program, unsigned number, unsigned action)
{
    append(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    append(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Install the filter. Returns the warden's end where calls are referred to it, else -1. */
static int install_filter(const struct faults *faults)
{
    static struct sock_filter steps[2 * NUMBERS_END];
    struct sock_fprog program = {.filter = steps};
    bool refers = false;

    append(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    append(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    append(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    append(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    append(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 1u << 30, 0, 1));
    append(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    append_action(&program, SYS_io_uring_setup, SECCOMP_RET_ERRNO | ENOSYS);
    for (unsigned number = 0; number < NUMBERS_END; number++) {
        if (faults_concern(faults, number)) {
            append_action(&program, number, SECCOMP_RET_USER_NOTIF);
            refers = true;
        }
    }
    append(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        give_up(126, "no_new_privs");
    /* A call that is half done must not be begun again because of a signal: but for a deadly one, signals wait. */
    unsigned flags = refers ? SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0;
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (listener < 0)
        give_up(126, "seccomp");
    return refers ? listener : -1;
}

/* Say that all is in force, and hand the listener out, if it is not -1. By sendmmsg(2), which no fault is about: our
 * own calls are already referred to a warden who is still waiting for this. */
static void tell(int gate, int listener)
{
    char word = '!';
    struct iovec text = {&word, 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &text, .msg_iovlen = 1}};

    memcpy(CMSG_DATA(&control.header), &listener, sizeof listener);
    if (listener >= 0) {
        message.msg_hdr.msg_control = control.room;
        message.msg_hdr.msg_controllen = sizeof control.room;
    }
    if (sendmmsg(gate, &message, 1, 0) != 1)
        give_up(126, "sendmmsg");
}

int main(int count, char *words[])
{
    struct faults faults = {0};
    int at = 2;
    const char *failed = "arguments";

    errno = EINVAL;
    if (count < 4)
        give_up(126, failed);
    int first = at;
    while (at < count && bounds_know(words[at]))
        at++;
    int error = bounds_set((size_t)(at - first), words + first, &failed);
    if (error) {
        errno = -error;
        give_up(126, failed);
    }
    first = at;
    while (at < count && strcmp(words[at], "--") != 0)
        at++;
    errno = EINVAL;
    if (at + 1 >= count || !faults_read(&faults, (size_t)(at - first), words + first))
        give_up(126, "arguments");

    tell(atoi(words[1]), install_filter(&faults));
    close_range(STDERR_FILENO + 1, ~0U, 0);
    execv(words[at + 1], words + at + 1);
    give_up(127, words[at + 1]);
}
