/*
 * test_io.c - what the result of a receive or a send means.
 */
#include "io.h"

#include <errno.h>
#include <limits.h>

#include "unit.h"

Test(io, every_result_has_one_verdict)
{
    const struct {
        ssize_t result;
        enum io_verdict verdict;
    } rows[] = {
        {1, IO_PROGRESS},
        {SSIZE_MAX, IO_PROGRESS},
        {0, IO_END},
        {-EAGAIN, IO_AGAIN},
        {-EINTR, IO_INTERRUPTED},
        {-EPIPE, IO_GONE},
        {-ECONNRESET, IO_GONE},
        {-ENOTCONN, IO_GONE},
        {-ETIMEDOUT, IO_GONE},
        {-EIO, IO_FAILED},
        {-EBADF, IO_FAILED},
        {-EINVAL, IO_FAILED},
        {-ENOMEM, IO_FAILED},
        {-EHOSTUNREACH, IO_FAILED},
        {-1, IO_FAILED}, /* EPERM: what a call would give that forgot to translate its failure */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect(eq(int, io_judge(rows[i].result), rows[i].verdict), "of the result %zd", rows[i].result);
}
