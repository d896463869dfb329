/*
 * deadline.c - ordered lines of deadlines; pure, the time is handed in.
 */
#include "deadline.h"

#include <stddef.h>

void deadline_line_init(struct deadline_line *line, int64_t duration_ms)
{
    line->duration_ms = duration_ms;
    TAILQ_INIT(&line->list);
}

void deadline_set(struct deadline *deadline, struct deadline_line *line, int64_t now_ms)
{
    deadline_clear(deadline);
    deadline->line = line;
    deadline->at_ms = now_ms + line->duration_ms;
    TAILQ_INSERT_TAIL(&line->list, deadline, link);
}

void deadline_clear(struct deadline *deadline)
{
    if (!deadline->line)
        return;
    TAILQ_REMOVE(&deadline->line->list, deadline, link);
    deadline->line = NULL;
}

struct deadline *deadline_due(const struct deadline_line *line, int64_t now_ms)
{
    struct deadline *first = TAILQ_FIRST(&line->list);
    return first && first->at_ms <= now_ms ? first : NULL;
}

int64_t deadline_until(const struct deadline_line *line, int64_t now_ms, int64_t soonest_ms)
{
    const struct deadline *first = TAILQ_FIRST(&line->list);
    if (!first)
        return soonest_ms;
    int64_t left_ms = first->at_ms > now_ms ? first->at_ms - now_ms : 0;
    return soonest_ms < 0 || left_ms < soonest_ms ? left_ms : soonest_ms;
}
