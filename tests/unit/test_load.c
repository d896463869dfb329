/*
 * test_load.c - windows of files, and who gets memory next when there is not enough.
 *
 * Rows of "the server must":
 *   no memory for a buffer                   that one waits; the server serves on
 *   AIO res short or 0 before the end        the load fails
 *   peer gone while a read is in flight      the load lives until the completion
 */
#include "load.h"

#include <errno.h>
#include <linux/fs.h>
#include <signal.h>

#include "alloc_faults.h"
#include "fake_sys.h"
#include "unit.h"

#define BUFFER ((long)POOL_BUFFER_SIZE)

enum { EVENT_FD = 7, FD_A = 20, FD_B = 21, FD_C = 22 };

static struct loader loader;
static struct load a, b, c;
static char owner_a, owner_b, owner_c;
static _Alignas(AIO_ALIGNMENT) char pages[8][POOL_BUFFER_SIZE];

/* A loader with `buffers` buffers in all, windows of `window` buffers, and three files of three buffers and 100 bytes.
 */
static void start_loader(int window, int buffers)
{
    const uint64_t size = 3 * POOL_BUFFER_SIZE + 100;

    expect(map_pages, WITH(buffers * BUFFER), .pages = pages);
    expect(io_setup, WITH(ANY));
    expect(eventfd, WITH(ANY), .result = EVENT_FD);
    cr_assert(eq(int, loader_init(&loader, (size_t)(window * BUFFER), (size_t)(buffers * BUFFER)), 0));
    load_init(&a, FD_A, size, &owner_a);
    load_init(&b, FD_B, size, &owner_b);
    load_init(&c, FD_C, size, &owner_c);
}

/* Every buffer must be back by now. */
static void stop_loader(void)
{
    expect(io_destroy, WITH(ANY));
    expect(close, WITH(EVENT_FD));
    expect(unmap_pages, WITH(ANY));
    loader_destroy(&loader);
    script_is_over();
    cr_assert(not(memory_leaked()));
}

/* Run the loader: it submits one read for each of `...`, {fd, offset, size, RWF_NOWAIT}. */
#define expect_submit(count_, ...) expect(io_submit, WITH(ANY, (count_)), .iocbs = {__VA_ARGS__}, .result = (count_))
#define READ_OF(fd, nth)                                                                                               \
    {                                                                                                                  \
        (fd), (nth)*BUFFER, POOL_BUFFER_SIZE, RWF_NOWAIT                                                               \
    }
#define TAIL_OF(fd)                                                                                                    \
    {                                                                                                                  \
        (fd), 3 * BUFFER, 100, RWF_NOWAIT                                                                              \
    }

/* Complete the `count` reads from `first` on with `result` each. */
static void complete(int first, int count, long result)
{
    for (int i = first; i < first + count; i++)
        expect_completions(EVENT_FD, 1, {i, result});
    for (int i = first; i < first + count; i++)
        loader_collect(&loader);
}

static void assert_status(const struct load *load, enum load_status want)
{
    cr_assert(eq(int, (int)load->status, (int)want));
}

static void assert_finished(void *owner)
{
    cr_assert(eq(ptr, loader_next_finished(&loader), owner));
}

static void assert_none_finished(void)
{
    cr_assert(zero(ptr, loader_next_finished(&loader)));
}

/* The front of `load` are the file's bytes from load->consumed on, `count` of them. */
static void assert_front(const struct load *load, size_t count)
{
    const char *bytes;
    cr_assert(eq(sz, load_front(load, &bytes), count));
    cr_assert(eq(sz, fake_differs_at(bytes, load->consumed, count), count));
}

/* Bring `load` to READY with its first window of `buffers` buffers, which take the reads from script_accepted on. */
static void make_ready(struct load *load, int buffers)
{
    int first = script_accepted;
    load_request(&loader, load);
    expect(io_submit, WITH(ANY, buffers), .result = buffers);
    loader_run(&loader);
    complete(first, buffers, BUFFER);
    assert_finished(load->owner);
    assert_status(load, LOAD_READY);
}

/* --- the loader's own life -------------------------------------------------------------------------------------- */

Test(load, window_and_memory_hold_one_buffer_at_least)
{
    expect(map_pages, WITH(BUFFER), .pages = pages);
    expect(io_setup, WITH(ANY));
    expect(eventfd, WITH(ANY), .result = EVENT_FD);
    cr_assert(eq(int, loader_init(&loader, 1, 1), 0));
    cr_assert(eq(sz, loader.window, 1));
    stop_loader();
}

Test(load, no_address_space_is_reported)
{
    expect(map_pages, WITH(ANY), .result = -ENOMEM);
    cr_assert(eq(int, loader_init(&loader, 1, 1), -ENOMEM));
    script_is_over();
}

Test(load, no_io_context_gives_the_buffers_back)
{
    expect(map_pages, WITH(ANY), .pages = pages);
    expect(io_setup, WITH(ANY), .result = -EAGAIN);
    expect(unmap_pages, WITH((long)pages, BUFFER));
    cr_assert(eq(int, loader_init(&loader, 1, 1), -EAGAIN));
    script_is_over();
    cr_assert(not(memory_leaked()));
}

/* --- windows ---------------------------------------------------------------------------------------------------- */

Test(load, a_file_that_fits_its_window_is_read_whole)
{
    start_loader(4, 8);
    load_request(&loader, &a);
    assert_status(&a, LOAD_COMING);
    expect_submit(4, READ_OF(FD_A, 0), READ_OF(FD_A, 1), READ_OF(FD_A, 2), TAIL_OF(FD_A));
    loader_run(&loader);

    complete(1, 2, BUFFER); /* the kernel's order is its own */
    complete(3, 1, 100);
    assert_none_finished();
    complete(0, 1, BUFFER);
    assert_finished(&owner_a);
    assert_none_finished();
    assert_status(&a, LOAD_READY);

    assert_front(&a, POOL_BUFFER_SIZE);
    load_consume(&loader, &a, 5);
    assert_front(&a, POOL_BUFFER_SIZE - 5);
    cr_assert(eq(sz, loader.pool.available, 4));
    load_consume(&loader, &a, POOL_BUFFER_SIZE - 5);
    cr_assert(eq(sz, loader.pool.available, 5), "what was sent is given back at once");
    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    assert_front(&a, 100);
    load_consume(&loader, &a, 0);
    assert_status(&a, LOAD_READY);
    load_consume(&loader, &a, 100);
    assert_status(&a, LOAD_EMPTY);
    cr_assert(eq(u64, a.consumed, a.size));
    stop_loader();
}

Test(load, a_larger_file_comes_window_by_window)
{
    start_loader(2, 8);
    make_ready(&a, 2);
    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    assert_status(&a, LOAD_EMPTY);

    load_request(&loader, &a);
    expect_submit(2, READ_OF(FD_A, 2), TAIL_OF(FD_A));
    loader_run(&loader);
    complete(2, 1, BUFFER);
    complete(3, 1, 100);
    assert_finished(&owner_a);
    assert_front(&a, POOL_BUFFER_SIZE);
    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    assert_front(&a, 100);
    load_consume(&loader, &a, 100);
    assert_status(&a, LOAD_EMPTY);
    stop_loader();
}

Test(load, a_window_takes_as_many_buffers_as_there_are)
{
    start_loader(4, 3);
    make_ready(&a, 3);
    for (int i = 0; i < 3; i++)
        load_consume(&loader, &a, POOL_BUFFER_SIZE);
    load_request(&loader, &a);
    expect_submit(1, TAIL_OF(FD_A));
    loader_run(&loader);
    complete(3, 1, 100);
    assert_finished(&owner_a);
    load_consume(&loader, &a, 100);
    stop_loader();
}

/* Row: AIO res short or 0 before the end. */
Test(load, a_read_that_ends_early_fails_the_load_once_all_its_reads_are_back)
{
    start_loader(2, 8);
    load_request(&loader, &a);
    expect_submit(2, READ_OF(FD_A, 0), READ_OF(FD_A, 1));
    loader_run(&loader);
    complete(0, 1, 0);
    assert_none_finished();
    complete(1, 1, BUFFER);
    assert_finished(&owner_a);
    assert_status(&a, LOAD_FAILED);
    cr_assert(not(load_cancel(&loader, &a)));
    stop_loader();
}

Test(load, a_read_that_the_kernel_refuses_at_once_is_found_without_a_completion)
{
    start_loader(1, 8);
    load_request(&loader, &a);
    expect(io_submit, WITH(ANY, 1), .result = -EBADF);
    loader_run(&loader);
    assert_finished(&owner_a);
    assert_status(&a, LOAD_FAILED);
    cr_assert(not(load_cancel(&loader, &a)));
    stop_loader();
}

/* --- fair shares ------------------------------------------------------------------------------------------------ */

/* Row: no memory for a buffer. */
Test(load, who_finds_no_buffer_waits_in_line_and_gets_what_comes_back)
{
    start_loader(2, 2);
    make_ready(&a, 2);
    load_request(&loader, &b);
    load_request(&loader, &c);
    loader_run(&loader); /* a sends fast: it is not robbed, nothing is submitted */
    assert_status(&b, LOAD_COMING);
    cr_assert(not(loader_is_stuck(&loader)), "a's progress will wake the loop");

    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    cr_assert(loader_is_stuck(&loader), "a buffer is free: b must not wait for another event");
    expect_submit(1, READ_OF(FD_B, 0));
    loader_run(&loader);
    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    expect_submit(1, READ_OF(FD_C, 0));
    loader_run(&loader);
    complete(2, 2, BUFFER);
    assert_finished(&owner_b);
    assert_finished(&owner_c);
    load_consume(&loader, &b, POOL_BUFFER_SIZE);
    load_consume(&loader, &c, POOL_BUFFER_SIZE);
    stop_loader();
}

Test(load, who_waits_for_a_slow_client_is_robbed_and_starts_again_where_it_was)
{
    start_loader(2, 2);
    make_ready(&a, 2);
    load_consume(&loader, &a, 5000);
    load_park(&loader, &a);
    loader_run(&loader);
    assert_status(&a, LOAD_READY); /* nobody waits: it may keep what it has */
    cr_assert(not(loader_is_stuck(&loader)));

    load_request(&loader, &b);
    cr_assert(loader_is_stuck(&loader), "b could have a's");
    expect_submit(2, READ_OF(FD_B, 0), READ_OF(FD_B, 1));
    loader_run(&loader);
    assert_status(&a, LOAD_EMPTY);
    cr_assert(eq(u64, a.consumed, 5000), "time is lost, data is not");
    complete(2, 2, BUFFER);
    assert_finished(&owner_b);
    load_consume(&loader, &b, POOL_BUFFER_SIZE);
    load_consume(&loader, &b, POOL_BUFFER_SIZE);

    /* Reads are aligned: 904 bytes come twice, and are skipped. */
    load_unpark(&loader, &a);
    load_request(&loader, &a);
    expect_submit(2, {FD_A, 4096, POOL_BUFFER_SIZE, RWF_NOWAIT}, {FD_A, 4096 + BUFFER, POOL_BUFFER_SIZE, RWF_NOWAIT});
    loader_run(&loader);
    complete(4, 2, BUFFER);
    assert_finished(&owner_a);
    assert_front(&a, POOL_BUFFER_SIZE - 904);
    load_consume(&loader, &a, POOL_BUFFER_SIZE - 904);
    assert_front(&a, POOL_BUFFER_SIZE);
    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    stop_loader();
}

Test(load, who_was_parked_longest_is_robbed_first_and_nobody_without_need)
{
    start_loader(1, 2);
    make_ready(&a, 1);
    make_ready(&b, 1);
    load_park(&loader, &b);
    load_park(&loader, &a);
    load_park(&loader, &b); /* again: it keeps its place */
    load_request(&loader, &c);
    expect_submit(1, READ_OF(FD_C, 0));
    loader_run(&loader);
    assert_status(&b, LOAD_EMPTY);
    assert_status(&a, LOAD_READY);

    load_unpark(&loader, &a);
    load_unpark(&loader, &a); /* again: no effect */
    load_request(&loader, &b);
    loader_run(&loader); /* a sends again: b waits */
    assert_status(&a, LOAD_READY);
    complete(2, 1, BUFFER);
    assert_finished(&owner_c);
    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    load_consume(&loader, &c, POOL_BUFFER_SIZE);
    expect_submit(1, READ_OF(FD_B, 0));
    loader_run(&loader);
    complete(3, 1, BUFFER);
    assert_finished(&owner_b);
    load_consume(&loader, &b, POOL_BUFFER_SIZE);
    stop_loader();
}

Test(load, who_holds_nothing_cannot_be_robbed)
{
    start_loader(1, 1);
    load_park(&loader, &a);
    cr_assert(not(a.parked));
    stop_loader();
}

Test(load, a_full_ring_needs_a_turn_soon)
{
    start_loader(1, 1);
    load_request(&loader, &a);
    expect(io_submit, WITH(ANY, 1), .result = -EAGAIN);
    loader_run(&loader);
    cr_assert(loader_is_stuck(&loader));
    cr_assert(not(load_cancel(&loader, &a)));
    cr_assert(not(loader_is_stuck(&loader)));
    stop_loader();
}

/* --- leaving early ---------------------------------------------------------------------------------------------- */

Test(load, leaving_with_nothing_asked_for)
{
    start_loader(2, 2);
    cr_assert(not(load_cancel(&loader, &a)));
    assert_none_finished();
    stop_loader();
}

Test(load, leaving_the_line)
{
    start_loader(1, 1);
    make_ready(&a, 1);
    load_request(&loader, &b);
    load_request(&loader, &c);
    loader_run(&loader);
    cr_assert(not(load_cancel(&loader, &b)));
    load_consume(&loader, &a, POOL_BUFFER_SIZE);
    expect_submit(1, READ_OF(FD_C, 0)); /* c moved up */
    loader_run(&loader);
    complete(1, 1, BUFFER);
    assert_finished(&owner_c);
    load_consume(&loader, &c, POOL_BUFFER_SIZE);
    stop_loader();
}

Test(load, leaving_with_a_window_in_memory)
{
    start_loader(2, 2);
    make_ready(&a, 2);
    load_consume(&loader, &a, 7);
    load_park(&loader, &a);
    cr_assert(not(load_cancel(&loader, &a)));
    cr_assert(eq(sz, loader.pool.available, 2));
    cr_assert(not(a.parked));
    stop_loader();
}

/* Row: peer gone while a read is in flight. */
Test(load, leaving_with_reads_in_every_place)
{
    start_loader(4, 4);
    load_request(&loader, &a);
    expect(io_submit, WITH(ANY, 4), .result = 3);
    expect(io_submit, WITH(ANY, 1), .result = 0);
    loader_run(&loader);
    complete(1, 1, BUFFER);
    assert_none_finished();

    /* Reads 0 and 2 are the kernel's, 1 is back, 3 is queued. */
    cr_assert(load_cancel(&loader, &a));
    cr_assert(eq(sz, loader.pool.available, 2), "the kernel may still write into the other two");
    complete(2, 1, BUFFER);
    assert_none_finished();
    cr_assert(eq(sz, loader.pool.available, 3));
    complete(0, 1, -EAGAIN); /* in whatever way: nothing is read for nobody */
    assert_finished(&owner_a);
    assert_none_finished();
    loader_run(&loader);
    stop_loader();
}

Test(load, leaving_before_a_refused_read_was_taken)
{
    start_loader(1, 1);
    load_request(&loader, &a);
    expect(io_submit, WITH(ANY, 1), .result = -EBADF);
    loader_run(&loader);
    cr_assert(load_cancel(&loader, &a));
    assert_finished(&owner_a);
    stop_loader();
}

/* --- our own faults --------------------------------------------------------------------------------------------- */

Test(load, asking_twice_is_our_own_fault, .signal = SIGABRT)
{
    start_loader(1, 1);
    load_request(&loader, &a);
    load_request(&loader, &a);
}

Test(load, asking_beyond_the_end_is_our_own_fault, .signal = SIGABRT)
{
    start_loader(1, 1);
    load_init(&a, FD_A, 0, &owner_a);
    load_request(&loader, &a);
}

Test(load, looking_at_what_is_not_there_is_our_own_fault, .signal = SIGABRT)
{
    const char *bytes;
    start_loader(1, 1);
    load_front(&a, &bytes);
}

Test(load, sending_more_than_there_is_is_our_own_fault, .signal = SIGABRT)
{
    start_loader(1, 1);
    make_ready(&a, 1);
    load_consume(&loader, &a, POOL_BUFFER_SIZE + 1);
}
