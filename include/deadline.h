/*
 * deadline.h - times at which something is overdue, in lines of equal duration.
 *
 * All deadlines of one line are the same time after they were set, so a line is in order by construction: setting,
 * clearing and finding the first take constant time, however many connections there are.
 */
#ifndef AWS_DEADLINE_H
#define AWS_DEADLINE_H

#include <stdint.h>
#include <sys/queue.h>

struct deadline {
    struct deadline_line *line; /* NULL: not set */
    int64_t at_ms;              /* on the caller's monotonic clock */
    TAILQ_ENTRY(deadline) link;
};

struct deadline_line {
    int64_t duration_ms;
    TAILQ_HEAD(, deadline) list;
};

/* Make `line` empty, for deadlines `duration_ms` after they are set. */
void deadline_line_init(struct deadline_line *line, int64_t duration_ms);

/* Set `deadline` on `line`, counted from `now_ms`, wherever it was set before. */
void deadline_set(struct deadline *deadline, struct deadline_line *line, int64_t now_ms);

/* Clear `deadline`; no effect if it is not set. */
void deadline_clear(struct deadline *deadline);

/* The first deadline of `line` that is due at `now_ms`, or NULL. It stays set. */
struct deadline *deadline_due(const struct deadline_line *line, int64_t now_ms);

/* The sooner of `soonest_ms` and the time until the first deadline of `line`, at least 0; -1 stands for never. */
int64_t deadline_until(const struct deadline_line *line, int64_t now_ms, int64_t soonest_ms);

#endif
