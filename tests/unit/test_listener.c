/*
 * test_listener.c - how the server comes to listen, what can go wrong on the way, and what accept's errors mean.
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "fake_sys.h"
#include "unit.h"

#define FD 7
#define SOCKET_TYPE (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
#define BACKLOG 4096

static struct listener listener;

/* The calls of listener_open up to the `last`-th, which gives `result`; 0 is socket. */
static void expect_calls(int last, int family, uint16_t port, long result)
{
#define RESULT_OF(number, good) .result = (number) == last ? result : (good)
    expect(socket, WITH(family, SOCKET_TYPE, 0), RESULT_OF(0, FD));
    if (last > 0)
        expect(setsockopt, WITH(FD, SOL_SOCKET, SO_REUSEADDR, 1), RESULT_OF(1, 0));
    if (last > 1)
        expect(bind, WITH(FD, family, port), RESULT_OF(2, 0));
    if (last > 2)
        expect(listen, WITH(FD, BACKLOG), RESULT_OF(3, 0));
    if (last > 3)
        expect(getsockname, WITH(FD), .port = port ? port : 40001, RESULT_OF(4, 0));
}

Test(listener, it_listens_on_the_port_that_was_named)
{
    expect_calls(4, AF_INET, 8888, 0);
    cr_assert(eq(int, listener_open(&listener, "0.0.0.0", 8888), 0));
    cr_assert(eq(int, listener.fd, FD));
    cr_assert(eq(u16, listener.port, 8888));
    script_is_over();
}

Test(listener, port_0_becomes_the_one_that_the_kernel_chose)
{
    expect_calls(4, AF_INET6, 0, 0);
    cr_assert(eq(int, listener_open(&listener, "::1", 0), 0));
    cr_assert(eq(u16, listener.port, 40001));
    script_is_over();
}

/* Stands for the kernel: keeps the address that is bound, everything succeeds. */
static union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} bound;

static long keep_address(struct fake_call *call)
{
    if (call->name == CALL_bind)
        memcpy(&bound, call->in, call->arguments[1] == AF_INET6 ? sizeof bound.v6 : sizeof bound.v4);
    return 0;
}

Test(listener, the_address_is_the_one_that_was_named)
{
    const char *const addresses[] = {
        "0.0.0.0", "127.0.0.1", "192.168.1.254", "::", "::1", "fe80::1:2", "::ffff:1.2.3.4"};
    fake_kernel = keep_address;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        char got[INET6_ADDRSTRLEN] = "";
        cr_assert(eq(int, listener_open(&listener, addresses[i], 0x1234), 0));
        bool v6 = bound.any.sa_family == AF_INET6;
        inet_ntop(bound.any.sa_family, v6 ? (const void *)&bound.v6.sin6_addr : &bound.v4.sin_addr, got, sizeof got);
        cr_expect(eq(str, got, text(addresses[i])));
        cr_expect(eq(u16, ntohs(v6 ? bound.v6.sin6_port : bound.v4.sin_port), 0x1234));
        if (v6)
            cr_expect(zero(u32, bound.v6.sin6_scope_id | bound.v6.sin6_flowinfo));
    }
}

Test(listener, an_address_that_is_not_numeric_is_refused_before_any_call)
{
    const char *const addresses[] = {"", "localhost", "1.2.3", "256.0.0.1", "1.2.3.4:80", " 1.2.3.4", "[::1]", "::g"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        cr_expect(eq(int, listener_open(&listener, addresses[i], 0), -EINVAL), "of '%s'", addresses[i]);
    script_is_over();
}

Test(listener, whichever_call_fails_nothing_is_left_open)
{
    const int errors[] = {EMFILE, ENOPROTOOPT, EADDRINUSE, EADDRINUSE, ENOBUFS};
    for (int last = 0; last < 5; last++) {
        expect_calls(last, AF_INET, 8888, -errors[last]);
        if (last > 0)
            expect(close, WITH(FD));
        cr_expect(eq(int, listener_open(&listener, "127.0.0.1", 8888), -errors[last]), "call %d", last);
        script_is_over();
        listener_close(&listener); /* nothing more is closed */
    }
}

Test(listener, it_is_closed_once)
{
    struct listener open = {.fd = FD};
    expect(close, WITH(FD));
    listener_close(&open);
    listener_close(&open);
    cr_assert(eq(int, open.fd, -1));
    script_is_over();
}

/* Row: accept EAGAIN / ECONNABORTED / EMFILE, ENFILE: stop / skip / pause until a descriptor comes back. */
Test(listener, each_result_of_accept_means_take_stop_skip_or_pause)
{
    const struct {
        int result, meaning;
    } rows[] = {
        {FD, FD},
        {0, 0},
        {-EAGAIN, LISTENER_EMPTY},
        {-ECONNABORTED, LISTENER_SKIP},
        {-EINTR, LISTENER_SKIP},
        {-EMFILE, LISTENER_EXHAUSTED},
        {-ENFILE, LISTENER_EXHAUSTED},
        {-ENOBUFS, LISTENER_EXHAUSTED},
        {-ENOMEM, LISTENER_EXHAUSTED},
        /* accept(2): pending errors of the new socket, to be treated like EAGAIN, by asking again. */
        {-ENETDOWN, LISTENER_SKIP},
        {-EPROTO, LISTENER_SKIP},
        {-ENOPROTOOPT, LISTENER_SKIP},
        {-EHOSTDOWN, LISTENER_SKIP},
        {-ENONET, LISTENER_SKIP},
        {-EHOSTUNREACH, LISTENER_SKIP},
        {-EOPNOTSUPP, LISTENER_SKIP},
        {-ENETUNREACH, LISTENER_SKIP},
        {-EPERM, LISTENER_SKIP}, /* the firewall's word */
    };
    struct listener open = {.fd = 3};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect(accept4, WITH(3, SOCK_NONBLOCK | SOCK_CLOEXEC), .result = rows[i].result);
        cr_expect(eq(int, listener_accept(&open), rows[i].meaning), "of the result %d", rows[i].result);
        script_is_over();
    }
}
