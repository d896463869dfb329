/*
 * test_request.c - requests in pieces of every size, limits, and memory that is missing.
 */
#include "request.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_faults.h"
#include "fixture.h"
#include "unit.h"

/* Up to this size a fixture is fed in three pieces at every pair of positions, too: there are size * size / 2. */
#define SMALL 200

static struct request request;

/* --- feeding ---------------------------------------------------------------------------------------------------- */

/* Feed `count` bytes in pieces that end at the `cuts`, which ascend, until a verdict other than MORE. */
static enum request_verdict feed_cut(const char *bytes, size_t count, const size_t cuts[], size_t cut_count)
{
    enum request_verdict verdict = REQUEST_MORE;
    size_t at = 0;
    for (size_t i = 0; i <= cut_count && verdict == REQUEST_MORE; i++) {
        size_t end = i < cut_count ? cuts[i] : count;
        verdict = request_feed(&request, bytes + at, end - at);
        at = end;
    }
    return verdict;
}

static enum request_verdict feed(const char *bytes)
{
    return request_feed(&request, bytes, strlen(bytes));
}

static enum request_verdict feed_byte_by_byte(const char *bytes, size_t count)
{
    enum request_verdict verdict = REQUEST_MORE;
    for (size_t i = 0; i < count && verdict == REQUEST_MORE; i++)
        verdict = request_feed(&request, bytes + i, 1);
    return verdict;
}

/* What `request` says, in the words of a fixture's parser line. The next call overwrites it. */
static char *in_words(enum request_verdict verdict)
{
    static char words[REQUEST_TARGET_MAX + 64];
    if (verdict != REQUEST_DONE)
        return text(verdict == REQUEST_BAD ? "bad" : "more");
    cr_assert(eq(sz, strlen(request.target), request.target_length), "the target is not terminated at its end");
    snprintf(words, sizeof words, "done %s %s %d.%d", http_method_str((enum http_method)request.parser.method),
             request.target, request.parser.http_major, request.parser.http_minor);
    return words;
}

/* Feed a fixture cut at `cuts` and compare. Tens of thousands of times: an assertion is made of a difference only. */
static void feed_fixture(const struct fixture *fixture, const size_t cuts[], size_t cut_count)
{
    request_init(&request);
    char *got = in_words(feed_cut(fixture->bytes, fixture->count, cuts, cut_count));
    if (strcmp(got, fixture->parser) != 0)
        cr_assert(eq(str, got, fixture->parser), "%s, cut at %zu and %zu", fixture->name, cut_count > 0 ? cuts[0] : 0,
                  cut_count > 1 ? cuts[1] : 0);
    request_destroy(&request);
}

/* --- fixtures --------------------------------------------------------------------------------------------------- */

Test(request, every_fixture_has_its_verdict_whole_and_byte_by_byte)
{
    size_t count;
    struct fixture *fixtures = fixtures_read(&count);
    for (size_t i = 0; i < count; i++) {
        feed_fixture(&fixtures[i], NULL, 0);

        request_init(&request);
        char *got = in_words(feed_byte_by_byte(fixtures[i].bytes, fixtures[i].count));
        cr_expect(eq(str, got, fixtures[i].parser), "%s, byte by byte", fixtures[i].name);
        request_destroy(&request);
    }
    fixtures_free(fixtures, count);
    cr_assert(not(memory_leaked()));
}

Test(request, every_fixture_has_its_verdict_at_every_split_in_two)
{
    size_t count;
    struct fixture *fixtures = fixtures_read(&count);
    for (size_t i = 0; i < count; i++)
        /* A first piece beyond the limit is the last that is looked at. */
        for (size_t cut = 1; cut < fixtures[i].count && cut <= REQUEST_HEAD_MAX + 2; cut++)
            feed_fixture(&fixtures[i], &cut, 1);
    fixtures_free(fixtures, count);
    cr_assert(not(memory_leaked()));
}

Test(request, every_small_fixture_has_its_verdict_at_every_split_in_three)
{
    size_t count, small = 0;
    struct fixture *fixtures = fixtures_read(&count);
    for (size_t i = 0; i < count; i++) {
        if (fixtures[i].count > SMALL)
            continue;
        small++;
        for (size_t first = 1; first < fixtures[i].count - 1; first++)
            for (size_t second = first + 1; second < fixtures[i].count; second++)
                feed_fixture(&fixtures[i], (const size_t[]){first, second}, 2);
    }
    cr_assert(gt(sz, small, count / 2), "most fixtures are small");
    fixtures_free(fixtures, count);
    cr_assert(not(memory_leaked()));
}

/* --- what is kept ----------------------------------------------------------------------------------------------- */

Test(request, target_in_pieces_is_joined)
{
    request_init(&request);
    cr_assert(eq(int, feed("GET /sta"), REQUEST_MORE));
    cr_assert(eq(str, request.target, text("/sta")));
    cr_assert(eq(int, feed("tic/a"), REQUEST_MORE));
    cr_assert(eq(int, feed("?q HTTP/1.0\r\n\r\n"), REQUEST_DONE));

    cr_assert(eq(str, request.target, text("/static/a?q")));
    cr_assert(eq(int, (int)request.parser.method, HTTP_GET));
    cr_assert(eq(int, request.parser.http_minor, 0));
    request_destroy(&request);
}

Test(request, an_empty_one_owns_nothing_and_one_that_was_destroyed_is_empty)
{
    request_init(&request);
    cr_assert(zero(ptr, request.target));

    cr_assert(eq(int, feed("GET /static/a HTTP/1.1\r\nX: y\r\n"), REQUEST_MORE));
    request_destroy(&request);
    cr_assert(zero(ptr, request.target));
    cr_assert(zero(sz, request.target_length));
    cr_assert(zero(sz, request.head_length));
    request_destroy(&request);

    cr_assert(eq(int, feed("HEAD / HTTP/1.1\r\n\r\n"), REQUEST_DONE), "it can be used again");
    cr_assert(eq(str, request.target, text("/")));
    request_destroy(&request);
    cr_assert(not(memory_leaked()));
}

Test(request, whether_something_follows_the_head_is_known)
{
    const struct {
        const char *bytes;
        bool follows;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nContent-Length: 1844674407370955160\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", true},
        {"CONNECT a:1 HTTP/1.1\r\n\r\n", true},
        {"GET / HTTP/1.1\r\n\r\nG", true}, /* the next request, or noise */
        {"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        request_init(&request);
        cr_assert(eq(int, feed(rows[i].bytes), REQUEST_DONE), "%s", rows[i].bytes);
        cr_expect(eq(int, request.more_follows, rows[i].follows), "%s", rows[i].bytes);
        request_destroy(&request);
    }
}

Test(request, the_head_ends_at_its_line_feed)
{
    const char *head = "GET / HTTP/1.1\r\n\r\n", *rest = "POST /other HTTP/1.1\r\n\r\n";
    char both[64];
    snprintf(both, sizeof both, "%s%s", head, rest);

    request_init(&request);
    cr_assert(eq(int, feed(both), REQUEST_DONE));
    cr_assert(eq(sz, request.head_length, strlen(head)));
    cr_assert(eq(str, request.target, text("/")));
    request_destroy(&request);
}

/* --- limits ----------------------------------------------------------------------------------------------------- */

/* A request whose head has `size` bytes, NUL-terminated; the next call overwrites it. Lines of `line` bytes, as many as
 * fit, and a last one of the rest. */
static char *head_of(size_t size, size_t line)
{
    static char bytes[2 * REQUEST_HEAD_MAX];
    char *end = stpcpy(bytes, "GET / HTTP/1.1\r\n");
    while (end < bytes + size - 2) {
        size_t left = size - 2 - (size_t)(end - bytes);
        size_t length = left < 2 * line ? left : line;
        memset(end, 'v', length);
        memcpy(end, "X:", 2);
        memcpy(end + length - 2, "\r\n", 2);
        end += length;
    }
    strcpy(end, "\r\n");
    return bytes;
}

Test(request, a_head_may_have_16384_bytes_and_not_one_more)
{
    const struct {
        size_t size, line;
        enum request_verdict verdict;
    } rows[] = {
        {16384, 20000, REQUEST_DONE}, {16384, 16, REQUEST_DONE}, {16385, 20000, REQUEST_BAD},
        {16385, 16, REQUEST_BAD},     {20000, 16, REQUEST_BAD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *bytes = head_of(rows[i].size, rows[i].line);
        for (int split = 0; split < 2; split++) {
            enum request_problem problem = rows[i].verdict == REQUEST_DONE ? REQUEST_FINE : REQUEST_HEAD_TOO_LARGE;
            request_init(&request);
            enum request_verdict got = split ? feed_byte_by_byte(bytes, rows[i].size) : feed(bytes);
            cr_expect(eq(int, got, rows[i].verdict), "row %zu, %s", i, split ? "byte by byte" : "whole");
            cr_expect(eq(int, request.problem, problem), "row %zu, %s", i, split ? "byte by byte" : "whole");
            request_destroy(&request);
        }
    }
}

Test(request, a_head_without_end_is_refused_at_its_16385th_byte)
{
    char *bytes = head_of(2 * REQUEST_HEAD_MAX - 1, 2 * REQUEST_HEAD_MAX);
    request_init(&request);
    cr_assert(eq(int, request_feed(&request, bytes, REQUEST_HEAD_MAX), REQUEST_MORE));
    cr_assert(eq(int, request_feed(&request, bytes + REQUEST_HEAD_MAX, 1), REQUEST_BAD));
    cr_assert(eq(int, request.problem, REQUEST_HEAD_TOO_LARGE));
    request_destroy(&request);
}

Test(request, a_parser_with_a_lower_limit_refuses_in_the_same_words)
{
    http_parser_set_max_header_size(100);
    request_init(&request);
    cr_assert(eq(int, feed(head_of(200, 200)), REQUEST_BAD));
    cr_assert(eq(int, request.problem, REQUEST_HEAD_TOO_LARGE));
    request_destroy(&request);
}

Test(request, a_target_may_have_8000_bytes_and_not_one_more)
{
    /* Beside the limit, the sizes around which its memory grows. */
    const size_t lengths[] = {1, 126, 127, 128, 129, 255, 256, 257, 4095, 4096, 7999, 8000, 8001, 8192, 9000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] * 2; i++) {
        size_t length = lengths[i / 2];
        bool fits = length <= 8000, split = i % 2;
        char bytes[9100], target[9001];
        memset(target, 't', length);
        target[0] = '/';
        target[length] = '\0';
        int count = snprintf(bytes, sizeof bytes, "GET %s HTTP/1.1\r\n\r\n", target);

        request_init(&request);
        enum request_verdict got = split ? feed_byte_by_byte(bytes, (size_t)count) : feed(bytes);
        cr_assert(eq(int, got, fits ? REQUEST_DONE : REQUEST_BAD), "%zu bytes", length);
        cr_assert(eq(int, request.problem, fits ? REQUEST_FINE : REQUEST_TARGET_TOO_LONG), "%zu bytes", length);
        if (fits)
            cr_assert(eq(str, request.target, target), "%zu bytes", length);
        request_destroy(&request);
    }
    cr_assert(not(memory_leaked()));
}

Test(request, a_long_target_that_comes_byte_by_byte_costs_few_allocations)
{
    char bytes[8005] = "GET ";
    memset(bytes + 4, '/', 8000);
    request_init(&request);
    fail_allocation(0, false);
    cr_assert(eq(int, feed_byte_by_byte(bytes, 8004), REQUEST_MORE));
    cr_assert(le(uint, allocations_seen(), 7), "128 bytes doubled up to 8192");
    request_destroy(&request);
}

Test(request, what_is_not_a_request_is_called_malformed)
{
    request_init(&request);
    cr_assert(eq(int, feed("\x16\x03\x01"), REQUEST_BAD));
    cr_assert(eq(int, request.problem, REQUEST_MALFORMED));
    request_destroy(&request);
}

/* --- no memory, and our own faults ------------------------------------------------------------------------------ */

Test(request, no_memory_for_the_target_is_a_problem_of_its_own)
{
    request_init(&request);
    fail_next_allocation();
    cr_assert(eq(int, feed("GET /static/a HTTP/1.1\r\n\r\n"), REQUEST_BAD));
    cr_assert(eq(int, request.problem, REQUEST_NO_MEMORY));
    cr_assert(zero(ptr, request.target));
    request_destroy(&request);
}

Test(request, no_memory_to_let_the_target_grow_loses_nothing_but_the_request)
{
    char more[200];
    memset(more, 'x', sizeof more);

    request_init(&request);
    cr_assert(eq(int, feed("GET /static/a"), REQUEST_MORE));
    fail_next_allocation();
    cr_assert(eq(int, request_feed(&request, more, sizeof more), REQUEST_BAD));
    cr_assert(eq(int, request.problem, REQUEST_NO_MEMORY));
    request_destroy(&request);
    cr_assert(not(memory_leaked()));
}

Test(request, to_feed_nothing_is_our_fault, .signal = SIGABRT)
{
    request_init(&request);
    request_feed(&request, "", 0);
}

Test(request, to_feed_after_a_refusal_is_our_fault, .signal = SIGABRT)
{
    request_init(&request);
    cr_assert(eq(int, feed("nonsense\r\n"), REQUEST_BAD));
    feed("GET / HTTP/1.1\r\n\r\n");
}
