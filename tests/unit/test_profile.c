/*
 * test_profile.c - the profile `assignment` knows two codes.
 */
#include "profile.h"

#include "unit.h"

Test(profile, a_file_is_200_and_every_other_finding_404)
{
    const struct {
        enum finding finding;
        int status;
    } rows[] = {
        {FINDING_FILE, 200},
        {FINDING_NOTHING, 404},
        {FINDING_FORBIDDEN, 404},
        {FINDING_MALFORMED, 404},
        {FINDING_METHOD, 404},
        {FINDING_HEAD_TOO_LARGE, 404},
        {FINDING_TARGET_TOO_LONG, 404},
        {FINDING_SERVER_EXHAUSTED, 404},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect(eq(int, profile_status(rows[i].finding), rows[i].status), "of finding %d", (int)rows[i].finding);
}

Test(profile, each_status_has_the_reason_of_rfc_9110)
{
    cr_expect(eq(str, text(profile_reason(200)), text("OK")));
    cr_expect(eq(str, text(profile_reason(404)), text("Not Found")));
}
