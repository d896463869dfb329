/*
 * test_deadline.c - lines of deadlines: order, moving between lines, and how long to wait.
 */
#include "deadline.h"

#include "unit.h"

#define NEVER (-1)

static struct deadline_line line, other;
static struct deadline first, second, third;

static void two_lines(void)
{
    deadline_line_init(&line, 100);
    deadline_line_init(&other, 30);
}

TestSuite(deadline, .init = two_lines);

Test(deadline, an_empty_line_has_nothing_due_and_never_wakes)
{
    cr_assert(zero(ptr, deadline_due(&line, INT64_MAX)));
    cr_assert(eq(i64, deadline_until(&line, 0, NEVER), NEVER));
    cr_assert(eq(i64, deadline_until(&line, 0, 7), 7), "another's time stays");
}

Test(deadline, it_is_due_at_its_time_and_not_a_millisecond_before)
{
    deadline_set(&first, &line, 1000);

    cr_assert(eq(i64, first.at_ms, 1100));
    cr_assert(zero(ptr, deadline_due(&line, 1099)));
    cr_assert(eq(ptr, deadline_due(&line, 1100), &first));
    cr_assert(eq(ptr, deadline_due(&line, 5000), &first), "it stays set until it is cleared");
}

Test(deadline, they_fall_due_in_the_order_of_setting)
{
    deadline_set(&first, &line, 1);
    deadline_set(&second, &line, 2);
    deadline_set(&third, &line, 2);

    struct deadline *const order[] = {&first, &second, &third};
    for (int i = 0; i < 3; i++) {
        cr_assert(eq(ptr, deadline_due(&line, 102), order[i]), "the one at place %d", i);
        deadline_clear(order[i]);
    }
    cr_assert(zero(ptr, deadline_due(&line, INT64_MAX)));
}

Test(deadline, setting_again_moves_it_to_the_end)
{
    deadline_set(&first, &line, 0);
    deadline_set(&second, &line, 10);
    deadline_set(&first, &line, 20);

    cr_assert(eq(ptr, deadline_due(&line, 200), &second));
    deadline_clear(&second);
    cr_assert(zero(ptr, deadline_due(&line, 119)), "its old time is forgotten");
    cr_assert(eq(ptr, deadline_due(&line, 120), &first));
}

Test(deadline, setting_on_another_line_leaves_the_first)
{
    deadline_set(&first, &line, 0);
    deadline_set(&first, &other, 0);

    cr_assert(zero(ptr, deadline_due(&line, INT64_MAX)));
    cr_assert(eq(ptr, deadline_due(&other, 30), &first));
    cr_assert(eq(ptr, first.line, &other));
}

Test(deadline, clearing_takes_it_out_of_the_middle_and_may_be_repeated)
{
    deadline_set(&first, &line, 0);
    deadline_set(&second, &line, 0);
    deadline_set(&third, &line, 0);

    deadline_clear(&second);
    deadline_clear(&second);

    cr_assert(zero(ptr, second.line));
    cr_assert(eq(ptr, deadline_due(&line, 100), &first));
    deadline_clear(&first);
    cr_assert(eq(ptr, deadline_due(&line, 100), &third));
}

Test(deadline, until_is_the_sooner_of_both_and_at_least_0)
{
    const struct {
        int64_t now_ms, soonest_ms, until_ms;
    } rows[] = {
        {0, NEVER, 100}, /* nobody else waits */
        {0, 99, 99},     /* another is sooner */
        {0, 100, 100},   {0, 101, 100}, {0, 0, 0},        {40, NEVER, 60},
        {100, NEVER, 0}, {100, 50, 0},  {5000, NEVER, 0}, /* long overdue: at once, not in the past */
        {5000, 0, 0},
    };
    deadline_set(&first, &line, 0);
    deadline_set(&second, &line, 20); /* only the first of a line matters */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect(eq(i64, deadline_until(&line, rows[i].now_ms, rows[i].soonest_ms), rows[i].until_ms),
                  "at %lld, another after %lld", (long long)rows[i].now_ms, (long long)rows[i].soonest_ms);
}
