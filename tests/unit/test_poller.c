/*
 * test_poller.c - interest to epoll's bits, epoll's bits to readiness, and how long a wait is.
 */
#include "poller.h"

#include <errno.h>
#include <limits.h>

#include "fake_sys.h"
#include "unit.h"

#define EPOLL 6
#define FD 9

static struct poller poller = {.fd = EPOLL};
static struct poller_event events[POLLER_EVENTS_MAX];

Test(poller, it_is_opened_close_on_exec_and_closed)
{
    struct poller opened;
    expect(epoll_create1, WITH(EPOLL_CLOEXEC), .result = EPOLL);
    cr_assert(eq(int, poller_open(&opened), 0));

    expect(close, WITH(EPOLL));
    poller_close(&opened);

    expect(epoll_create1, .result = -EMFILE);
    cr_assert(eq(int, poller_open(&opened), -EMFILE));
    script_is_over();
}

Test(poller, interest_is_told_level_triggered)
{
    const struct {
        unsigned interest;
        uint32_t events;
    } rows[] = {{0, 0},
                {POLLER_READABLE, EPOLLIN},
                {POLLER_WRITABLE, EPOLLOUT},
                {POLLER_READABLE | POLLER_WRITABLE, EPOLLIN | EPOLLOUT},
                {POLLER_HANGUP, 0}}; /* reported whether asked for or not */
    int source;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect(epoll_ctl, WITH(EPOLL, EPOLL_CTL_ADD, FD, rows[i].events), .source = &source);
        cr_expect(eq(int, poller_add(&poller, FD, rows[i].interest, &source), 0));
        expect(epoll_ctl, WITH(EPOLL, EPOLL_CTL_MOD, FD, rows[i].events), .source = &source);
        cr_expect(eq(int, poller_change(&poller, FD, rows[i].interest, &source), 0));
        script_is_over();
    }
}

Test(poller, a_refusal_to_watch_comes_back)
{
    expect(epoll_ctl, .result = -ENOSPC);
    cr_assert(eq(int, poller_add(&poller, FD, POLLER_READABLE, &poller), -ENOSPC));
    expect(epoll_ctl, .result = -ENOENT);
    cr_assert(eq(int, poller_change(&poller, FD, POLLER_READABLE, &poller), -ENOENT));
    script_is_over();
}

Test(poller, every_wake_up_is_told_with_its_source_and_readiness)
{
    const struct {
        uint32_t events;
        unsigned ready;
    } rows[] = {
        {EPOLLIN, POLLER_READABLE},
        {EPOLLOUT, POLLER_WRITABLE},
        {EPOLLERR, POLLER_HANGUP},
        {EPOLLHUP, POLLER_HANGUP},
        {EPOLLERR | EPOLLHUP, POLLER_HANGUP},
        {EPOLLIN | EPOLLOUT, POLLER_READABLE | POLLER_WRITABLE},
        {EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP, POLLER_READABLE | POLLER_WRITABLE | POLLER_HANGUP},
        {EPOLLIN | EPOLLRDHUP, POLLER_READABLE}, /* a half-close is no hang-up */
        {EPOLLPRI, 0},
    };
    enum { COUNT = sizeof rows / sizeof rows[0] };
    int sources[COUNT];
    struct script_step step = {.name = CALL_epoll_wait, .file = __FILE__, .line = __LINE__, .result = COUNT};
    for (int i = 0; i < COUNT; i++)
        step.events[i] = (struct epoll_event){.events = rows[i].events, .data.ptr = &sources[i]};
    script_expect(step);

    cr_assert(eq(int, poller_wait(&poller, events, -1), COUNT));
    for (int i = 0; i < COUNT; i++) {
        cr_expect(eq(ptr, events[i].source, &sources[i]), "row %d", i);
        cr_expect(eq(u32, events[i].ready, rows[i].ready), "row %d", i);
    }
    script_is_over();
}

Test(poller, a_wait_is_as_long_as_asked_for_and_as_epoll_can_be)
{
    const struct {
        int64_t asked_ms;
        long waited_ms;
    } rows[] = {{-1, -1}, {0, 0}, {1, 1}, {INT_MAX, INT_MAX}, {INT_MAX + 1L, INT_MAX}, {INT64_MAX, INT_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect(epoll_wait, WITH(EPOLL, POLLER_EVENTS_MAX, rows[i].waited_ms));
        cr_expect(eq(int, poller_wait(&poller, events, rows[i].asked_ms), 0));
        script_is_over();
    }
}

Test(poller, a_signal_is_a_wait_without_events_and_every_other_failure_is_told)
{
    expect(epoll_wait, .result = -EINTR);
    cr_assert(eq(int, poller_wait(&poller, events, -1), 0));
    expect(epoll_wait, .result = -EBADF);
    cr_assert(eq(int, poller_wait(&poller, events, -1), -EBADF));
    expect(epoll_wait, .result = -EINVAL);
    cr_assert(eq(int, poller_wait(&poller, events, -1), -EINVAL));
    script_is_over();
}
