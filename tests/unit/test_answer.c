/*
 * test_answer.c - from what was asked, and what was found, to the head of the answer.
 */
#include "answer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "alloc_faults.h"
#include "exchange.h"
#include "response.h"
#include "unit.h"

#define NOW 1700000000 /* Tue, 14 Nov 2023 22:13:20 GMT */

static struct connection *conn;

/* Ask for `request`, of which the first `head` bytes are the head, and prepare the answer. */
static void ask(const char *request)
{
    enum request_verdict verdict = request_feed(&conn->request, request, strlen(request));
    cr_assert(not(eq(int, (int)verdict, REQUEST_MORE)), "%s", request);
    cr_assert(answer_prepare(conn, verdict));
    cr_assert(zero(ptr, conn->request.target), "the request is not kept");
    cr_assert(eq(ptr, (void *)(uintptr_t)conn->write_buff, conn->head));
}

static int status(void)
{
    return atoi(conn->head + strlen("HTTP/1.1 "));
}

/* The field `name` of the head, or "" if there is none. */
static const char *field(const char *name)
{
    static char value[128];
    char wanted[64];

    snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
    value[0] = '\0';
    const char *start = memmem(conn->head, conn->write_length, wanted, strlen(wanted));
    if (start) {
        start += strlen(wanted);
        snprintf(value, sizeof value, "%.*s", (int)strcspn(start, "\r"), start);
    }
    return value;
}

/* Whether there are bytes after the head. */
static bool head_brings_a_body(void)
{
    const char *end = memmem(conn->head, conn->write_length, "\r\n\r\n", 4);
    return end + 4 < conn->head + conn->write_length;
}

static void next(void)
{
    if (conn)
        exchange_disconnect(conn);
    conn = exchange_connect();
}

static void finish(void)
{
    exchange_disconnect(conn);
    exchange_close();
}

Test(answer, a_document_is_described_and_taken_over)
{
    const struct {
        const char *request, *path, *type;
        enum resource_kind body;
    } rows[] = {
        {"GET /static/a.html HTTP/1.1\r\n\r\n", "static/a.html", "text/html; charset=utf-8", RESOURCE_STATIC},
        {"GET /dynamic/d%20e.txt?q HTTP/1.0\r\n\r\n", "dynamic/d e.txt", "text/plain; charset=utf-8", RESOURCE_DYNAMIC},
        {"HEAD /static/a HTTP/1.1\r\n\r\n", "static/a", "application/octet-stream", RESOURCE_NONE},
        {"GET http://x/static/a HTTP/1.1\r\n\r\n", "static/a", "application/octet-stream", RESOURCE_STATIC},
    };

    exchange_open(2, 2);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        next();
        expect(openat2,
               WITH(ROOT_FD, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS),
               .path = rows[i].path, .result = DOCUMENT_FD);
        expect(fstat, WITH(DOCUMENT_FD),
               .status = {.st_mode = S_IFREG | 0644, .st_size = 1234567, .st_mtim = {.tv_sec = NOW - 60}});
        expect(clock_gettime, WITH(CLOCK_REALTIME), .time = {.tv_sec = NOW});
        ask(rows[i].request);
        cr_assert(eq(int, status(), 200), "%s", rows[i].request);
        cr_assert(eq(str, text(field("Content-Length")), text("1234567")), "%s", rows[i].request);
        cr_assert(eq(str, text(field("Content-Type")), text(rows[i].type)), "%s", rows[i].request);
        cr_assert(eq(str, text(field("Last-Modified")), text("Tue, 14 Nov 2023 22:12:20 GMT")), "%s", rows[i].request);
        cr_assert(eq(str, text(field("Date")), text("Tue, 14 Nov 2023 22:13:20 GMT")), "%s", rows[i].request);
        cr_assert(not(head_brings_a_body()), "%s", rows[i].request);
        cr_assert(eq(int, (int)conn->body, (int)rows[i].body), "%s", rows[i].request);
        cr_assert(eq(int, conn->file, DOCUMENT_FD));
        cr_assert(eq(u64, conn->size, 1234567));
        cr_assert(eq(int, conn->load.file.fd, DOCUMENT_FD));
        cr_assert(eq(u64, conn->load.size, 1234567));
        cr_assert(not(conn->must_linger));
    }
    finish();
}

Test(answer, an_empty_document_has_no_body_to_send)
{
    exchange_open(2, 2);
    next();
    expect_document(0);
    ask(GET_DYNAMIC);
    cr_assert(eq(int, status(), 200));
    cr_assert(eq(str, text(field("Content-Length")), text("0")));
    cr_assert(eq(int, (int)conn->body, RESOURCE_NONE));
    finish();
}

/* Nothing of these is looked for: the script has no call. */
Test(answer, what_names_nothing_is_not_found_without_looking)
{
    const char *requests[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET /other/a HTTP/1.1\r\n\r\n",
        "GET /static/../a HTTP/1.1\r\n\r\n",
        "POST /static/a HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "GET /static/a\r\n\r\n",          /* HTTP/0.9 */
        "GET /static/a HTTP/2.0\r\n\r\n", /* not in this form */
        "rubbish\r\n\r\n",
    };

    exchange_open(2, 2);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        next();
        ask(requests[i]);
        cr_assert(eq(int, status(), 404), "%s", requests[i]);
        cr_assert(head_brings_a_body(), "%s", requests[i]);
        cr_assert(eq(int, (int)conn->body, RESOURCE_NONE), "%s", requests[i]);
        cr_assert(eq(int, conn->file, -1), "%s", requests[i]);
    }
    finish();
}

Test(answer, what_cannot_be_opened_is_not_found)
{
    const int errors[] = {-ENOENT, -EACCES, -EXDEV, -ELOOP, -EMFILE, -ENOMEM};

    exchange_open(2, 2);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        next();
        expect(openat2, WITH(ROOT_FD), .result = errors[i]);
        ask(GET_STATIC);
        cr_assert(eq(int, status(), 404), "after %d", errors[i]);
        cr_assert(eq(int, (int)conn->body, RESOURCE_NONE), "after %d", errors[i]);
        cr_assert(eq(int, conn->file, -1), "after %d", errors[i]);
    }
    finish();
}

Test(answer, a_directory_is_not_found_and_not_kept_open)
{
    exchange_open(2, 2);
    next();
    expect(openat2, WITH(ROOT_FD), .result = DOCUMENT_FD);
    expect(fstat, WITH(DOCUMENT_FD), .status = {.st_mode = S_IFDIR | 0755, .st_size = 4096});
    expect(close, WITH(DOCUMENT_FD));
    ask(GET_STATIC);
    cr_assert(eq(int, status(), 404));
    cr_assert(eq(int, (int)conn->body, RESOURCE_NONE));
    finish();
}

Test(answer, a_head_request_for_nothing_gets_no_body)
{
    exchange_open(2, 2);
    next();
    ask("HEAD /a HTTP/1.1\r\n\r\n");
    cr_assert(eq(int, status(), 404));
    cr_assert(not(head_brings_a_body()));
    cr_assert(not(zero(int, atoi(field("Content-Length")))), "the length of the body that GET would get");
    finish();
}

/* RST for bytes that nobody reads could destroy the answer: close in two steps. */
Test(answer, a_client_that_may_still_send_is_lingered_on)
{
    const struct {
        const char *request;
        bool lingers;
    } rows[] = {
        {GET_NOTHING, false},
        {GET_NOTHING GET_NOTHING, true},
        {"GET /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n", true},
        {"GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", true},
        {"rubbish\r\n\r\n", true},
    };

    exchange_open(2, 2);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        next();
        ask(rows[i].request);
        cr_assert(eq(int, conn->must_linger, rows[i].lingers), "%s", rows[i].request);
    }
    finish();
}

Test(answer, every_problem_of_a_request_has_an_answer)
{
    static char long_target[REQUEST_TARGET_MAX + 100] = "GET /static/";
    static char large_head[REQUEST_HEAD_MAX + 100] = "GET /static/a HTTP/1.1\r\nX: ";
    const char *requests[] = {"\x01\x02", long_target, large_head, GET_STATIC};
    const enum request_problem problems[] = {REQUEST_MALFORMED, REQUEST_TARGET_TOO_LONG, REQUEST_HEAD_TOO_LARGE,
                                             REQUEST_NO_MEMORY};

    memset(long_target + strlen(long_target), 'a', sizeof long_target - 1 - strlen(long_target));
    memset(large_head + strlen(large_head), 'a', sizeof large_head - 1 - strlen(large_head));
    exchange_open(2, 2);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        next();
        if (problems[i] == REQUEST_NO_MEMORY)
            fail_next_allocation();
        enum request_verdict verdict = request_feed(&conn->request, requests[i], strlen(requests[i]));
        cr_assert(eq(int, (int)verdict, REQUEST_BAD));
        cr_assert(eq(int, (int)conn->request.problem, (int)problems[i]));
        cr_assert(answer_prepare(conn, verdict));
        cr_assert(eq(int, status(), 404), "problem %d", (int)problems[i]);
        cr_assert(head_brings_a_body(), "problem %d", (int)problems[i]);
        cr_assert(conn->must_linger, "problem %d", (int)problems[i]);
    }
    finish();
}

Test(answer, the_longest_target_is_looked_for_as_it_is)
{
    static char target[REQUEST_TARGET_MAX + 1] = "/static/";
    static char request[REQUEST_TARGET_MAX + 100];

    memset(target + strlen(target), 'a', REQUEST_TARGET_MAX - strlen(target));
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n\r\n", target);
    exchange_open(2, 2);
    next();
    expect(openat2, WITH(ROOT_FD), .path = target + 1, .result = -ENAMETOOLONG);
    ask(request);
    cr_assert(eq(int, status(), 404));
    finish();
}

Test(answer, no_memory_for_a_head_is_no_answer)
{
    exchange_open(2, 2);
    next();
    cr_assert(eq(int, (int)request_feed(&conn->request, GET_STATIC, strlen(GET_STATIC)), REQUEST_DONE));
    fail_next_allocation();
    cr_assert(not(answer_prepare(conn, REQUEST_DONE)));
    cr_assert(zero(ptr, conn->head));
    cr_assert(eq(int, conn->file, -1));
    finish();
}
