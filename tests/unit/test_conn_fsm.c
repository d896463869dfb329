/*
 * test_conn_fsm.c - the state table: equal to the assignment's and to the README's, whole, and obeyed.
 *
 * That every edge is walked by the real machine is shown in test_conn_io.c.
 */
#include "conn_fsm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "exchange.h"
#include "unit.h"

#define TO(state) (1u << (state))

/* The states that the table allows after `state`, as bits. */
static unsigned next_states(enum connection_state state)
{
    unsigned next = 0;
    for (enum connection_state to = 0; to < CONN_STATES; to++)
        next |= conn_may_go(state, to) ? TO(to) : 0;
    return next;
}

/* --- the table --------------------------------------------------------------------------------------------------- */

Test(conn_fsm, every_row_is_as_promised)
{
    const struct {
        const char *name;
        unsigned wants;
        enum conn_clock clock;
        unsigned next;
    } rows[CONN_STATES] = {
        [CONN_INIT] = {"CONN_INIT", CONN_READABLE, CLOCK_HEAD, TO(CONN_READING) | TO(CONN_WREADY) | TO(CONN_CLOSED)},
        [CONN_READING] = {"CONN_READING", CONN_READABLE, CLOCK_HEAD, TO(CONN_WREADY) | TO(CONN_CLOSED)},
        [CONN_WREADY] = {"CONN_WREADY", CONN_WRITABLE, CLOCK_SEND,
                         TO(CONN_SENDING) | TO(CONN_READING_ASYNC) | TO(CONN_LINGERING) | TO(CONN_CLOSED)},
        [CONN_READING_ASYNC] = {"CONN_READING_ASYNC", 0, CLOCK_NONE, TO(CONN_SENDING) | TO(CONN_CLOSED)},
        [CONN_SENDING] = {"CONN_SENDING", CONN_WRITABLE, CLOCK_SEND,
                          TO(CONN_READING_ASYNC) | TO(CONN_LINGERING) | TO(CONN_CLOSED)},
        [CONN_LINGERING] = {"CONN_LINGERING", CONN_READABLE, CLOCK_LINGER, TO(CONN_CLOSED)},
        [CONN_CLOSED] = {"CONN_CLOSED", 0, CLOCK_NONE, 0},
    };
    for (enum connection_state state = 0; state < CONN_STATES; state++) {
        const char *name = rows[state].name;
        cr_expect(eq(str, text(conn_state_name(state)), text(name)));
        cr_expect(eq(uint, conn_wants(state), rows[state].wants), "%s", name);
        cr_expect(eq(int, conn_clock(state), rows[state].clock), "%s", name);
        cr_expect(eq(uint, next_states(state), rows[state].next), "%s", name);
    }
}

Test(conn_fsm, every_state_is_reached_from_init_and_ends_in_closed)
{
    unsigned reached = TO(CONN_INIT);
    for (int steps = 0; steps < CONN_STATES; steps++)
        for (enum connection_state state = 0; state < CONN_STATES; state++)
            reached |= reached & TO(state) ? next_states(state) : 0;
    cr_expect(eq(uint, reached, (1u << CONN_STATES) - 1));

    for (enum connection_state state = 0; state < CONN_STATES; state++) {
        const char *name = conn_state_name(state);
        cr_expect(eq(int, conn_may_go(state, CONN_CLOSED), state != CONN_CLOSED), "%s", name);
        cr_expect(eq(int, conn_may_go(state, CONN_INIT), false), "%s: one request per connection", name);
        cr_expect(eq(int, conn_may_go(state, state), false), "%s: to stay is to wait, and no edge", name);
    }
}

Test(conn_fsm, whatever_waits_can_be_woken)
{
    for (enum connection_state state = 0; state < CONN_CLOSED; state++) {
        /* A read always completes; a client need not do anything, so its states have a clock. */
        bool waits_for_client = state != CONN_READING_ASYNC;
        cr_expect(eq(int, conn_wants(state) != 0, waits_for_client), "%s", conn_state_name(state));
        cr_expect(eq(int, conn_clock(state) != CLOCK_NONE, waits_for_client), "%s", conn_state_name(state));
    }
}

/* --- the README's copy ------------------------------------------------------------------------------------------- */

#define README_HEADER "| state | waits for | does | may go to |\n"

/* The states that `cell` names, as bits: "`CONN_SENDING` (static), `CONN_CLOSED`". */
static unsigned states_named(const char *cell)
{
    unsigned named = 0;
    for (const char *at = strstr(cell, "`CONN_"); at; at = strstr(at + 1, "`CONN_")) {
        size_t length = strcspn(at + 1, "`");
        enum connection_state state = 0;
        while (state < CONN_STATES &&
               (strlen(conn_state_name(state)) != length || strncmp(at + 1, conn_state_name(state), length) != 0))
            state++;
        cr_assert(lt(int, state, CONN_STATES), "the README names a state that is none: %.40s", at);
        named |= TO(state);
    }
    return named;
}

/* What the README's words say that a state waits for. */
static unsigned wants_in_words(const char *cell)
{
    if (strncmp(cell, "readable", strlen("readable")) == 0)
        return CONN_READABLE;
    return strcmp(cell, "writable") == 0 ? CONN_WRITABLE : 0;
}

/* Compare one line of the README's table, "| a | b | c | d |\n", with the code; the state that it is about, as a bit.
 */
static unsigned compare_row(char *line)
{
    char *cells[4], *rest = line + strlen("| ");
    for (int i = 0; i < 4; i++) {
        char *end = strstr(rest, " |");
        cr_assert(ne(ptr, end, NULL), "a row of the README's table has too few columns: %s", line);
        *end = '\0';
        cells[i] = rest;
        rest = end + strlen(" | ");
    }

    unsigned bit = states_named(cells[0]);
    enum connection_state state = 0;
    while (state < CONN_STATES && TO(state) != bit)
        state++;
    cr_assert(lt(int, state, CONN_STATES), "a row of the README's table is not about one state: %s", cells[0]);

    const char *name = conn_state_name(state);
    cr_expect(eq(uint, conn_wants(state), wants_in_words(cells[1])), "%s waits for: %s", name, cells[1]);
    cr_expect(eq(int, conn_clock(state) == CLOCK_LINGER, strstr(cells[1], "its time") != NULL), "%s: %s", name,
              cells[1]);
    cr_expect(eq(int, state == CONN_READING_ASYNC, strcmp(cells[1], "completion") == 0), "%s: %s", name, cells[1]);
    cr_expect(eq(uint, next_states(state), states_named(cells[3])), "%s may go to: %s", name, cells[3]);
    return bit;
}

Test(conn_fsm, the_readme_shows_the_same_table)
{
    char line[1000];
    unsigned shown = 0;
    bool inside = false;
    FILE *readme = fopen("README.md", "r");
    cr_assert(ne(ptr, readme, NULL), "run in the project's top folder");

    while (fgets(line, sizeof line, readme)) {
        if (inside && strncmp(line, "| `", 3) == 0)
            shown |= compare_row(line);
        inside = strcmp(line, README_HEADER) == 0 || (inside && line[0] == '|');
    }
    fclose(readme);
    cr_assert(eq(uint, shown, (1u << CONN_STATES) - 1), "a state is missing in the README, or the whole table");
}

/* --- the driver -------------------------------------------------------------------------------------------------- */

Test(conn_fsm, an_edge_is_traced_and_to_stay_is_not)
{
    exchange_open(2, 4);
    struct connection *conn = exchange_connect();

    conn_goto(conn, CONN_INIT);
    cr_expect(eq(str, text(exchange_states()), text("INIT")));
    conn_goto(conn, CONN_CLOSED);
    cr_expect(eq(int, conn->state, CONN_CLOSED));
    cr_expect(eq(str, text(exchange_states()), text("INIT CLOSED")));

    exchange_disconnect(conn);
    exchange_close();
}

Test(conn_fsm, an_edge_that_is_not_in_the_table_is_our_own_fault, .signal = SIGABRT)
{
    exchange_open(2, 4);
    conn_goto(exchange_connect(), CONN_SENDING);
}

Test(conn_fsm, nothing_is_done_for_a_closed_connection)
{
    exchange_open(2, 4);
    struct connection *conn = exchange_connect();
    conn_step(conn, CONN_HANGUP);
    cr_assert(eq(int, conn->state, CONN_CLOSED));

    conn_step(conn, CONN_READABLE | CONN_WRITABLE | CONN_HANGUP);
    cr_assert(eq(int, conn->state, CONN_CLOSED));
    exchange_disconnect(conn);
    exchange_close();
}

Test(conn_fsm, one_wake_up_goes_as_far_as_it_can_without_waiting)
{
    exchange_open(2, 4);
    struct connection *conn = exchange_connect();
    expect(recv, WITH(CLIENT_FD), GIVES(GET_STATIC));
    expect_document(5);
    expect(send, WITH(CLIENT_FD, ANY, MSG_MORE | MSG_NOSIGNAL), .result = ALL);
    expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD, 0, 5), .result = 5);

    conn_step(conn, CONN_READABLE);
    cr_assert(eq(str, text(exchange_states()), text("INIT WREADY SENDING CLOSED")));
    exchange_disconnect(conn);
    exchange_close();
}

Test(conn_fsm, each_step_counts_its_bytes_anew)
{
    exchange_open(2, 4);
    struct connection *conn = exchange_connect();
    exchange_reach(conn, CONN_SENDING, RESOURCE_STATIC);
    for (int step = 0; step < 2; step++) {
        expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD), .result = 1000);
        expect(sendfile, WITH(CLIENT_FD, DOCUMENT_FD), .result = -EAGAIN);
        expect(unacknowledged, WITH(CLIENT_FD), .result = 1000);
        conn_step(conn, CONN_WRITABLE);
        cr_assert(eq(sz, conn->moved, 1000), "step %d", step);
    }
    exchange_disconnect(conn);
    exchange_close();
}
