/*
 * test_aio.c - libaio as the kernel means it, one answer of the kernel at a time.
 *
 * Rows of "the server must" (the right side is what these tests demand):
 *   io_submit fewer, 0, -EAGAIN / -EBADF, -EINVAL    rest stays queued / that one fails, the others live
 *   io_getevents fewer than counted                  ask again until 0
 *   event res negative, -EAGAIN, -EOPNOTSUPP         fail; same piece by O_DIRECT; same piece plainly
 *   AIO res short or 0 before the end                go on at the right place / fail, never spin
 */
#include "aio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "fake_sys.h"
#include "unit.h"

#define CONTEXT ((long)FAKE_CONTEXT)
#define READS 140
#define ROOM 12288 /* bytes of one read's buffer: three blocks */

enum { EVENT_FD = 7, FILE_FD = 20, OTHER_FD = 21 };

static struct aio aio;
static struct aio_file file, other;
static struct aio_read reads[READS];
static _Alignas(AIO_ALIGNMENT) char room[READS][ROOM];

static void start_engine(void)
{
    expect(io_setup, WITH(ANY));
    expect(eventfd, WITH(0, EFD_NONBLOCK | EFD_CLOEXEC), .result = EVENT_FD);
    cr_assert(eq(int, aio_init(&aio), 0));
    aio_file_init(&file, FILE_FD);
    aio_file_init(&other, OTHER_FD);
}

/* Start read `nth` of `length` bytes at `offset` of `from`. */
static struct aio_read *start_read(int nth, struct aio_file *from, uint64_t offset, size_t length)
{
    struct aio_read *read = &reads[nth];
    read->file = from;
    read->bytes = room[nth];
    read->offset = offset;
    read->length = length;
    aio_start(&aio, read);
    return read;
}

static void start_reads(int first, int count)
{
    for (int i = first; i < first + count; i++)
        start_read(i, &file, (uint64_t)i * ROOM, ROOM);
}

/* Submissions that set O_DIRECT for their time only. */
#define expect_direct(fd, result_, ...)                                                                                \
    do {                                                                                                               \
        const long count_ = sizeof((struct script_iocb[]){__VA_ARGS__}) / sizeof(struct script_iocb);                  \
        expect(setfl, WITH((fd), O_NONBLOCK | O_DIRECT));                                                              \
        expect(io_submit, WITH(CONTEXT, count_), .iocbs = {__VA_ARGS__}, .result = (result_));                         \
        expect(setfl, WITH((fd), O_NONBLOCK));                                                                         \
    } while (0)

/* `read` comes back with all its bytes, and nothing after it. */
static void assert_whole(struct aio_read *read)
{
    cr_assert(eq(ptr, aio_next_done(&aio), read));
    cr_assert(eq(sz, read->got, read->length));
    cr_assert(eq(sz, fake_differs_at(read->bytes, read->offset, read->length), read->length));
    cr_assert(eq(int, (int)read->place, AIO_IDLE));
}

/* `read` comes back with `got` bytes only: failed. */
static void assert_failed(struct aio_read *read, size_t got)
{
    cr_assert(eq(ptr, aio_next_done(&aio), read));
    cr_assert(eq(sz, read->got, got));
    cr_assert(lt(sz, read->got, read->length));
}

static void assert_quiet(void)
{
    cr_assert(zero(ptr, aio_next_done(&aio)));
    cr_assert(eq(u32, aio.in_flight, 0));
    cr_assert(not(aio_is_stuck(&aio)));
    script_is_over();
}

/* --- the engine's own life -------------------------------------------------------------------------------------- */

Test(aio, one_context_and_one_eventfd_live_as_long_as_the_engine)
{
    start_engine();
    expect(io_destroy, WITH(CONTEXT));
    expect(close, WITH(EVENT_FD));
    aio_destroy(&aio);
    script_is_over();
}

Test(aio, contexts_used_up_are_reported)
{
    expect(io_setup, WITH(ANY), .result = -EAGAIN);
    cr_assert(eq(int, aio_init(&aio), -EAGAIN));
    script_is_over();
}

Test(aio, no_eventfd_gives_the_context_back)
{
    expect(io_setup, WITH(ANY));
    expect(eventfd, WITH(ANY), .result = -EMFILE);
    expect(io_destroy, WITH(CONTEXT));
    cr_assert(eq(int, aio_init(&aio), -EMFILE));
    script_is_over();
}

/* --- the way of one piece --------------------------------------------------------------------------------------- */

Test(aio, what_the_page_cache_holds_is_read_without_waiting)
{
    start_engine();
    struct aio_read *read = start_read(0, &file, 4096, 5000);
    cr_assert(zero(ptr, aio_next_done(&aio)), "nothing was submitted yet");

    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 4096, 5000, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    cr_assert(eq(int, (int)read->place, AIO_IN_FLIGHT));
    cr_assert(eq(u32, read->iocb.u.c.resfd, EVENT_FD), "its completion must wake the loop");
    cr_assert(eq(u32, read->iocb.u.c.flags, 1), "IOCB_FLAG_RESFD");

    expect_completions(EVENT_FD, 1, {0, 5000});
    aio_collect(&aio);
    assert_whole(read);
    assert_quiet();
}

Test(aio, a_cold_piece_is_read_past_the_page_cache_in_whole_blocks)
{
    start_engine();
    struct aio_read *read = start_read(0, &file, 8192, 5000);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 8192, 5000, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {0, -EAGAIN});
    aio_collect(&aio);
    cr_assert(zero(ptr, aio_next_done(&aio)), "it is not lost, only late");

    expect_direct(FILE_FD, 1, {FILE_FD, 8192, 8192, 0});
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {1, 5000}); /* the end of the file: fewer than the blocks asked for */
    aio_collect(&aio);
    assert_whole(read);

    /* The file may be cold in one place and hot in another: the next piece is tried hot again. */
    read = start_read(0, &file, 0, 4096);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 0, 4096, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {2, 4096});
    aio_collect(&aio);
    assert_whole(read);
    assert_quiet();
}

Test(aio, blocks_beyond_the_wanted_end_are_not_counted)
{
    start_engine();
    struct aio_read *read = start_read(0, &file, 0, 5000);
    expect(io_submit, WITH(CONTEXT, 1), .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {0, -EAGAIN});
    aio_collect(&aio);
    expect_direct(FILE_FD, 1, {FILE_FD, 0, 8192, 0});
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {1, 8192}); /* the file has grown since it was opened */
    aio_collect(&aio);
    assert_whole(read);
    assert_quiet();
}

Test(aio, a_file_system_without_nowait_is_read_plainly_and_that_is_remembered)
{
    start_engine();
    struct aio_read *first = start_read(0, &file, 0, 4096);
    struct aio_read *second = start_read(1, &file, 4096, 4096);
    expect(io_submit, WITH(CONTEXT, 2), .result = -EOPNOTSUPP); /* tmpfs: the first one's fault */
    expect(io_submit, WITH(CONTEXT, 2), .iocbs = {{FILE_FD, 4096, 4096, RWF_NOWAIT}, {FILE_FD, 0, 4096, 0}},
           .result = -EOPNOTSUPP);
    expect(io_submit, WITH(CONTEXT, 2), .iocbs = {{FILE_FD, 0, 4096, 0}, {FILE_FD, 4096, 4096, 0}}, .result = 2);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 2, {0, 4096}, {1, 4096});
    aio_collect(&aio);
    assert_whole(first);
    assert_whole(second);

    struct aio_read *third = start_read(2, &file, 8192, 4096);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 8192, 4096, 0}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {2, 4096});
    aio_collect(&aio);
    assert_whole(third);
    assert_quiet();
}

/* How O_DIRECT can be refused: where, and with what. */
Test(aio, a_file_that_refuses_direct_reads_is_read_plainly_and_that_is_remembered)
{
    const struct {
        const char *where;
        int error;
    } refusals[] = {{"in the event", -EINVAL}, {"in the event", -EOPNOTSUPP}, {"in the event", -EAGAIN},
                    {"by io_submit", -EINVAL}, {"by io_submit", -EOPNOTSUPP}, {"by fcntl", -EINVAL},
                    {"by fcntl", -EOPNOTSUPP}};

    start_engine();
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const char *where = refusals[i].where;
        int error = refusals[i].error;

        aio_file_init(&file, FILE_FD);
        struct aio_read *read = start_read(0, &file, 4096, 4096);
        expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 4096, 4096, RWF_NOWAIT}}, .result = 1);
        aio_submit(&aio);
        expect_completions(EVENT_FD, 1, {script_accepted - 1, -EAGAIN});
        aio_collect(&aio);

        if (strcmp(where, "by fcntl") == 0) {
            expect(setfl, WITH(FILE_FD, O_NONBLOCK | O_DIRECT), .result = error);
        } else if (strcmp(where, "by io_submit") == 0) {
            expect_direct(FILE_FD, error, {FILE_FD, 4096, 4096, 0});
        } else {
            expect_direct(FILE_FD, 1, {FILE_FD, 4096, 4096, 0});
            aio_submit(&aio);
            expect_completions(EVENT_FD, 1, {script_accepted - 1, error});
            aio_collect(&aio);
        }
        expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 4096, 4096, 0}}, .result = 1);
        aio_submit(&aio);
        expect_completions(EVENT_FD, 1, {script_accepted - 1, 4096});
        aio_collect(&aio);
        assert_whole(read);
        cr_assert(eq(int, (int)file.cold, AIO_PLAIN), "refused %s with %d", where, error);
        cr_assert(eq(int, (int)file.first, AIO_NOWAIT), "refused %s with %d", where, error);
    }
    assert_quiet();
}

/* -EAGAIN from io_submit itself is another thing than -EAGAIN in an event. */
Test(aio, a_cold_piece_of_a_file_that_refused_direct_before_is_read_plainly_at_once)
{
    start_engine();
    file.cold = AIO_PLAIN;
    struct aio_read *read = start_read(0, &file, 0, 4096);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 0, 4096, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {0, -EAGAIN});
    aio_collect(&aio);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 0, 4096, 0}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {1, 4096});
    aio_collect(&aio);
    assert_whole(read);
    assert_quiet();
}

/* --- results ---------------------------------------------------------------------------------------------------- */

Test(aio, a_short_result_is_progress_and_the_rest_is_asked_for)
{
    start_engine();
    struct aio_read *read = start_read(0, &file, 4096, 10000);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 4096, 10000, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {0, 5000});
    aio_collect(&aio);

    /* Its tail is cold: O_DIRECT has to start at a block, so 904 bytes come twice. */
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 4096 + 5000, 5000, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {1, -EAGAIN});
    aio_collect(&aio);
    expect_direct(FILE_FD, 1, {FILE_FD, 4096 + 4096, 8192, 0});
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {2, 4096}); /* short again: 8192 of 10000 are there */
    aio_collect(&aio);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 4096 + 8192, 10000 - 8192, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {3, 10000 - 8192});
    aio_collect(&aio);
    assert_whole(read);
    assert_quiet();
}

/* Row: AIO res short or 0 before the end (the file shrank). */
Test(aio, a_result_of_0_before_the_end_fails_and_is_not_asked_again)
{
    start_engine();
    struct aio_read *read = start_read(0, &file, 0, 8192);
    expect(io_submit, WITH(CONTEXT, 1), .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {0, 4096});
    aio_collect(&aio);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 4096, 4096, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {1, 0});
    aio_collect(&aio);
    assert_failed(read, 4096);
    assert_quiet();
}

Test(aio, a_direct_result_that_repeats_only_what_was_there_fails)
{
    start_engine();
    struct aio_read *read = start_read(0, &file, 0, 8192);
    expect(io_submit, WITH(CONTEXT, 1), .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {0, 5000});
    aio_collect(&aio);
    expect(io_submit, WITH(CONTEXT, 1), .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {1, -EAGAIN});
    aio_collect(&aio);
    expect_direct(FILE_FD, 1, {FILE_FD, 4096, 4096, 0});
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {2, 904}); /* the file ends at 5000 now */
    aio_collect(&aio);
    assert_failed(read, 5000);
    assert_quiet();
}

/* Row: event res negative. */
Test(aio, an_error_that_no_other_way_cures_fails_that_read)
{
    const int errors[] = {-EIO, -ENXIO, -EFAULT, -EBADF, -ENOMEM};

    start_engine();
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct aio_read *read = start_read(0, &file, 0, 4096);
        expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 0, 4096, RWF_NOWAIT}}, .result = 1);
        aio_submit(&aio);
        expect_completions(EVENT_FD, 1, {(int)i, errors[i]});
        aio_collect(&aio);
        assert_failed(read, 0);
    }
    assert_quiet();
}

Test(aio, a_plain_read_has_no_other_way)
{
    start_engine();
    file.first = AIO_PLAIN;
    struct aio_read *read = start_read(0, &file, 0, 4096);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 0, 4096, 0}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {0, -EINVAL});
    aio_collect(&aio);
    assert_failed(read, 0);
    assert_quiet();
}

Test(aio, an_interrupted_read_is_read_again_in_the_same_way)
{
    start_engine();
    struct aio_read *read = start_read(0, &file, 0, 4096);
    expect(io_submit, WITH(CONTEXT, 1), .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {0, -EAGAIN});
    aio_collect(&aio);
    expect_direct(FILE_FD, 1, {FILE_FD, 0, 4096, 0});
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {1, -EINTR});
    aio_collect(&aio);
    expect_direct(FILE_FD, 1, {FILE_FD, 0, 4096, 0});
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {2, 4096});
    aio_collect(&aio);
    assert_whole(read);
    assert_quiet();
}

/* Row: peer gone while a read is in flight. */
Test(aio, a_read_of_a_closed_file_comes_back_but_is_not_continued)
{
    const long results[] = {-EAGAIN, -EINTR, -EOPNOTSUPP, 100, 0};

    start_engine();
    for (int i = 0; i < 5; i++) {
        aio_file_init(&file, FILE_FD);
        struct aio_read *read = start_read(0, &file, 0, 4096);
        expect(io_submit, WITH(CONTEXT, 1), .result = 1);
        aio_submit(&aio);
        file.fd = -1;
        expect_completions(EVENT_FD, 1, {i, results[i]});
        aio_collect(&aio);
        aio_submit(&aio);
        assert_failed(read, results[i] > 0 ? (size_t)results[i] : 0);
    }
    assert_quiet();
}

/* Whoever starts a server with standard input closed gets it. */
Test(aio, descriptor_0_is_a_descriptor_like_any_other)
{
    expect(io_setup, WITH(ANY));
    expect(eventfd, WITH(ANY), .result = 0);
    cr_assert(eq(int, aio_init(&aio), 0));
    aio_file_init(&file, 0);
    struct aio_read *read = start_read(0, &file, 0, 8192);
    const long results[] = {-EINTR, 4096, 4096};
    for (int i = 0; i < 3; i++) {
        expect(io_submit, WITH(CONTEXT, 1), .result = 1);
        aio_submit(&aio);
        expect_completions(0, 1, {i, results[i]});
        aio_collect(&aio);
    }
    assert_whole(read);

    read = start_read(1, &file, 0, 4096);
    expect(io_submit, WITH(CONTEXT, 1), .result = 1);
    aio_submit(&aio);
    expect_completions(0, 1, {3, -EAGAIN});
    aio_collect(&aio);
    expect_direct(0, 1, {0, 0, 4096, 0});
    aio_submit(&aio);
    expect_completions(0, 1, {4, 4096});
    aio_collect(&aio);
    assert_whole(read);
    assert_quiet();
}

/* --- submitting ------------------------------------------------------------------------------------------------- */

/* Row: io_submit fewer. */
Test(aio, what_io_submit_left_over_is_given_to_it_again)
{
    start_engine();
    start_reads(0, 3);
    expect(io_submit, WITH(CONTEXT, 3), .result = 1);
    expect(io_submit, WITH(CONTEXT, 2),
           .iocbs = {{FILE_FD, ROOM, ROOM, RWF_NOWAIT}, {FILE_FD, 2 * ROOM, ROOM, RWF_NOWAIT}}, .result = 2);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 3, {0, ROOM}, {1, ROOM}, {2, ROOM});
    aio_collect(&aio);
    for (int i = 0; i < 3; i++)
        assert_whole(&reads[i]);
    assert_quiet();
}

/* Row: io_submit 0, -EAGAIN. */
Test(aio, a_full_ring_keeps_the_rest_queued_until_something_was_collected)
{
    const int full[] = {0, -EAGAIN};

    start_engine();
    for (int i = 0; i < 2; i++) {
        start_reads(0, 2);
        expect(io_submit, WITH(CONTEXT, 2), .result = 1);
        expect(io_submit, WITH(CONTEXT, 1), .result = full[i]);
        aio_submit(&aio);
        cr_assert(not(aio_is_stuck(&aio)), "the one in flight will wake the loop");

        expect_completions(EVENT_FD, 1, {2 * i, ROOM});
        aio_collect(&aio);
        assert_whole(&reads[0]);
        cr_assert(aio_is_stuck(&aio), "nothing in flight, one queued: only a timer can wake the loop");

        expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, ROOM, ROOM, RWF_NOWAIT}}, .result = 1);
        aio_submit(&aio);
        expect_completions(EVENT_FD, 1, {2 * i + 1, ROOM});
        aio_collect(&aio);
        assert_whole(&reads[1]);
    }
    assert_quiet();
}

/* Row: io_submit -EBADF. */
Test(aio, an_error_of_io_submit_is_about_the_first_and_the_others_live)
{
    start_engine();
    struct aio_read *bad = start_read(0, &other, 0, 4096);
    struct aio_read *good = start_read(1, &file, 4096, 4096);
    expect(io_submit, WITH(CONTEXT, 2), .result = -EBADF);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 4096, 4096, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    assert_failed(bad, 0);
    expect_completions(EVENT_FD, 1, {0, 4096});
    aio_collect(&aio);
    assert_whole(good);
    assert_quiet();
}

/* Row: io_submit -EINVAL. */
Test(aio, a_kernel_that_knows_no_flags_gets_plain_reads)
{
    start_engine();
    struct aio_read *read = start_read(0, &file, 0, 4096);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 0, 4096, RWF_NOWAIT}}, .result = -EINVAL);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 0, 4096, 0}}, .result = -EINVAL); /* a file of procfs */
    aio_submit(&aio);
    assert_failed(read, 0);
    assert_quiet();
}

/* Row: EINTR on any call. */
Test(aio, an_interrupted_submission_is_tried_again_at_once)
{
    start_engine();
    struct aio_read *read = start_read(0, &file, 0, 4096);
    expect(io_submit, WITH(CONTEXT, 1), .result = -EINTR);
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 0, 4096, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 1, {0, 4096});
    aio_collect(&aio);
    assert_whole(read);
    assert_quiet();
}

Test(aio, a_turn_submits_a_bounded_amount)
{
    start_engine();
    start_reads(0, 20);
    expect(io_submit, WITH(CONTEXT, 16), .result = 10);
    expect(io_submit, WITH(CONTEXT, 6), .result = 5); /* the bound is the turn's, not the call's */
    expect(io_submit, WITH(CONTEXT, 1), .result = 1);
    aio_submit(&aio);
    expect(io_submit, WITH(CONTEXT, 4), .result = 4);
    aio_submit(&aio);
    aio_submit(&aio); /* nothing is left: no call */
    cr_assert(eq(u32, aio.in_flight, 20));
    script_is_over();
}

Test(aio, the_kernel_never_holds_more_than_the_ring_has_room_for)
{
    start_engine();
    start_reads(0, READS);
    for (int i = 0; i < 8; i++) {
        expect(io_submit, WITH(CONTEXT, 16), .result = 16);
        aio_submit(&aio);
    }
    aio_submit(&aio); /* 128 in flight: no call */
    cr_assert(eq(u32, aio.in_flight, 128));

    expect_completions(EVENT_FD, 2, {0, ROOM}, {1, ROOM});
    aio_collect(&aio);
    expect(io_submit, WITH(CONTEXT, 2), .result = 2); /* two places, though a turn would allow sixteen */
    aio_submit(&aio);
    script_is_over();
}

Test(aio, direct_reads_of_one_file_go_together_and_alone)
{
    start_engine();
    file.first = AIO_DIRECT;
    other.first = AIO_DIRECT;
    struct aio_file hot;
    aio_file_init(&hot, 22);
    start_read(0, &file, 0, 4096);
    start_read(1, &file, 4096, 4096);
    start_read(2, &other, 0, 4096);
    start_read(3, &hot, 0, 4096);
    start_read(4, &file, 8192, 4096);
    file.first = AIO_NOWAIT;
    start_read(5, &file, 16384, 4096);

    expect_direct(FILE_FD, 2, {FILE_FD, 0, 4096, 0}, {FILE_FD, 4096, 4096, 0});
    expect_direct(OTHER_FD, 1, {OTHER_FD, 0, 4096, 0});
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{22, 0, 4096, RWF_NOWAIT}}, .result = 1);
    expect_direct(FILE_FD, 1, {FILE_FD, 8192, 4096, 0});
    expect(io_submit, WITH(CONTEXT, 1), .iocbs = {{FILE_FD, 16384, 4096, RWF_NOWAIT}}, .result = 1);
    aio_submit(&aio);
    cr_assert(eq(u32, aio.in_flight, 6));
    script_is_over();
}

Test(aio, a_descriptor_that_went_bad_fails_its_direct_read)
{
    start_engine();
    file.first = AIO_DIRECT;
    struct aio_read *read = start_read(0, &file, 0, 4096);
    expect(setfl, WITH(FILE_FD, O_NONBLOCK | O_DIRECT), .result = -EBADF);
    aio_submit(&aio);
    assert_failed(read, 0);
    assert_quiet();
}

Test(aio, a_withdrawn_read_is_its_owners_again)
{
    start_engine();
    start_reads(0, 3);
    aio_withdraw(&aio, &reads[1]);
    cr_assert(eq(int, (int)reads[1].place, AIO_IDLE));
    expect(io_submit, WITH(CONTEXT, 2),
           .iocbs = {{FILE_FD, 0, ROOM, RWF_NOWAIT}, {FILE_FD, 2 * ROOM, ROOM, RWF_NOWAIT}}, .result = 2);
    aio_submit(&aio);
    expect_completions(EVENT_FD, 2, {0, ROOM}, {1, ROOM});
    aio_collect(&aio);
    assert_whole(&reads[0]);
    assert_whole(&reads[2]);
    assert_quiet();
}

/* --- collecting ------------------------------------------------------------------------------------------------- */

/* Row: io_getevents fewer than counted. */
Test(aio, the_eventfd_is_read_first_and_the_ring_asked_until_it_is_empty)
{
    start_engine();
    start_reads(0, 4);
    expect(io_submit, WITH(CONTEXT, 4), .result = 4);
    aio_submit(&aio);

    expect(read, WITH(EVENT_FD, sizeof(uint64_t)), .result = -EAGAIN); /* an earlier collection had its count */
    expect(io_getevents, WITH(CONTEXT), .completions = {{2, ROOM}}, .result = 1);
    expect(io_getevents, WITH(CONTEXT), .result = -EINTR);
    expect(io_getevents, WITH(CONTEXT), .completions = {{1, ROOM}, {3, ROOM}}, .result = 2);
    expect(io_getevents, WITH(CONTEXT), .completions = {{0, ROOM}}, .result = 1);
    expect(io_getevents, WITH(CONTEXT), .result = 0);
    aio_collect(&aio);
    const int order[] = {2, 1, 3, 0};
    for (int i = 0; i < 4; i++)
        assert_whole(&reads[order[i]]);
    assert_quiet();
}

Test(aio, a_broken_ring_is_not_asked_for_ever)
{
    start_engine();
    expect(read, WITH(EVENT_FD), .result = sizeof(uint64_t));
    expect(io_getevents, WITH(CONTEXT), .result = -EINVAL);
    aio_collect(&aio);
    assert_quiet();
}

/* --- waking ----------------------------------------------------------------------------------------------------- */

Test(aio, a_wake_is_a_completion_of_nothing)
{
    start_engine();
    expect(write, WITH(EVENT_FD, sizeof(uint64_t)), .text = "\1", .result = ALL);
    aio_wake(&aio);
    expect(read, WITH(EVENT_FD, sizeof(uint64_t)), .result = sizeof(uint64_t));
    expect(io_getevents, .result = 0);
    aio_collect(&aio);
    cr_assert(zero(ptr, aio_next_done(&aio)));
    script_is_over();
}

/* --- our own faults --------------------------------------------------------------------------------------------- */

Test(aio, an_unaligned_read_is_our_own_fault, .signal = SIGABRT)
{
    start_engine();
    start_read(0, &file, 512, 4096);
}

Test(aio, a_read_of_nothing_is_our_own_fault, .signal = SIGABRT)
{
    start_engine();
    start_read(0, &file, 0, 0);
}

Test(aio, a_read_started_twice_is_our_own_fault, .signal = SIGABRT)
{
    start_engine();
    start_read(0, &file, 0, 4096);
    aio_start(&aio, &reads[0]);
}

Test(aio, a_read_in_flight_cannot_be_withdrawn, .signal = SIGABRT)
{
    start_engine();
    start_read(0, &file, 0, 4096);
    expect(io_submit, WITH(CONTEXT, 1), .result = 1);
    aio_submit(&aio);
    aio_withdraw(&aio, &reads[0]);
}
