/*
 * server.c - the event loop: who woke, whom to step, whom to free.
 *
 * A turn:
 *   wait  ->  listener:   accept some               -> each new connection is watched
 *             loader:     collect what was read     -> step the connections whose windows are complete
 *             connection: step it                   -> interest, clock, or doom
 *         ->  deadlines that are due
 *         ->  hand out buffers, submit reads        (once for the whole turn)
 *         ->  free the doomed                       (no event of this turn can name them any more)
 *
 * What a connection wants of the poller and which clock it runs under is computed from its state after each step, in
 * one place: settle().
 */
#include "server.h"

#include <assert.h>

#include "conn_io.h"
#include "sys.h"

/* How long answers may take to leave after a stop: longer than any course file needs, shorter than a supervisor's
 * patience (systemd waits 90 s, docker stop 10 s). */
#define SERVER_GRACE_MS 5000

/* When descriptors ran out and none of ours came back, somebody else's may have. */
#define ACCEPT_RETRY_MS 100

/* When the AIO ring took nothing and nothing of ours is in it, nobody will wake us. */
#define STUCK_RETRY_MS 10

/* Connections accepted at one wake-up, at most. */
#define ACCEPT_BATCH_MAX 64

static_assert((int)CONN_READABLE == (int)POLLER_READABLE && (int)CONN_WRITABLE == (int)POLLER_WRITABLE &&
                  (int)CONN_HANGUP == (int)POLLER_HANGUP,
              "a connection's readiness is the poller's");

static int64_t monotonic_ms(void)
{
    struct timespec now = {0};
    sys_clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- one connection --------------------------------------------------------------------------------------------- */

/* `conn` is closed: release it now, free it at the end of the turn in which nothing of it is in flight any more. */
static void doom(struct server *server, struct connection *conn)
{
    deadline_clear(&conn->deadline);
    TAILQ_REMOVE(&server->open, conn, link);
    server->open_count--;
    server->accept_at_ms = 0;
    if (conn_release(conn))
        TAILQ_INSERT_TAIL(&server->orphans, conn, link);
    else
        TAILQ_INSERT_TAIL(&server->doomed, conn, link);
}

/* After a step: give `conn` the interest and the clock of its state, or doom it. */
static void settle(struct server *server, struct connection *conn)
{
    unsigned wants = conn_wants(conn->state);
    if (conn->state != CONN_CLOSED && wants != conn->interest) {
        conn->interest = (uint8_t)wants;
        if (poller_change(&server->poller, conn->fd, wants, conn) < 0)
            conn_goto(conn, CONN_CLOSED);
    }
    if (conn->state == CONN_CLOSED) {
        doom(server, conn);
        return;
    }
    enum conn_clock clock = conn_clock(conn->state);
    struct deadline_line *line = &server->clocks[clock];
    if (clock == CLOCK_NONE)
        deadline_clear(&conn->deadline);
    else if (conn->deadline.line != line || (clock == CLOCK_SEND && conn->moved > 0))
        deadline_set(&conn->deadline, line, server->now_ms);
}

static void step(struct server *server, struct connection *conn, unsigned ready)
{
    conn_step(conn, ready);
    settle(server, conn);
}

static void close_now(struct server *server, struct connection *conn)
{
    conn_goto(conn, CONN_CLOSED);
    settle(server, conn);
}

/* --- sources ---------------------------------------------------------------------------------------------------- */

static void welcome(struct server *server, int fd)
{
    struct connection *conn = conn_create(fd, server->accepted + 1, &server->shared);
    if (!conn) {
        sys_close(fd);
        return;
    }
    server->accepted++;
    server->open_count++;
    TAILQ_INSERT_TAIL(&server->open, conn, link);
    conn->interest = (uint8_t)conn_wants(conn->state);
    if (poller_add(&server->poller, fd, conn->interest, conn) < 0)
        conn_goto(conn, CONN_CLOSED);
    settle(server, conn);
}

/* Accept up to accept_batch clients. The batch starts at one and doubles while more keep waiting: a lone client costs
 * no second accept4 that finds nobody, a crowd is taken in few turns. */
static void accept_clients(struct server *server)
{
    for (unsigned i = 0; i < server->accept_batch && server->open_count < server->max_connections; i++) {
        int fd = listener_accept(&server->listener);
        if (fd == LISTENER_EMPTY) {
            server->accept_batch = 1;
            return;
        }
        if (fd == LISTENER_EXHAUSTED) {
            server->accept_at_ms = server->now_ms + ACCEPT_RETRY_MS;
            return;
        }
        if (fd != LISTENER_SKIP)
            welcome(server, fd);
    }
    if (server->accept_batch < ACCEPT_BATCH_MAX)
        server->accept_batch *= 2;
}

/* Watch the listener exactly while a client could be accepted: a level-triggered listener that nobody serves would
 * wake us for ever. */
static void watch_listener(struct server *server)
{
    bool wanted = server->open_count < server->max_connections && server->now_ms >= server->accept_at_ms;
    if (server->listener.fd < 0 || wanted == server->listening)
        return;
    unsigned interest = wanted ? POLLER_READABLE : 0;
    if (poller_change(&server->poller, server->listener.fd, interest, &server->listener) == 0)
        server->listening = wanted;
}

static void finish_loads(struct server *server)
{
    struct connection *conn;
    while ((conn = loader_next_finished(&server->loader))) {
        if (conn->state == CONN_CLOSED) {
            TAILQ_REMOVE(&server->orphans, conn, link);
            TAILQ_INSERT_TAIL(&server->doomed, conn, link);
        } else {
            step(server, conn, 0);
        }
    }
}

static void expire(struct server *server)
{
    for (enum conn_clock clock = CLOCK_HEAD; clock < CONN_CLOCKS; clock++) {
        struct deadline *due;
        while ((due = deadline_due(&server->clocks[clock], server->now_ms))) {
            struct connection *conn = (struct connection *)((char *)due - offsetof(struct connection, deadline));
            /* While the end of an answer is still on its way, closing at last could turn it into RST as well. */
            if (clock != CLOCK_HEAD && conn_io_client_takes(conn))
                deadline_set(due, &server->clocks[clock], server->now_ms);
            else
                close_now(server, conn);
        }
    }
}

static void free_doomed(struct server *server)
{
    struct connection *conn;
    while ((conn = TAILQ_FIRST(&server->doomed))) {
        TAILQ_REMOVE(&server->doomed, conn, link);
        conn_destroy(conn);
    }
}

/* --- the loop --------------------------------------------------------------------------------------------------- */

static int64_t sooner(int64_t a_ms, int64_t b_ms)
{
    return a_ms < 0 || b_ms < a_ms ? b_ms : a_ms;
}

/* How long the turn may wait: until the first deadline, at most `limit_ms`; -1 is for ever. */
static int64_t wait_time(const struct server *server, int64_t limit_ms)
{
    int64_t wait_ms = limit_ms;
    for (enum conn_clock clock = CLOCK_HEAD; clock < CONN_CLOCKS; clock++)
        wait_ms = deadline_until(&server->clocks[clock], server->now_ms, wait_ms);
    if (server->accept_at_ms > server->now_ms)
        wait_ms = sooner(wait_ms, server->accept_at_ms - server->now_ms);
    return loader_is_stuck(&server->loader) ? sooner(wait_ms, STUCK_RETRY_MS) : wait_ms;
}

static void turn(struct server *server, int64_t limit_ms)
{
    struct poller_event events[POLLER_EVENTS_MAX];
    bool listener_woke = false;

    watch_listener(server);
    int count = poller_wait(&server->poller, events, wait_time(server, limit_ms));
    assert(count >= 0 && "the poller itself is broken: the loop would spin");
    server->now_ms = monotonic_ms();
    for (int i = 0; i < count; i++) {
        struct connection *conn = events[i].source;
        if (events[i].source == &server->listener) {
            listener_woke = true;
            accept_clients(server);
        } else if (events[i].source == &server->loader) {
            loader_collect(&server->loader);
            finish_loads(server);
        } else if (conn->state != CONN_CLOSED) { /* it may have been closed earlier in this turn */
            step(server, conn, events[i].ready);
        }
    }
    if (!listener_woke)
        server->accept_batch = 1;
    expire(server);
    loader_run(&server->loader);
    finish_loads(server); /* reads that the kernel refused at once */
    free_doomed(server);
}

/* Close all connections, or only those whose request is not complete. */
static void close_connections(struct server *server, bool all)
{
    struct connection *conn, *next;
    for (conn = TAILQ_FIRST(&server->open); conn; conn = next) {
        next = TAILQ_NEXT(conn, link);
        if (all || conn->state == CONN_INIT || conn->state == CONN_READING)
            close_now(server, conn);
    }
}

void server_run(struct server *server, const volatile sig_atomic_t *stop)
{
    server->now_ms = monotonic_ms();
    while (!*stop)
        turn(server, -1);

    listener_close(&server->listener);
    close_connections(server, false);
    int64_t end_ms = server->now_ms + SERVER_GRACE_MS;
    while (!TAILQ_EMPTY(&server->open) && server->now_ms < end_ms)
        turn(server, end_ms - server->now_ms);
    close_connections(server, true);
    while (!TAILQ_EMPTY(&server->orphans))
        turn(server, -1);
    free_doomed(server);
}

void server_wake(const struct server *server)
{
    aio_wake(&server->loader.aio);
}
