/*
 * test_server.c - the loop, over a small simulated kernel: who is accepted, woken, cut off, freed, and when.
 *
 * Rows of "the server must":
 *   accept EAGAIN / ECONNABORTED / EMFILE, ENFILE    stop / skip / pause the listener until a descriptor comes back
 *   sendfile 0 before the end, AIO res short         closed, short as it is
 *   peer gone while a read is in flight              closed now, freed after the completion
 *   event for a connection closed in this turn       ignored
 *   io_submit -EAGAIN with nothing in flight         retried by the clock
 *   no memory for a connection                       that one is refused; the server serves on
 */
#include "server.h"

#include <errno.h>
#include <stdio.h>

#include "alloc_faults.h"
#include "fake_kernel.h"
#include "unit.h"

#define SIZE 300000 /* of each file: three windows of one buffer */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

enum { HEAD_TIMEOUT_MS = 1000, SEND_TIMEOUT_MS = 3000, GRACE_MS = 5000, LINGER_MS = 2000 };

/* The server's: root, trace, listener, eventfd, poller. */
#define OWN_DESCRIPTORS 5

static struct options options;

static void start(void)
{
    kernel_start();
    kernel.end_ms = 60000;
    kernel.files[0] = (struct kernel_file){.path = "static/a", .size = SIZE};
    kernel.files[1] = (struct kernel_file){.path = "dynamic/a", .size = SIZE};
    kernel.files[2] = (struct kernel_file){.path = "dynamic/cold", .size = SIZE, .is_cold = true};
    options = (struct options){.address = "127.0.0.1",
                               .root = "root",
                               .trace = "trace",
                               .window = POOL_BUFFER_SIZE,
                               .dynamic_memory = 4 * POOL_BUFFER_SIZE,
                               .head_timeout_ms = HEAD_TIMEOUT_MS,
                               .send_timeout_ms = SEND_TIMEOUT_MS};
}

static void serve(void)
{
    cr_assert(kernel_serve(&options));
    kernel_is_left_clean();
}

/* Whether connection `number` has gone from `from` to `to`. */
static bool went(int number, const char *from, const char *to)
{
    char edge[128];
    for (int fd = 3; fd < kernel.descriptors_max + 3; fd++) {
        snprintf(edge, sizeof edge, " conn=%d fd=%d %s -> %s\n", number, fd, from, to);
        if (strstr(script_written.bytes, edge))
            return true;
    }
    return false;
}

/* Where the `nth` call of `name`, from 1, was among all calls of the last run. */
static unsigned call_at(enum fake_name name, int nth)
{
    for (unsigned i = 1; i <= kernel.calls; i++)
        if (kernel.log[i] == name && --nth == 0)
            return i;
    cr_fatal("there is no such call of %s", fake_name(name));
    return 0;
}

/* The same in a run without faults that serves `request` to a client with a buffer of `buffer` bytes. */
static unsigned find_call(const char *request, size_t buffer, enum fake_name name, int nth)
{
    start();
    kernel_connect(request)->buffer = buffer;
    serve();
    return call_at(name, nth);
}

/* --- serving ---------------------------------------------------------------------------------------------------- */

Test(server, each_kind_of_file_is_served_and_nothing_is_left)
{
    start();
    struct kernel_peer *still = kernel_connect(GET("/static/a"));
    struct kernel_peer *hot = kernel_connect(GET("/dynamic/a"));
    struct kernel_peer *cold = kernel_connect(GET("/dynamic/cold"));
    struct kernel_peer *none = kernel_connect(GET("/dynamic/none"));
    serve();
    cr_assert(kernel_got_whole(still, SIZE));
    cr_assert(kernel_got_whole(hot, SIZE));
    cr_assert(kernel_got_whole(cold, SIZE));
    cr_assert(zero(int, strncmp(none->head, "HTTP/1.1 404 ", strlen("HTTP/1.1 404 "))));
    cr_assert(eq(i64, kernel.now_ms, 0), "nobody had to wait for the clock");
    cr_assert(went(4, "CONN_WREADY", "CONN_CLOSED"), "they are numbered from 1");
}

Test(server, a_lone_client_costs_few_calls)
{
    start();
    options.trace = NULL;
    kernel_connect(GET("/static/a"));
    kernel.files[0].size = 1000;
    serve();
    /* accept4, recv, openat2, fstat, clock_gettime, send, sendfile, close of both; all else is the server's own. */
    cr_assert(eq(u32, kernel.calls_of[CALL_accept4], 1), "no second one that finds nobody");
    cr_assert(eq(u32, kernel.calls_of[CALL_recv], 1));
    cr_assert(eq(u32, kernel.calls_of[CALL_send], 1));
    cr_assert(eq(u32, kernel.calls_of[CALL_sendfile], 1));
    cr_assert(eq(u32, kernel.calls_of[CALL_epoll_wait], 3), "the listener, the client, the end");
    cr_assert(eq(u32, kernel.calls_of[CALL_epoll_ctl], 3), "its interest never changed");
}

Test(server, requests_in_pieces_and_slow_clients_are_served)
{
    start();
    struct kernel_peer *still = kernel_connect(GET("/static/a"));
    struct kernel_peer *loaded = kernel_connect(GET("/dynamic/cold"));
    still->piece = loaded->piece = 1;
    serve();
    cr_assert(kernel_got_whole(still, SIZE));
    cr_assert(kernel_got_whole(loaded, SIZE));
    cr_assert(went(1, "CONN_INIT", "CONN_READING"));
}

static bool all_take_something(void)
{
    bool some_waited = false;
    for (int i = 0; i < kernel.peer_count; i++) {
        some_waited = some_waited || kernel.peers[i].waiting > 0;
        kernel_take(&kernel.peers[i], 20000);
    }
    return some_waited;
}

Test(server, slow_clients_share_what_memory_there_is)
{
    start();
    options.dynamic_memory = POOL_BUFFER_SIZE; /* one buffer for two */
    kernel.when_idle = all_take_something;
    struct kernel_peer *first = kernel_connect(GET("/dynamic/a"));
    struct kernel_peer *second = kernel_connect(GET("/dynamic/cold"));
    first->buffer = second->buffer = 50000;
    serve();
    cr_assert(kernel_got_whole(first, SIZE));
    cr_assert(kernel_got_whole(second, SIZE));
    cr_assert(went(1, "CONN_SENDING", "CONN_READING_ASYNC"));
    cr_assert(not(first->was_aborted));
}

/* --- accepting -------------------------------------------------------------------------------------------------- */

/* Row: accept EAGAIN. */
Test(server, a_crowd_is_accepted_in_batches_that_double)
{
    start();
    for (int i = 0; i < 70; i++)
        kernel_connect(GET("/static/a"));
    serve();
    for (int i = 0; i < 70; i++)
        cr_assert(kernel_got_whole(&kernel.peers[i], SIZE), "client %d", i + 1);
    cr_assert(eq(u32, kernel.calls_of[CALL_accept4], 70 + 1), "one found nobody");
    cr_assert(le(u32, kernel.calls_of[CALL_epoll_wait], 10), "1 + 2 + 4 + ... in a turn each");
}

Test(server, a_batch_is_bounded_however_large_the_crowd)
{
    unsigned batch = 0, largest = 0;

    start();
    options.trace = NULL;
    kernel.descriptors_max = 500;
    for (int i = 0; i < 200; i++)
        kernel_connect(GET("/static/a"));
    serve();
    for (unsigned i = 1; i <= kernel.calls; i++) {
        if (kernel.log[i] == CALL_accept4)
            batch++;
        if (kernel.log[i] == CALL_epoll_wait)
            batch = 0;
        if (largest < batch)
            largest = batch;
    }
    cr_assert(eq(u32, largest, 64), "who was accepted has its turn, too");
    cr_assert(kernel_got_whole(&kernel.peers[199], SIZE));
}

static bool more_come_one_by_one(void)
{
    if (kernel.peer_count == 5)
        return false;
    kernel_connect(GET("/static/a"));
    return true;
}

Test(server, a_batch_starts_at_one_again_when_the_crowd_is_gone)
{
    start();
    kernel.when_idle = more_come_one_by_one;
    serve();
    cr_assert(eq(u32, kernel.calls_of[CALL_accept4], 5), "each alone: nobody is asked for in vain");
}

/* Row: accept ECONNABORTED. */
Test(server, a_client_that_left_before_it_was_accepted_is_skipped)
{
    unsigned accept = find_call(GET("/static/a"), 0, CALL_accept4, 1);

    start();
    kernel.fault = (struct kernel_fault){.nth = accept, .result = -ECONNABORTED};
    struct kernel_peer *first = kernel_connect(GET("/static/a"));
    struct kernel_peer *second = kernel_connect(GET("/static/a"));
    serve();
    cr_assert(zero(sz, first->head_length));
    cr_assert(kernel_got_whole(second, SIZE));
}

/* Row: accept EMFILE, ENFILE. */
Test(server, when_descriptors_run_out_the_listener_pauses_until_one_comes_back)
{
    start();
    kernel.descriptors_max = OWN_DESCRIPTORS + 2; /* one client and its file */
    for (int i = 0; i < 5; i++)
        kernel_connect(GET("/static/a"));
    serve();
    for (int i = 0; i < 5; i++)
        cr_assert(kernel.peers[i].was_closed, "client %d", i + 1);
    cr_assert(eq(int, kernel.accepted, 5));
    cr_assert(eq(i64, kernel.now_ms, 0), "its own descriptors came back: no need to wait");
}

static struct kernel_peer *idle_holder;

static bool holder_leaves_at_last(void)
{
    if (kernel.now_ms < 450 || idle_holder->is_reset)
        return false;
    idle_holder->is_reset = true;
    return true;
}

Test(server, a_paused_listener_looks_again_now_and_then)
{
    start();
    options.head_timeout_ms = 10000;
    kernel.descriptors_max = OWN_DESCRIPTORS + 1;
    kernel.when_idle = holder_leaves_at_last;
    idle_holder = kernel_connect("");
    struct kernel_peer *second = kernel_connect(GET("/nothing"));
    serve();
    cr_assert(second->was_closed);
    cr_assert(gt(sz, second->head_length, 0), "it was answered");
    cr_assert(eq(i64, second->closed_at_ms, 500));
    cr_assert(le(u32, kernel.calls_of[CALL_accept4], 2 + 5 + 1), "every 100 ms, not all the time");
    cr_assert(le(u32, kernel.calls_of[CALL_epoll_wait], 25), "a level-triggered listener must not spin");
}

/* Let a silent client hold the last descriptor for a second while another one waits; the `fault` strikes. */
static void serve_with_the_last_descriptor_held(struct kernel_fault fault)
{
    start();
    options.trace = NULL;
    kernel.descriptors_max = OWN_DESCRIPTORS; /* one more than it has without a trace */
    kernel.fault = fault;
    kernel_connect("");
    struct kernel_peer *second = kernel_connect(GET("/nothing"));
    serve();
    cr_assert(gt(sz, second->head_length, 0), "it was answered at last");
    cr_assert(eq(i64, second->closed_at_ms, HEAD_TIMEOUT_MS));
}

Test(server, a_listener_that_cannot_be_paused_is_paused_a_turn_later)
{
    serve_with_the_last_descriptor_held((struct kernel_fault){0});
    unsigned accepts = kernel.calls_of[CALL_accept4];
    unsigned pause = call_at(CALL_epoll_ctl, 4); /* after the listener, the eventfd and the silent client */
    serve_with_the_last_descriptor_held((struct kernel_fault){.nth = pause, .result = -ENOMEM});
    cr_assert(eq(u32, kernel.calls_of[CALL_accept4], accepts + 1), "one turn more finds no descriptor");
}

Test(server, no_more_connections_than_allowed_are_open)
{
    start();
    options.max_connections = 2;
    options.head_timeout_ms = 1000;
    kernel_connect("");
    kernel_connect("");
    struct kernel_peer *third = kernel_connect(GET("/static/a"));
    serve();
    cr_assert(kernel_got_whole(third, SIZE));
    cr_assert(eq(i64, third->closed_at_ms, 1000), "when the first two were timed out");
    cr_assert(le(u32, kernel.calls_of[CALL_epoll_wait], 10), "who is not accepted must not wake the loop");
}

/* Row: no memory for a connection. */
Test(server, without_memory_one_client_is_refused_and_the_next_is_served)
{
    start();
    struct kernel_peer *first = kernel_connect(GET("/static/a"));
    struct kernel_peer *second = kernel_connect(GET("/static/a"));
    fail_allocation(2, false); /* the first is the pool's */
    serve();
    cr_assert(zero(sz, first->head_length));
    cr_assert(kernel_got_whole(second, SIZE));
}

Test(server, a_client_that_cannot_be_watched_is_refused)
{
    unsigned watch = find_call(GET("/static/a"), 0, CALL_epoll_ctl, 3); /* after the listener and the eventfd */

    start();
    kernel.fault = (struct kernel_fault){.nth = watch, .result = -ENOSPC};
    struct kernel_peer *first = kernel_connect(GET("/static/a"));
    struct kernel_peer *second = kernel_connect(GET("/static/a"));
    serve();
    cr_assert(zero(sz, first->head_length));
    cr_assert(kernel_got_whole(second, SIZE));
    cr_assert(went(1, "CONN_INIT", "CONN_CLOSED"));
}

Test(server, a_client_whose_interest_cannot_be_changed_is_closed)
{
    unsigned change = find_call(GET("/static/a"), 1000, CALL_epoll_ctl, 4);

    start();
    kernel.fault = (struct kernel_fault){.nth = change, .result = -ENOMEM};
    struct kernel_peer *slow = kernel_connect(GET("/static/a"));
    slow->buffer = 1000;
    serve();
    cr_assert(slow->was_closed);
    cr_assert(zero(i64, slow->closed_at_ms));
}

/* --- the dead --------------------------------------------------------------------------------------------------- */

static long alive_while_idle;

static bool count_what_is_alive(void)
{
    alive_while_idle = allocations_alive();
    return false;
}

Test(server, who_was_closed_is_freed_at_the_end_of_the_turn)
{
    const int crowds[] = {1, 20};
    long alive[2];
    for (int i = 0; i < 2; i++) {
        start();
        kernel.when_idle = count_what_is_alive;
        for (int client = 0; client < crowds[i]; client++)
            kernel_connect(GET("/static/a"));
        serve();
        alive[i] = alive_while_idle;
    }
    cr_assert(eq(long, alive[1], alive[0]));
}

static bool reset_then_let_the_disk_go_on(void)
{
    struct kernel_peer *peer = &kernel.peers[0];
    struct kernel_file *file = &kernel.files[2];
    if (!peer->is_reset) {
        peer->is_reset = true;
    } else if (file->is_stuck) {
        cr_assert(peer->was_closed, "closed at once");
        cr_assert(gt(int, kernel.reads_in_flight, 0), "the kernel still holds the buffer");
        file->is_stuck = false;
    } else {
        return false;
    }
    return true;
}

/* Row: peer gone while a read is in flight. */
Test(server, a_client_gone_during_a_read_is_closed_now_and_freed_after_the_completion)
{
    start();
    kernel.files[2].is_stuck = true;
    kernel.when_idle = reset_then_let_the_disk_go_on;
    struct kernel_peer *peer = kernel_connect(GET("/dynamic/cold"));
    serve();
    cr_assert(went(1, "CONN_READING_ASYNC", "CONN_CLOSED"));
    cr_assert(zero(int, peer->body_length));
}

static bool both_go_then_their_reads_come_back_one_by_one(void)
{
    if (!kernel.peers[0].is_reset) {
        kernel.peers[0].is_reset = kernel.peers[1].is_reset = true;
    } else if (kernel.files[2].is_stuck) {
        kernel.files[2].is_stuck = false;
    } else if (kernel.files[3].is_stuck) {
        cr_assert(gt(int, kernel.reads_in_flight, 0));
        kernel.files[3].is_stuck = false;
    } else {
        return false;
    }
    return true;
}

Test(server, each_of_the_dead_is_freed_when_its_own_read_is_back)
{
    start();
    kernel.files[2].is_stuck = true;
    kernel.files[3] = (struct kernel_file){.path = "dynamic/b", .size = SIZE, .is_cold = true, .is_stuck = true};
    kernel.when_idle = both_go_then_their_reads_come_back_one_by_one;
    kernel_connect(GET("/dynamic/cold"));
    kernel_connect(GET("/dynamic/b"));
    serve();
    cr_assert(not(kernel.files[3].is_stuck));
}

static bool reset_while_the_disk_is_done(void)
{
    if (!kernel.files[2].is_stuck)
        return false;
    kernel.files[2].is_stuck = false; /* the completion and the hang-up come in the same turn */
    kernel.peers[0].is_reset = true;
    return true;
}

/* Row: event for a connection closed in this turn. */
Test(server, the_event_of_a_connection_that_was_closed_in_this_turn_is_ignored)
{
    start();
    kernel.files[2].is_stuck = true;
    kernel.when_idle = reset_while_the_disk_is_done;
    kernel_connect(GET("/dynamic/cold"));
    struct kernel_peer *other = kernel_connect(GET("/static/a"));
    serve();
    cr_assert(went(1, "CONN_SENDING", "CONN_CLOSED"), "the send found out; the hang-up came after it");
    cr_assert(kernel_got_whole(other, SIZE));
}

Test(server, a_read_that_the_kernel_refuses_at_once_closes_in_the_same_turn)
{
    unsigned submit = find_call(GET("/dynamic/a"), 0, CALL_io_submit, 1);

    start();
    kernel.fault = (struct kernel_fault){.nth = submit, .result = -EBADF};
    struct kernel_peer *peer = kernel_connect(GET("/dynamic/a"));
    struct kernel_peer *other = kernel_connect(GET("/dynamic/a"));
    serve();
    cr_assert(peer->was_closed);
    cr_assert(zero(i64, peer->closed_at_ms));
    cr_assert(kernel_got_whole(other, SIZE));
}

/* Row: io_submit -EAGAIN. */
Test(server, a_ring_that_others_have_filled_is_tried_again_by_the_clock)
{
    unsigned submit = find_call(GET("/dynamic/a"), 0, CALL_io_submit, 2);

    start();
    kernel.fault = (struct kernel_fault){.nth = submit, .result = -EAGAIN};
    struct kernel_peer *peer = kernel_connect(GET("/dynamic/a"));
    serve();
    cr_assert(kernel_got_whole(peer, SIZE));
    cr_assert(eq(i64, peer->closed_at_ms, 10));
}

/* Row: sendfile 0 before the end, AIO res short or 0 before the end. */
Test(server, a_file_that_shrank_ends_its_answer_short_and_at_once)
{
    const char *requests[] = {GET("/static/a"), GET("/dynamic/a"), GET("/dynamic/cold")};
    for (int i = 0; i < 3; i++) {
        start();
        kernel.files[i].shrunk = 100000;
        struct kernel_peer *peer = kernel_connect(requests[i]);
        serve();
        cr_assert(zero(i64, peer->closed_at_ms), "%s", requests[i]);
        cr_assert(not(peer->body_is_wrong), "%s", requests[i]);
        cr_assert(le(u64, peer->body_length, SIZE - 100000), "%s", requests[i]);
        cr_assert(ge(u64, peer->body_length, POOL_BUFFER_SIZE), "%s", requests[i]);
    }
}

/* --- deadlines -------------------------------------------------------------------------------------------------- */

Test(server, a_head_that_does_not_come_in_time_is_not_waited_for)
{
    start();
    struct kernel_peer *silent = kernel_connect("");
    struct kernel_peer *half = kernel_connect("GET /static");
    struct kernel_peer *other = kernel_connect(GET("/static/a"));
    serve();
    cr_assert(eq(i64, silent->closed_at_ms, HEAD_TIMEOUT_MS));
    cr_assert(eq(i64, half->closed_at_ms, HEAD_TIMEOUT_MS));
    cr_assert(kernel_got_whole(other, SIZE));
}

static char drops[32] = "GET /";

static bool one_more_byte_drips_in(void)
{
    if (kernel.peers[0].was_closed)
        return false;
    kernel.now_ms += 100;
    drops[strlen(drops)] = 'a';
    return true;
}

Test(server, bytes_that_drip_in_do_not_buy_time)
{
    start();
    kernel.when_idle = one_more_byte_drips_in;
    struct kernel_peer *slow = kernel_connect(drops);
    serve();
    cr_assert(eq(i64, slow->closed_at_ms, HEAD_TIMEOUT_MS));
    cr_assert(went(1, "CONN_INIT", "CONN_READING"));
}

Test(server, a_client_that_takes_nothing_is_cut_off)
{
    const char *requests[] = {GET("/static/a"), GET("/dynamic/a")};
    for (int i = 0; i < 2; i++) {
        start();
        struct kernel_peer *stalled = kernel_connect(requests[i]);
        stalled->buffer = 1000;
        serve();
        cr_assert(eq(i64, stalled->closed_at_ms, SEND_TIMEOUT_MS), "%s", requests[i]);
        cr_assert(eq(u64, stalled->body_length + stalled->head_length, 1000), "%s", requests[i]);
    }
}

static bool take_a_byte_at_each_deadline(void)
{
    static int64_t last_ms = -1;
    if (kernel.now_ms > last_ms && kernel.now_ms < 20000) {
        last_ms = kernel.now_ms;
        kernel_take(&kernel.peers[0], 1); /* too little for the socket to be writable */
    }
    return false;
}

Test(server, a_client_that_takes_a_little_is_not_cut_off)
{
    start();
    kernel.when_idle = take_a_byte_at_each_deadline;
    struct kernel_peer *slow = kernel_connect(GET("/static/a"));
    slow->buffer = 1000;
    serve();
    /* It took its last byte after 18 s: that was seen at 21 s. */
    cr_assert(eq(i64, slow->closed_at_ms, 24000));
}

/* All of the answer is in the socket, the client takes it slowly and sends something late. */
Test(server, lingering_lasts_while_the_client_takes_the_answer)
{
    start();
    kernel.when_idle = take_a_byte_at_each_deadline;
    struct kernel_peer *slow = kernel_connect(GET("/static/a") "more");
    slow->buffer = SIZE + 1000;
    slow->stays = true;
    serve();
    /* It took its last byte before 20 s; that was seen at the deadline after it. */
    cr_assert(gt(i64, slow->closed_at_ms, 20000));
    cr_assert(lt(i64, slow->closed_at_ms, 20000 + 3 * LINGER_MS));
}

static bool time_passes_and_all_take_something(void)
{
    if (!all_take_something())
        return false;
    kernel.now_ms += SEND_TIMEOUT_MS - 1;
    return true;
}

Test(server, a_client_that_makes_progress_starts_its_clock_anew)
{
    start();
    kernel.when_idle = time_passes_and_all_take_something;
    struct kernel_peer *slow = kernel_connect(GET("/static/a"));
    slow->buffer = 40000;
    serve();
    cr_assert(kernel_got_whole(slow, SIZE));
    cr_assert(gt(i64, slow->closed_at_ms, 10 * SEND_TIMEOUT_MS));
}

static bool a_little_is_taken_at_half_time(void)
{
    if (kernel.now_ms > 0)
        return false;
    kernel.now_ms = SEND_TIMEOUT_MS / 2;
    kernel_take(&kernel.peers[0], 600);
    return true;
}

/* A socket that looks writable and is not. */
Test(server, a_wake_up_without_progress_does_not_start_the_clock_anew)
{
    start();
    kernel.when_idle = a_little_is_taken_at_half_time;
    kernel_connect(GET("/static/a"))->buffer = 1000;
    serve();
    unsigned retry = call_at(CALL_sendfile, 3); /* after one that was short and one that had to wait */

    start();
    kernel.when_idle = a_little_is_taken_at_half_time;
    kernel.fault = (struct kernel_fault){.nth = retry, .result = -EAGAIN, .for_ever = true};
    struct kernel_peer *stalled = kernel_connect(GET("/static/a"));
    stalled->buffer = 1000;
    serve();
    cr_assert(eq(i64, stalled->closed_at_ms, SEND_TIMEOUT_MS));
}

Test(server, a_client_that_sends_too_much_gets_no_reset_and_a_bounded_time)
{
    start();
    struct kernel_peer *pipelining = kernel_connect(GET("/static/a") GET("/static/a"));
    struct kernel_peer *staying = kernel_connect(GET("/nothing") "and more");
    staying->stays = true;
    serve();
    cr_assert(kernel_got_whole(pipelining, SIZE));
    cr_assert(not(pipelining->was_aborted));
    cr_assert(zero(i64, pipelining->closed_at_ms), "it ended, too");
    cr_assert(eq(i64, staying->closed_at_ms, LINGER_MS));
}

/* --- stopping --------------------------------------------------------------------------------------------------- */

static bool stop_after_a_while(void)
{
    if (kernel.stop)
        return false;
    kernel.now_ms = 700;
    kernel.stop = 1;
    kernel_connect(GET("/static/a"));
    return false;
}

Test(server, a_stop_drops_who_has_not_asked_and_lets_answers_leave)
{
    start();
    options.head_timeout_ms = 60000;
    kernel.end_ms = 0; /* asked to stop as soon as nobody is ready */
    struct kernel_peer *idle = kernel_connect("");
    struct kernel_peer *half = kernel_connect("GET /");
    struct kernel_peer *slow = kernel_connect(GET("/dynamic/cold"));
    struct kernel_peer *stalled = kernel_connect(GET("/static/a"));
    kernel.when_idle = all_take_something;
    slow->buffer = 50000;
    stalled->buffer = 1000000;
    serve();
    cr_assert(zero(i64, idle->closed_at_ms));
    cr_assert(zero(i64, half->closed_at_ms));
    cr_assert(kernel_got_whole(slow, SIZE));
}

Test(server, answers_that_do_not_leave_in_the_grace_time_are_cut_off)
{
    start();
    options.send_timeout_ms = 60000;
    kernel.when_idle = stop_after_a_while;
    struct kernel_peer *stalled = kernel_connect(GET("/static/a"));
    struct kernel_peer *loaded = kernel_connect(GET("/dynamic/a"));
    stalled->buffer = loaded->buffer = 1000;
    serve();
    cr_assert(eq(i64, stalled->closed_at_ms, 700 + GRACE_MS));
    cr_assert(eq(i64, loaded->closed_at_ms, 700 + GRACE_MS));
    cr_assert(eq(int, kernel.accepted, 2), "who came after the stop is not served");
}

static bool stop_then_free_the_disk_after_the_grace_time(void)
{
    kernel.stop = 1;
    if (kernel.now_ms < GRACE_MS || !kernel.files[2].is_stuck)
        return false;
    if (!kernel.peers[0].was_closed)
        return false;
    kernel.files[2].is_stuck = false;
    return true;
}

Test(server, the_end_waits_for_reads_that_are_in_flight)
{
    start();
    kernel.files[2].is_stuck = true;
    kernel.when_idle = stop_then_free_the_disk_after_the_grace_time;
    struct kernel_peer *peer = kernel_connect(GET("/dynamic/cold"));
    serve();
    cr_assert(eq(i64, peer->closed_at_ms, GRACE_MS));
    cr_assert(not(kernel.files[2].is_stuck), "the read came back before the server ended");
}

Test(server, a_broken_poller_ends_it_rather_than_spins, .signal = SIGABRT)
{
    unsigned wait = find_call(GET("/static/a"), 0, CALL_epoll_wait, 1);

    start();
    kernel.fault = (struct kernel_fault){.nth = wait, .result = -EBADF, .for_ever = true};
    serve();
}

/* A signal may come between the look at the flag and the wait. */
Test(server, a_wake_up_is_an_event_of_the_loader)
{
    static struct server server;
    server.loader.aio.event_fd = 7;
    expect(write, WITH(7, sizeof(uint64_t)), .text = "\1", .result = ALL);
    server_wake(&server);
    script_is_over();
}
