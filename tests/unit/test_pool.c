/*
 * test_pool.c - buffers: how many, in which order, and when their pages go back.
 */
#include "pool.h"

#include <errno.h>
#include <signal.h>

#include "alloc_faults.h"
#include "fake_sys.h"
#include "unit.h"

#define WARM 32 /* free buffers that keep their pages: one default window of 4 MiB */

static struct pool pool;
static long alive_before;
static _Alignas(AIO_ALIGNMENT) char pages[40][POOL_BUFFER_SIZE];

static void start_pool(size_t buffers)
{
    alive_before = allocations_alive();
    expect(map_pages, WITH((long)(buffers * POOL_BUFFER_SIZE)), .pages = pages);
    cr_assert(eq(int, pool_init(&pool, buffers * POOL_BUFFER_SIZE), 0));
}

static void stop_pool(void)
{
    expect(unmap_pages, WITH((long)pages, (long)(pool.count * POOL_BUFFER_SIZE)));
    pool_destroy(&pool);
    script_is_over();
    cr_assert(eq(long, allocations_alive(), alive_before));
    cr_assert(not(memory_leaked()));
}

Test(pool, memory_is_rounded_down_to_whole_buffers_but_to_one_at_least)
{
    const struct {
        size_t memory, buffers;
    } rows[] = {{0, 1},
                {1, 1},
                {POOL_BUFFER_SIZE, 1},
                {2 * POOL_BUFFER_SIZE - 1, 1},
                {2 * POOL_BUFFER_SIZE, 2},
                {7 * POOL_BUFFER_SIZE + 1, 7}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        alive_before = allocations_alive();
        expect(map_pages, WITH((long)(rows[i].buffers * POOL_BUFFER_SIZE)), .pages = pages);
        cr_assert(eq(int, pool_init(&pool, rows[i].memory), 0));
        cr_assert(eq(sz, pool.available, rows[i].buffers), "of %zu bytes", rows[i].memory);
        stop_pool();
    }
}

Test(pool, every_buffer_is_a_part_of_its_own_and_aligned_for_direct_reads)
{
    start_pool(3);
    struct buffer *taken[3];
    for (int i = 0; i < 3; i++) {
        taken[i] = pool_take(&pool);
        cr_assert(eq(ptr, taken[i]->read.bytes, pages[i]));
        cr_assert(eq(sz, (size_t)taken[i]->read.bytes % AIO_ALIGNMENT, 0));
    }
    cr_assert(zero(ptr, pool_take(&pool)), "three are all");
    cr_assert(zero(sz, pool.available));

    pool_give(&pool, taken[1]);
    cr_assert(eq(sz, pool.available, 1));
    cr_assert(eq(ptr, pool_take(&pool), taken[1]));
    for (int i = 0; i < 3; i++)
        pool_give(&pool, taken[i]);
    stop_pool();
}

Test(pool, what_was_used_last_is_used_next)
{
    start_pool(3);
    struct buffer *first = pool_take(&pool);
    struct buffer *second = pool_take(&pool);
    pool_give(&pool, first);
    pool_give(&pool, second);
    cr_assert(eq(ptr, pool_take(&pool), second), "its pages are there and in the cache");
    cr_assert(eq(ptr, pool_take(&pool), first));
    pool_give(&pool, first);
    pool_give(&pool, second);
    stop_pool();
}

Test(pool, pages_beyond_the_warm_ones_go_back_to_the_kernel)
{
    struct buffer *taken[40];

    start_pool(40);
    for (int i = 0; i < 40; i++)
        taken[i] = pool_take(&pool);
    for (int i = 0; i < WARM; i++)
        pool_give(&pool, taken[i]);
    for (int i = WARM; i < 40; i++) {
        expect(drop_pages, WITH((long)pages[i], POOL_BUFFER_SIZE));
        pool_give(&pool, taken[i]);
    }

    /* All warm ones come first; then the cold ones, which count as warm when they come back. */
    for (int i = WARM - 1; i >= 0; i--)
        cr_assert(eq(ptr, pool_take(&pool), taken[i]));
    for (int i = WARM; i < 40; i++)
        cr_assert(eq(ptr, pool_take(&pool), taken[i]));
    pool_give(&pool, taken[39]);
    cr_assert(eq(ptr, pool_take(&pool), taken[39]));

    for (int i = 0; i < 40; i++) {
        if (i >= WARM)
            expect(drop_pages, WITH((long)pages[i], POOL_BUFFER_SIZE));
        pool_give(&pool, taken[i]);
    }
    stop_pool();
}

Test(pool, no_address_space_is_reported)
{
    expect(map_pages, WITH(ANY), .result = -ENOMEM);
    cr_assert(eq(int, pool_init(&pool, 1), -ENOMEM));
    script_is_over();
}

Test(pool, no_memory_for_its_list_gives_the_pages_back)
{
    expect(map_pages, WITH(2 * POOL_BUFFER_SIZE), .pages = pages);
    expect(unmap_pages, WITH((long)pages, 2 * POOL_BUFFER_SIZE));
    fail_next_allocation();
    cr_assert(eq(int, pool_init(&pool, 2 * POOL_BUFFER_SIZE), -ENOMEM));
    script_is_over();
}

Test(pool, destroying_it_with_a_buffer_taken_is_our_own_fault, .signal = SIGABRT)
{
    start_pool(2);
    pool_take(&pool);
    allow(unmap_pages);
    pool_destroy(&pool);
}
